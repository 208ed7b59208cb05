#include "cache/store_core.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <shared_mutex>
#include <vector>

#include <fmt/format.h>

#include "core/log.h"

namespace tributary::cache {
namespace {

// The share of the store's size that records may take; the rest is for segments. Fixed, so that neither can crowd the
// other out: both kinds of file are only ever reused, not given back.
constexpr uint64_t index_share(uint64_t size) { return size / 8; }

// The checksum of a stretch of a file; 0, which no content has in practice, when it cannot be read.
uint64_t sum_slot(int file, uint64_t offset, uint64_t length) {
  std::vector<char> buffer(std::min<uint64_t>(length, 256 * 1024));
  Checksum sum;
  for (uint64_t done = 0; done < length;) {
    const ssize_t n = ::pread(file, buffer.data(), std::min<uint64_t>(buffer.size(), length - done),
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    sum.add({buffer.data(), static_cast<size_t>(n)});
    done += static_cast<uint64_t>(n);
  }
  return sum.value();
}

}  // namespace

StoreCore::StoreCore(const StoreSettings& its_settings, core::OffloadPool& its_offload, core::Registry& registry)
    : settings(its_settings),
      offload(its_offload),
      metrics(registry),
      sketch(AccessSketch::objects_for(its_settings.enabled ? its_settings.size : 0)) {
  const uint64_t for_bodies = settings.size - index_share(settings.size);
  max_object = settings.max_object ? std::min(settings.max_object, for_bodies / 2) : settings.size / 4;
}

StoreCore::~StoreCore() {
  if (opener_.joinable()) {
    {
      std::lock_guard lock(opener_mutex_);
      ending_ = true;
    }
    opener_wake_.notify_all();
    opener_.join();
  }
  jobs.close();
  if (writer) {
    writer->stop();
    metrics.size.sub(static_cast<int64_t>(settings.size));
  }
  writer.reset();
}

bool StoreCore::open(std::string& why) {
  if (settings.size < StoreSettings::kMinSize) {
    why = fmt::format("cache.size is {} bytes; at least {} are needed", settings.size, StoreSettings::kMinSize);
    return false;
  }
  if (settings.existing_only && ::access((settings.directory + "/data.mdb").c_str(), F_OK) != 0) {
    why = fmt::format("there is no cache in {}: {}", settings.directory, std::strerror(errno));
    return false;
  }
  const OpenFailure failure = try_open(why);
  if (failure == OpenFailure::Refused || (failure != OpenFailure::None && settings.existing_only)) return false;
  if (failure != OpenFailure::None) {
    metrics.write_errors.add();
    metrics.degraded.add(1);
    core::log::error("cache", "{}: going on without the cache, trying again every {} s", why,
                     settings.retry.count() / 1000);
    opener_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "cache-opener");
      open_later();
    });
  }
  return true;
}

// The disk did not let us open the store at start-up. It is asked again until it does.
void StoreCore::open_later() {
  std::unique_lock lock(opener_mutex_);
  while (!opener_wake_.wait_for(lock, settings.retry, [this] { return ending_; })) {
    std::string why;
    const OpenFailure failure = try_open(why);
    if (failure == OpenFailure::None) {
      metrics.degraded.sub(1);
      core::log::info("cache", "cache.directory {} can be used now", settings.directory);
      return;
    }
    if (failure == OpenFailure::Refused) {
      core::log::error("cache", "{}: going on without the cache", why);
      return;
    }
  }
}

