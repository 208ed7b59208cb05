// ResponseWriter: a response on its way to a client over HTTP/1.1: head, content, trailers, with back-pressure.
//
// It pulls: a source is read only while the client's socket takes bytes, so a slow client holds at most one part. The head
// and the first part leave in one system call (writev, or MSG_MORE before sendfile). File parts go by sendfile.
//
//   Idle ──begin──> Writing ──all sent──> Idle          (Progress::Done)
//                     │  └──source or socket failed──>  Failed
//                     └──no room, or nothing to send──> Parked: pump() again when writable or when the source is ready
//
// Loop-affine; it belongs to one session and uses that session's stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/slice.h"
#include "http/body.h"
#include "http/message.h"
#include "net/stream.h"

namespace tributary::proxy {

class ResponseWriter {
 public:
  enum class Progress : uint8_t { Done, Parked, Failed };

  // `ready`: called when the source may have more; the owner then calls pump().
  ResponseWriter(net::Stream& stream, core::Callback<void()> ready) : stream_(&stream), ready_(ready) {}

  // The stream may be replaced while idle (a session that hands its stream on).
  bool is_idle() const { return !active_; }

  // A head and content that lies in memory: one writev when the socket has room. Neither is copied but for what did not
  // go out at once.
  Progress write(std::string_view head, const core::Slice& content);

  // A head, and content from `source` framed as `framing` says (Length, Chunked or UntilClose; None: the head alone).
  // The writer owns the source until it is done.
  Progress begin(std::string_view head, std::unique_ptr<http::BodySource> source, http::BodyFraming framing);

  // An interim response (1xx), before the final head.
  Progress write_interim(std::string_view head) { return write(head, {}); }

  // Goes on. One burst of at most kBurst bytes, then others have their turn.
  Progress pump();

  // Gives the source up, and what is queued.
  void reset();

  // Of this response since begin() or write(), head included.
  uint64_t bytes_sent() const { return sent_; }
  // Why it failed: Side::Client for the socket, the source's error otherwise.
  const core::Error& error() const { return error_; }
  // Waits for the client rather than for the source.
  bool is_blocked_by_client() const { return active_ && waits_for_client_; }

  static constexpr uint64_t kBurst = 1 << 20;
  static constexpr uint64_t kPart = 256 << 10;

 private:
  Progress flush(uint64_t& budget);
  Progress fail(core::Error error);
  Progress park(bool for_client);
  Progress done();
  void enqueue(core::Slice bytes);
  bool take_part(http::BodyPart part);
  void finish_content();

  net::Stream* stream_;
  core::Callback<void()> ready_;
  std::unique_ptr<http::BodySource> source_;
  std::vector<http::BodyPart> queue_;  // not yet sent, in order
  http::BodyFraming framing_;
  uint64_t remaining_ = 0;  // of a declared length
  uint64_t sent_ = 0;
  core::Error error_;
  bool active_ = false;
  bool ended_ = false;  // the source has said End
  bool waits_for_client_ = false;
};

}  // namespace tributary::proxy
