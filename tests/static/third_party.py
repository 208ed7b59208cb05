"""Names of the libraries we stand on stop at one place each, so that any of them can be exchanged there.

An entry: what betrays the library (searched in code without comments and literals, and in include lines) and the files
where it may stand, as patterns of folder/file.
"""
import fnmatch
import re

import source

HOMES = {
    "libev": (r"#\s*include\s*<ev\.h>|\bev_(?:run|io|timer|async|signal|loop|prepare|check|once|break)\w*\b", ["core/loop.cc"]),
    "c-ares": (r"#\s*include\s*<ares\w*\.h>|\bares_\w+\(|\bARES_\w+", ["net/resolver*.cc", "net/ares*.cc", "net/dns*.cc"]),
    "OpenSSL": (r"#\s*include\s*<openssl/|\bSSL_\w+\(|\bX509_\w+\(|\bBIO_\w+\(", ["net/tls*.cc", "fetch/hasher.cc"]),
    "LMDB": (r"#\s*include\s*<lmdb\.h>|\bmdb_\w+\(|\bMDB_\w+", ["cache/index*.cc"]),
    "llhttp": (r"#\s*include\s*<llhttp\.h>|\bllhttp_\w+", ["http/h1*.cc"]),
    "toml++": (r"#\s*include\s*<toml\+\+|\btoml::", ["conf/*.cc"]),
    "CLI11": (r"#\s*include\s*<CLI/|\bCLI::", ["main/*.cc", "main/cache_options.h", "main/get_options.h"]),
    "spdlog": (r"#\s*include\s*<spdlog/|\bspdlog::", ["core/log.cc"]),
    "nlohmann-json": (r"#\s*include\s*<nlohmann/|\bnlohmann::", ["admin/*.cc", "conf/json_schema.cc", "fetch/part_state.cc", "fetch/progress.cc", "main/cache_*.cc"]),
    "prometheus-cpp": (r"#\s*include\s*<prometheus/|\bprometheus::", ["admin/*.cc"]),
    "zlib": (r"#\s*include\s*<zlib\.h>|\binflate\w*\(", ["http/content_decoder.cc"]),
    "brotli": (r"#\s*include\s*<brotli/|\bBrotliDecoder\w+\(", ["http/content_decoder.cc"]),
    "zstd": (r"#\s*include\s*<zstd\.h>|\bZSTD_\w+\(", ["http/content_decoder.cc"]),
    "libpsl": (r"#\s*include\s*<libpsl\.h>|\bpsl_\w+\(", ["fetch/public_suffix.cc"]),
    "expat": (r"#\s*include\s*<expat\.h>|\bXML_\w+", ["fetch/metalink.cc"]),
    "xxHash": (r"#\s*include\s*<xxh\w+\.h>|\bXXH\w+", ["cache/*.cc", "core/hash.cc"]),
}

problems = []
for path in source.files():
    here, text = source.name(path), source.code(path)
    for library, (pattern, homes) in HOMES.items():
        if any(fnmatch.fnmatch(here, home) for home in homes):
            continue
        for number, line in source.lines(text):
            if re.search(pattern, line):
                problems.append(f"src/{here}:{number}: {library} belongs in {' or '.join(homes)}: {line.strip()}")
for library, (pattern, homes) in HOMES.items():
    if "*" in "".join(homes):
        continue
    users = [source.name(p) for p in source.files() if re.search(pattern, source.code(p))]
    if len(users) > 1:
        problems.append(f"{library} stands in more than one file: {', '.join(users)}")
source.finish(problems, f"{len(source.files())} files")
