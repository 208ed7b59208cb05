#include "cache/store_core.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <shared_mutex>
#include <vector>

#include <fmt/format.h>

#include "core/log.h"

namespace tributary::cache {
namespace {

namespace fs = std::filesystem;

// The share of the store's size that records may take; the rest is for segments. Fixed, so that neither can crowd the
// other out: both kinds of file are only ever reused, not given back.
constexpr uint64_t index_share(uint64_t size) { return size / 8; }

constexpr char kNoBootId[] = "unknown";

// Identifies the boot of the machine: data that nobody synced is trusted within it, and not beyond.
std::string boot_id() {
  core::Fd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  char text[sizeof(IndexMeta::boot_id)] = {};
  if (!fd || ::read(fd.get(), text, sizeof(text) - 1) <= 0) return kNoBootId;
  return text;
}

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
    : settings(its_settings), offload(its_offload), metrics(registry) {}

StoreCore::~StoreCore() {
  jobs.close();
  if (writer) {
    writer->stop();
    metrics.size.sub(static_cast<int64_t>(settings.size));
  }
  writer.reset();
}

bool StoreCore::prepare_directory(std::string& why) {
  std::error_code error;
  fs::create_directories(settings.directory, error);
  if (error) {
    why = fmt::format("cache.directory {}: cannot be made: {}", settings.directory, error.message());
    return false;
  }
  fs::permissions(settings.directory, fs::perms::owner_all, error);  // content of users: nobody else's to read
  const std::string path = settings.directory + "/lock";
  lock = core::Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    why = fmt::format("cache.directory {}: not writable: {}", settings.directory, std::strerror(errno));
    return false;
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    why = errno == EWOULDBLOCK
              ? fmt::format("cache.directory {} is in use by another process", settings.directory)
              : fmt::format("cache.directory {}: cannot be locked: {}", settings.directory, std::strerror(errno));
    return false;
  }
  return true;
}

void StoreCore::remove_files() {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(settings.directory, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("seg-") || name == "data.mdb" || name == "lock.mdb") fs::remove(entry.path(), error);
  }
}

bool StoreCore::open(std::string& why) {
  if (settings.size < StoreSettings::kMinSize) {
    why = fmt::format("cache.size is {} bytes; at least {} are needed", settings.size, StoreSettings::kMinSize);
    return false;
  }
  if (!prepare_directory(why)) return false;

  const uint64_t index_limit = index_share(settings.size);
  // Twice the limit: pages that wait to be reused, and the tables beside the records.
  const uint64_t map_size = std::max(index_limit * 2, uint64_t{64} << 20) / 4096 * 4096;
  const bool synced = settings.sync != Sync::Off;
  IndexMeta meta;
  std::unordered_map<uint32_t, ChunkMap> maps;
  for (bool again = true;; again = false) {
    bool damaged = false;
    index = Index::open(settings.directory, map_size, synced, why, damaged);
    if (index && restore(meta, maps, why)) break;
    if (!again || (!index && !damaged)) return false;
    core::log::warn("cache", "{}: the cache in {} starts empty", why, settings.directory);
    index.reset();
    home.reset();
    maps.clear();
    remove_files();
  }

  // From here on the session is unclean, until stop() says otherwise.
  const std::string boot = boot_id();
  // Bodies are left to the kernel: what it had not written when the machine went down is lost, however orderly our end was.
  if (meta.clean == 0 || boot != meta.boot_id || boot == kNoBootId) meta.verify_below = meta.next_id;
  meta.clean = 0;
  meta.synced = synced;
  std::snprintf(meta.boot_id, sizeof(meta.boot_id), "%s", boot.c_str());
  if (segments->segments() == 0) {
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
      return false;
    }
  }
  max_object = settings.max_object ? std::min(settings.max_object, segments->limit() / 2) : settings.size / 4;
  directory = std::make_unique<Directory>(filter, purges, settings.memory / 2);
  writer = std::make_unique<Writer>(*index, *segments, *directory, filter, sketch, home->live, purges, refusals,
                                    metrics, settings.sync, index_limit);
  writer->start(meta, std::move(maps));
  metrics.size.add(static_cast<int64_t>(settings.size));
  return true;
}