OpenFailure StoreCore::try_open(std::string& why) {
  OpenFailure failure = files.open(settings.directory, why);
  if (failure == OpenFailure::None && files.lost_unsynced() && settings.existing_only) {
    why = "the machine went down while the index was written without sync: it cannot be trusted";
    return OpenFailure::Refused;
  }
  if (failure == OpenFailure::None && files.lost_unsynced()) {
    core::log::warn("cache", "the machine went down while the index was written without sync: the cache in {} starts empty",
                    settings.directory);
    files.remove_store();
  }
  if (failure == OpenFailure::None && files.exists(Index::kDamagedMark)) {
    core::log::warn("cache", "the last session fell over its index: the cache in {} starts empty", settings.directory);
    files.remove_store();
    files.remove(Index::kDamagedMark);
  }
  if (failure == OpenFailure::None) failure = open_index(why);
  if (failure == OpenFailure::Damaged && !settings.existing_only) {
    core::log::warn("cache", "{}: the cache in {} starts empty", why, settings.directory);
    index.reset();
    home.reset();
    files.remove_store();
    failure = open_index(why);
  }
  if (failure == OpenFailure::None) return failure;
  index.reset();
  home.reset();
  files.close();
  return failure == OpenFailure::Damaged ? OpenFailure::Unavailable : failure;
}

OpenFailure StoreCore::open_index(std::string& why) {
  const uint64_t index_limit = index_share(settings.size) / 8 * 5;
  // The file never grows beyond its share. What is more than the limit is for the pages that a transaction writes anew.
  const uint64_t map_size = index_share(settings.size) / 4096 * 4096;
  const bool synced = settings.sync != Sync::Off;
  bool damaged = false;
  // From the first write on.
  if (!synced && !files.mark_unsynced()) {
    why = fmt::format("cache.directory {}: not writable", settings.directory);
    return OpenFailure::Unavailable;
  }
  index = Index::open(settings.directory, map_size, synced, why, damaged);
  if (!index) return damaged ? OpenFailure::Damaged : OpenFailure::Unavailable;
  IndexMeta meta;
  std::unordered_map<uint32_t, ChunkMap> maps;
  if (const OpenFailure failure = restore(meta, maps, why); failure != OpenFailure::None) return failure;

  // From here on the session is unclean, until the writer's last words. Bodies are left to the kernel: what it had not
  // written when the machine went down is lost, however orderly our end was.
  const std::string boot = StoreFiles::boot_id();
  if (meta.clean == 0 || boot != meta.boot_id || boot == StoreFiles::kNoBootId) meta.verify_below = meta.next_id;
  meta.clean = 0;
  std::snprintf(meta.boot_id, sizeof(meta.boot_id), "%s", boot.c_str());
  if (segments->segments() == 0 && !settings.existing_only) {
    // The first fills must not wait for the writer. A full disk is no reason not to start: it only means not storing.
    auto added = segments->add_segment();
    if (!added) core::log::warn("cache", "no room for a first segment: {}", core::describe(added.error()));
    segments->set_stuck(!added.ok() || !*added);
  }
  meta.segments = segments->segments();
  {
    Index::WriteTxn txn(*index);
    if (!txn.ok() || !txn.put_meta(meta) || !txn.commit()) {
      why = fmt::format("cache.directory {}: the index cannot be written", settings.directory);
      return OpenFailure::Unavailable;
    }
  }
  // The names of LMDB's files too; and what a session without sync left to the kernel.
  if (synced && (!index->sync() || !files.sync() || !files.clear_unsynced())) {
    why = fmt::format("cache.directory {}: cannot be synced", settings.directory);
    return OpenFailure::Unavailable;
  }
  directory = std::make_unique<Directory>(filter, purges, sketch, settings.memory - hot_share(settings.memory));
  writer = std::make_unique<Writer>(files, *index, *segments, *directory, filter, sketch, home->live, purges, refusals,
                                    metrics, settings, index_limit);
  writer->start(meta, std::move(maps));
  metrics.size.add(static_cast<int64_t>(settings.size));
  ready_.store(true, std::memory_order_release);
  return OpenFailure::None;
}

