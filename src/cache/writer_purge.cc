// The writer's purges: the directory first, then the index, a bounded number of records a transaction, so that batches of
// what is stored meanwhile keep their turn.
#include <algorithm>

#include "cache/tags.h"
#include "cache/writer.h"

namespace tributary::cache {
namespace {

constexpr size_t kRemovals = 1024;  // records removed in one transaction

// What cannot be read could not be served either: it goes when its turn comes, or here with everything.
bool is_selected(const Index::ReadTxn& txn, RecordId id, const Selection& selection) {
  if (selection.by == Selection::By::All) return true;
  const auto bytes = txn.record(id);
  Record record;
  return bytes && Record::decode(*bytes, record) && selection.matches(record.key, record.fields);
}

}  // namespace

void Writer::purge(PurgeLog::Epoch epoch, std::shared_ptr<const Selection> selection,
                   std::function<void(const Purged&)> done) {
  {
    std::lock_guard lock(mutex_);
    purge_queue_.push_back({.epoch = epoch, .selection = std::move(selection), .done = std::move(done)});
  }
  wake_.notify_one();
}

// Under the mutex.
void Writer::take_purges() {
  for (PurgeTask& task : purge_queue_) purges_.push_back(std::move(task));
  purge_queue_.clear();
}

void Writer::sweep(PurgeTask& task) {
  if (!std::exchange(task.swept, true)) task.objects += directory_.purge(*task.selection);
}

// While nothing can be written whoever waits hears what became of memory; the index has its turn later.
void Writer::refuse_purges() {
  for (PurgeTask& task : purges_) {
    sweep(task);
    if (task.done) std::exchange(task.done, {})({task.objects, false});
  }
}

// One transaction for as many of them as fit. When the disk refuses it, they stand where they stood before.
void Writer::purge_some() {
  for (PurgeTask& task : purges_) sweep(task);
  const IndexMeta before = meta_;
  Changes changes;
  size_t left = purge_step_, over = 0;
  std::vector<PurgeTask> tasks;  // as they will be
  core::Result<void> done;
  {
    Index::WriteTxn txn(index_);
    if (!txn.ok()) done = core::Error{.code = core::ErrorCode::StorageIo};
    for (size_t i = 0; i < purges_.size() && done.ok() && left > 0; ++i) {
      tasks.push_back(purges_[i]);
      const core::Result<bool> finished = purge_some_of(txn, tasks.back(), left, changes);
      if (!finished) done = finished.error();
      if (finished && *finished) ++over;
      if (finished && !*finished) break;
    }
    if (done.ok() && !changes.filter.empty()) done = finish(txn, changes);
  }
  if (!done) {
    undo(changes, before);
    if (is_map_full(done.error()) && purge_step_ > 1) {
      purge_step_ /= 8;  // with fewer pages at a time
      return;
    }
    report_error(done.error());
    refuse_purges();
    return;
  }
  settle(changes);
  purge_step_ = kPurgeStep;
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].done = std::move(purges_[i].done);  // it may have been told meanwhile (wait_for_disk)
    purges_[i] = std::move(tasks[i]);
  }
  for (; over > 0; --over) {
    PurgeTask task = std::move(purges_.front());
    purges_.pop_front();
    purge_log_.settle(task.epoch);
    if (task.selection->by == Selection::By::Url && task.objects > 0) {
      refusals_.note(hash_key(task.selection->text), {.gone = Gone::Purged, .when = now_in_seconds()});
    }
    if (task.done) task.done({task.objects, true});
  }
}

// True when the task is through. `left`: visits that the transaction may still make.
core::Result<bool> Writer::purge_some_of(Index::WriteTxn& txn, PurgeTask& task, size_t& left, Changes& changes) {
  const Selection& selection = *task.selection;
  std::vector<std::pair<KeyName, RecordId>> found;  // gathered first: what is walked must not change
  std::optional<KeyName> last = task.cursor;
  bool through = true;
  const auto take = [&](const KeyName& name, RecordId id) {
    if (left == 0 || found.size() == kRemovals) return through = false;
    --left;
    last = name;
    if (is_selected(txn, id, selection)) found.emplace_back(name, id);
    return true;
  };
  const KeyName* after = task.cursor ? &*task.cursor : nullptr;
  if (selection.by == Selection::By::Url) {
    const Hash128 hash = hash_key(selection.text);
    --left;
    txn.for_each_variant(hash, [&](uint64_t variant, RecordId id) {
      if (is_selected(txn, id, selection)) found.emplace_back(KeyName{hash, variant}, id);
    });
  } else if (selection.by == Selection::By::Tag) {
    txn.for_each_tagged(task.overflow ? many_tags() : hash_tag(selection.text), after, [&](const KeyName& name) {
      const auto id = txn.find(name);
      return !id || take(name, *id);
    });
  } else {
    txn.for_each_key(after, take);
  }
  for (const auto& [name, id] : found) {
    refusals_.note(name.key, {.gone = Gone::Purged, .when = now_in_seconds()});
    if (auto done = erase_record(txn, name, id, false, 0, nullptr, changes); !done) return done.error();
  }
  task.objects += found.size();
  task.cursor = last;
  if (!through) return false;
  if (selection.by == Selection::By::Tag && !std::exchange(task.overflow, true)) {
    task.cursor.reset();
    return left > 0 ? purge_some_of(txn, task, left, changes) : false;
  }
  return true;
}

// At the end: whoever waits for what the disk refused hears so.
void Writer::end_purges() {
  for (PurgeTask& task : purges_) {
    if (task.done) task.done({task.objects, false});
  }
  purges_.clear();
}

}  // namespace tributary::cache
