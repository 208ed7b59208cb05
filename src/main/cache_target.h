// Where `tributary cache` carries out its commands: in the running proxy, through its admin listener, or, when none runs, on
// the directory itself. Both give the same JSON. Loop-affine; the loop is the command's own, and run in here.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "admin/cache_routes.h"
#include "cache/policy.h"
#include "cache/store.h"
#include "core/loop.h"
#include "core/metrics.h"
#include "core/offload.h"
#include "main/admin_client.h"
#include "main/cache_service.h"
#include "net/address.h"

namespace tributary {

AdminRequest request_for(const admin::CacheCommand& command);

class CacheTarget {
 public:
  struct Settings {
    std::optional<net::SocketAddress> admin;  // none: there is no listener
    cache::StoreSettings store;               // its directory
    cache::PolicySettings policy;
    bool directory_only = false;              // the proxy that answers is another one's
  };
  enum class Problem : uint8_t { None, Interrupted, Directory, Proxy };

  CacheTarget(core::Loop& loop, Settings settings);
  ~CacheTarget();

  // Finds the proxy, or opens the directory. Words for the user in why().
  Problem open();
  bool is_remote() const { return !store_; }
  const std::string& why() const { return why_; }
  const net::SocketAddress& admin() const { return *settings_.admin; }

  // Carries out a command but Warm. Whoever interrupts sets `interrupted` from a callback of the loop.
  Problem run(const admin::CacheCommand& command, const bool& interrupted, admin::Response& response);

 private:
  Problem ask(const admin::CacheCommand& command, const bool& interrupted, admin::Response& response);
  Problem open_directory(const std::string& why_no_proxy);

  core::Loop& loop_;
  Settings settings_;
  std::string why_;
  core::Registry registry_;
  std::optional<core::OffloadPool> offload_;
  std::unique_ptr<cache::Store> store_;
};

}  // namespace tributary