// What the index says of the last session.
OpenFailure StoreCore::restore(IndexMeta& meta, std::unordered_map<uint32_t, ChunkMap>& maps, std::string& why) {
  const Index::ReadTxn txn(*index);
  if (!txn.ok()) {
    why = "the index cannot be read";
    return OpenFailure::Unavailable;
  }
  const std::optional<IndexMeta> stored = txn.meta();
  constexpr uint64_t kLeastRecord = 64;  // bytes
  constexpr uint64_t kLastClock = uint64_t{1} << 62;
  uint64_t limit = settings.size - index_share(settings.size);
  meta = stored.value_or(IndexMeta{.clean = 1, .segment_size = SegmentStore::segment_size_for(settings.size)});
  if (!stored && !txn.is_new()) {
    why = "the index is of another version, or damaged";
    return OpenFailure::Damaged;
  }
  if (stored) {
    if (meta.version != IndexMeta{}.version || meta.segment_size < kChunkSize || meta.segment_size % kChunkSize != 0 ||
        meta.segment_size > uint64_t{1} << 32) {
      why = "the index is of another version";
      return OpenFailure::Damaged;
    }
    if (meta.next_id <= txn.last_number() || meta.objects > txn.used_bytes() / kLeastRecord ||
        std::max(meta.clocks[0], meta.clocks[1]) > kLastClock) {
      why = "the index contradicts itself";
      return OpenFailure::Damaged;
    }
    meta.boot_id[sizeof(meta.boot_id) - 1] = 0;
    if (settings.existing_only) limit = std::max(limit, uint64_t{meta.segments} * meta.segment_size);
    if (uint64_t{meta.segments} * meta.segment_size > limit) {
      // Segments are never cut: a smaller cache.size means a new store.
      why = fmt::format("cache.size is now below the {} bytes the segments take", meta.segments * meta.segment_size);
      return OpenFailure::Damaged;
    }
  }
  home = std::make_shared<BodyHome>(files, meta.segment_size, limit, settings.min_free_disk, settings.sync != Sync::Off);
  segments = &home->segments;
  if (auto opened = segments->open_segments(meta.segments); !opened) {
    const int sys = opened.error().sys;
    why = fmt::format("a segment file is missing or short: {}", core::describe(opened.error()));
    // No descriptors left or no access is no reason to throw away what is stored.
    const bool gone = sys == ENOENT || sys == EIO || sys == EINVAL || sys == ELOOP;
    return gone ? OpenFailure::Damaged : OpenFailure::Unavailable;
  }
  bool valid = true;
  uint64_t slots = 0;
  const bool readable = txn.for_each_chunk([&](uint32_t chunk, const ChunkMap& map) {
    valid = valid && segments->restore(chunk, map);
    if (!map.empty()) maps.emplace(chunk, map);
    slots += map.count();
  });
  // A slot that a record names though it passes for free would be given to the next, with the bytes of both under one name.
  if (!readable || !valid || slots != meta.slots) {
    why = "the index has lost what slots are in use";
    return OpenFailure::Damaged;
  }
  segments->ready();
  return OpenFailure::None;
}

std::vector<ObjectRef> StoreCore::load(const Hash128& hash, std::string_view key) {
  std::vector<ObjectRef> objects;
  std::vector<std::pair<uint64_t, RecordId>> variants;
  std::vector<std::string> records;
  // Slots of what is read here are not given away before the bodies are registered (writer.h).
  const auto gate = writer->enter_load();
  const PurgeLog::Epoch epoch = purges.settled();  // before the index is looked at
  {
    const Index::ReadTxn txn(*index);
    txn.for_each_variant(hash, [&](uint64_t variant, RecordId id) { variants.emplace_back(variant, id); });
    for (const auto& [variant, id] : variants) records.emplace_back(txn.record(id).value_or(""));
  }
  for (size_t i = 0; i < variants.size(); ++i) {
    if (records[i].empty() || is_doomed(records[i])) continue;
    if (ObjectRef object = load_record(key, variants[i].second, records[i], epoch)) {
      objects.push_back(std::move(object));
    } else {
      metrics.corrupt.add();
      directory->pin(hash, key);
      writer->erase(hash, variants[i].first, 0);
    }
  }
  // Newest first, as Entry promises.
  std::sort(objects.begin(), objects.end(), [](const ObjectRef& a, const ObjectRef& b) {
    return a->meta().response_time > b->meta().response_time;
  });
  for (; objects.size() > Directory::kMaxVariants; objects.pop_back()) {
    directory->pin(hash, key);
    writer->erase(hash, hash_variant(objects.back()->variant()), objects.back()->stored_body()->id());
  }
  return objects;
}

