// Body: the content behind a BodyView, as the store itself sees it: bytes in memory, or pieces in slots.
//
//   content   0          P          2P         3P      length       P: piece_size
//             [ piece 0 ][ piece 1 ][ piece 2 ][ piece 3 ]          a slot each; the last may have a smaller one
//   present   [==========)     [====)                               RangeSet; grows as bytes reach the page cache
//
// A body of at most 64 KiB has no pieces: its bytes are `memory`. One of unknown length begins in memory and moves to
// pieces when it grows; what memory held stays readable there until it is whole.
//
// Transient: a body whose length was not declared and that grew past what may be stored. It is streamed through its slots:
// pieces that every reader is past, and that no part handed out still shows, are freed as it goes; nobody new may begin.
//
// Slots: a body frees its slots when the last reference goes, except those that a committed record names (Piece::indexed),
// which are the index's until the record is deleted; then the body, if it still lives, becomes their owner again
// (orphan()). So evicting an object never pulls the bytes from under a reader.
//
// After an unclean end pieces are `unverified` until somebody held them against their checksum (prove). One that is
// damaged is dropped: its range is missing from then on, its slot goes back when the record that names it is replaced.
//
// Any thread, under one mutex a body that is held for list work only. A whole body is immutable and read without it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/body.h"
#include "cache/range_set.h"
#include "cache/record.h"
#include "cache/segment_store.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/slice.h"

namespace tributary::cache {

class Body;
struct BodyHome;

struct Piece {
  Slot slot;
  bool allocated = false;
  bool renewed = false;     // the slot's pages are this piece's (SegmentStore::renew); the writer's
  bool whole = false;       // every byte is there and `checksum` is right
  bool indexed = false;     // named by a committed record
  uint32_t pins = 0;        // parts handed out while it could become transient
  uint32_t length = 0;      // once whole
  uint64_t checksum = 0;    // once whole
  bool unverified = false;                     // to be held against `checksum` before use; under the body's lock
  std::atomic<uint32_t> resident_until{0};     // second of the loops' clock up to which the page cache surely holds it
};

// A reader's place in the list of a body; a member of ObjectReader.
struct BodyReader {
  static constexpr uint64_t kNowhere = UINT64_MAX;
  explicit BodyReader(core::Loop& its_loop) : loop(its_loop), wake(its_loop) {}
  core::Loop& loop;
  core::Callback<void()> on_wake;
  core::Deferred wake;                           // for a writer on the same loop
  std::optional<core::RemoteWaker> remote;       // for one on another
  uint64_t position = 0;                         // under the body's lock
  uint64_t last = kNowhere;                      // it reads no further
  uint64_t waiting_at = kNowhere;                // under the body's lock
};

// Pieces whose addresses stay. Nothing is allocated while it is empty, as in most bodies: an empty std::deque takes 600 bytes.
class PieceList {
 public:
  bool empty() const { return pieces_.empty(); }
  size_t size() const { return pieces_.size(); }
  Piece& operator[](size_t i) { return *pieces_[i]; }
  const Piece& operator[](size_t i) const { return *pieces_[i]; }
  Piece& emplace_back() { return *pieces_.emplace_back(std::make_unique<Piece>()); }

 private:
  std::vector<std::unique_ptr<Piece>> pieces_;
};

// Shared: objects, readers and jobs hold it; the last one to go frees its slots.
class Body final : public BodyView {
 public:
  // Gap: it is not there, and nobody is filling it.
  enum class Look : uint8_t { Bytes, File, Wait, End, Gap, Failed };
  struct View {
    core::Slice bytes;
    Piece* piece = nullptr;
    Slot slot;                // of the piece, which may get another while it is
    bool unverified = false;  // the piece is to be proved first
    uint64_t last = 0;    // [position, last) is there, in memory or in that piece; Gap: it is all missing
    bool pinned = false;  // the piece is to be given back with unpin()
  };
  // A piece to be held against its checksum.
  struct Unproven {
    uint64_t index = 0;
    Slot slot;
    uint32_t length = 0;
    uint64_t checksum = 0;
  };
  enum class Proof : uint8_t {
    Settled,  // it is right, or somebody else has seen to it
    Dropped,  // the piece is gone; there are others
    Nothing,  // the piece is gone, and it was the last
  };

  // A body to be filled. `length`: declared, or not known.
  Body(std::shared_ptr<BodyHome> home, std::optional<uint64_t> length);
  // A whole one in memory.
  Body(std::shared_ptr<BodyHome> home, core::Slice content);
  // One that the index knows; `unverified`: its pieces are to be checked.
  Body(std::shared_ptr<BodyHome> home, const Record& record, bool unverified);
  ~Body() override;
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  bool has(uint64_t first, uint64_t last) const override;
  bool is_proven(uint64_t first, uint64_t last) const override;
  void present(std::vector<http::ByteRange>& ranges) const override;

