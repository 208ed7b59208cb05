// `tributary cache`: what the operator asks, page by page, and what of it is printed. Exit status: 0 done; 1 what was asked
// for is not there, is damaged, or could not all be done; 2 a wrong command line; 3 the directory cannot be used; 4 the
// proxy does not answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "admin/cache_routes.h"
#include "conf/config.h"

namespace tributary {

enum class CacheAction : uint8_t { Stat, List, Show, Purge, Verify, Warm };

struct CacheOptions {
  CacheAction action = CacheAction::Stat;
  admin::CacheCommand command;   // Show, Purge, List (its text), Warm (its fields)
  std::vector<std::string> urls; // Warm
  std::string input;             // Warm: a file with one URL a line; "-": standard input
  size_t jobs = 8;               // Warm: at a time
  uint64_t limit = 0;            // List: so many; 0: all
  uint64_t rate = 0;             // Verify: bytes/s; 0: as fast as it goes
  bool json = false;
  bool directory_given = false;  // on the command line: it is that one, whatever proxy runs
};

int run_cache(const CacheOptions& options, const conf::Config& config);

}  // namespace tributary
