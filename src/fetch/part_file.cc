#include "fetch/part_file.h"

#include <algorithm>
#include <utility>

namespace tributary::fetch {

// A batch that is being written.
struct PartFile::Write {
  explicit Write(PartFile& its_file) : file(its_file) {}
  void on_done() {
    is_done = true;
    file.on_written();
  }

  PartFile& file;
  std::shared_ptr<WriteBatch> batch = std::make_shared<WriteBatch>();
  std::shared_ptr<core::Result<void>> result = std::make_shared<core::Result<void>>();
  bool is_done = false;
  cache::RangeSet taken_back;  // what it writes there is of no use any more
  core::Job job;
};

PartFile::PartFile(core::Loop& loop, core::OffloadPool& offload, core::Callback<void()> on_failed)
    : loop_(loop), offload_(offload), on_failed_(on_failed), rate_timer_(loop), save_timer_(loop), pump_(loop) {}

PartFile::~PartFile() = default;

// --- operations ---

void PartFile::open(OpenPart request, core::Callback<void()> done) {
  opened_ = std::make_shared<OpenedPart>();
  open_done_ = done;
  open_job_ = offload_.submit(
      loop_, [opened = opened_, request = std::move(request)] { *opened = open_part(request); },
      core::Callback<void()>::to<&PartFile::on_opened>(this));
  if (!open_job_) {
    opened_->error = {.code = core::ErrorCode::LimitReached};
    pump_.schedule(core::Callback<void()>::to<&PartFile::on_opened>(this));
  }
}

void PartFile::on_opened() {
  open_job_ = {};
  if (opened_->kind == OpenedPart::Kind::Fresh || opened_->kind == OpenedPart::Kind::Resumed) {
    place_ = std::make_shared<PartPlace>(std::move(opened_->place));
    state_ = std::move(opened_->state);
    accepted_ = state_.present;
    bytes_ = accepted_.bytes_in(0, UINT64_MAX);
  }
  const core::Callback<void()> done = open_done_;
  done();
}

void PartFile::restart(PartState state, Done done) {
  state_ = std::move(state);
  accepted_.clear();
  bytes_ = 0;
  queue_.clear();
  begin(Operation::Restart, done);
  expect({}, {}, nullptr);
}

void PartFile::expect(std::vector<http::Digest> coming, std::vector<http::Digest> file, std::shared_ptr<const PieceHashes> pieces) {
  expected_ = std::move(coming);
  expected_of_file_.clear();
  mismatch_.clear();
  std::vector<http::Digest>& into = state_.unpacks ? expected_of_file_ : expected_;
  into.insert(into.end(), file.begin(), file.end());
  follower_.reset();
  pieces_.reset();
  rejected_.clear();
  checked_piece_ = 0;
  if (pieces && !state_.unpacks && state_.length && covers(*pieces, *state_.length)) {
    checked_piece_ = pieces->length;
    pieces_ = std::make_unique<PieceCheck>(loop_, offload_, place_, std::move(pieces), *state_.length,
                                           core::Callback<void()>::to<&PartFile::on_checked>(this));
    if (operation_ != Operation::Restart) pieces_->look(state_.present);
  }
  if (expected_.empty()) return;
  follower_ = std::make_unique<DigestFollower>(loop_, offload_, place_, expected_,
                                               core::Callback<void()>::to<&PartFile::on_hashed>(this));
  follow();
}

// Hashes what is there from the beginning on, and not before its pieces are known to be right.
void PartFile::follow() {
  if (!follower_ || operation_ == Operation::Restart) return;
  const uint64_t there = state_.present.end_from(0);
  follower_->follow(pieces_ ? std::min(there, pieces_->verified().end_from(0)) : there);
}

void PartFile::on_checked() {
  if (pieces_->error()) fail_with(*pieces_->error());
  const std::vector<http::ByteRange> wrong = pieces_->take_rejected();
  for (const http::ByteRange& piece : wrong) {
    take_back(piece);
    rejected_.push_back(piece);
  }
  pump();
  if (room_ && (!wrong.empty() || !is_checking())) room_();
}

void PartFile::rejected(std::vector<http::ByteRange>& ranges) {
  ranges.insert(ranges.end(), rejected_.begin(), rejected_.end());
  rejected_.clear();
}

bool PartFile::is_checking() const {
  return pieces_ && !error_ && (!rejected_.empty() || accepted_.bytes_in(0, UINT64_MAX) > pieces_->verified().bytes_in(0, UINT64_MAX));
}

void PartFile::distrust(http::ByteRange range) {
  cache::RangeSet doubtful;
  doubtful.add(range.first, range.last);
  if (pieces_) {
    for (const http::ByteRange& good : pieces_->verified().ranges()) doubtful.remove(good.first, good.last);
  }
  for (const http::ByteRange& rest : doubtful.ranges()) take_back(rest);
  if (!follower_ || doubtful.empty() || doubtful.ranges().front().first >= follower_->end()) return;
  follower_ = std::make_unique<DigestFollower>(loop_, offload_, place_, expected_,
                                               core::Callback<void()>::to<&PartFile::on_hashed>(this));
  follow();
}

// Not there any more, nor what of it is still to be written.
void PartFile::take_back(http::ByteRange range) {
  WriteBatch kept;
  for (auto& [offset, bytes] : queue_) {
    const uint64_t end = offset + bytes.size();
    if (end <= range.first || offset >= range.last) {
      kept.emplace_back(offset, std::move(bytes));
      continue;
    }
    if (offset < range.first) kept.emplace_back(offset, bytes.sub(0, range.first - offset));
    if (end > range.last) kept.emplace_back(range.last, bytes.sub(range.last - offset, end - range.last));
    unwritten_ -= std::min(end, range.last) - std::max(offset, range.first);
  }
  queue_ = std::move(kept);
  for (const std::unique_ptr<Write>& write : writes_) {
    if (!write) continue;
    for (const auto& [offset, bytes] : *write->batch) {
      const http::ByteRange both{std::max(offset, range.first), std::min(offset + bytes.size(), range.last)};
      if (both.first < both.last) write->taken_back.add(both.first, both.last);
    }
  }
  if (pieces_) pieces_->forget(range);
  bytes_ -= accepted_.bytes_in(range.first, range.last);
  accepted_.remove(range.first, range.last);
  state_.present.remove(range.first, range.last);
  set_dirty();
}

void PartFile::settle(Done done) { begin(Operation::Settle, done); }

void PartFile::commit(Done done) { begin(Operation::Commit, done); }

void PartFile::remove(Done done) {
  queue_.clear();
  begin(Operation::Remove, done);
}

void PartFile::begin(Operation operation, Done done) {
  operation_ = operation;
  done_ = done;
  running_done_ = {};
  save_timer_.stop();
  pump_.schedule(core::Callback<void()>::to<&PartFile::on_pump>(this));
}

// An operation waits until nothing else runs.
void PartFile::run_operation() {
  save_timer_.stop();
  running_ = std::exchange(operation_, Operation::None);
  running_done_ = std::exchange(done_, {});
  operation_result_ = std::make_shared<core::Result<void>>();
  if (running_ == Operation::Restart) {  // writes of the old version have ended by now
    state_.present.clear();
    unwritten_ = 0;
  }
  if (running_ == Operation::Commit && follower_) mismatch_ = follower_->verdict();
  if (error_ && (running_ == Operation::Restart || running_ == Operation::Commit)) {
    *operation_result_ = *error_;
    return on_operation_done();
  }
  if (running_ == Operation::Commit && !rejected_.empty() && mismatch_.empty()) {
    mismatch_ = "the bytes from " + std::to_string(rejected_.front().first) + " to " +
                std::to_string(rejected_.front().last) + " do not have their hash";
  }
  if (running_ == Operation::Commit && mismatch_.empty() && !state_.is_whole()) {
    *operation_result_ = core::Error{.code = core::ErrorCode::Internal};
    return on_operation_done();
  }
  if (running_ == Operation::Commit && !mismatch_.empty()) {
    *operation_result_ = core::Error{.code = core::ErrorCode::ContentMismatch};
    return on_operation_done();
  }
  if (running_ == Operation::Commit) length_ = *state_.length;
  if (running_ == Operation::Commit && state_.unpacks) {
    unpacker_ = std::make_unique<Unpacker>(loop_, offload_, place_, state_.content_encoding, *state_.length, expected_of_file_,
                                           core::Callback<void()>::to<&PartFile::on_unpacked>(this));
    return;
  }
  run_job();
}

void PartFile::on_unpacked() {
  if (unpacker_->error()) {
    *operation_result_ = *unpacker_->error();
    return on_operation_done();
  }
  mismatch_ = unpacker_->problem();
  if (!mismatch_.empty()) {
    *operation_result_ = core::Error{.code = core::ErrorCode::ContentMismatch};
    return on_operation_done();
  }
  length_ = unpacker_->length();
  run_job();
}

void PartFile::run_job() {
  auto plain = std::make_shared<core::Fd>(unpacker_ ? unpacker_->take_file() : core::Fd());
  const auto work = [plain, length = length_, operation = running_, place = place_, state = state_, result = operation_result_] {
    switch (operation) {
      case Operation::Restart:
        *result = restart_part(*place, state);
        if (*result && state.length) *result = reserve(*place, *state.length);
        return;
      case Operation::Settle: *result = save_state(*place, state); return;
      case Operation::Commit: *result = commit_part(*place, length, *plain); return;
      case Operation::Remove: return remove_part(*place);
      case Operation::None: return;
    }
  };
  operation_job_ = offload_.submit(loop_, work, core::Callback<void()>::to<&PartFile::on_operation_done>(this));
  if (operation_job_) return;
  *operation_result_ = core::Error{.code = core::ErrorCode::LimitReached};
  on_operation_done();
}

void PartFile::on_operation_done() {
  operation_job_ = {};
  unpacker_.reset();
  running_ = Operation::None;
  const core::Result<void> result = *operation_result_;
  if (operation_ != Operation::None) pump_.schedule(core::Callback<void()>::to<&PartFile::on_pump>(this));
  const Done done = std::exchange(running_done_, {});
  if (done) done(result);
}

// --- bytes ---

void PartFile::write(uint64_t offset, core::Slice bytes) {
  if (error_ || bytes.empty()) return;
  const uint64_t last = offset + bytes.size();
  accepted_.for_each_gap(offset, last, [&](uint64_t from, uint64_t to) {
    queue_.emplace_back(from, bytes.sub(from - offset, to - from));
    unwritten_ += to - from;
    bytes_ += to - from;
  });
  for (RateLimit* limit : limits_) limit->take(bytes.size(), loop_.now());
  accepted_.add(offset, last);
  if (unwritten_ >= kUnwritten) was_full_ = true;
  if (!pump_.is_scheduled()) pump_.schedule(core::Callback<void()>::to<&PartFile::on_pump>(this));
}

void PartFile::present(std::vector<http::ByteRange>& ranges) const {
  ranges.insert(ranges.end(), accepted_.ranges().begin(), accepted_.ranges().end());
}

void PartFile::finish(uint64_t length) { state_.length = length; }

// What may be taken now. Asked before every read, so the timer that ends a pause is set here.
uint64_t PartFile::room() const {
  if (error_ || unwritten_ >= kUnwritten) return 0;
  uint64_t room = kUnwritten - unwritten_;
  for (RateLimit* limit : limits_) {
    const uint64_t here = limit->room(loop_.now());
    room = std::min(room, here);
    if (here > 0 || rate_timer_.is_running()) continue;
    rate_timer_.start(limit->wait(loop_.now()), core::Callback<void()>::to<&PartFile::on_rate>(const_cast<PartFile*>(this)));
  }
  return room;
}

void PartFile::on_rate() {
  if (has_room() && room_) room_();
}

void PartFile::on_hashed() {
  if (follower_->error()) fail_with(*follower_->error());
  pump();
}

void PartFile::pump() {
  bool is_busy = static_cast<bool>(save_job_);
  // What is written where something was taken back must come after what is being written there now.
  const bool must_wait = std::any_of(std::begin(writes_), std::end(writes_), [](const std::unique_ptr<Write>& write) {
    return write && !write->taken_back.empty();
  });
  for (std::unique_ptr<Write>& write : writes_) {
    if (!write && !queue_.empty() && !error_ && running_ == Operation::None && !must_wait) start_write(write);
    is_busy = is_busy || write;
  }
  if (pieces_ && !error_) {
    if (operation_ != Operation::Restart) pieces_->look(state_.present);
    is_busy = is_busy || pieces_->is_busy();
  }
  if (follower_ && !error_) {
    follow();
    const bool is_awaited = operation_ == Operation::Commit && rejected_.empty() &&
                            follower_->position() < state_.present.end_from(0);
    is_busy = is_busy || is_awaited || (operation_ == Operation::Restart && follower_->is_busy());
  }
  if (operation_ != Operation::None && running_ == Operation::None && !is_busy && (queue_.empty() || error_)) run_operation();
}

void PartFile::start_write(std::unique_ptr<Write>& slot) {
  auto write = std::make_unique<Write>(*this);
  uint64_t size = 0;
  size_t count = 0;
  while (count < queue_.size() && size < kBatch) size += queue_[count++].second.size();
  write->batch->assign(std::make_move_iterator(queue_.begin()),
                       std::make_move_iterator(queue_.begin() + static_cast<std::ptrdiff_t>(count)));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
  write->job = offload_.submit(
      loop_, [place = place_, batch = write->batch, result = write->result] { *result = write_batch(*place, *batch); },
      core::Callback<void()>::to<&Write::on_done>(write.get()));
  if (!write->job) return fail_with({.code = core::ErrorCode::LimitReached});
  slot = std::move(write);
}

void PartFile::on_written() {
  for (std::unique_ptr<Write>& slot : writes_) {
    if (!slot || !slot->is_done) continue;
    const std::unique_ptr<Write> write = std::move(slot);
    if (!*write->result) {
      fail_with(write->result->error());
      continue;
    }
    for (const auto& [offset, bytes] : *write->batch) {
      write->taken_back.for_each_gap(offset, offset + bytes.size(),
                                     [this](uint64_t from, uint64_t to) { state_.present.add(from, to); });
      unwritten_ -= bytes.size();
    }
    set_dirty();
  }
  pump();
  if (was_full_ && unwritten_ < kUnwritten / 2) {
    was_full_ = false;
    if (has_room() && room_) room_();
  }
}

void PartFile::set_dirty() {
  dirty_ = true;
  if (!save_timer_.is_running() && !save_job_ && operation_ == Operation::None) {
    save_timer_.start(kSaveAfter, core::Callback<void()>::to<&PartFile::save>(this));
  }
}

void PartFile::save() {
  if (error_ || running_ != Operation::None || save_job_ || !state_.can_be_resumed()) return;
  dirty_ = false;
  save_result_ = std::make_shared<core::Result<void>>();
  save_job_ = offload_.submit(
      loop_, [place = place_, state = state_, result = save_result_] { *result = save_state(*place, state); },
      core::Callback<void()>::to<&PartFile::on_saved>(this));
}

void PartFile::on_saved() {
  save_job_ = {};
  if (!*save_result_) {
    fail_with(save_result_->error());
  } else if (dirty_) {
    set_dirty();
  }
  pump();
}

void PartFile::fail_with(core::Error error) {
  if (error_) return;
  error_ = error;
  queue_.clear();
  if (on_failed_) on_failed_();
}

}  // namespace tributary::fetch
