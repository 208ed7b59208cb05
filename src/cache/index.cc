#include "cache/index.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

namespace tributary::cache {
namespace {

core::Error index_error(int rc) {
  core::ErrorCode code = core::ErrorCode::StorageIo;
  if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT) code = core::ErrorCode::StorageFull;
  if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID) code = core::ErrorCode::StorageCorrupt;
  return {.code = code, .sys = rc};
}

core::Result<void> checked(int rc) {
  if (rc != MDB_SUCCESS) return index_error(rc);
  return {};
}

// Hashes as bytes: equal prefixes stand together, which is all the order is for.
struct KeyBytes {
  char bytes[24];
  explicit KeyBytes(const KeyName& name) {
    std::memcpy(bytes, &name.key.low, 8);
    std::memcpy(bytes + 8, &name.key.high, 8);
    std::memcpy(bytes + 16, &name.variant, 8);
  }
  static bool read(const MDB_val& value, KeyName& name) {
    if (value.mv_size != sizeof(bytes)) return false;
    const char* data = static_cast<const char*>(value.mv_data);
    std::memcpy(&name.key.low, data, 8);
    std::memcpy(&name.key.high, data + 8, 8);
    std::memcpy(&name.variant, data + 16, 8);
    return true;
  }
  MDB_val val() { return {sizeof(bytes), bytes}; }
};

struct TagBytes {
  char bytes[40];
  TagBytes(const Hash128& tag, const KeyName& name) {
    std::memcpy(bytes, &tag, 16);
    std::memcpy(bytes + 16, KeyBytes(name).bytes, 24);
  }
  static bool read(const MDB_val& value, Hash128& tag, KeyName& name) {
    if (value.mv_size != sizeof(bytes)) return false;
    std::memcpy(&tag, value.mv_data, 16);
    return KeyBytes::read({24, static_cast<char*>(value.mv_data) + 16}, name);
  }
  MDB_val val() { return {sizeof(bytes), bytes}; }
};
static_assert(sizeof(Hash128) == 16);

template <class T>
MDB_val val_of(T& object) {
  return {sizeof(T), &object};
}

template <class T>
bool read_val(const MDB_val& value, T& out) {
  if (value.mv_size != sizeof(T)) return false;
  std::memcpy(&out, value.mv_data, sizeof(T));
  return true;
}

// A value with a checksum behind it: LMDB has none.
template <class T>
struct Sealed {
  T value;
  uint64_t checksum = 0;

  // `value` has no padding, or has it zeroed.
  void seal() { checksum = sum(value); }
  static bool read(const MDB_val& bytes, T& out) {
    Sealed sealed;
    if (!read_val(bytes, sealed) || sum(sealed.value) != sealed.checksum) return false;
    out = sealed.value;
    return true;
  }
  static uint64_t sum(const T& value) { return cache::checksum({reinterpret_cast<const char*>(&value), sizeof(value)}); }
};

MDB_txn* as_txn(void* txn) { return static_cast<MDB_txn*>(txn); }

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CursorCloser>;

Cursor open_cursor(MDB_txn* txn, MDB_dbi dbi) {
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(txn, dbi, &cursor) != MDB_SUCCESS) return nullptr;
  return Cursor(cursor);
}

constexpr char kMetaKey[] = "meta";

// --- faults inside LMDB (index.h) ---

thread_local int t_inside = 0;     // transactions of this thread
std::atomic<int> g_directory{-1};  // of the last index that was opened; kept open to the end of the process
constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGABRT};
struct sigaction g_before[std::size(kFaults)];

struct Inside {
  Inside() { ++t_inside; }
  ~Inside() { --t_inside; }
};

