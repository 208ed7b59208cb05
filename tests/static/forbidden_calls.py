"""Calls that have no place in this product: they wait, they look names up behind our back, or they print past the log
(S0-H1 to S0-H3, S0-1.L1 to L4, S0-1.R1b, S2-17)."""
import fnmatch
import re

import source

# what: (pattern of the call, why, files that may)
FORBIDDEN = {
    "name look-up": (r"\b(?:getaddrinfo|getnameinfo|gethostby\w+|res_n?query|res_n?search|res_n?init)\s*\(",
                     "every look-up goes through net/resolver", []),
    "sleep": (r"\b(?:sleep|usleep|nanosleep|clock_nanosleep|sleep_for|sleep_until)\s*\(", "waits are timers", []),
    "own polling": (r"(?<![\w.>])(?:select|pselect|poll|ppoll|epoll_wait|epoll_pwait2?|epoll_create1?|epoll_ctl)\s*\(",
                    "readiness comes from core/loop", ["core/loop.cc"]),
    "child process": (r"(?<![\w.>])(?:system|popen|fork|vfork|posix_spawnp?|execv\w*|execl\w*)\s*\(",
                      "nothing is run from here", ["main/*.cc"]),
    "printing": (r"(?<!\w)(?:printf|fprintf|puts|fputs|perror|vprintf|putchar)\s*\(|\bstd::c(?:out|err|log)\b|fmt::print",
                 "lines go through core/log", ["main/*.cc", "core/log.cc"]),
    "signal handler": (r"(?<![\w.>])(?:signal|sigaction|sigwait\w*)\s*\((?!SIGPIPE, SIG_IGN)", "signals are watchers of the loop",
                       ["core/loop.cc", "main/*.cc", "cache/index.cc"]),
    "blocking socket": (r"(?<![\w.>:])accept\s*\(|::accept\s*\(", "sockets are non-blocking from birth: accept4", []),
    "detached thread": (r"\.detach\s*\(\s*\)", "every thread has an owner that joins it", []),
    "coroutine": (r"\bco_(?:await|return|yield)\b", "g++ 12 miscompiles them: docs/decisions", []),
    "legacy unsafe call": (r"(?<!\w)(?:strcpy|strcat|sprintf|vsprintf|gets|strtok|tmpnam|mktemp|rand|srand|atoi|alloca)\s*\(",
                           "has a bounded, checked or reentrant counterpart", []),
}

problems = []
for path in source.files():
    here, text = source.name(path), source.code(path)
    for what, (pattern, why, homes) in FORBIDDEN.items():
        if any(fnmatch.fnmatch(here, home) for home in homes):
            continue
        for number, line in source.lines(text):
            if re.search(pattern, line) and "#include" not in line.replace(" ", ""):
                problems.append(f"src/{here}:{number}: {what}: {why}: {line.strip()}")

# Descriptors are close-on-exec from birth, sockets non-blocking too (S0-1.3). The flag may stand on a following line.
OPENS = re.compile(r"(?<!\w)::(socket|accept4|socketpair|pipe2|eventfd|open|openat|memfd_create|dup3)\s*\(")
for path in source.files(".cc"):
    text = source.code(path)
    for found in OPENS.finditer(text):
        statement = text[found.start():text.index(";", found.start())]
        line = text.count("\n", 0, found.start()) + 1
        if "CLOEXEC" not in statement and "_flags" not in statement:
            problems.append(f"src/{source.name(path)}:{line}: ::{found.group(1)} without CLOEXEC")
        if found.group(1) in ("socket", "accept4") and "NONBLOCK" not in statement:
            problems.append(f"src/{source.name(path)}:{line}: ::{found.group(1)} without SOCK_NONBLOCK")

for path in source.files(".cc"):
    if source.name(path) != "core/loop.cc" and re.search(r"\bev_run\s*\(", source.code(path)):
        problems.append(f"src/{source.name(path)}: ev_run belongs in Loop::run and Loop::run_once alone")
source.finish(problems, f"{len(source.files())} files")
