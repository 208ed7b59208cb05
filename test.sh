#!/usr/bin/env bash
# Installs what is missing, builds the release preset and runs every test. Arguments go to ctest
# (./test.sh -L unit, ./test.sh -R socks). PRESET=asan ./test.sh does the same with the sanitizers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
preset="${PRESET:-release}"
scripts/install.sh build test
cmake --preset "$preset" -DTRIBUTARY_BUILD_TESTS=ON
cmake --build --preset "$preset"

supp="$PWD/tests/sanitizers"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$supp/lsan.txt:print_suppressions=0}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-suppressions=$supp/tsan.txt:halt_on_error=1:second_deadlock_stack=1}"
export GTEST_BRIEF=1
exec ctest --preset "$preset" --no-tests=error -j "${JOBS:-4}" "$@"
