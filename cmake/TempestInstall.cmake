# cmake --install puts the programs, libtempest, its public headers and the documents in place, and a
# package, so that a project elsewhere can say
#   find_package(tempest)                     for tempest::task, all that a task library needs
#                                             (tempest_add_task_library links it): headers, and a
#                                             small static library
#   find_package(tempest COMPONENTS worker)   also for tempest::tempest, what a program of one's own
#                                             needs, such as a worker with run_worker()
include(CMakePackageConfigHelpers)

# The other roles are programs, not libraries: only a worker's is of use in a program of one's own.
get_property(installed_components GLOBAL PROPERTY TEMPEST_COMPONENTS)
list(REMOVE_ITEM installed_components tempest_broker tempest_source_node tempest_pipeline_node
     tempest_stats_node tempest_cli tempest_bench tempest_ceiling tempest_machines)
foreach(component ${installed_components})
  string(REGEX REPLACE "^tempest_" "" export_name ${component})
  set_target_properties(${component} PROPERTIES EXPORT_NAME ${export_name})
endforeach()
add_dependencies(users ${installed_components})

# The base is all that task.hpp needs beyond headers (the getters of Settings).
add_library(tempest_task INTERFACE)
set_target_properties(tempest_task PROPERTIES EXPORT_NAME task)
target_link_libraries(tempest_task INTERFACE tempest_base)
add_library(tempest::task ALIAS tempest_task)

add_library(tempest_everything INTERFACE)
set_target_properties(tempest_everything PROPERTIES EXPORT_NAME tempest)
target_link_libraries(tempest_everything INTERFACE ${installed_components})
add_library(tempest::tempest ALIAS tempest_everything)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tempest)
set(worker_components ${installed_components})
list(REMOVE_ITEM worker_components tempest_base)
install(
  TARGETS tempest_base tempest_task
  EXPORT tempestTaskTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(
  TARGETS ${worker_components} tempest_everything
  EXPORT tempestWorkerTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(kind Task Worker)
  install(
    EXPORT tempest${kind}Targets
    NAMESPACE tempest::
    DESTINATION ${package_folder})
endforeach()
# The public headers, and what they include.
foreach(folder . base dag)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/libtempest/tempest/${folder}/*.hpp)
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tempest/${folder})
endforeach()
file(GLOB documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
install(FILES ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
# A linker that finds symbols of debugging in a static library makes each user's program five times
# as large; programs are stripped by what stands at the top.
install(CODE "
  file(GLOB archives \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libtempest_*.a\")
  execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug \${archives})")

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/tempestConfig.cmake.in ${PROJECT_BINARY_DIR}/tempestConfig.cmake
  INSTALL_DESTINATION ${package_folder})
# Before 1.0 a minor version may break what was: only the same one will do.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tempestConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(
  FILES ${PROJECT_BINARY_DIR}/tempestConfig.cmake ${PROJECT_BINARY_DIR}/tempestConfigVersion.cmake
        ${PROJECT_SOURCE_DIR}/cmake/TempestTaskLibrary.cmake
  DESTINATION ${package_folder})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
              ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