  // Readers.
  void attach(BodyReader& reader);
  void detach(BodyReader& reader);
  // What is there at reader.position + …; Wait has noted the reader, to be woken once.
  Look look(BodyReader& reader, uint64_t position, View& view);
  void unpin(Piece& piece);
  core::Error error() const;
  // The first piece of [first, last) that is to be proved; none when there is none.
  std::optional<Unproven> unproven(uint64_t first, uint64_t last) const;
  // What came of it. Offload threads.
  Proof prove(const Unproven& piece, bool is_right);
  const core::Slice* memory_content() const { return is_whole() && pieces_.empty() ? &memory_ : nullptr; }
  // Whole bodies: the piece that holds `position`, if any does.
  Piece* piece_at(uint64_t position) {
    const uint64_t index = piece_size_ ? position / piece_size_ : 0;
    return is_whole() && index < pieces_.size() ? &pieces_[index] : nullptr;
  }
  SegmentStore& segments() const;
  uint64_t piece_size() const override { return piece_size_; }

  // The writer (one at a time, cache/fill.cc).
  bool begin_filling(core::Loop& loop);  // partial -> filling; false when it is not partial
  void set_writer(core::Loop& loop) { writer_loop_ = &loop; }
  void append_memory(uint64_t offset, std::string_view bytes);
  core::Slice memory_block() const;           // what append_memory gathered; where it is present
  void use_pieces(uint64_t piece_size);
  Piece& piece(uint64_t index);               // makes those up to it; the address is stable
  void set_slot(Piece& piece, Slot slot);
  void piece_done(Piece& piece, uint32_t length, uint64_t checksum);
  void publish(uint64_t first, uint64_t last, uint32_t resident_until);
  void set_length(uint64_t length);
  bool complete();                            // everything is there; false when it failed, or lost a piece, meanwhile
  void give_up(core::Error error, bool keep_partial);
  void fail(core::Error error);               // any thread: nothing of it is to be used any more
  void wanted(std::vector<uint64_t>& offsets) const;
  // What the readers came for since it is being filled, in whole pieces; `more` is woken when that grows.
  void asked(std::vector<http::ByteRange>& ranges) const;
  void watch_asked(core::RemoteWaker::Handle more);
  // `progress` is woken when readers get on. Whole pieces only from here on.
  void go_transient(core::RemoteWaker::Handle progress);
  // Frees what all readers are past; the position of the slowest (UINT64_MAX without readers).
  uint64_t release_read();

  // The index (writer thread; loaders).
  uint64_t id() const { return id_.load(std::memory_order_acquire); }
  void set_id(uint64_t id);
  // Fills place, length and pieces of `record` with what is whole; false when there is nothing worth a record.
  bool describe(Record& record) const;
  void mark_indexed(const Record& record);
  // The record that named these slots is gone: they are this body's again. Those that are none of its pieces' (any more)
  // stay in `slots`: the caller frees them.
  void orphan(std::vector<Slot>& slots);
  size_t memory_cost() const;

 private:
  friend class LiveBodies;
  void wake_readers(uint64_t first, uint64_t last);
  void note_asked(const BodyReader& reader);
  BodyPhase whole_phase() const { return unproven_ == 0 ? BodyPhase::Whole : BodyPhase::Unproven; }

  const std::shared_ptr<BodyHome> home_;
  mutable std::mutex mutex_;
  core::Loop* writer_loop_ = nullptr;
  core::Slice memory_;          // of memory_capacity bytes while filling, exactly the content when whole
  uint64_t memory_size_ = 0;    // bytes [0, memory_size_) may be read from memory_, where present
  RangeSet present_;
  uint64_t piece_size_ = 0;
  PieceList pieces_;
  std::vector<BodyReader*> readers_;
  bool transient_ = false;
  uint64_t released_ = 0;       // content before it is gone
  size_t unproven_ = 0;         // whole pieces that are unverified
  core::RemoteWaker::Handle progress_;
  RangeSet asked_;
  core::RemoteWaker::Handle asked_more_;
  core::Error error_;
  std::atomic<uint64_t> id_{0};
  bool registered_ = false;     // in LiveBodies; set before anybody else sees the body's id
};

// The bodies in pieces that somebody holds, by body id: so that two loads of a record share one body, and whoever deletes
// the record finds it. Any thread; a mutex, large objects only.
class LiveBodies {
 public:
  std::shared_ptr<Body> find(uint64_t id) const;
  // The body registered for `id`, or `body`, which then is.
  std::shared_ptr<Body> share(uint64_t id, std::shared_ptr<Body> body);
  void forget(uint64_t id);  // from ~Body

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::weak_ptr<Body>> bodies_;
};

// What a body needs to the last: a response that is being sent may outlive the store itself at shutdown.
struct BodyHome {
  template <class... Args>
  explicit BodyHome(Args&&... args) : segments(std::forward<Args>(args)...) {}
  SegmentStore segments;
  LiveBodies live;
};

inline SegmentStore& Body::segments() const { return home_->segments; }

}  // namespace tributary::cache
