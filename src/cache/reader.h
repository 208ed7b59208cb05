// ObjectReader: the content [first, last) of an object as a BodySource, whether it lies in memory, in segment files or is
// still arriving.
//
// File parts are in the page cache when they are handed out: just written, or found resident (cachestat, or
// preadv2(RWF_NOWAIT)); otherwise the offload pool reads them first, and read() says Wait. After an unclean start the
// first read of every piece checks its checksum there. So sendfile never waits for a disk on the loop.
//
// What is not there (of a partial object, or of a piece that proved damaged a moment ago) is a gap: the gap callback is asked
// to have it filled, and the reader waits for that. A reader never sees a clean End before byte `last`: when the fill
// fails, or nobody fills a gap, read() says Failed.
// Loop-affine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cache/object.h"
#include "core/loop.h"
#include "core/offload.h"
#include "http/body.h"
#include "http/range_sink.h"

namespace tributary::cache {

class Store;

class ObjectReader final : public http::BodySource {
 public:
  static constexpr uint64_t kToEnd = UINT64_MAX;  // to the end of the content, which need not be known yet

  ObjectReader(Store& store, core::Loop& loop, ObjectRef object, uint64_t first = 0, uint64_t last = kToEnd);
  ~ObjectReader() override;

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override;
  void set_ready(core::Callback<void()> ready) override;
  std::optional<uint64_t> remaining() const override;
  core::Error error() const override;

  // `gap`: nobody fills this range, which begins where we are. True: it will be filled, or fails, from now on. Called from
  // inside read(), twice at most for a place.
  void set_gap(core::Callback<bool(const ObjectRef&, http::ByteRange)> gap);

  const ObjectRef& object() const { return object_; }

 private:
  struct State;
  ObjectRef object_;
  std::unique_ptr<State> state_;
};

}  // namespace tributary::cache
