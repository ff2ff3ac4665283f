# How every part of Tempest is built: one function for a component of libtempest, one for a node,
# one for a set of unit tests.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
# Assertions stay on in RelWithDebInfo: they guard what cannot be, and cost next to nothing.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

set(TEMPEST_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
if(TEMPEST_SANITIZE)
  add_compile_options(-fsanitize=${TEMPEST_SANITIZE} -fno-omit-frame-pointer $<$<CONFIG:Debug>:-O1>)
  add_link_options(-fsanitize=${TEMPEST_SANITIZE})
  if(TEMPEST_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(TEMPEST_SANITIZE MATCHES fuzzer)
    # Tracing each comparison costs a third of an execution, and what is compared here is bytes:
    # counting edges finds those.
    add_compile_options(-fno-sanitize-coverage=trace-cmp -D_GLIBCXX_ASSERTIONS)
  endif()
endif()

function(tempest_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                           -Woverloaded-virtual -Wextra-semi -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 gets these wrong in its own library: uninitialised members in any std::variant that is
    # moved from (PR 105562), overlaps and bounds in what adds std::strings (PR 105651).
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-restrict
                                             -Wno-array-bounds -Wno-stringop-overflow
                                             -Wno-stringop-overread)
  endif()
endfunction()

# Headers that are not ours take half of the time of a compilation: they are compiled once, for all
# components and again for all test programs (an executable's code is of another kind). Each source
# file includes what it needs all the same; -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON shows it, and
# scripts/build sets that where there is ccache, which does not go well with them.
# hiredis wants files as large as they come, which changes the C library's headers.
add_compile_definitions(_FILE_OFFSET_BITS=64)
set(tempest_precompiled
    <algorithm> <array> <atomic> <charconv> <chrono> <condition_variable> <cstdint> <deque>
    <filesystem> <fstream> <functional> <iostream> <map> <memory> <mutex> <optional> <set> <span>
    <sstream> <string> <string_view> <system_error> <thread> <unordered_map> <utility> <variant>
    <vector> <nlohmann/json.hpp>)
file(CONFIGURE OUTPUT precompiled/headers.cpp CONTENT "")
add_library(tempest_headers OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/precompiled/headers.cpp)
tempest_warnings(tempest_headers)
target_compile_features(tempest_headers PUBLIC cxx_std_20)
target_precompile_headers(tempest_headers PRIVATE ${tempest_precompiled})
if(TEMPEST_BUILD_TESTS)
  file(CONFIGURE OUTPUT precompiled/test_headers.cpp CONTENT "int main() {}\n")
  add_executable(tempest_test_headers EXCLUDE_FROM_ALL
                                      ${CMAKE_BINARY_DIR}/precompiled/test_headers.cpp)
  tempest_warnings(tempest_test_headers)
  target_compile_features(tempest_test_headers PUBLIC cxx_std_20)
  target_precompile_headers(tempest_test_headers PRIVATE ${tempest_precompiled} <catch2/catch.hpp>)
endif()

# tempest_component(NAME [LINKS target...]): the static library tempest_NAME of every .cpp in this
# folder. LINKS are public.
function(tempest_component name)
  cmake_parse_arguments(arg "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(sources)
    add_library(tempest_${name} STATIC ${sources})
    tempest_warnings(tempest_${name})
    target_include_directories(
      tempest_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libtempest>
                             $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_compile_features(tempest_${name} PUBLIC cxx_std_20)
    target_link_libraries(tempest_${name} PUBLIC ${arg_LINKS} PRIVATE ${arg_PRIVATE_LINKS})
    target_precompile_headers(tempest_${name} REUSE_FROM tempest_headers)
  else()
    add_library(tempest_${name} INTERFACE)
    target_include_directories(
      tempest_${name} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libtempest>
                                $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(tempest_${name} INTERFACE ${arg_LINKS} ${arg_PRIVATE_LINKS})
  endif()
  set_property(GLOBAL APPEND PROPERTY TEMPEST_COMPONENTS tempest_${name})
endfunction()

# What a user needs: the programs, the library and the examples, without tests and benchmarks.
add_custom_target(users)

# tempest_program(NAME [NOT_INSTALLED] LINKS target...): the program bin/NAME of this folder's
# main.cpp.
function(tempest_program name)
  cmake_parse_arguments(arg "NOT_INSTALLED" "" "LINKS" ${ARGN})
  add_executable(${name} main.cpp)
  tempest_warnings(${name})
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  if(NOT arg_NOT_INSTALLED)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    add_dependencies(users ${name})
  endif()
endfunction()

# tempest_tests(NAME LABEL label LINKS target...): one test program of every *_test.cpp in this
# folder; each test case is a CTest test.
function(tempest_tests name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *_test.cpp)
  if(NOT sources)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${sources})
  tempest_warnings(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LINKS} tempest_test_support)
  target_precompile_headers(${name} REUSE_FROM tempest_test_headers)
  if("unit" IN_LIST arg_LABEL)
    add_dependencies(unit_tests ${name})
  endif()
  catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES LABELS "${arg_LABEL}" TIMEOUT
                       ${arg_TIMEOUT})
endfunction()
