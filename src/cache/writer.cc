#include "cache/writer.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>

#include "cache/tags.h"
#include "core/log.h"

namespace tributary::cache {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGather{200};
constexpr milliseconds kPatience{500};  // with slots that are to be free soon, before fills are told that none will be
constexpr milliseconds kLookAgain{20};
constexpr size_t kBatchOps = 4096;
constexpr size_t kBatchBytes = 16 << 20;
constexpr size_t kOwedLimit = 1 << 16;       // erasures that wait for a disk that refuses

}  // namespace

StoreMetrics::StoreMetrics(core::Registry& registry)
    : evictions(registry.counter("tributary_cache_evictions_total", "Stored responses removed to make room")),
      stored_bytes(registry.counter("tributary_cache_stored_bytes_total", "Bytes of content committed to the cache")),
      saved_bytes(registry.counter("tributary_cache_saved_bytes_total", "Bytes served that no origin had to send")),
      corrupt(registry.counter("tributary_cache_corrupt_total", "Records or pieces found damaged and dropped")),
      write_errors(registry.counter("tributary_cache_write_errors_total", "Writes to the cache that failed")),
      degraded(registry.gauge("tributary_cache_degraded", "1 while the disk refuses, and nothing is stored")),
      objects(registry.gauge("tributary_cache_objects", "Stored responses")),
      bytes(registry.gauge("tributary_cache_bytes", "Bytes of stored content and its records")),
      size(registry.gauge("tributary_cache_size_bytes", "The limit of the cache on disk")) {}

Writer::Writer(const StoreFiles& files, Index& index, SegmentStore& segments, Directory& directory, KeyFilter& filter,
               AccessSketch& sketch, LiveBodies& live, PurgeLog& purges, Refusals& refusals, StoreMetrics& metrics,
               const StoreSettings& settings, uint64_t index_limit)
    : files_(files),
      index_(index),
      segments_(segments),
      directory_(directory),
      filter_(filter),
      sketch_(sketch),
      live_(live),
      purge_log_(purges),
      refusals_(refusals),
      metrics_(metrics),
      sync_(settings.sync),
      retry_(settings.retry),
      makes_room_(!settings.existing_only),
      index_limit_(index_limit),
      evictions_{Eviction(sketch), Eviction(sketch)} {}

Writer::~Writer() {
  stop();
  metrics_.objects.sub(static_cast<int64_t>(objects()));
  metrics_.bytes.sub(static_cast<int64_t>(bytes()));
}

void Writer::start(const IndexMeta& meta, std::unordered_map<uint32_t, ChunkMap> maps) {
  meta_ = meta;
  for (unsigned kind = 0; kind < kRoomKinds; ++kind) evictions_[kind].set_clock(meta.clocks[kind]);
  maps_ = std::move(maps);
  verify_below_ = meta.verify_below;
  publish_totals();
  index_used_ = Index::ReadTxn(index_).used_bytes();
  segments_.set_low_callback([this] { poke(); });
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "cache-writer");
    run();
  });
}

void Writer::stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
  segments_.set_low_callback({});
}

void Writer::enqueue(Op op) {
  const size_t bytes = op.bytes;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = queue_.empty();
    queue_.push_back(std::move(op));
    queue_bytes_ += bytes;
    ++enqueued_;
    if (queue_.size() == kBatchOps || queue_bytes_ >= kBatchBytes) {
      hurry_ = true;
      first = true;
    }
  }
  pending_.fetch_add(1, std::memory_order_relaxed);
  // Only the first of a batch wakes the thread; it then gathers by itself.
  if (first) wake_.notify_one();
}

void Writer::put(const Hash128& key, ObjectRef object) {
  const size_t bytes = object->memory_body() ? object->memory_cost() : object->fields().size() + 512;
  if (is_behind() || is_degraded()) {
    // The disk does not keep up: it is served from memory while it lasts there. What the index holds is older.
    enqueue({.kind = Kind::EraseBody, .key = key, .variant = hash_variant(object->variant()), .body_id = 0});
    return;
  }
  pending_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  enqueue({.kind = Kind::Put, .key = key, .bytes = bytes, .object = std::move(object)});
}

