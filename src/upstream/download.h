// Download: brings one representation into an http::RangeSink, over one connection or, where it pays, over several at
// once with range requests, as the Planner says. Loop-affine.
//
//   download_ = std::make_unique<Download>(client, accelerate, request, sink, done);
//   download_->start(std::move(exchange));      // its 200 or 206 head has arrived, nothing of its content was read
//   download_->start_cold();                    // or: nothing runs yet, complete a partial object
//
// Never mixes (design.md, "What must always hold", 2): every further response must be a 206 with exactly the range asked
// for (its end may be clipped), the same total length, validator and Content-Encoding; else nothing of it is used.
// When the object turns out to have changed, the original response, which is one version by itself, goes on alone if it can
// bring every byte that is missing; if it cannot, sink.fail(ContentMismatch).
//
// Several sources: each has a validator of its own, and its first answer must agree in length, coding and digest
// (judge_source). A source that changes, or whose pieces the sink rejects, is dropped, and what it brought and nobody checked
// is fetched again from others. Whether sources have the same bytes somebody else vouches for: see docs/decisions/0011.
//
// When the download is over the sink has been told so (finish or fail) and `done` runs, once, on a stack of its own; it
// may destroy the Download. With a scope smaller than the object, and gaps left outside it, the sink is told nothing
// on success: its owner decides. Destroying a Download cancels it at once and tells the sink nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/metrics.h"
#include "http/message.h"
#include "http/range_sink.h"
#include "upstream/client.h"
#include "upstream/exchange.h"
#include "upstream/representation.h"
#include "upstream/trail.h"
#include "upstream/settings.h"

namespace tributary::upstream {

struct DownloadRequest {
  Origin origin;
  http::RequestHead head;          // the original request; Range and If-Range are replaced in further ones
  net::AddressFilter filter{};
  Representation representation;   // of the response that start() is given; for start_cold: of the stored object
  // Fetch no more than this (of what the sink has not got yet), and what the sink is asked for while it is running; none:
  // all. The response given to start() may bring more, then it is given up where the scope ends.
  std::optional<http::ByteRange> scope{};
  // Called with the head of every further request before it is sent, for what must be new each time (credentials).
  core::Callback<void(http::RequestHead&)> prepare{};

  // Where sources are asked; outlives the download. The first is asked at `origin` with `head` until that place expires (a
  // redirect, or 401, 403, 404, 410 where a redirect had led). Null: there is the first alone, and no redirect is followed.
  TrailMaker* trails = nullptr;
  size_t more_sources = 0;     // of the same bytes, as somebody vouches; numbered from 1
  bool is_redirected = false;  // a redirect led to `origin` and `head`
  std::vector<http::Digest> digests{};  // what the whole is to be; a source that says another one is not used
  uint64_t checked_piece = 0;  // bytes; the sink checks pieces of this length, so they are fetched from one source each; 0: it does not
};

class Download {
 public:
  enum class Outcome : uint8_t {
    Running,
    Finished,
    Failed,
    Changed,  // failed, the origin has another version
    Wrong,    // failed, the sink rejected what came and nobody is left to ask
  };

  // All given references outlive it, but for the sink once it was told finish or fail. The sink is written to only while the loop runs this download's callbacks.
  Download(Client& client, const AccelerateSettings& settings, DownloadRequest request, http::RangeSink& sink,
           core::Callback<void()> done);
  ~Download();
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  // One of them, once. Neither calls the sink's write, finish or fail before it returns. start_cold fails with
  // InvalidArgument unless the method is GET and the representation can be joined.
  void start(std::unique_ptr<Exchange> exchange);
  void start_cold();

  Outcome outcome() const;
  core::Error error() const;  // of Failed and Changed

  // For the admin page.
  struct Snapshot {
    std::string origin, target;
    std::optional<uint64_t> length;
    uint64_t fetched = 0;  // bytes by this download
    double rate = 0;       // bytes/s, 0 when it is not split
    struct Fetch {
      http::ByteRange range;
      uint64_t position = 0;
    };
    std::vector<Fetch> fetches;
  };
  Snapshot snapshot() const;
  // What came from others than the first source and is still counted on.
  std::vector<http::ByteRange> brought_by_others() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::upstream
