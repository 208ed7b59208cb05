// Where a fetch puts the bytes of one representation: in any order when it is split, in order when it is not.
// The cache's fill implements it (cache/fill.h), upstream's download feeds it (upstream/download.h); neither knows the other.
// Loop-affine to the worker that runs the fetch.
#pragma once

#include <cstdint>
#include <vector>

#include "core/callback.h"
#include "core/error.h"
#include "core/slice.h"

namespace tributary::http {

// A stretch of a representation, [first, last): half open, in bytes.
struct ByteRange {
  uint64_t first = 0, last = 0;
  uint64_t size() const { return last - first; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

class RangeSink {
 public:
  virtual ~RangeSink() = default;

  // Takes bytes for `offset`. Always takes them; has_room() says whether to go on. Bytes already present are dropped.
  virtual void write(uint64_t offset, core::Slice bytes) = 0;

  // Whether writing on is welcome. After false the writer stops reading from its connections until `room` is called.
  virtual bool has_room() const = 0;
  // How many bytes at a time are welcome while there is room. More are taken all the same.
  virtual uint64_t room() const { return UINT64_MAX; }
  virtual void set_room_callback(core::Callback<void()> room) = 0;

  // The offsets readers are waiting at or reading from, nearest first; pieces near them are fetched first.
  virtual void wanted(std::vector<uint64_t>& offsets) const = 0;

  // What is wanted of an object that is not fetched whole: what somebody asked for since this sink began, in order, disjoint;
  // appended. It only grows, and the room callback runs when it has grown. Nothing: all that the fetch brings anyhow.
  virtual void asked(std::vector<ByteRange>& ranges) { (void)ranges; }

  // What is there already (a partial object that is being completed), in order, disjoint.
  virtual void present(std::vector<ByteRange>& ranges) const = 0;

  // For sinks that check what comes while it comes (hashes of pieces).
  // Stretches that were written and are wrong, appended, each told once: they are not present any more. The room callback
  // runs when there are some.
  virtual void rejected(std::vector<ByteRange>& ranges) { (void)ranges; }
  // Some of what was written may still be rejected.
  virtual bool is_checking() const { return false; }
  // What was written there is not to be trusted: but for what was checked, it is not present any more.
  virtual void distrust(ByteRange range) { (void)range; }

  // The end of the content, called once. `length` is the true length (it becomes known here when the message was chunked).
  virtual void finish(uint64_t length) = 0;
  // Nothing more comes. Readers that need bytes which are not there fail with `error`.
  virtual void fail(core::Error error) = 0;
};

}  // namespace tributary::http
