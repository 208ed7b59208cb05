#!/usr/bin/env bash
# Installs what is missing, builds, and starts the proxy on its defaults: HTTP, CONNECT and SOCKS on 127.0.0.1:3128, admin
# on 127.0.0.1:3129, the cache in the user's cache directory. Arguments go to `tributary serve`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here="$PWD"
scripts/install.sh build
# The tests need more packages, so a first build leaves them out; a tree that test.sh configured keeps them.
[ -f build/release/build.ninja ] || cmake --preset release -DTRIBUTARY_BUILD_TESTS=OFF
cmake --build --preset release --target tributary
cd - >/dev/null
exec "$here/build/release/tributary" serve "$@"
