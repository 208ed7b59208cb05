// The cache as its operator sees it: carries out the commands of the admin API and of `tributary cache`, on a store, and
// writes what came of it as JSON (docs/admin-api.md).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "admin/cache_routes.h"
#include "cache/inspection.h"
#include "cache/policy.h"
#include "cache/store.h"
#include "core/loop.h"
#include "core/offload.h"
#include "main/warmer.h"

namespace tributary {

// What answers need to know besides the store.
struct CacheFacts {
  std::string directory;
  const cache::PolicySettings& policy;
};

// Everything but Purge and Warm. Blocks, but not for long (cache/inspection.h); any thread that may.
admin::Response run_cache_command(const admin::CacheCommand& command, cache::Inspection& inspection, const CacheFacts& facts,
                                  const cache::StoreStats& stats);
// What a purge selects; nothing when its text is no URL or no tag.
std::optional<cache::Selection> selection_of(const admin::CacheCommand& command, const cache::PolicySettings& policy);
admin::Response purge_answer(const cache::Purged& purged);
// For what is not even a URL, a tag or a cursor.
admin::Response refuse_cache_command(const admin::CacheCommand& command);

// The service of a running proxy: blocking work on the offload pool, warming through the proxy itself. Loop-affine.
class CacheService final : public admin::CacheService {
 public:
  // Everything outlives it, and it the operations that it started.
  CacheService(core::Loop& loop, core::OffloadPool& offload, cache::Store& store, CacheFacts facts, Warmer::Connect connect);
  std::unique_ptr<admin::Operation> start(admin::CacheCommand command, admin::Answer answer) override;

 private:
  core::Loop& loop_;
  core::OffloadPool& offload_;
  cache::Store& store_;
  const CacheFacts facts_;
  Warmer warmer_;
};

}  // namespace tributary
