#!/usr/bin/env bash
# Installs what is missing of the given sections of scripts/packages.txt (default: build). As root or with sudo.
# With everything there it asks dpkg once and touches neither the network nor apt.
#
#   scripts/install.sh [build] [test] [fuzz] [run]
set -euo pipefail
list="$(dirname "${BASH_SOURCE[0]}")/packages.txt"
[ $# -gt 0 ] || set -- build

# One line a package, alternatives as "a|b".
wanted() {
  local section
  for section in "$@"; do
    awk -v section="[$section]" '
      /^#/ { if ($2 ~ /^\[.*\]$/) { here = ($2 == section); found = found || here } next }
      here && NF { gsub(/ /, ""); print }
      END { exit !found }' "$list" || { echo "packages.txt has no section [$section]" >&2; exit 2; }
  done
}
names="$(wanted "$@")"

installed=" $(dpkg-query -W -f '${db:Status-Status}/${Package} ' 2>/dev/null) "
missing=()
for line in $names; do
  for name in ${line//|/ }; do
    [[ "$installed" == *" installed/$name "* ]] && continue 2
  done
  missing+=("$line")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "not installed: ${missing[*]}" >&2
    echo "run \`scripts/install.sh $*\` as root, or install sudo; after that no root is needed" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
# RUNLEVEL=1: a service that comes with a package (nginx, for the tests) is installed but not started.
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
apt update
chosen=()
for line in "${missing[@]}"; do
  for name in ${line//|/ }; do
    if apt-cache show "$name" >/dev/null 2>&1; then
      chosen+=("$name")
      continue 2
    fi
  done
  echo "no package for: ${line//|/ or }" >&2
  exit 1
done
apt install -y --no-install-recommends "${chosen[@]}"