// What the index says of the last session. False, and why, when none of it can be used.
bool StoreCore::restore(IndexMeta& meta, std::unordered_map<uint32_t, ChunkMap>& maps, std::string& why) {
  const Index::ReadTxn txn(*index);
  const std::optional<IndexMeta> stored = txn.meta();
  const uint64_t limit = settings.size - index_share(settings.size);
  meta = stored.value_or(IndexMeta{.clean = 1, .segment_size = SegmentStore::segment_size_for(settings.size)});
  if (stored) {
    if (meta.version != IndexMeta{}.version || meta.segment_size < kChunkSize || meta.segment_size % kChunkSize != 0 ||
        meta.segment_size > uint64_t{1} << 32) {
      why = "the index is of another version";
      return false;
    }
    meta.boot_id[sizeof(meta.boot_id) - 1] = 0;
    if (meta.clean == 0 && meta.synced == 0 && boot_id() != meta.boot_id) {
      why = "the machine went down while the index was written without sync";
      return false;
    }
    if (uint64_t{meta.segments} * meta.segment_size > limit) {
      // Segments are never cut: a smaller cache.size means a new store.
      why = fmt::format("cache.size is now below the {} bytes the segments take", meta.segments * meta.segment_size);
      return false;
    }
  }
  home = std::make_shared<BodyHome>(settings.directory, meta.segment_size, limit, settings.min_free_disk);
  segments = &home->segments;
  if (auto opened = segments->open_segments(meta.segments); !opened) {
    why = fmt::format("a segment file is missing or short: {}", core::describe(opened.error()));
    return false;
  }
  bool valid = true;
  txn.for_each_chunk([&](uint32_t chunk, const ChunkMap& map) {
    if (segments->restore(chunk, map)) {
      if (!map.empty()) maps.emplace(chunk, map);
    } else {
      valid = false;
    }
  });
  if (!valid) {
    why = "the index names slots that do not exist";
    return false;
  }
  segments->ready();
  return true;
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
    if (records[i].empty()) continue;
    if (ObjectRef object = load_record(key, variants[i].second, records[i], epoch)) {
      objects.push_back(std::move(object));
    } else {
      metrics.corrupt.add();
      directory->pin(hash, key);
      writer->erase(hash, variants[i].first, 0);
    }
  }
  // Newest first, as Entry promises; main and small count the same ids.
  std::sort(objects.begin(), objects.end(), [](const ObjectRef& a, const ObjectRef& b) {
    return a->meta().response_time > b->meta().response_time;
  });
  for (; objects.size() > Directory::kMaxVariants; objects.pop_back()) {
    directory->pin(hash, key);
    writer->erase(hash, hash_variant(objects.back()->variant()), objects.back()->stored_body()->id());
  }
  return objects;
}

ObjectRef StoreCore::load_record(std::string_view key, RecordId id, const std::string& bytes, PurgeLog::Epoch epoch) {
  Record record;
  if (!Record::decode(bytes, record)) return nullptr;
  for (const PieceRecord& piece : record.pieces) {
    if (piece.length > 0 && !segments->valid(piece.slot)) return nullptr;
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
    const bool unverified = (record.flags & Record::kUnverified) || (id & ~kMainBit) < writer->verify_below();
    body = home->live.share(record.body_id, std::make_shared<Body>(home, record, unverified));
    if (body->phase() == BodyPhase::Failed) return nullptr;  // found damaged a moment ago
  }
  return std::make_shared<Object>(ObjectParts{.key = std::string(record.key),
                                              .variant = std::string(record.variant),
                                              .meta = record.meta,
                                              .etag = std::string(record.etag),
                                              .fields = core::Slice::copy(record.fields),
                                              .epoch = epoch},
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

void StoreCore::prove(const ObjectRef& object, const Body::Unproven& piece) {
  const std::shared_ptr<Body>& body = object->stored_body();
  const bool is_right = sum_slot(segments->fd(piece.slot), segments->offset(piece.slot), piece.length) == piece.checksum;
  const Body::Proof proof = body->prove(piece, is_right);
  if (proof == Body::Proof::Settled) return;
  metrics.corrupt.add();
  core::log::warn("cache", "piece {} of {} is damaged: it will be fetched again", piece.index, object->key());
  if (proof == Body::Proof::Nothing || !object->meta().can_be_completed()) return drop(object);
  const Hash128 hash = hash_key(object->key());
  directory->pin(hash, object->key());
  commit(hash, object);
}

bool StoreCore::purge(Selection selection, std::function<void(const Purged&)> done) {
  if (!settings.enabled) {
    done({});
    return true;
  }
  auto shared = std::make_shared<const Selection>(std::move(selection));
  const std::optional<PurgeLog::Epoch> epoch = purges.add(shared);
  if (!epoch) return false;
  writer->purge(*epoch, std::move(shared), std::move(done));
  return true;
}

void StoreCore::drop_corrupt(const ObjectRef& object) {
  metrics.corrupt.add();
  core::log::warn("cache", "{} cannot be read back: it is dropped", object->key());
  drop(object);
}

void StoreCore::drop(const ObjectRef& object) {
  refusals.note(hash_key(object->key()), {.gone = Gone::Corrupt, .when = now_in_seconds()});
  object->stored_body()->fail({.code = core::ErrorCode::StorageCorrupt});
  const Hash128 hash = hash_key(object->key());
  directory->pin(hash, object->key());  // first, so that the record is not loaded again before it is erased
  directory->remove(hash, object);
  writer->erase(hash, hash_variant(object->variant()), object->stored_body()->id());
}

}  // namespace tributary::cache