void Writer::amend(const Hash128& key, ObjectRef object) {
  const size_t bytes = object->fields().size() + 512;
  const uint64_t body_id = object->stored_body()->id();
  pending_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  enqueue({.kind = Kind::Put, .key = key, .body_id = body_id, .bytes = bytes, .object = std::move(object)});
}

void Writer::erase(const Hash128& key) { enqueue({.kind = Kind::EraseKey, .key = key}); }

void Writer::erase(const Hash128& key, uint64_t variant, uint64_t body_id) {
  enqueue({.kind = Kind::EraseBody, .key = key, .variant = variant, .body_id = body_id});
}

void Writer::erase_unpinned(const KeyName& name) {
  enqueue({.kind = Kind::EraseBody, .key = name.key, .variant = name.variant, .pinned = false});
}

void Writer::poke() {
  {
    std::lock_guard lock(mutex_);
    if (poked_) return;
    poked_ = true;
  }
  wake_.notify_one();
}

void Writer::flush() {
  std::unique_lock lock(mutex_);
  const uint64_t target = enqueued_;
  hurry_ = true;
  wake_.notify_one();
  flushed_.wait(lock, [&] { return done_ >= target || ending_ || is_stalled_; });
}

void Writer::run() {
  fill_filter();
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto awake = [this] { return !queue_.empty() || !purge_queue_.empty() || poked_ || ending_; };
    if (!purges_.empty() && !degraded_.load(std::memory_order_relaxed)) {
      hurry_ = true;  // they are under way: batches only take their turn
    } else if (degraded_.load(std::memory_order_relaxed) || segments_.is_stuck()) {
      wake_.wait_for(lock, retry_, awake);  // the disk may have room again
    } else if (starved_since_ != core::TimePoint{}) {
      wake_.wait_for(lock, kLookAgain, awake);
    } else {
      wake_.wait(lock, awake);
    }
    if (!ending_ && !poked_ && !queue_.empty()) {
      wake_.wait_for(lock, kGather, [this] { return hurry_ || poked_ || ending_ || !purge_queue_.empty(); });
    }
    take_purges();
    std::vector<Op> ops;
    ops.swap(queue_);
    queue_bytes_ = 0;
    hurry_ = false;
    const bool ending = ending_;
    poked_ = false;
    lock.unlock();

    if (degraded_.load(std::memory_order_relaxed) && core::Clock::now() - degraded_since_.load(std::memory_order_relaxed) >= retry_) {
      degraded_.store(false, std::memory_order_release);  // try again; the next failure says so once more
      metrics_.degraded.sub(1);
    }
    if (!ending && makes_room_) make_room(!ops.empty());
    const size_t count = ops.size();
    // What is owed goes first, once the disk is tried again.
    if (!owed_.empty() && (ending || !degraded_.load(std::memory_order_relaxed))) {
      ops.insert(ops.begin(), std::make_move_iterator(owed_.begin()), std::make_move_iterator(owed_.end()));
      owed_.clear();
    }
    if (!ops.empty()) run_batch(ops);
    if (!purges_.empty()) degraded_.load(std::memory_order_relaxed) ? refuse_purges() : purge_some();
    if (!ending && makes_room_ && (count > 0 || over_limit())) make_room(false);
    if (filter_.is_too_small()) fill_filter();

    lock.lock();
    done_ += count;
    flushed_.notify_all();
    // `ending`, not ending_: what is owed has its turn once more after the end was announced.
    if (ending && queue_.empty() && (purges_.empty() || degraded_.load(std::memory_order_relaxed))) break;
  }
  take_purges();
  lock.unlock();
  end_purges();
  mark_clean();
}

// The last words of a session. Without sync, "clean" must not reach the disk before what it speaks of, and the index is not
// whole there before it has all been written.
void Writer::mark_clean() {
  bool done = sync_ != Sync::Off || index_.sync().ok();
  {
    Index::WriteTxn txn(index_);
    meta_.clean = done;
    done = txn.ok() && txn.put_meta(meta_).ok() && txn.commit().ok();
  }
  if (done && sync_ == Sync::Off) done = index_.sync().ok() && files_.clear_unsynced().ok();
  if (!done) core::log::warn("cache", "the index was not marked clean");
}

