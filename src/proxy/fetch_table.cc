#include "proxy/fetch_table.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cache/range_set.h"

namespace tributary::proxy {

class FetchTable::Task {
 public:
  // `scope`: what it brings, when that is not everything. `for_nobody`: no reader is waited for.
  Task(FetchTable& table, std::unique_ptr<cache::Fill> fill, std::optional<http::ByteRange> scope = {}, bool for_nobody = false)
      : table_(table), fill_(std::move(fill)), scope_(scope), for_nobody_(for_nobody) {}
  virtual ~Task() = default;

  bool is_over() const { return over_; }
  bool is_worth_finishing() {
    if (!fill_->object()->body().is_filling()) return false;  // the disk refused it
    offsets_.clear();
    fill_->wanted(offsets_);
    if (!offsets_.empty()) return true;
    const std::optional<uint64_t> length = fill_->object()->body().length();
    cache::RangeSet present, due;
    ranges_.clear();
    fill_->present(ranges_);
    uint64_t here = 0;
    for (const http::ByteRange& range : ranges_) {
      present.add(range.first, range.last);
      here += range.size();
    }
    if (!length) return for_nobody_ && here <= kFinishAlone;
    ranges_.assign(1, scope_.value_or(http::ByteRange{0, *length}));
    if (scope_) fill_->asked(ranges_);
    for (const http::ByteRange& range : ranges_) due.add(range.first, range.last);
    uint64_t missing = 0;
    for (const http::ByteRange& range : due.ranges()) missing += range.size() - present.bytes_in(range.first, range.last);
    return missing <= std::max(here, kFinishAlone);
  }
  void give_up() {
    fill_->fail({.code = core::ErrorCode::Cancelled, .side = core::Side::Us});
    finish();
  }

 protected:
  void finish() {
    if (std::exchange(over_, true)) return;
    table_.ended(*this);
  }

  FetchTable& table_;
  std::unique_ptr<cache::Fill> fill_;

 private:
  const std::optional<http::ByteRange> scope_;
  const bool for_nobody_;
  bool over_ = false;
  std::vector<uint64_t> offsets_;
  std::vector<http::ByteRange> ranges_;
};

class FetchTable::DownloadTask final : public Task {
 public:
  DownloadTask(FetchTable& table, std::unique_ptr<cache::Fill> fill, upstream::DownloadRequest request,
               std::unique_ptr<upstream::Exchange> exchange)
      : Task(table, std::move(fill), request.scope),
        download_(table.client_, table.accelerate_, std::move(request), *fill_,
                  core::Callback<void()>::to<&DownloadTask::on_done>(this)) {
    exchange ? download_.start(std::move(exchange)) : download_.start_cold();
  }

 private:
  void on_done() {
    // Another version is at the origin now: what was stored of the old one must not be completed with it.
    if (download_.outcome() == upstream::Download::Outcome::Changed) table_.cache_.remove(fill_->object());
    finish();
  }

  upstream::Download download_;  // writes into fill_, so it goes first
};

class FetchTable::PumpTask final : public Task {
 public:
  PumpTask(FetchTable& table, std::unique_ptr<cache::Fill> fill, core::Slice read,
           std::unique_ptr<http::BodySource> rest, bool for_nobody)
      : Task(table, std::move(fill), {}, for_nobody), source_(std::move(rest)), deferred_(table.loop_) {
    const auto pump = core::Callback<void()>::to<&PumpTask::pump>(this);
    fill_->set_room_callback(pump);
    source_->set_ready(pump);
    write(std::move(read));
    deferred_.schedule(pump);
  }

 private:
  static constexpr uint64_t kPart = 256 * 1024;

  void write(core::Slice bytes) {
    const uint64_t size = bytes.size();
    if (size == 0) return;
    fill_->write(offset_, std::move(bytes));
    offset_ += size;
  }

  void pump() {
    for (int parts = 0; !is_over() && fill_->has_room(); ++parts) {
      if (parts == 8) {  // others have their turn
        deferred_.schedule(core::Callback<void()>::to<&PumpTask::pump>(this));
        return;
      }
      http::BodyPart part;
      switch (source_->read(part, kPart)) {
        case http::BodyRead::Part:
          write(std::move(part.bytes));
          break;
        case http::BodyRead::Wait:
          return;
        case http::BodyRead::End:
          fill_->finish(offset_);
          finish();
          return;
        case http::BodyRead::Failed:
          fill_->fail(source_->error());
          finish();
          return;
      }
    }
  }

  std::unique_ptr<http::BodySource> source_;
  core::Deferred deferred_;
  uint64_t offset_ = 0;
};

FetchTable::FetchTable(core::Loop& loop, upstream::Client& client, cache::WorkerCache& cache,
                       const upstream::AccelerateSettings& accelerate)
    : loop_(loop), client_(client), cache_(cache), accelerate_(accelerate), reaper_(loop), watch_(loop) {}

FetchTable::~FetchTable() = default;

void FetchTable::add(std::unique_ptr<cache::Fill> fill, upstream::DownloadRequest request,
                     std::unique_ptr<upstream::Exchange> exchange) {
  link(std::make_unique<DownloadTask>(*this, std::move(fill), std::move(request), std::move(exchange)));
}

void FetchTable::add(std::unique_ptr<cache::Fill> fill, upstream::DownloadRequest request) {
  link(std::make_unique<DownloadTask>(*this, std::move(fill), std::move(request), nullptr));
}

void FetchTable::add(std::unique_ptr<cache::Fill> fill, core::Slice read,
                     std::unique_ptr<http::BodySource> rest) {
  link(std::make_unique<PumpTask>(*this, std::move(fill), std::move(read), std::move(rest), false));
}

void FetchTable::add(std::unique_ptr<cache::Fill> fill, std::unique_ptr<http::BodySource> content) {
  link(std::make_unique<PumpTask>(*this, std::move(fill), core::Slice(), std::move(content), true));
}

void FetchTable::link(std::unique_ptr<Task> task) {
  tasks_.push_back(std::move(task));
  if (!watch_.is_running()) {
    watch_.start(std::chrono::seconds(1), core::Callback<void()>::to<&FetchTable::look_for_readers>(this));
  }
}

// The task is on the stack: it goes once the callback has returned.
void FetchTable::ended(Task&) { reaper_.schedule(core::Callback<void()>::to<&FetchTable::reap>(this)); }

void FetchTable::reap() {
  std::erase_if(tasks_, [](const std::unique_ptr<Task>& task) { return task->is_over(); });
  if (tasks_.empty()) watch_.stop();
}

void FetchTable::look_for_readers() {
  for (const std::unique_ptr<Task>& task : tasks_) {
    if (!task->is_over() && !task->is_worth_finishing()) task->give_up();
  }
  if (!tasks_.empty()) {
    watch_.start(std::chrono::seconds(1), core::Callback<void()>::to<&FetchTable::look_for_readers>(this));
  }
}

}  // namespace tributary::proxy
