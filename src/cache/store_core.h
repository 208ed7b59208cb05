// StoreCore: the parts of the store, built and ended in order; what Store hides from its users.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cache/directory.h"
#include "cache/eviction.h"
#include "cache/filter.h"
#include "cache/gate.h"
#include "cache/index.h"
#include "cache/pieces.h"
#include "cache/purge.h"
#include "cache/refusals.h"
#include "cache/segment_store.h"
#include "cache/store.h"
#include "cache/store_files.h"
#include "cache/writer.h"
#include "core/metrics.h"
#include "core/offload.h"
#include "core/slice.h"

namespace tributary::cache {

// The part of `memory` that the workers' hot maps share. They mostly hold what the directory holds too, so it gets the
// larger part.
constexpr uint64_t hot_share(uint64_t memory) { return memory / 4; }

class StoreCore {
 public:
  StoreCore(const StoreSettings& settings, core::OffloadPool& offload, core::Registry& registry);
  ~StoreCore();

  // Start-up. False, and why: nothing can be done about it here. When the disk refuses it is true, and the store is opened later.
  bool open(std::string& why);
  // Opened; until then there is nothing to find, and nothing is stored. Any thread. What follows is valid once it is true.
  bool is_ready() const { return ready_.load(std::memory_order_acquire); }

  // Offload threads: reads every variant of the key from the index. Never throws; what is damaged is left out, counted
  // and erased.
  std::vector<ObjectRef> load(const Hash128& hash, std::string_view key);
  // Offload threads: holds a piece of `object` against its checksum. A damaged one is counted and dropped, from the index
  // too; when what is left cannot be completed, the object goes with it. False: it was damaged.
  bool prove(const ObjectRef& object, const Body::Unproven& piece);
  // Something of `object` cannot be read: it is not served again.
  void drop_corrupt(const ObjectRef& object);
  // Removes an object that is of no use any more, and what the index has of it. Any thread.
  void drop(const ObjectRef& object);
  // Takes an object out of the directory and the index. What a node knows may not be all there is, so a look-up may read
  // the index before the writer has erased the record: it is not read again from here on.
  void remove(const ObjectRef& object);

  // Directory::publish, and what had to go for it leaves the index too.
  bool publish(const Hash128& hash, const ObjectRef& object);

  // Offload threads: holds a record and what it names against their checksums, whatever was known of them, from its piece
  // `first` on, and drops what is damaged.
  struct Check {
    std::string key;
    std::string what;         // what was damaged; empty: nothing
    uint64_t bytes = 0;       // read
    uint64_t next_piece = 0;  // not 0: at most `most` bytes were to be read, and there are more
  };
  Check check(const KeyName& name, uint64_t first, uint64_t most);

  // `done` runs once, at once or on the writer's thread. False: too many are under way.
  bool purge(Selection selection, std::function<void(const Purged&)> done);

  // Hands an object whose body is complete (or kept partial) to the writer. Its node is pinned already.
  void commit(const Hash128& hash, ObjectRef object) { writer->put(hash, std::move(object)); }

  const StoreSettings settings;
  core::OffloadPool& offload;
  StoreMetrics metrics;
  core::BlockPool blocks{256 * 1024, 64};  // gathering blocks of the fills
  std::atomic<uint64_t> in_flight{0};      // bytes all fills hold in memory
  std::atomic<uint64_t> reserved{0};       // bytes that fills in progress will need
  std::atomic<uint64_t> fills{0};
  uint64_t max_object = 0;

  Gate jobs;  // on the offload pool; they refer to bodies, and bodies to segments

  // Ended in the reverse order: the writer first, for it uses all the others.
  StoreFiles files;
  PurgeLog purges;
  Refusals refusals;
  KeyFilter filter;
  AccessSketch sketch;
  std::shared_ptr<BodyHome> home;
  SegmentStore* segments = nullptr;  // of `home`
  std::unique_ptr<Index> index;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<Writer> writer;

 private:
  ObjectRef load_record(std::string_view key, RecordId id, const std::string& bytes, PurgeLog::Epoch epoch,
                        bool doubted = false);
  OpenFailure try_open(std::string& why);
  OpenFailure open_index(std::string& why);
  OpenFailure restore(IndexMeta& meta, std::unordered_map<uint32_t, ChunkMap>& maps, std::string& why);
  void open_later();
  bool is_doomed(const std::string& record) const;

  // Bodies whose records are being erased; those of the last kDoomed removals, for ids are never given twice.
  static constexpr size_t kDoomed = 4096;
  mutable std::mutex doomed_mutex_;
  std::deque<uint64_t> doomed_;
  std::atomic<bool> any_doomed_{false};

  std::atomic<bool> ready_{false};
  std::mutex opener_mutex_;
  std::condition_variable opener_wake_;
  bool ending_ = false;
  std::thread opener_;  // while the disk does not let us open the store
};

}  // namespace tributary::cache
