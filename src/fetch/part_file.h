// PartFile: FILE.part of one download as the sink of its bytes, in any order, and the FILE that it becomes. Loop-affine;
// every file call is a job on the offload pool (part_io.h).
//
//   open ──► write… ──► commit   FILE is there, whole
//             │   └───► settle   what came is on the disk and listed in FILE.part.json: -c finishes it
//             └───────► restart  another version: nothing of the old one stays
//
// What came is written in batches; has_room() is false while more than kUnwritten wait for the disk. The state file follows
// twice a second while bytes come. A failure of the disk is told once, through on_failed, and nothing is written any more.
//
// Operations (open, restart, settle, commit, remove) run one at a time, after the writes that were there before; each calls `done`
// once, never from inside the call; one that is begun while another runs takes its place, whose `done` does not come then. Destroying the PartFile ends everything; jobs that run finish on their own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/range_set.h"
#include "core/loop.h"
#include "core/offload.h"
#include "fetch/digest_follower.h"
#include "fetch/part_io.h"
#include "fetch/piece_check.h"
#include "fetch/rate_limit.h"
#include "fetch/unpacker.h"
#include "http/range_sink.h"

namespace tributary::fetch {

class PartFile final : public http::RangeSink {
 public:
  using Done = core::Callback<void(core::Result<void>)>;

  static constexpr uint64_t kUnwritten = 8 << 20;  // bytes
  static constexpr uint64_t kBatch = 2 << 20;      // bytes of one write job
  static constexpr unsigned kWriters = 2;          // jobs at a time
  static constexpr core::Duration kSaveAfter = std::chrono::milliseconds(500);

  PartFile(core::Loop& loop, core::OffloadPool& offload, core::Callback<void()> on_failed);
  ~PartFile() override;

  // `done`: what was found is in opened(). Not after it succeeded.
  void open(OpenPart request, core::Callback<void()> done);
  // Once, after open's `done`: what came of it. A place in it is this object's already.
  const OpenedPart& opened() const { return *opened_; }
  bool is_open() const { return place_ != nullptr; }

  // Begins (again) with nothing there, for this version; its room is reserved.
  void restart(PartState state, Done done);
  void settle(Done done);
  // Everything must be there. With state().unpacks it is decoded first. ContentMismatch: it is not what the digests say, or cannot
  // be decoded; mismatch() says how.
  void commit(Done done);
  uint64_t length() const { return length_; }  // of FILE, after commit
  // FILE.part and its state go; nothing may follow.
  void remove(Done done);

  // What the whole and its pieces must be, checked while it comes. The whole as it comes, and as FILE, which is another thing when it is
  // decoded; pieces are FILE's. Those that are wrong are taken back and told through rejected(); null, also where the length is not
  // known or not that of the hashes, and where FILE is decoded: they are not checked. After open; a restart begins anew with other ones.
  void expect(std::vector<http::Digest> coming, std::vector<http::Digest> file, std::shared_ptr<const PieceHashes> pieces);
  const std::string& mismatch() const { return mismatch_; }
  uint64_t checked_piece() const { return checked_piece_; }  // bytes; 0: they are not checked

  // Writing is held back so that none of them is exceeded; they outlive this.
  void limit(std::vector<RateLimit*> limits) { limits_ = std::move(limits); }

  // Of the version that is there; its `present` is what the file has for sure.
  const PartState& state() const { return state_; }
  // The same with what came but is not written yet counted.
  const cache::RangeSet& accepted() const { return accepted_; }
  uint64_t bytes() const { return bytes_; }  // that are accepted
  const std::string& path() const { return place_->path; }  // of FILE; valid while open
  const std::optional<core::Error>& error() const { return error_; }

  void write(uint64_t offset, core::Slice bytes) override;
  bool has_room() const override { return room() > 0; }
  uint64_t room() const override;
  void set_room_callback(core::Callback<void()> room) override { room_ = room; }
  void wanted(std::vector<uint64_t>&) const override {}
  void present(std::vector<http::ByteRange>& ranges) const override;
  void finish(uint64_t length) override;
  void rejected(std::vector<http::ByteRange>& ranges) override;
  bool is_checking() const override;
  void distrust(http::ByteRange range) override;
  void fail(core::Error) override {}  // who drives the download knows

 private:
  struct Write;
  struct Task;
  enum class Operation : uint8_t { None, Restart, Settle, Commit, Remove };

  void begin(Operation operation, Done done);
  void pump();
  void run_operation();
  void start_write(std::unique_ptr<Write>& slot);
  void save();
  void fail_with(core::Error error);
  void set_dirty();

  void on_opened();
  void on_written();
  void on_saved();
  void on_operation_done();
  void on_pump() { pump(); }
  void on_hashed();
  void on_checked();
  void follow();
  void take_back(http::ByteRange range);
  void on_rate();
  void on_unpacked();
  void run_job();

  core::Loop& loop_;
  core::OffloadPool& offload_;
  const core::Callback<void()> on_failed_;
  core::Callback<void()> room_;

  std::shared_ptr<OpenedPart> opened_;
  core::Callback<void()> open_done_;
  core::Job open_job_;

  std::shared_ptr<PartPlace> place_;
  PartState state_;
  cache::RangeSet accepted_;
  uint64_t bytes_ = 0;
  uint64_t unwritten_ = 0;
  bool was_full_ = false;
  bool dirty_ = false;  // the state file lacks something
  std::optional<core::Error> error_;

  std::vector<http::Digest> expected_;
  std::unique_ptr<DigestFollower> follower_;  // while there is something to check
  std::unique_ptr<PieceCheck> pieces_;
  uint64_t checked_piece_ = 0;
  std::vector<http::ByteRange> rejected_;
  std::vector<http::Digest> expected_of_file_;  // checked by the unpacker
  std::unique_ptr<Unpacker> unpacker_;          // while FILE.part is decoded, and until FILE is there
  uint64_t length_ = 0;
  std::string mismatch_;
  std::vector<RateLimit*> limits_;
  mutable core::Timer rate_timer_;  // runs while a limit says that there is no room

  WriteBatch queue_;
  std::unique_ptr<Write> writes_[kWriters];
  std::shared_ptr<core::Result<void>> save_result_;
  core::Job save_job_;
  core::Timer save_timer_;

  Operation operation_ = Operation::None;  // that waits
  Done done_;
  Operation running_ = Operation::None;
  Done running_done_;
  std::shared_ptr<core::Result<void>> operation_result_;
  core::Job operation_job_;
  core::Deferred pump_;
};

}  // namespace tributary::fetch
