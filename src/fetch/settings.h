// What the command line of `tributary get` says to this folder. Plain values, immutable after start.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/secret.h"
#include "fetch/metalink.h"
#include "fetch/retry.h"
#include "http/digest_fields.h"

namespace tributary::fetch {

struct Settings {
  std::string directory;   // -P: where files go; empty: here
  unsigned downloads = 5;  // -j: at a time
  bool resume = false;     // -c
  bool compressed = false; // --compressed: ask for content codings, and undo them
  unsigned max_redirects = 20;
  RetrySettings retry;
  std::vector<http::Digest> digests;  // --checksum; for one target
  uint64_t rate = 0;      // --limit-rate: bytes/s of all downloads together; 0: none
  uint64_t rate_each = 0; // --limit-rate-each: of every download
  std::string user_agent;
  std::vector<std::pair<std::string, std::string>> fields;  // --header, valid names and values
};

// A user at a server.
struct Login {
  std::string user;
  core::Secret password;
  bool has_password = false;  // it may be empty
};

// One file to get.
struct Target {
  std::string url;     // without credentials: it is shown and stored
  std::string output{};  // -o: a path, below `directory` unless absolute; empty: named after what the server says
  std::optional<Login> login{};  // of the URL; for its origin
  std::vector<std::string> mirrors{};  // URLs of the same bytes, as the user says or a Metalink does
  // What is known of the file before anybody is asked.
  std::optional<uint64_t> size{};  // bytes
  std::vector<http::Digest> digests{};
  std::shared_ptr<const PieceHashes> pieces{};
};

}  // namespace tributary::fetch
