// Index: the LMDB environment under the store; index.cc is the only file that knows LMDB.
//
//   keys    Hash128 of the key + u64 hash of the variant  ->  record id      24 bytes to 8: dense, though random
//   queue0… record id -> Record                           a table for each queue of eviction.h, twice: first for records with
//                                                         their content inside, then for those whose content lies in slots
//   chunks  u32 chunk -> ChunkMap                         which slots hold committed content
//   tags    Hash128 of a tag + a key of `keys`            what to purge with it (tags.h); no value
//   meta    one fixed structure                           layout, next ids, totals, clean or not
//
// Ids only grow, so records are appended (sequential pages, whatever the keys) and the front of each queue is the next to
// be judged by the eviction: no further table is kept for it. An id's upper bits name its queue.
//
// LMDB believes its file: one whose pages are damaged can make it fall over (a bus error where the disk cannot read one, too).
// A fault inside a transaction therefore leaves the file `damaged` beside the index before the process dies of it, so that
// the next start begins with an empty cache instead of the same end (kDamagedMark).
//
// LMDB's rules as ours: one WriteTxn at a time, on the writer thread (or at start-up). A ReadTxn lives inside one call on
// an offload thread, never across a wait: an old one keeps every page freed since from being reused, and the file grows
// for good (facts.md). Views into records live as long as their transaction. The map is made large enough at open for what
// the store's limit allows; it is address space only, the file grows as pages are written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "cache/hash.h"
#include "cache/segment_store.h"
#include "core/result.h"

namespace tributary::cache {

using RecordId = uint64_t;
constexpr unsigned kQueueBits = 5;
constexpr unsigned kRecordQueues = 1u << kQueueBits;
constexpr RecordId record_id(unsigned queue, uint64_t number) { return RecordId{queue} << (64 - kQueueBits) | number; }
constexpr unsigned queue_of(RecordId id) { return static_cast<unsigned>(id >> (64 - kQueueBits)); }
constexpr uint64_t number_of(RecordId id) { return id & (~uint64_t{0} >> kQueueBits); }

struct KeyName {
  Hash128 key;
  uint64_t variant = 0;
  friend auto operator<=>(const KeyName&, const KeyName&) = default;
};

// What is known of the store as a whole; written with every commit.
struct IndexMeta {
  uint32_t version = 3;
  uint32_t clean = 0;              // the last session ended in order
  uint64_t segment_size = 0;
  uint32_t segments = 0;
  uint32_t commits = 0;            // counts them, to tell whether one that failed reached the disk all the same
  uint64_t next_id = 1;            // numbers of records, whatever their queue, and ids of bodies
  uint64_t verify_below = 0;       // records with lower numbers were written before an unclean end
  uint64_t objects = 0;
  uint64_t content_bytes = 0;
  uint64_t record_bytes = 0;       // with LMDB's overhead, estimated
  uint64_t inline_bytes = 0;       // the part of record_bytes that records with their content inside take
  uint64_t slots = 0;              // in use, by what `chunks` says
  uint64_t clocks[2] = {};         // of the eviction: records with their content inside, and the others
  char boot_id[40] = {};           // of the machine, when the session began
};

// No page is left of what the map may grow to. A smaller transaction may still find some, or one after the next.
bool is_map_full(const core::Error& error);

class Index {
 public:
  struct Impl;
  static constexpr char kDamagedMark[] = "damaged";

  // `map_size`: the most the file may grow to. `sync`: false leaves commits to the kernel. On failure null and why;
  // `damaged` when the file is none of LMDB's, or of another version.
  static std::unique_ptr<Index> open(const std::string& directory, uint64_t map_size, bool sync, std::string& why,
                                     bool& damaged);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Writes to the disk what commits left to the kernel.
  core::Result<void> sync();

  // Writer thread, without a transaction: closes the environment and opens it anew, for after a failed commit LMDB may
  // refuse everything. Waits for the readers' transactions. While it fails, no transaction is ok().
  core::Result<void> reopen();

  class ReadTxn {
   public:
    explicit ReadTxn(const Index& index);
    ~ReadTxn();
    ReadTxn(const ReadTxn&) = delete;
    ReadTxn& operator=(const ReadTxn&) = delete;

    bool ok() const { return txn_ != nullptr; }
    std::optional<IndexMeta> meta() const;  // nothing: there is none yet (is_new), or it cannot be read
    bool is_new() const;
    std::optional<std::string_view> record(RecordId id) const;
    std::optional<RecordId> find(const KeyName& name) const;
    // Calls visit(variant hash, id) for each variant of the key.
    void for_each_variant(const Hash128& key, const std::function<void(uint64_t, RecordId)>& visit) const;
    // Calls visit for every key, in order of the hash (not the one of KeyName's <=>); until it returns false. Begins behind
    // `after`, which need not be there any more; null: at the beginning.
    void for_each_key(const KeyName* after, const std::function<bool(const KeyName&, RecordId)>& visit) const;
    // The same for those that have a tag.
    void for_each_tagged(const Hash128& tag, const KeyName* after, const std::function<bool(const KeyName&)>& visit) const;
    // The greatest number of any record; 0: there is none.
    uint64_t last_number() const;
    // False: some of it cannot be read.
    bool for_each_chunk(const std::function<void(uint32_t, const ChunkMap&)>& visit) const;
    // Bytes of the pages that the tables take, as this transaction sees them; the rest of the file is free for reuse.
    uint64_t used_bytes() const;

   protected:
    ReadTxn(const Index& index, bool write);
    const Index& index_;
    std::shared_lock<std::shared_mutex> open_;  // keeps the environment
    void* txn_ = nullptr;                       // MDB_txn*
  };

  // Ends without effect unless commit() said ok. After an error of any call nothing but the destructor is of use.
  class WriteTxn : public ReadTxn {
   public:
    explicit WriteTxn(Index& index);

    core::Result<void> put_key(const KeyName& name, RecordId id);
    core::Result<void> erase_key(const KeyName& name);
    core::Result<void> put_tag(const Hash128& tag, const KeyName& name);
    core::Result<void> erase_tag(const Hash128& tag, const KeyName& name);
    // Appends a record; `id` must be the greatest of its queue so far. Returns the bytes to encode into, at once.
    core::Result<char*> append(RecordId id, size_t size);
    core::Result<void> erase(RecordId id);
    std::optional<RecordId> first(unsigned queue) const;  // its oldest
    core::Result<void> erase_first(unsigned queue);
    core::Result<void> put_chunk(uint32_t chunk, const ChunkMap& map);  // an empty map erases
    core::Result<void> put_meta(const IndexMeta& meta);
    core::Result<void> commit();  // once; the transaction is over either way
  };

 private:
  explicit Index(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::cache