ObjectRef StoreCore::load_record(std::string_view key, RecordId id, const std::string& bytes, PurgeLog::Epoch epoch,
                                 bool doubted) {
  Record record;
  if (!Record::decode(bytes, record)) return nullptr;
  for (const PieceRecord& piece : record.pieces) {
    if (piece.length > 0 && !segments->is_taken(piece.slot)) return nullptr;
  }
  std::shared_ptr<Body> body;
  if (record.key != key) {
    // Another key of the same hash: the directory tells them apart, it needs no content.
    body = std::make_shared<Body>(home, core::Slice());
  } else if (record.place == Place::Inline) {
    body = std::make_shared<Body>(home, core::Slice::copy(record.content));
    body->set_id(record.body_id);
  } else if (record.place == Place::Slot) {
    core::BlockRef block(core::Block::allocate(static_cast<uint32_t>(record.length)));
    const PieceRecord& piece = record.pieces[0];
    const ssize_t n = ::pread(segments->fd(piece.slot), block.data(), record.length,
                              static_cast<off_t>(segments->offset(piece.slot)));
    if (n != static_cast<ssize_t>(record.length)) return nullptr;
    core::Slice content = std::move(block).freeze(record.length);
    if (checksum(content.view()) != record.content_checksum) return nullptr;
    body = std::make_shared<Body>(home, std::move(content));
    body->set_id(record.body_id);
  } else {
    const bool unverified = doubted || (record.flags & Record::kUnverified) || number_of(id) < writer->verify_below();
    body = home->live.share(record.body_id, std::make_shared<Body>(home, record, unverified));
    if (body->phase() == BodyPhase::Failed) return nullptr;  // found damaged a moment ago
  }
  return std::make_shared<Object>(ObjectParts{.key = std::string(record.key),
                                              .variant = std::string(record.variant),
                                              .meta = record.meta,
                                              .etag = std::string(record.etag),
                                              .fields = core::Slice::copy(record.fields),
                                              .epoch = {.purge = epoch}},
                                  std::move(body));
}

bool StoreCore::publish(const Hash128& hash, const ObjectRef& object) {
  std::vector<ObjectRef> dropped;
  if (!directory->publish(hash, object, dropped)) return false;
  for (const ObjectRef& other : dropped) {
    writer->erase(hash, hash_variant(other->variant()), other->stored_body()->id());
  }
  return true;
}

bool StoreCore::prove(const ObjectRef& object, const Body::Unproven& piece) {
  const std::shared_ptr<Body>& body = object->stored_body();
  const bool is_right = sum_slot(segments->fd(piece.slot), segments->offset(piece.slot), piece.length) == piece.checksum;
  const Body::Proof proof = body->prove(piece, is_right);
  if (proof == Body::Proof::Settled) return true;
  metrics.corrupt.add();
  core::log::warn("cache", "piece {} of {} is damaged: it will be fetched again", piece.index, object->key());
  if (proof == Body::Proof::Nothing || !object->meta().can_be_completed()) {
    drop(object);
    return false;
  }
  const Hash128 hash = hash_key(object->key());
  directory->pin(hash, object->key());
  writer->amend(hash, object);
  return false;
}

