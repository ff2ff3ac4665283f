# tempest_add_task_library(NAME source...): the task library libNAME.so, for `libraries` in a
# topology and `tempest-task --library`. Here and, installed, in a user's project.
function(tempest_add_task_library name)
  add_library(${name} SHARED ${ARGN})
  # Hidden but for what TEMPEST_TASKS offers, so that two libraries in one worker with classes of
  # the same name do not take each other's.
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(${name} PRIVATE tempest::task)
  # A missing function is an error here, rather than when a worker loads the library. A sanitizer's
  # run time is left to the program, as it must be.
  if(NOT TEMPEST_SANITIZE)
    target_link_options(${name} PRIVATE LINKER:-z,defs LINKER:--exclude-libs,ALL)
  endif()
endfunction()
