// Fill: the one writer of an object's body; any number of ObjectReaders on any worker follow it.
//
//   upstream --write(offset, bytes)--> Fill --(<= 64 KiB: memory | else: blocks, pwrite on the offload pool)--> Body
//                                                                                            |  wakes
//                                                            ObjectReader on worker 1, 2, … <-+
//
// A body of at most 64 KiB stays in memory and costs no job; a larger one goes in pieces into slots of segment files
// (cache/segment_store.h). Bytes become readable when they are in the page cache. Bytes in flight are bounded a fill
// (kMaxInFlight); has_room() turns false beyond it, and while slots are being made free.
//
// Made by WorkerCache::start_fill or resume_fill. Loop-affine. Destroying it before finish() means fail(Cancelled).
// After finish() it may be destroyed at once; what is in flight completes by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cache/object.h"
#include "core/loop.h"
#include "http/range_sink.h"

namespace tributary::cache {

class Store;
class FillState;

class Fill final : public http::RangeSink {
 public:
  static constexpr size_t kMaxInFlight = 4 << 20;

  ~Fill() override;

  // What is being filled; already published, unless start_fill was told otherwise.
  const ObjectRef& object() const { return object_; }

  // http::RangeSink. write() after finish() or fail() is dropped. finish() with bytes missing is fail(IncompleteMessage).
  // fail() keeps whole pieces as a partial object when the response has a strong validator and its length is known
  // (to be completed under If-Range later); otherwise the object is dead.
  void write(uint64_t offset, core::Slice bytes) override;
  bool has_room() const override;
  void set_room_callback(core::Callback<void()> room) override;
  void wanted(std::vector<uint64_t>& offsets) const override;
  void asked(std::vector<http::ByteRange>& ranges) override;
  void present(std::vector<http::ByteRange>& ranges) const override;
  void finish(uint64_t length) override;
  void fail(core::Error error) override;

  // The representation changed at the origin: nothing of this body may be used again, not even in part.
  void discard(core::Error error);

 private:
  friend class WorkerCache;
  Fill(std::shared_ptr<FillState> state, ObjectRef object);

  std::shared_ptr<FillState> state_;
  ObjectRef object_;
};

}  // namespace tributary::cache