bool StoreCore::purge(Selection selection, std::function<void(const Purged&)> done) {
  if (!is_ready()) {  // nothing is served; but a directory that cannot be opened now may be later
    done({.objects = 0, .durable = !settings.enabled});
    return true;
  }
  auto shared = std::make_shared<const Selection>(std::move(selection));
  const std::optional<PurgeLog::Epoch> epoch = purges.add(shared);
  if (!epoch) return false;
  writer->purge(*epoch, std::move(shared), std::move(done));
  return true;
}

StoreCore::Check StoreCore::check(const KeyName& name, uint64_t first, uint64_t most) {
  Check check;
  Record record;
  std::string bytes;
  ObjectRef object;
  {
    const auto gate = writer->enter_load();
    const PurgeLog::Epoch epoch = purges.settled();
    RecordId id = 0;
    {
      const Index::ReadTxn txn(*index);
      id = txn.find(name).value_or(0);
      if (id != 0) bytes = txn.record(id).value_or("");
    }
    if (bytes.empty()) return check;  // replaced or gone meanwhile
    if (!Record::decode(bytes, record)) {
      writer->erase_unpinned(name);  // which counts it
      check.what = "the record is damaged";
      return check;
    }
    check.key = record.key;
    object = load_record(record.key, id, bytes, epoch, true);
  }
  if (!object) {
    metrics.corrupt.add();
    directory->pin(name.key, record.key);
    writer->erase(name.key, name.variant, 0);
    check.what = "the content is damaged";
    return check;
  }
  if (record.place != Place::Pieces) {
    check.bytes = record.length;
    return check;
  }
  const std::shared_ptr<Body>& body = object->stored_body();
  uint64_t damaged = 0;
  uint64_t i = first;
  for (; i < record.pieces.size() && check.bytes < most; ++i) {
    const PieceRecord& piece = record.pieces[i];
    if (piece.length == 0) continue;
    check.bytes += piece.length;
    const uint64_t begin = i * record.piece_size;
    if (const auto unproven = body->unproven(begin, begin + piece.length)) {
      damaged += prove(object, *unproven) ? 0 : 1;
    } else if (body->is_whole() && sum_slot(segments->fd(piece.slot), segments->offset(piece.slot), piece.length) !=
                                       piece.checksum) {
      // Somebody holds it, and reads it as proved already: it cannot be mended in place.
      ++damaged;
      drop_corrupt(object);
      break;
    }
  }
  if (damaged > 0) check.what = fmt::format("{} of its pieces {} damaged", damaged, damaged == 1 ? "is" : "are");
  if (!object->is_dead() && i < record.pieces.size()) check.next_piece = i;
  return check;
}

void StoreCore::drop_corrupt(const ObjectRef& object) {
  metrics.corrupt.add();
  core::log::warn("cache", "{} cannot be read back: it is dropped", object->key());
  drop(object);
}

void StoreCore::drop(const ObjectRef& object) {
  refusals.note(hash_key(object->key()), {.gone = Gone::Corrupt, .when = now_in_seconds()});
  object->stored_body()->fail({.code = core::ErrorCode::StorageCorrupt});
  remove(object);
}

void StoreCore::remove(const ObjectRef& object) {
  const uint64_t body_id = object->stored_body()->id();
  if (body_id != 0) {
    std::lock_guard lock(doomed_mutex_);
    doomed_.push_back(body_id);
    if (doomed_.size() > kDoomed) doomed_.pop_front();
    any_doomed_.store(true, std::memory_order_release);
  }
  const Hash128 hash = hash_key(object->key());
  directory->pin(hash, object->key());
  directory->remove(hash, object);
  writer->erase(hash, hash_variant(object->variant()), body_id);
}

bool StoreCore::is_doomed(const std::string& bytes) const {
  if (!any_doomed_.load(std::memory_order_acquire)) return false;
  Record record;
  if (!Record::decode_pieces(bytes, record)) return false;
  std::lock_guard lock(doomed_mutex_);
  return std::find(doomed_.begin(), doomed_.end(), record.body_id) != doomed_.end();
}

}  // namespace tributary::cache