// Only what a signal handler may call. Returning does what was to be done without us: the instruction faults again.
void on_fault(int number) {
  const int directory = g_directory.load(std::memory_order_relaxed);
  if (t_inside > 0 && directory >= 0) {
    const int file = ::openat(directory, Index::kDamagedMark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file >= 0) ::close(file);
  }
  for (size_t i = 0; i < std::size(kFaults); ++i) {
    if (kFaults[i] == number) ::sigaction(number, &g_before[i], nullptr);
  }
}

void watch_for_faults(const std::string& directory) {
  const int opened = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int before = g_directory.exchange(opened);
  if (before >= 0) {
    ::close(before);
    return;
  }
  struct sigaction action {};
  action.sa_handler = on_fault;
  for (size_t i = 0; i < std::size(kFaults); ++i) ::sigaction(kFaults[i], &action, &g_before[i]);
}

}  // namespace

bool is_map_full(const core::Error& error) { return error.sys == MDB_MAP_FULL || error.sys == MDB_TXN_FULL; }

struct Index::Impl {
  std::string directory;
  uint64_t map_size = 0;
  bool sync = true;
  mutable std::shared_mutex opening;  // shared by transactions; alone to close and open the environment

  MDB_env* env = nullptr;
  MDB_dbi keys = 0, chunks = 0, tags = 0, meta = 0;
  MDB_dbi queues[kRecordQueues] = {};

  ~Impl() { close(); }
  int open(const char*& step);
  void close() {
    if (env) mdb_env_close(std::exchange(env, nullptr));
  }
  MDB_dbi table(RecordId id) const { return queues[queue_of(id)]; }
};

int Index::Impl::open(const char*& step) {
  const Inside inside;
  step = "create";
  int rc = mdb_env_create(&env);
  if (rc) return rc;
  mdb_env_set_maxdbs(env, kRecordQueues + 8);
  mdb_env_set_maxreaders(env, 512);
  step = "map size";
  rc = mdb_env_set_mapsize(env, map_size);
  if (rc) return rc;
  // NOTLS: a transaction belongs to the object that holds it, not to its thread. NORDAHEAD: records are read at random.
  const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (sync ? 0u : static_cast<unsigned>(MDB_NOSYNC));
  step = "open";
  rc = mdb_env_open(env, directory.c_str(), flags, 0600);
  if (rc) return rc;

  // A page beyond the end of the file would be a bus error.
  int file = -1;
  MDB_envinfo info;
  MDB_stat stat;
  struct stat size {};
  if (mdb_env_get_fd(env, &file) || ::fstat(file, &size) != 0 || mdb_env_info(env, &info) || mdb_env_stat(env, &stat)) return EIO;
  if ((info.me_last_pgno + 1) * stat.ms_psize > static_cast<uint64_t>(size.st_size) && info.me_last_txnid > 0) return MDB_CORRUPTED;

  MDB_txn* txn = nullptr;
  step = "begin";
  rc = mdb_txn_begin(env, nullptr, 0, &txn);
  if (rc) return rc;
  struct Table {
    std::string name;
    unsigned flags;
    MDB_dbi* dbi;
  };
  std::vector<Table> tables = {{"keys", 0, &keys},
                               {"chunks", MDB_INTEGERKEY, &chunks},
                               {"tags", 0, &tags},
                               {"meta", 0, &meta}};
  for (unsigned queue = 0; queue < kRecordQueues; ++queue) {
    tables.push_back({fmt::format("queue{}", queue), MDB_INTEGERKEY, &queues[queue]});
  }
  step = "tables";
  for (const Table& table : tables) {
    rc = mdb_dbi_open(txn, table.name.c_str(), table.flags | MDB_CREATE, table.dbi);
    if (rc) {
      mdb_txn_abort(txn);
      return rc;
    }
  }
  step = "commit";
  return mdb_txn_commit(txn);
}

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::~Index() = default;

