// Refreshes: stored responses that were served stale and are validated behind the clients' backs (RFC 5861 3). One at a
// time for a key, whatever the number of workers and clients: the fetch lock of the cache decides.
//
//   stale hit ──start──> conditional request ──304──> freshened
//                                             ──storable──> replaced         (the content goes through the FetchTable)
//                                             ──500, 502–504, no answer──> what is stored stays as it is
//                                             ──anything else──> what is stored goes
//
// Loop-affine; owned by the worker, destroyed before its upstream client, its cache and its FetchTable.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "cache/object.h"
#include "cache/policy.h"
#include "core/loop.h"
#include "http/message.h"
#include "http/url.h"

namespace tributary::proxy {

class Worker;

class RefreshTable {
 public:
  explicit RefreshTable(Worker& worker);
  ~RefreshTable();
  RefreshTable(const RefreshTable&) = delete;
  RefreshTable& operator=(const RefreshTable&) = delete;

  // Validates `object`, which `request` for `url` selected, unless that is under way already, or failed just now. Everything
  // is copied.
  void start(const http::RequestHead& request, const http::UrlView& url, const cache::RequestFacts& facts,
             std::string_view key, cache::ObjectRef object);

  size_t size() const { return tasks_.size(); }

  // More at a time are not begun: the next client to come asks again.
  static constexpr size_t kMaxAtOnce = 256;
  // An origin that is down is not asked at the rate at which clients come.
  static constexpr core::Duration kPauseAfterFailure = std::chrono::seconds(5);

 private:
  class Task;
  void ended();
  void reap();

  Worker& worker_;
  std::vector<std::unique_ptr<Task>> tasks_;
  core::Deferred reaper_;
};

}  // namespace tributary::proxy