void Writer::run_batch(std::vector<Op>& ops) {
  core::Result<void> done = try_batch(ops);
  if (!done && is_map_full(done.error())) {
    // Every page a transaction touches is written anew before the old one is free: smaller ones need fewer at a time.
    if (ops.size() > 1) {
      std::vector<Op> rest(std::make_move_iterator(ops.begin() + ops.size() / 2), std::make_move_iterator(ops.end()));
      ops.erase(ops.begin() + ops.size() / 2, ops.end());
      run_batch(ops);
      if (over_limit()) make_room(true);
      return run_batch(rest);
    }
    if (evict_from_index()) done = try_batch(ops);
  }
  if (!done) {
    report_error(done.error());
    return owe(ops);
  }
  for (Op& op : ops) {
    if (op.pinned) directory_.unpin(op.key);
    if (op.kind == Kind::Put) pending_bytes_.fetch_sub(op.bytes, std::memory_order_relaxed);
    op.object.reset();
  }
  pending_.fetch_sub(ops.size(), std::memory_order_relaxed);
}

// One transaction. A failed one has changed nothing.
core::Result<void> Writer::try_batch(std::vector<Op>& ops) {
  const IndexMeta before = meta_;
  Changes changes;
  Index::WriteTxn txn(index_);
  core::Result<void> done = txn.ok() ? core::Result<void>() : core::Error{.code = core::ErrorCode::StorageIo};
  for (size_t i = 0; i < ops.size() && done.ok(); ++i) done = apply(txn, ops[i], changes);
  if (done.ok()) done = finish(txn, changes);
  done.ok() ? settle(changes) : undo(changes, before);
  return done;
}

