// What the command line of `tributary get` says to this folder. Plain values, immutable after start.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fetch/retry.h"
#include "http/digest_fields.h"

namespace tributary::fetch {

struct Settings {
  std::string directory;   // -P: where files go; empty: here
  unsigned downloads = 5;  // -j: at a time
  bool resume = false;     // -c
  unsigned max_redirects = 20;
  RetrySettings retry;
  std::vector<http::Digest> digests;  // --checksum; for one target
  uint64_t rate = 0;      // --limit-rate: bytes/s of all downloads together; 0: none
  uint64_t rate_each = 0; // --limit-rate-each: of every download
  std::string user_agent;
  std::vector<std::pair<std::string, std::string>> fields;  // --header, valid names and values
};

// One file to get.
struct Target {
  std::string url;
  std::string output;  // -o: a path, below `directory` unless absolute; empty: named after what the server says
};

}  // namespace tributary::fetch
