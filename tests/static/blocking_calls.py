"""The audit of calls that can wait (S0-1.R1a): every place that makes one stands in a table of docs/architecture.md, with the
thread it runs on and the reason; a new place fails here until it is listed, and a line of the table without a place fails too.

A row of the table: | `folder/file.cc` | `call` `call` | thread and why |
"""
import re

import source

CALLS = ("pread", "preadv", "preadv2", "pwrite", "pwritev", "pwritev2", "fsync", "fdatasync", "sync_file_range", "syncfs",
         "open", "openat", "fopen", "ifstream", "ofstream", "unlink", "unlinkat", "rename", "renameat", "mkdir",
         "fallocate", "posix_fallocate", "ftruncate", "statvfs", "fstatvfs", "copy_file_range", "flock",
         "filesystem", "mdb_env_open", "mdb_txn_commit", "mdb_env_sync", "lock_guard", "unique_lock", "scoped_lock",
         "condition_variable", "join", "wait", "wait_for", "SSL_CTX_load_verify_locations",
         "SSL_CTX_set_default_verify_paths")
SYSTEM = re.compile(
    r"(?<!\w)::(" + "|".join(c for c in CALLS) + r")\s*\("
    r"|\bstd::(ifstream|ofstream|filesystem|lock_guard|unique_lock|scoped_lock|condition_variable)\b"
    r"|\b(mdb_env_open|mdb_txn_commit|mdb_env_sync|SSL_CTX_load_verify_locations|SSL_CTX_set_default_verify_paths)\s*\("
    r"|\.(join|wait|wait_for)\s*\(")
ROW = re.compile(r"^\| `([\w/.]+)` \|((?: `\w+`)+) \| (.+) \|$", re.M)

found = {}
for path in source.files(".cc", ".h"):
    for match in SYSTEM.finditer(source.code(path)):
        call = next(g for g in match.groups() if g)
        found.setdefault(source.name(path), set()).add(call)
listed = {}
for here, calls, _ in ROW.findall((source.ROOT / "docs/architecture.md").read_text()):
    listed.setdefault(here, set()).update(re.findall(r"\w+", calls))
problems = []
for here in sorted(found.keys() | listed.keys()):
    new, gone = found.get(here, set()) - listed.get(here, set()), listed.get(here, set()) - found.get(here, set())
    if new:
        problems.append(f"docs/architecture.md does not list: | `{here}` | {' '.join(f'`{c}`' for c in sorted(new))} | … |")
    if gone:
        problems.append(f"docs/architecture.md lists what is gone: `{here}` {' '.join(sorted(gone))}")
source.finish(problems, f"{sum(map(len, found.values()))} places")
