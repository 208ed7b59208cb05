// What the admin API can ask of the cache (docs/admin-api.md): requests made into commands, each checked to the last member,
// and none executed here. Who can is behind CacheService; main has it, for this layer does not know the cache. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "admin/operation.h"

namespace tributary::admin {

struct Request;

struct CacheCommand {
  enum class Kind : uint8_t { Summary, List, Show, Purge, Verify, Warm };
  enum class By : uint8_t { Url, Prefix, Tag, All };
  Kind kind = Kind::Summary;
  By by = By::Url;                 // Purge
  std::string text;                // List: prefix, may be empty. Show: URL. Purge: what `by` says
  std::string cursor;              // List, Verify: where to go on; empty: at the beginning
  size_t limit = 100;              // List: 1 to kMostListed
  std::vector<std::string> urls;   // Warm: 1 to kMostUrls
  std::vector<std::pair<std::string, std::string>> fields;  // Show, Warm: of the request that is meant

  static constexpr size_t kMostListed = 1000;
  static constexpr size_t kMostUrls = 10'000;
  static constexpr size_t kMostFields = 32;
};

class CacheService {
 public:
  virtual ~CacheService() = default;
  // Never null.
  virtual std::unique_ptr<Operation> start(CacheCommand command, Answer answer) = 0;
};

// Is this path (without query) the cache's?
bool is_cache_path(std::string_view path);
// May this request have content?
bool takes_content(std::string_view method, std::string_view target);
// The command, or the refusal.
std::variant<CacheCommand, Response> parse_cache_command(const Request& request);

}  // namespace tributary::admin