// What the index holds of these keys is older than what memory knows, or was to go.
void Writer::owe(std::vector<Op>& ops) {
  for (Op& op : ops) {
    if (op.kind == Kind::Put) {
      pending_bytes_.fetch_sub(op.bytes, std::memory_order_relaxed);
      op = {.kind = Kind::EraseBody, .key = op.key, .variant = hash_variant(op.object->variant())};
    }
    if (owed_.size() < kOwedLimit) {
      owed_.push_back(std::move(op));
    } else {
      if (op.pinned) directory_.unpin(op.key);
      pending_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
}

core::Result<void> Writer::apply(Index::WriteTxn& txn, Op& op, Changes& changes) {
  if (op.kind == Kind::Put) return apply_put(txn, op, changes);
  if (op.kind == Kind::EraseBody) {
    const KeyName name{op.key, op.variant};
    const auto id = txn.find(name);
    if (!id) return {};
    Record record;
    const auto bytes = txn.record(*id);
    const bool readable = bytes && Record::decode_pieces(*bytes, record);
    if (readable && op.body_id != 0 && record.body_id != op.body_id) return {};
    return erase_record(txn, name, *id, false, 0, nullptr, changes);
  }
  std::vector<std::pair<uint64_t, RecordId>> variants;
  txn.for_each_variant(op.key, [&](uint64_t variant, RecordId id) { variants.emplace_back(variant, id); });
  for (const auto& [variant, id] : variants) {
    auto done = erase_record(txn, {op.key, variant}, id, false, 0, nullptr, changes);
    if (!done) return done;
  }
  return {};
}

core::Result<void> Writer::apply_put(Index::WriteTxn& txn, Op& op, Changes& changes) {
  const Object& object = *op.object;
  if (object.is_dead()) return {};  // replaced or removed since; the operation that did it follows
  const std::shared_ptr<Body>& body = object.stored_body();
  const KeyName name{op.key, hash_variant(object.variant())};

  const auto old_id = txn.find(name);
  Record old;
  bool old_readable = false;
  if (old_id) {
    const auto bytes = txn.record(*old_id);
    old_readable = bytes && Record::decode_pieces(*bytes, old);
  }

  if (op.body_id != 0 && (!old_readable || old.body_id != op.body_id)) return {};

  Record record;
  record.meta = object.meta();
  record.key = object.key();
  record.variant = object.variant();
  record.etag = object.etag();
  record.fields = object.fields().view();
  if (const core::Slice* content = object.memory_body()) {
    record.length = content->size();
    if (content->size() <= kMaxInline) {
      record.place = Place::Inline;
      record.content = content->view();
    } else if (old_readable && old.place == Place::Slot && body->id() != 0 && old.body_id == body->id()) {
      record.place = Place::Slot;
      record.pieces = old.pieces;
      record.content_checksum = old.content_checksum;
    } else {
      auto placed = place_in_slot(*content, record, changes);
      if (!placed && placed.error().code == core::ErrorCode::LimitReached && old_id) {
        return erase_record(txn, name, *old_id, false, 0, nullptr, changes);  // older than what memory has
      }
      if (!placed) return placed.error().code == core::ErrorCode::LimitReached ? core::Result<void>() : placed;
    }
  } else if (!body->describe(record)) {
    return {};
  }
  if (body->id() == 0) body->set_id(meta_.next_id++);
  record.body_id = body->id();
  // Before anybody can read the record: a load must find this body, not make a second one for the same slots.
  if (record.place == Place::Pieces) live_.share(record.body_id, body);

  if (has_any_tag(record.fields)) record.flags |= Record::kTagged;
  const size_t size = record.encoded_size();
  const RoomKind kind = room_kind(record);
  const Eviction::Place in_queue =
      evictions_[static_cast<unsigned>(kind)].admit(op.key, room_of(record, size), meta_.objects);
  record.due = in_queue.due;
  const RecordId id = record_id(record_queue(kind, in_queue.queue), meta_.next_id++);
  auto place = txn.append(id, size);
  if (!place) return place.error();
  record.encode(*place);
  if (auto done = txn.put_key(name, id); !done) return done;
  for (const PieceRecord& piece : record.pieces) {
    if (piece.length > 0) set_bit(piece.slot, true, changes);
  }
  account(record, size, +1);
  changes.stored_bytes += record.stored_bytes();
  if (old_id) {
    auto done = erase_record(txn, name, *old_id, true, record.body_id, &record.pieces, changes);
    if (!done) return done;
  } else {
    changes.filter.emplace_back(op.key, +1);
  }
  if (auto done = change_tags(txn, record, name, true); !done) return done;  // after those of the old one went
  record.key = record.variant = record.etag = record.fields = record.content = {};
  changes.indexed.emplace_back(op.object, std::move(record));
  return {};
}

core::Result<void> Writer::place_in_slot(const core::Slice& content, Record& record, Changes& changes) {
  Slot slot;
  const SlotClass size_class = class_for(content.size());
  if (!segments_.allocate(size_class, slot)) {
    // Large batches may use up what is kept ahead. Without a further segment this one stays in memory only.
    const auto added = segments_.add_segment();
    if (!added.ok() || !*added || !segments_.allocate(size_class, slot)) {
      return core::Error{.code = core::ErrorCode::LimitReached};
    }
  }
  changes.taken.push_back(slot);
  if (const int sys = segments_.renew(slot)) return core::Error{.code = core::ErrorCode::StorageIo, .sys = sys};
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::pwrite(segments_.fd(slot), content.data() + done, content.size() - done,
                               static_cast<off_t>(segments_.offset(slot) + done));
    if (n <= 0) {
      if (n < 0 && errno == EINTR) continue;
      return core::Error{.code = core::ErrorCode::StorageIo, .sys = errno};
    }
    done += static_cast<size_t>(n);
  }
  record.place = Place::Slot;
  record.content_checksum = checksum(content.view());
  record.pieces = {{.slot = slot, .length = static_cast<uint32_t>(content.size()), .checksum = record.content_checksum}};
  return {};
}

// `kept`: pieces that the record replacing this one goes on using, when it is of the same body.
core::Result<void> Writer::erase_record(Index::WriteTxn& txn, const KeyName& name, RecordId id, bool keep_key,
                                        uint64_t kept_body, const std::vector<PieceRecord>* kept, Changes& changes) {
  const auto bytes = txn.record(id);
  Record record;
  if (bytes && Record::decode_pieces(*bytes, record) &&
      (!(record.flags & Record::kTagged) || Record::decode(*bytes, record))) {
    account(record, bytes->size(), -1);
    const std::string fields(record.fields);  // changing a table may move the page they lie in
    record.fields = fields;
    if (auto done = change_tags(txn, record, name, false); !done) return done;
    Freed freed{.body_id = record.body_id, .slots = {}};
    const bool same = kept && kept_body == record.body_id;
    for (size_t i = 0; i < record.pieces.size(); ++i) {
      const PieceRecord& piece = record.pieces[i];
      if (piece.length == 0) continue;
      if (same && i < kept->size() && (*kept)[i].length > 0 && (*kept)[i].slot == piece.slot) continue;
      if (!segments_.is_taken(piece.slot)) continue;
      set_bit(piece.slot, false, changes);
      freed.slots.push_back(piece.slot);
    }
    if (!freed.slots.empty()) changes.freed.push_back(std::move(freed));
  } else if (bytes) {
    metrics_.corrupt.add();
  }
  if (auto done = txn.erase(id); !done) return done;
  if (keep_key) return {};
  changes.filter.emplace_back(name.key, -1);
  return txn.erase_key(name);
}

void Writer::set_bit(const Slot& slot, bool value, Changes& changes) {
  ChunkMap& map = maps_[slot.chunk];
  if (map.empty()) map.size_class = slot.size_class;
  const bool before = map.test(slot.index);
  changes.bits.emplace_back(slot, before);
  changes.chunks.insert(slot.chunk);
  meta_.slots = meta_.slots + value - before;
  value ? map.set(slot.index) : map.clear(slot.index);
}

void Writer::account(const Record& record, size_t size, int sign) {
  const auto add = [sign](uint64_t& total, uint64_t n) {
    total = sign > 0 ? total + n : total - std::min(total, n);
  };
  add(meta_.objects, 1);
  add(meta_.content_bytes, record.stored_bytes());
  const uint64_t cost = index_cost(record, size);
  add(meta_.record_bytes, cost);
  if (room_kind(record) == RoomKind::Index) add(meta_.inline_bytes, cost);
}

core::Result<void> Writer::change_tags(Index::WriteTxn& txn, const Record& record, const KeyName& name, bool put) {
  if (!(record.flags & Record::kTagged)) return {};
  for (const Hash128& tag : tag_hashes(record.fields)) {
    if (auto done = put ? txn.put_tag(tag, name) : txn.erase_tag(tag, name); !done) return done;
  }
  return {};
}

core::Result<void> Writer::finish(Index::WriteTxn& txn, Changes& changes) {
  for (const uint32_t chunk : changes.chunks) {
    if (auto done = txn.put_chunk(chunk, maps_[chunk]); !done) return done;
  }
  meta_.segments = segments_.segments();
  for (unsigned kind = 0; kind < kRoomKinds; ++kind) meta_.clocks[kind] = evictions_[kind].clock();
  meta_.clean = 0;
  ++meta_.commits;
  if (auto done = txn.put_meta(meta_); !done) return done;
  index_used_ = txn.used_bytes();
  if (sync_ == Sync::Always) {
    std::set<uint32_t> named;  // by a record for the first time
    for (const auto& [slot, was_named] : changes.bits) {
      if (!was_named) named.insert(segments_.segment_of(slot));
    }
    if (auto done = segments_.sync(named); !done) return done;
  }
  const auto done = txn.commit();
  return done.ok() || is_map_full(done.error()) ? done : decide(done);
}

// A commit that failed may have reached the disk all the same, and LMDB may refuse everything until it is opened anew. What is
// true decides what becomes of slots, so nothing goes on before the index says it.
core::Result<void> Writer::decide(core::Result<void> failed) {
  report_error(failed.error());
  for (bool ending = false;;) {
    if (index_.reopen().ok()) {
      const Index::ReadTxn txn(index_);
      if (const std::optional<IndexMeta> meta = txn.meta()) {
        segments_.set_stuck(false);
        if (meta->commits == meta_.commits) return {};
        return failed;
      }
    }
    if (ending) return failed;
    segments_.set_stuck(true);  // nobody waits for slots that we may not give
    segments_.wake_waiters();
    ending = wait_for_disk();
  }
}

// For a while, or until the end is near (true). That the index cannot even be read may last: nobody waits for it with us.
bool Writer::wait_for_disk() {
  std::unique_lock lock(mutex_);
  is_stalled_ = true;
  flushed_.notify_all();
  take_purges();
  lock.unlock();
  refuse_purges();
  lock.lock();
  wake_.wait_for(lock, retry_, [this] { return ending_; });
  is_stalled_ = false;
  return ending_;
}

void Writer::undo(Changes& changes, const IndexMeta& before) {
  for (auto bit = changes.bits.rbegin(); bit != changes.bits.rend(); ++bit) {
    ChunkMap& map = maps_[bit->first.chunk];
    bit->second ? map.set(bit->first.index) : map.clear(bit->first.index);
  }
  for (const Slot& slot : changes.taken) segments_.free(slot);
  const RecordId next = meta_.next_id;  // ids may be in use by bodies already
  meta_ = before;
  meta_.next_id = next;
}

void Writer::settle(Changes& changes) {
  for (const auto& [object, record] : changes.indexed) {
    if (record.place == Place::Pieces) object->stored_body()->mark_indexed(record);
  }
  for (const auto& [key, step] : changes.filter) step > 0 ? filter_.add(key) : filter_.remove(key);
  for (const auto& [key, body_id] : changes.evicted) directory_.evict(key, body_id);
  if (!changes.freed.empty()) {
    std::lock_guard turn(turn_);
    std::unique_lock gate(load_gate_);
    for (Freed& freed : changes.freed) {
      // A later operation of the batch may have named them again.
      std::erase_if(freed.slots, [this](const Slot& slot) { return maps_[slot.chunk].test(slot.index); });

      if (const std::shared_ptr<Body> body = live_.find(freed.body_id)) body->orphan(freed.slots);
      for (const Slot& slot : freed.slots) segments_.free(slot);
    }
  }
  for (const uint32_t chunk : changes.chunks) {
    if (maps_[chunk].empty()) maps_.erase(chunk);
  }
  metrics_.stored_bytes.add(changes.stored_bytes);
  publish_totals();
}

void Writer::publish_totals() {
  const uint64_t bytes = meta_.content_bytes + meta_.record_bytes;
  metrics_.objects.add(static_cast<int64_t>(meta_.objects - objects()));
  metrics_.bytes.add(static_cast<int64_t>(bytes - this->bytes()));
  objects_.store(meta_.objects, std::memory_order_relaxed);
  bytes_.store(bytes, std::memory_order_relaxed);
}

void Writer::report_error(const core::Error& error) {
  metrics_.write_errors.add();
  degraded_since_.store(core::Clock::now(), std::memory_order_relaxed);
  if (!degraded_.exchange(true, std::memory_order_acq_rel)) {
    metrics_.degraded.add(1);
    core::log::error("cache", "cannot store: {}; going on without storing, trying again every {} s",
                     core::describe(error), retry_.count() / 1000);
    poke();  // the thread may be asleep: it is to try again in time
  }
}

bool Writer::over_limit() const { return index_bytes() > index_limit_; }

// `more_comes`: a batch follows, which may bring what can be evicted; only without one nothing to evict means stuck.
bool Writer::make_room(bool more_comes) {
  while (segments_.wants_room() || segments_.has_waiters() || over_limit()) {
    if ((segments_.wants_room() || segments_.free_chunks() == 0) && add_segment()) {
      segments_.set_stuck(false);
      segments_.wake_waiters();
      continue;
    }
    if (segments_.has_waiters() && !segments_.wants_room() && !over_limit()) {
      segments_.wake_waiters();
      break;
    }
    if (!evict_some()) {
      // What was evicted may be in use for a moment yet.
      const core::TimePoint now = core::Clock::now();
      if (starved_since_ == core::TimePoint{}) starved_since_ = now;
      if (more_comes || now - starved_since_ < kPatience) return false;
      segments_.set_stuck(segments_.free_chunks() == 0);
      segments_.wake_waiters();
      return false;
    }
    segments_.set_stuck(false);
    if (segments_.free_chunks() > 0) segments_.wake_waiters();
  }
  starved_since_ = {};
  return true;
}

// A full disk only makes the store smaller than it might be: what is stored makes room for what comes.
bool Writer::add_segment() {
  const core::TimePoint now = core::Clock::now();
  if (full_since_ != core::TimePoint{} && now - full_since_ < retry_) return false;
  const auto added = segments_.add_segment();
  if (added.ok()) {
    full_since_ = {};
    return *added;
  }
  if (added.error().code != core::ErrorCode::StorageFull) {
    report_error(added.error());
  } else if (full_since_ == core::TimePoint{}) {
    core::log::warn("cache", "the disk has no room for a further segment: {} in use", segments_.segments());
  }
  full_since_ = now;
  return false;
}

// False when there was nothing to evict that would help.
bool Writer::evict_some() {
  if ((segments_.wants_room() || segments_.has_waiters()) && evict_some(RoomKind::Segments)) return true;
  return over_limit() && evict_from_index();
}

bool Writer::evict_from_index() {
  // Records that hold their content are the larger part of most full indices; if not, all the others are.
  const bool mostly_inline = meta_.inline_bytes >= meta_.record_bytes / 2;
  return evict_some(mostly_inline ? RoomKind::Index : RoomKind::Segments);
}

bool Writer::evict_some(RoomKind kind) {
  core::Result<bool> done = false;
  for (size_t most = 256; most > 0; most /= 8) {
    done = evict_some(kind, most);
    if (done.ok()) return *done;
    if (!is_map_full(done.error())) break;
  }
  report_error(done.error());
  return false;
}

// One transaction of evictions.
core::Result<bool> Writer::evict_some(RoomKind kind, size_t most) {
  constexpr uint64_t kEnough = uint64_t{16} << 20;
  constexpr int kMostSecondChances = 1024;
  const IndexMeta before = meta_;
  Changes changes;
  Index::WriteTxn txn(index_);
  if (!txn.ok()) return core::Error{.code = core::ErrorCode::StorageIo};
  RecordQueues queues(kind, txn, sketch_, meta_.next_id, verify_below_, metrics_.corrupt);
  Eviction& eviction = evictions_[static_cast<unsigned>(kind)];
  int second_chances = kMostSecondChances;
  core::Result<void> done;
  while (done.ok() && changes.evicted.size() < most &&
         before.content_bytes - std::min(before.content_bytes, meta_.content_bytes) < kEnough) {
    const auto queue = eviction.find_victim(queues, second_chances);
    done = queues.status();
    if (!queue || !done.ok()) break;
    const RecordQueues::Item victim = queues.take(*queue);
    changes.evicted.emplace_back(victim.name.key, victim.body_id);
    refusals_.note(victim.name.key, {.gone = Gone::Evicted, .when = now_in_seconds()});
    done = erase_record(txn, victim.name, victim.id, false, 0, nullptr, changes);
  }
  if (done.ok() && changes.evicted.empty()) return false;
  if (done.ok()) done = finish(txn, changes);
  if (!done.ok()) {
    undo(changes, before);
    return done.error();
  }
  metrics_.evictions.add(changes.evicted.size());
  settle(changes);
  return true;
}

void Writer::fill_filter() {
  const Index::ReadTxn txn(index_);
  filter_.fill(meta_.objects, [&](auto add) {
    txn.for_each_key(nullptr, [&](const KeyName& name, RecordId) {
      add(name.key);
      return true;
    });
  });
}

}  // namespace tributary::cache
