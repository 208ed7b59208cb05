#include "cache/store.h"

#include <algorithm>
#include <future>
#include <utility>

#include "cache/fill_state.h"
#include "cache/hot_map.h"
#include "cache/store_core.h"

namespace tributary::cache {

PendingLookup::PendingLookup() = default;
PendingLookup::~PendingLookup() = default;
void PendingLookup::reset() { waker_.reset(); }

Fetch::Fetch() = default;
Fetch::~Fetch() { reset(); }

bool Fetch::is_leader() const { return leader_ && outcome() == FetchOutcome::Undecided; }

FetchOutcome Fetch::outcome() const {
  return state_ ? state_->outcome.load(std::memory_order_acquire) : FetchOutcome::Undecided;
}

void Fetch::decide(FetchOutcome outcome) {
  if (!is_leader()) return;
  state_->directory->decide(*state_, outcome, core::Clock::now() + kDeclineMemory);
}

void Fetch::decline() { decide(FetchOutcome::Declined); }

void Fetch::fail() {
  decide(FetchOutcome::Failed);
  reset();
}

void Fetch::reset() {
  decide(FetchOutcome::Vanished);
  waker_.reset();
  state_.reset();
  leader_ = false;
}

Store::Store(std::unique_ptr<StoreCore> core) : core_(std::move(core)) {}
Store::~Store() = default;

std::unique_ptr<Store> Store::open(const StoreSettings& settings, core::OffloadPool& offload, core::Registry& registry,
                                   std::string& why) {
  auto core = std::make_unique<StoreCore>(settings, offload, registry);
  if (settings.enabled && !core->open(why)) return nullptr;
  return std::unique_ptr<Store>(new Store(std::move(core)));
}

bool Store::enabled() const { return core_->settings.enabled; }
bool Store::is_degraded() const { return enabled() && (!core_->is_ready() || core_->writer->is_degraded()); }
uint64_t Store::max_object() const { return core_->max_object; }

StoreStats Store::stats() const {
  StoreStats stats;
  if (enabled()) stats.size = core_->settings.size;
  if (!core_->is_ready()) return stats;
  stats.objects = core_->writer->objects();
  stats.bytes = core_->writer->bytes();
  stats.disk_bytes = core_->segments->disk_bytes() + core_->writer->index_bytes();
  stats.memory_bytes = core_->directory->memory_bytes();
  stats.pending = core_->writer->pending();
  stats.fills = core_->fills.load(std::memory_order_relaxed);
  return stats;
}

bool Store::purge(Selection selection, core::Loop& loop, PurgeWait& wait, core::Callback<void()> done) {
  wait.waker_.emplace(loop, done);
  wait.state_ = std::make_shared<PurgeWait::State>();
  const auto tell = [state = wait.state_, waker = wait.waker_->handle()](const Purged& result) {
    state->result = result;
    waker.wake();
  };
  return core_->purge(std::move(selection), tell);
}

std::optional<Purged> Store::purge_and_wait(Selection selection) {
  const auto promise = std::make_shared<std::promise<Purged>>();  // the writer may still be in set_value when we return
  if (!core_->purge(std::move(selection), [promise](const Purged& result) { promise->set_value(result); })) {
    return std::nullopt;
  }
  return promise->get_future().get();
}

Epoch Store::epoch() const {
  if (!core_->is_ready()) return {};
  return {.purge = core_->purges.current(), .change = core_->directory->invalidations().current()};
}

void Store::flush() {
  if (core_->is_ready()) core_->writer->flush();
}

struct WorkerCache::Hot {
  Hot(size_t limit, AccessSketch& sketch) : map(limit, sketch) {}
  HotMap map;
  FillList fills;
};

WorkerCache::WorkerCache(Store& store, core::Loop& loop)
    : store_(store),
      loop_(loop),
      hot_(std::make_unique<Hot>(hot_share(store.core_->settings.memory) / std::max(1u, store.core_->settings.workers),
                                  store.core_->sketch)) {}

WorkerCache::~WorkerCache() {
  while (hot_->fills.first) hot_->fills.first->abandon();
}

Found WorkerCache::lookup(std::string_view key, EntryRef& entry, PendingLookup& pending, core::Callback<void()> ready) {
  StoreCore& core = *store_.core_;
  if (!core.is_ready() || key.size() > kMaxKey) return Found::Miss;
  const Hash128 hash = hash_key(key);
  core.sketch.prefetch(hash);
  if (const EntryRef* hot = hot_->map.find(hash, key)) {
    core.sketch.touch(hash);
    entry = *hot;
    return Found::Hit;
  }
  const auto waker = [&] {
    pending.waker_.emplace(loop_, ready);
    return pending.waker_->handle();
  };
  switch (core.directory->find(hash, key, entry, waker)) {
    case Directory::Look::Hit:
      core.sketch.touch(hash);
      hot_->map.insert(hash, entry);
      return Found::Hit;
    case Directory::Look::Miss:
      return Found::Miss;
    case Directory::Look::Loading:
      return Found::Pending;
    case Directory::Look::MustLoad:
      break;
  }
  const bool queued = core.offload.submit_detached([pass = Gate::Pass(core.jobs), &core, hash, key = std::string(key)] {
    core.directory->finish_load(hash, core.load(hash, key));
  });
  if (queued) return Found::Pending;
  // The pool is overwhelmed: asking the origin is the cheaper way now.
  pending.reset();
  core.directory->give_up_load(hash);
  return Found::Miss;
}

FetchRole WorkerCache::begin_fetch(std::string_view key, Fetch& fetch, core::Callback<void()> changed) {
  StoreCore& core = *store_.core_;
  fetch.reset();
  if (!core.is_ready() || key.size() > kMaxKey) return FetchRole::Alone;
  const auto waker = [&] {
    fetch.waker_.emplace(loop_, changed);
    return fetch.waker_->handle();
  };
  const FetchRole role = core.directory->begin_fetch(hash_key(key), key, loop_.now(), fetch.state_, waker);
  fetch.leader_ = role == FetchRole::Leader;
  return role;
}

bool WorkerCache::is_storable(const ObjectParts& parts, std::optional<uint64_t> length) const {
  const StoreCore& core = *store_.core_;
  if (!core.is_ready() || core.writer->is_degraded() || core.writer->is_behind()) return false;
  if (parts.key.empty() || parts.key.size() > kMaxKey) return false;
  if (parts.variant.size() + parts.etag.size() + parts.fields.size() > kMaxFields) return false;
  if (!length) return !core.segments->is_stuck();
  if (*length > core.max_object) return false;
  // Fills in progress must not need more than what eviction can make free for them.
  return *length <= kMaxMemoryBody ||
         (!core.segments->is_stuck() &&
          core.reserved.load(std::memory_order_relaxed) + *length <= core.segments->limit() / 4 * 3);
}

// Parts that came without an epoch are as new as now.
void WorkerCache::stamp(ObjectParts& parts) const {
  const Epoch now = store_.epoch();
  if (parts.epoch.purge == Epoch::kNow) parts.epoch.purge = now.purge;
  if (parts.epoch.change == Epoch::kNow) parts.epoch.change = now.change;
}

void WorkerCache::note_no_room(const ObjectParts& parts) {
  store_.core_->refusals.note(hash_key(parts.key),
                              {.gone = Gone::NoRoom, .status = parts.meta.status, .when = loop_.unix_now()});
}

std::unique_ptr<Fill> WorkerCache::start_fill(ObjectParts parts, std::optional<uint64_t> length, Fetch* fetch) {
  if (!is_storable(parts, length)) {
    note_no_room(parts);
    return nullptr;
  }
  stamp(parts);
  StoreCore& core = *store_.core_;
  auto body = std::make_shared<Body>(core.home, length);
  auto object = std::make_shared<const Object>(std::move(parts), std::move(body));
  const Hash128 hash = hash_key(object->key());
  auto state = std::make_shared<FillState>(core, loop_, hot_->fills, hash, object, false);
  if (!core.publish(hash, object)) {
    state->refuse();
    return nullptr;
  }
  if (fetch) fetch->decide(FetchOutcome::Published);
  return std::unique_ptr<Fill>(new Fill(std::move(state), std::move(object)));
}

ObjectRef WorkerCache::store_whole(ObjectParts parts, const core::Slice& content, Fetch* fetch) {
  if (content.size() > kMaxMemoryBody || !is_storable(parts, content.size())) {
    note_no_room(parts);
    return nullptr;
  }
  stamp(parts);
  StoreCore& core = *store_.core_;
  // Copied, because the slice may be a corner of a large receive buffer that would be kept with it.
  auto body = std::make_shared<Body>(core.home, core::Slice::copy(content.view()));
  auto object = std::make_shared<const Object>(std::move(parts), std::move(body));
  const Hash128 hash = hash_key(object->key());
  if (!core.publish(hash, object)) return nullptr;
  if (fetch) fetch->decide(FetchOutcome::Published);
  core.commit(hash, object);
  return object;
}

std::unique_ptr<Fill> WorkerCache::resume_fill(const ObjectRef& partial, Fetch* fetch) {
  if (partial->is_dead() || !is_storable(partial->parts(), partial->body().length())) return nullptr;
  std::unique_ptr<Fill> fill = go_on_filling(partial);
  if (fill && fetch) fetch->decide(FetchOutcome::Published);
  return fill;
}

// Whatever keeps new objects out, but the want of a place to write to, is no reason to cut a reader short.
std::unique_ptr<Fill> WorkerCache::fill_gap(const ObjectRef& partial) {
  const StoreCore& core = *store_.core_;
  return core.is_ready() && !core.segments->is_stuck() ? go_on_filling(partial) : nullptr;
}

std::unique_ptr<Fill> WorkerCache::go_on_filling(const ObjectRef& partial) {
  if (!partial->stored_body()->begin_filling(loop_)) return nullptr;
  StoreCore& core = *store_.core_;
  const Hash128 hash = hash_key(partial->key());
  core.directory->pin(hash, partial->key());
  auto state = std::make_shared<FillState>(core, loop_, hot_->fills, hash, partial, true);
  return std::unique_ptr<Fill>(new Fill(std::move(state), partial));
}

ObjectRef WorkerCache::refresh(const ObjectRef& old, ObjectParts parts, Fetch* fetch) {
  StoreCore& core = *store_.core_;
  // Not when `old` was fetched: it has survived every purge that is over, though more than the log remembers may be.
  parts.epoch = {.purge = core.purges.settled(), .change = core.directory->invalidations().current()};
  if (old->is_dead() || !is_storable(parts, 0)) return nullptr;
  auto object = std::make_shared<const Object>(std::move(parts), old->stored_body());
  const Hash128 hash = hash_key(object->key());
  if (!core.publish(hash, object)) return nullptr;
  if (object->body().phase() == BodyPhase::Failed) {  // found damaged just now, perhaps before this was published
    core.directory->remove(hash, object);
    core.directory->unpin(hash);
    return nullptr;
  }
  if (fetch) fetch->decide(FetchOutcome::Published);
  if (object->body().is_filling()) {
    core.directory->unpin(hash);  // the fill commits it when it is over, for it looks who has the body then
  } else {
    core.commit(hash, object);
  }
  return object;
}

bool WorkerCache::invalidate(std::string_view key) {
  StoreCore& core = *store_.core_;
  if (!core.is_ready() || key.size() > kMaxKey) return false;
  const Hash128 hash = hash_key(key);
  const Directory::Known known = core.directory->invalidate(hash, key);
  if (known == Directory::Known::Nowhere) return false;
  core.writer->erase(hash);
  if (known == Directory::Known::PerhapsInIndex) return false;
  core.refusals.note(hash, {.gone = Gone::Invalidated, .when = loop_.unix_now()});
  return true;
}

void WorkerCache::remove(const ObjectRef& object) {
  StoreCore& core = *store_.core_;
  if (core.is_ready() && !object->is_dead()) core.remove(object);
}

bool WorkerCache::is_proven(const ObjectRef& object, uint64_t first, uint64_t last, PendingLookup& pending,
                            core::Callback<void()> ready) {
  if (object->body().is_proven(first, last)) return true;
  StoreCore& core = *store_.core_;
  pending.waker_.emplace(loop_, ready);
  const bool queued = core.offload.submit_detached(
      [pass = Gate::Pass(core.jobs), &core, object, first, last, waker = pending.waker_->handle()]() mutable {
        while (const auto piece = object->stored_body()->unproven(first, last)) core.prove(object, *piece);
        waker.wake();
      });
  if (!queued) pending.reset();  // the pool is overwhelmed: its reader will see to it
  return !queued;
}

std::unique_ptr<ObjectReader> WorkerCache::read(ObjectRef object, uint64_t first, uint64_t last) {
  return std::make_unique<ObjectReader>(store_, loop_, std::move(object), first, last);
}

void WorkerCache::note_refusal(std::string_view key, NotStorable reason, uint16_t status) {
  store_.core_->refusals.note(hash_key(key), {.reason = reason, .status = status, .when = loop_.unix_now()});
}

void WorkerCache::count_saved(uint64_t bytes) { store_.core_->metrics.saved_bytes.add(bytes); }

}  // namespace tributary::cache
