#!/usr/bin/env bash
# Line coverage of src/ by the tests, a line a folder and the files that are covered least. Builds the preset "coverage". Ends with status 1 below the
# share that is asked for (per cent, default 85). Arguments go to ctest: scripts/coverage.sh -L unit
#
#   [MINIMUM=85] scripts/coverage.sh [ctest options]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/install.sh build test coverage
cmake --preset coverage
cmake --build --preset coverage
find build/coverage -name '*.gcda' -delete
# A test that fails is test.sh's affair; what it covered counts here.
ctest --preset coverage -j "${JOBS:-4}" -LE "static|bench" "$@" || true
gcovr --root . --filter 'src/' --object-directory build/coverage --exclude-throw-branches --json-summary build/coverage/summary.json \
  --print-summary --fail-under-line "${MINIMUM:-85}" --txt build/coverage/files.txt build/coverage && status=0 || status=$?
python3 - <<'PY'
import collections, json
folders = collections.defaultdict(lambda: [0, 0])
files = json.load(open("build/coverage/summary.json"))["files"]
for entry in files:
    folder = folders["/".join(entry["filename"].split("/")[:2])]
    folder[0] += entry["line_covered"]
    folder[1] += entry["line_total"]
for name, (covered, total) in sorted(folders.items()):
    print(f"{name:20} {100 * covered / max(1, total):5.1f} %  of {total} lines")
print("least covered:")
for entry in sorted((e for e in files if e["line_total"] > 20), key=lambda e: e["line_percent"])[:8]:
    print(f"  {entry['filename']:40} {entry['line_percent']:5.1f} %")
PY
exit "$status"
