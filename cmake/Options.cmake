# Language level, warnings, sanitizers, hardening, compiler cache: what every target of ours is built with.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(TRIBUTARY_BUILD_TESTS "build the tests" ON)
option(TRIBUTARY_FUZZ "build the fuzz targets with libFuzzer (clang)" OFF)
set(TRIBUTARY_SANITIZE "" CACHE STRING "value of -fsanitize= for every target, or empty")

# What most files include, parsed once for the layers and once for the unit tests. Only headers that no change of ours touches.
# A file includes what it uses all the same: the preset debug and every build with clang do without.
set(TRIBUTARY_PRECOMPILED <algorithm> <array> <atomic> <chrono> <deque> <functional> <memory> <mutex> <optional> <span>
    <string> <string_view> <thread> <unordered_map> <utility> <vector>)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without this sloppiness ccache stands aside where a precompiled header is used; we use neither __DATE__ nor __TIME__.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_SLOPPINESS=pch_defines,time_macros" "${CCACHE_PROGRAM}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

add_library(tributary_options INTERFACE)
target_compile_options(tributary_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align -Woverloaded-virtual
  -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Wimplicit-fallthrough -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13 AND CMAKE_BUILD_TYPE MATCHES "Rel")
  # At -O3 g++ 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
  target_compile_options(tributary_options INTERFACE -Wno-restrict)
endif()
target_include_directories(tributary_options INTERFACE "${CMAKE_SOURCE_DIR}/src")

if(TRIBUTARY_SANITIZE)
  add_compile_options("-fsanitize=${TRIBUTARY_SANITIZE}" -fno-sanitize-recover=all)
  add_link_options("-fsanitize=${TRIBUTARY_SANITIZE}")
else()
  add_compile_options(-fstack-protector-strong)
  add_link_options(-Wl,-z,relro,-z,now)
  if(CMAKE_BUILD_TYPE MATCHES "Rel")
    add_compile_definitions(_FORTIFY_SOURCE=2)
  endif()
endif()
