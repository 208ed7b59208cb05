// FillState: a Fill's machinery; lives on until what is in flight has ended, also when the Fill is gone.
//
//   open ──finish──> finishing ──all pieces written──> done: body whole, object to the writer
//     └────fail────> failing ───no job in flight─────> done: body partial (kept) or failed (removed)
//
// A body that outgrows max_object (only one of undeclared length can) becomes transient: streamed to the readers it has,
// through a window of slots, and stored nowhere.
//
// Each piece that is being filled has a PieceWriter with at most one job in flight, so writes of a piece stay in order and
// its checksum is computed as they happen; what comes meanwhile gathers, and goes out as the next job: small writes become
// large ones exactly when the disk is the slower side. Loop-affine.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cache/hash.h"
#include "cache/object.h"
#include "cache/pieces.h"
#include "cache/range_set.h"
#include "core/fsm.h"
#include "core/loop.h"
#include "core/offload.h"

namespace tributary::cache {

class FillState;
class StoreCore;

enum class FillPhase : uint8_t { Open, Finishing, Failing, Done };
inline constexpr core::Edge<FillPhase> kFillEdges[] = {
    {FillPhase::Open, FillPhase::Finishing},    {FillPhase::Open, FillPhase::Failing},
    {FillPhase::Finishing, FillPhase::Failing},  // a write failed after the last byte had come
    {FillPhase::Finishing, FillPhase::Done},    {FillPhase::Failing, FillPhase::Done},
};

// The states of one worker that are not done; the worker's cache ends them when it ends.
struct FillList {
  FillState* first = nullptr;
};

class FillState : public std::enable_shared_from_this<FillState> {
 public:
  // `object` is published and its node pinned; `resumed`: it was partial, and the index may know it.
  FillState(StoreCore& core, core::Loop& loop, FillList& list, Hash128 hash, ObjectRef object, bool resumed);
  ~FillState();
  FillState(const FillState&) = delete;
  FillState& operator=(const FillState&) = delete;

  void write(uint64_t offset, core::Slice bytes);
  bool has_room() const;
  void set_room(core::Callback<void()> room) { room_ = room; }
  void asked(std::vector<http::ByteRange>& ranges);
  void finish(uint64_t length);
  void fail(core::Error error, bool keep);
  // The Fill is gone: what was not finished will not be.
  void fail_if_open(core::Error error) {
    if (phase_.is(FillPhase::Open)) fail(error, true);
  }
  // It was not published after all.
  void refuse() {
    phase_.become(FillPhase::Failing);
    done();
  }
  // The worker ends: what is in flight is not waited for.
  void abandon();

  Body& body() const { return *body_; }
  const RangeSet& accepted() const { return accepted_; }
  static uint64_t piece_size_for(std::optional<uint64_t> length);

 private:
  struct Pending {
    uint64_t offset = 0;  // in the content
    core::Slice bytes;
  };
  struct Batch;
  struct PieceWriter {
    FillState* fill = nullptr;
    uint64_t index = 0;
    Piece* piece = nullptr;
    std::vector<Pending> pending;
    core::BlockRef gather;      // small writes are copied together here
    uint64_t gather_offset = 0;
    size_t gather_used = 0;
    core::Job job;
    std::shared_ptr<Batch> batch;         // in flight
    std::vector<http::ByteRange> ranges;  // that it writes
    std::shared_ptr<Checksum> sum;
    uint64_t summed = 0;        // bytes of the piece that are in `sum`
    void on_done() { fill->on_written(*this); }
  };

  bool reserve(uint64_t bytes);
  void take(uint64_t first, core::Slice bytes);
  void to_piece(PieceWriter& writer, uint64_t offset, core::Slice bytes);
  PieceWriter& piece_writer(uint64_t index);
  void flush_gather(PieceWriter& writer);
  void kick(PieceWriter& writer);
  void kick_all();
  void go_on();
  void on_written(PieceWriter& writer);
  void leave_memory();
  void checkpoint();
  bool is_keepable() const;
  ObjectRef holder() const;
  void go_transient();
  void on_progress();
  void on_asked() {
    if (room_) room_();
  }
  void signal_room();
  bool all_of_piece(uint64_t index) const;
  uint64_t piece_end(uint64_t index) const;
  void count_in_flight(int64_t bytes);
  void storage_failed(core::Error error);
  void drop_pending();
  void unlink();
  void conclude();
  void done();

  StoreCore& core_;
  core::Loop& loop_;
  FillList& list_;
  FillState* next_ = nullptr;
  FillState** link_ = nullptr;
  const Hash128 hash_;
  const ObjectRef object_;
  const std::shared_ptr<Body> body_;
  core::Machine<FillPhase> phase_{FillPhase::Open, kFillEdges};
  RangeSet accepted_;  // there, or in flight
  bool in_pieces_ = false;
  bool in_index_ = false;  // a record names the body: resumed, or a checkpoint was made
  bool keep_ = false;
  bool transient_ = false;
  mutable bool room_wanted_ = false;
  uint64_t in_flight_ = 0;
  uint64_t reserved_ = 0;
  core::Error error_;
  core::Callback<void()> room_;
  std::map<uint64_t, std::unique_ptr<PieceWriter>> writers_;
  std::optional<core::RemoteWaker> slots_;  // room for slots was made
  std::optional<core::RemoteWaker> progress_;  // transient: readers got on
  std::optional<core::RemoteWaker> asked_;     // readers want more
  uint64_t window_first_ = 0;               // transient: where the slowest reader was last
  uint64_t end_ = 0;                        // of what was accepted
  core::Timer retry_;                       // the offload queue was full
  core::Timer checkpoint_;                  // pieces are whole that no record names
  std::shared_ptr<FillState> self_;         // while a job is in flight, or the end is not reached
};

}  // namespace tributary::cache