std::unique_ptr<Index> Index::open(const std::string& directory, uint64_t map_size, bool sync, std::string& why,
                                   bool& damaged) {
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;
  impl->map_size = map_size;
  impl->sync = sync;
  watch_for_faults(directory);
  const char* step = "";
  if (const int rc = impl->open(step)) {
    why = fmt::format("index in {}: {}: {}", directory, step, mdb_strerror(rc));
    damaged = rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ||
              rc == MDB_INCOMPATIBLE || rc == MDB_BAD_TXN;
    return nullptr;
  }
  return std::unique_ptr<Index>(new Index(std::move(impl)));
}

core::Result<void> Index::reopen() {
  const std::unique_lock alone(impl_->opening);
  impl_->close();
  const char* step = "";
  const int rc = impl_->open(step);
  if (rc) impl_->close();
  return checked(rc);
}

core::Result<void> Index::sync() { return impl_->env ? checked(mdb_env_sync(impl_->env, 1)) : index_error(EIO); }

Index::ReadTxn::ReadTxn(const Index& index) : ReadTxn(index, false) {}

Index::ReadTxn::ReadTxn(const Index& index, bool write) : index_(index), open_(index.impl_->opening) {
  ++t_inside;
  if (!index.impl_->env) return;
  MDB_txn* txn = nullptr;
  const unsigned flags = write ? 0u : static_cast<unsigned>(MDB_RDONLY);
  if (mdb_txn_begin(index.impl_->env, nullptr, flags, &txn) == MDB_SUCCESS) txn_ = txn;
}

Index::ReadTxn::~ReadTxn() {
  if (txn_) mdb_txn_abort(as_txn(txn_));
  --t_inside;
}

std::optional<IndexMeta> Index::ReadTxn::meta() const {
  MDB_val key{sizeof(kMetaKey), const_cast<char*>(kMetaKey)};
  MDB_val value;
  IndexMeta meta;
  if (!txn_ || mdb_get(as_txn(txn_), index_.impl_->meta, &key, &value) != MDB_SUCCESS) return std::nullopt;
  if (!Sealed<IndexMeta>::read(value, meta)) return std::nullopt;
  return meta;
}

bool Index::ReadTxn::is_new() const {
  MDB_val key{sizeof(kMetaKey), const_cast<char*>(kMetaKey)};
  MDB_val value;
  return txn_ && mdb_get(as_txn(txn_), index_.impl_->meta, &key, &value) == MDB_NOTFOUND && last_number() == 0;
}

std::optional<std::string_view> Index::ReadTxn::record(RecordId id) const {
  MDB_val key = val_of(id);
  MDB_val value;
  if (!txn_ || mdb_get(as_txn(txn_), index_.impl_->table(id), &key, &value) != MDB_SUCCESS) return std::nullopt;
  return std::string_view(static_cast<const char*>(value.mv_data), value.mv_size);
}

std::optional<RecordId> Index::ReadTxn::find(const KeyName& name) const {
  KeyBytes bytes(name);
  MDB_val key = bytes.val();
  MDB_val value;
  RecordId id = 0;
  if (!txn_ || mdb_get(as_txn(txn_), index_.impl_->keys, &key, &value) != MDB_SUCCESS) return std::nullopt;
  if (!read_val(value, id)) return std::nullopt;
  return id;
}

void Index::ReadTxn::for_each_variant(const Hash128& key_hash,
                                      const std::function<void(uint64_t, RecordId)>& visit) const {
  if (!txn_) return;
  const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->keys);
  if (!cursor) return;
  KeyBytes bytes(KeyName{key_hash, 0});
  MDB_val key = bytes.val();
  MDB_val value;
  // A key's variants stand together, though not in the order of their hash as a number: 0 is the least of them all.
  for (int rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_SET_RANGE); rc == MDB_SUCCESS;
       rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) {
    KeyName name;
    RecordId id = 0;
    if (!KeyBytes::read(key, name) || name.key != key_hash) return;
    if (read_val(value, id)) visit(name.variant, id);
  }
}

