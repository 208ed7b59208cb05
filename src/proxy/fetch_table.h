// FetchTable: the fetches of a worker that fill the cache. A fetch belongs to nobody's request: the client that caused it
// may leave, others may read along, and what is nearly complete is finished even when nobody does.
//
//   request ──head says "storable"──> FetchTable::add ──> Download or pump ──> Fill ──> any reader on any worker
//
// Once a second it looks for fetches that nobody reads any more: those with much still to come are given up, and what
// they brought stays as a partial object. Loop-affine; destroyed before the upstream client and the cache.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/fill.h"
#include "cache/store.h"
#include "core/loop.h"
#include "upstream/download.h"
#include "upstream/settings.h"

namespace tributary::proxy {

class FetchTable {
 public:
  FetchTable(core::Loop& loop, upstream::Client& client, cache::WorkerCache& cache,
             const upstream::AccelerateSettings& accelerate);
  ~FetchTable();
  FetchTable(const FetchTable&) = delete;
  FetchTable& operator=(const FetchTable&) = delete;

  // Content of which nothing was read yet: fetched as one stream or split, as upstream::Download decides.
  void add(std::unique_ptr<cache::Fill> fill, upstream::DownloadRequest request,
           std::unique_ptr<upstream::Exchange> exchange);

  // The part of a partial object that `request.scope` names; what comes of it is kept either way.
  void add(std::unique_ptr<cache::Fill> fill, upstream::DownloadRequest request);

  // Content of which `read` was read already: the rest follows as one stream.
  void add(std::unique_ptr<cache::Fill> fill, core::Slice read, std::unique_ptr<http::BodySource> rest);

  // Content that nobody reads as yet (a refresh): it is not given up for that unless it proves large.
  void add(std::unique_ptr<cache::Fill> fill, std::unique_ptr<http::BodySource> content);

  size_t size() const { return tasks_.size(); }

  // Nobody reads, and more than this is missing (and more than has come): given up. So is a refresh of unknown length of
  // which more than this has come.
  static constexpr uint64_t kFinishAlone = 16 << 20;

 private:
  class Task;
  class DownloadTask;
  class PumpTask;

  void link(std::unique_ptr<Task> task);
  void ended(Task& task);
  void reap();
  void look_for_readers();

  core::Loop& loop_;
  upstream::Client& client_;
  cache::WorkerCache& cache_;
  const upstream::AccelerateSettings& accelerate_;
  std::vector<std::unique_ptr<Task>> tasks_;
  core::Deferred reaper_;
  core::Timer watch_;
};

}  // namespace tributary::proxy
