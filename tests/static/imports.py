"""What the built program takes from shared libraries: no name look-up but c-ares', no sleeping, no shell (S0-H1).

The undefined dynamic symbols of the program are ours and those of the static parts in it; what libraries import for
themselves does not appear there. A few calls reach us through templates of the C++ library, so they are matched exactly.
"""
import re
import subprocess
import sys

import source

FORBIDDEN = re.compile(
    r"^(?:getaddrinfo|getnameinfo|gethostbyname\w*|gethostbyaddr\w*|__res_\w+|res_\w+|sleep|usleep|system|popen|"
    r"select|pselect|poll|ppoll|epoll_wait|tmpnam|mktemp|gets|strtok)$")
REQUIRED = {"c-ares": "ares_", "libev": "ev_", "OpenSSL": "SSL_", "LMDB": "mdb_"}

program = sys.argv[1]
listing = subprocess.run(["nm", "-D", "--undefined-only", program], check=True, capture_output=True, text=True).stdout
symbols = {line.split()[-1].split("@")[0] for line in listing.splitlines()}
problems = [f"{program} imports {symbol}" for symbol in sorted(symbols) if FORBIDDEN.match(symbol)]
for library, prefix in REQUIRED.items():
    if not any(symbol.startswith(prefix) for symbol in symbols):
        problems.append(f"{program} uses nothing of {library} ({prefix}…)")
source.finish(problems, f"{len(symbols)} imported symbols")