void Index::ReadTxn::for_each_key(const KeyName* after, const std::function<bool(const KeyName&, RecordId)>& visit) const {
  if (!txn_) return;
  const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->keys);
  if (!cursor) return;
  KeyBytes from(after ? *after : KeyName{});
  MDB_val key = from.val();
  MDB_val value;
  for (int rc = mdb_cursor_get(cursor.get(), &key, &value, after ? MDB_SET_RANGE : MDB_FIRST); rc == MDB_SUCCESS;
       rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) {
    KeyName name;
    RecordId id = 0;
    if (!KeyBytes::read(key, name) || !read_val(value, id) || (after && name == *after)) continue;
    if (!visit(name, id)) return;
  }
}

void Index::ReadTxn::for_each_tagged(const Hash128& tag, const KeyName* after,
                                     const std::function<bool(const KeyName&)>& visit) const {
  if (!txn_) return;
  const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->tags);
  if (!cursor) return;
  TagBytes from(tag, after ? *after : KeyName{});  // of all keys the one of zeroes comes first
  MDB_val key = from.val();
  MDB_val value;
  for (int rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_SET_RANGE); rc == MDB_SUCCESS;
       rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) {
    Hash128 its_tag;
    KeyName name;
    if (!TagBytes::read(key, its_tag, name)) continue;
    if (its_tag != tag) return;
    if (after && name == *after) continue;
    if (!visit(name)) return;
  }
}

uint64_t Index::ReadTxn::last_number() const {
  uint64_t last = 0;
  for (unsigned queue = 0; txn_ && queue < kRecordQueues; ++queue) {
    const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->queues[queue]);
    MDB_val key, value;
    RecordId id = 0;
    if (!cursor || mdb_cursor_get(cursor.get(), &key, &value, MDB_LAST) != MDB_SUCCESS) continue;
    if (read_val(key, id)) last = std::max(last, number_of(id));
  }
  return last;
}

bool Index::ReadTxn::for_each_chunk(const std::function<void(uint32_t, const ChunkMap&)>& visit) const {
  if (!txn_) return false;
  const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->chunks);
  if (!cursor) return false;
  MDB_val key, value;
  while (mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT) == MDB_SUCCESS) {
    uint32_t chunk = 0;
    ChunkMap map;
    if (!read_val(key, chunk) || !Sealed<ChunkMap>::read(value, map)) return false;
    visit(chunk, map);
  }
  return true;
}

