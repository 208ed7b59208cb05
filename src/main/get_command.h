// `tributary get`: a download client on the same engine. One loop on the main thread, file work on the offload pool.
//
// Exit status: fetch/exit_status.h; 128 and the signal's number when INT or TERM ended it (the files are resumable then).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "fetch/settings.h"

namespace tributary {

// Auto: Bar on a terminal, Plain elsewhere.
enum class ProgressStyle : uint8_t { Auto, None, Plain, Json, Bar };

struct GetOptions {
  fetch::Settings settings;
  std::vector<std::string> urls;
  std::string output;         // -o
  std::vector<std::string> mirrors;  // --mirror-of
  std::vector<std::string> metalinks;  // --metalink: files
  std::string input;          // -i: a file with one URL a line; "-": standard input
  unsigned connections = 16;  // -x: of one download
  core::Duration timeout = std::chrono::seconds(60);  // of each wait: name, connection, handshake, answer, silence
  std::string ca_file;
  std::string user, password_file, netrc_file, cookie_file, hsts_file;  // empty: none
  std::optional<std::string> proxy, no_proxy;  // in the place of the environment's; empty text: none
  bool insecure = false;
  bool quiet = false, verbose = false;
  ProgressStyle progress = ProgressStyle::Auto;
};

int run_get(GetOptions options, std::string_view version);

}  // namespace tributary