uint64_t Index::ReadTxn::used_bytes() const {
  if (!txn_) return 0;
  constexpr MDB_dbi kFreeList = 0, kTables = 1;  // LMDB's own tables
  std::vector<MDB_dbi> tables = {kFreeList, kTables, index_.impl_->keys, index_.impl_->chunks, index_.impl_->tags, index_.impl_->meta};
  tables.insert(tables.end(), std::begin(index_.impl_->queues), std::end(index_.impl_->queues));
  uint64_t bytes = 0;
  for (const MDB_dbi table : tables) {
    MDB_stat stat;
    if (mdb_stat(as_txn(txn_), table, &stat) != MDB_SUCCESS) continue;
    bytes += (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
  }
  return bytes;
}

Index::WriteTxn::WriteTxn(Index& index) : ReadTxn(index, true) {}

core::Result<void> Index::WriteTxn::put_key(const KeyName& name, RecordId id) {
  KeyBytes bytes(name);
  MDB_val key = bytes.val();
  MDB_val value = val_of(id);
  return checked(mdb_put(as_txn(txn_), index_.impl_->keys, &key, &value, 0));
}

core::Result<void> Index::WriteTxn::erase_key(const KeyName& name) {
  KeyBytes bytes(name);
  MDB_val key = bytes.val();
  const int rc = mdb_del(as_txn(txn_), index_.impl_->keys, &key, nullptr);
  return checked(rc == MDB_NOTFOUND ? MDB_SUCCESS : rc);
}

core::Result<void> Index::WriteTxn::put_tag(const Hash128& tag, const KeyName& name) {
  TagBytes bytes(tag, name);
  MDB_val key = bytes.val();
  MDB_val nothing{0, nullptr};
  return checked(mdb_put(as_txn(txn_), index_.impl_->tags, &key, &nothing, 0));
}

core::Result<void> Index::WriteTxn::erase_tag(const Hash128& tag, const KeyName& name) {
  TagBytes bytes(tag, name);
  MDB_val key = bytes.val();
  const int rc = mdb_del(as_txn(txn_), index_.impl_->tags, &key, nullptr);
  return checked(rc == MDB_NOTFOUND ? MDB_SUCCESS : rc);
}

core::Result<char*> Index::WriteTxn::append(RecordId id, size_t size) {
  MDB_val key = val_of(id);
  MDB_val value{size, nullptr};
  const int rc = mdb_put(as_txn(txn_), index_.impl_->table(id), &key, &value, MDB_RESERVE | MDB_APPEND);
  if (rc != MDB_SUCCESS) return index_error(rc);
  return static_cast<char*>(value.mv_data);
}

core::Result<void> Index::WriteTxn::erase(RecordId id) {
  MDB_val key = val_of(id);
  const int rc = mdb_del(as_txn(txn_), index_.impl_->table(id), &key, nullptr);
  return checked(rc == MDB_NOTFOUND ? MDB_SUCCESS : rc);
}

core::Result<void> Index::WriteTxn::erase_first(unsigned queue) {
  const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->queues[queue]);
  if (!cursor) return core::Error{.code = core::ErrorCode::StorageIo};
  MDB_val key, value;
  int rc = mdb_cursor_get(cursor.get(), &key, &value, MDB_FIRST);
  if (rc == MDB_SUCCESS) rc = mdb_cursor_del(cursor.get(), 0);
  return checked(rc);
}

std::optional<RecordId> Index::WriteTxn::first(unsigned queue) const {
  const Cursor cursor = open_cursor(as_txn(txn_), index_.impl_->queues[queue]);
  MDB_val key, value;
  RecordId id = 0;
  if (!cursor || mdb_cursor_get(cursor.get(), &key, &value, MDB_FIRST) != MDB_SUCCESS) return std::nullopt;
  if (!read_val(key, id)) return std::nullopt;
  return id;
}

core::Result<void> Index::WriteTxn::put_chunk(uint32_t chunk, const ChunkMap& map) {
  MDB_val key = val_of(chunk);
  if (map.empty()) {
    const int rc = mdb_del(as_txn(txn_), index_.impl_->chunks, &key, nullptr);
    return checked(rc == MDB_NOTFOUND ? MDB_SUCCESS : rc);
  }
  Sealed<ChunkMap> bytes;
  std::memset(static_cast<void*>(&bytes), 0, sizeof(bytes));  // padding too: it goes to disk
  bytes.value.size_class = map.size_class;
  bytes.value.used = map.used;
  bytes.seal();
  MDB_val value = val_of(bytes);
  return checked(mdb_put(as_txn(txn_), index_.impl_->chunks, &key, &value, 0));
}

core::Result<void> Index::WriteTxn::put_meta(const IndexMeta& meta) {
  static_assert(std::has_unique_object_representations_v<IndexMeta>);
  Sealed<IndexMeta> bytes{meta};
  bytes.seal();
  MDB_val key{sizeof(kMetaKey), const_cast<char*>(kMetaKey)};
  MDB_val value = val_of(bytes);
  return checked(mdb_put(as_txn(txn_), index_.impl_->meta, &key, &value, 0));
}

core::Result<void> Index::WriteTxn::commit() {
  MDB_txn* txn = as_txn(std::exchange(txn_, nullptr));
  const int rc = mdb_txn_commit(txn);
  open_.unlock();
  return checked(rc);
}

}  // namespace tributary::cache
