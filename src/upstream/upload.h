// Upload: what an exchange sends: the request head, then its content, framed. Loop-affine, owned by the exchange.
//
//   None ─────────────────────────────► Done         no content
//   AwaitContinue ─► Sending ─► Done                 100 (Continue) came, or was not waited for any longer
//        └──────────────┴─────► Stopped              the response is over, or nobody reads us any more
//
// Nothing is buffered beyond one part of the source: who cannot write does not read.
#pragma once

#include <sys/uio.h>

#include <optional>
#include <string>

#include "core/fsm.h"
#include "http/body.h"
#include "http/h1.h"
#include "upstream/connection.h"

namespace tributary::upstream {

enum class UploadState : uint8_t { None, AwaitContinue, Sending, Done, Stopped };
inline constexpr core::Edge<UploadState> kUploadEdges[] = {
    {UploadState::None, UploadState::Done},           // no content
    {UploadState::None, UploadState::AwaitContinue},  // Expect: 100-continue
    {UploadState::None, UploadState::Sending},
    {UploadState::AwaitContinue, UploadState::Sending},
    {UploadState::AwaitContinue, UploadState::Stopped},
    {UploadState::Sending, UploadState::Done},
    {UploadState::Sending, UploadState::Stopped},
    {UploadState::Done, UploadState::Stopped},
};

class Upload {
 public:
  enum class Step : uint8_t {
    Sent,          // everything is on its way, or what may be sent now is
    WaitForBody,   // the source will call its ready callback
    WaitForWrite,  // the socket is full
    BodyFailed,    // error(): the source failed
    Broken,        // the connection takes nothing more; what it has to say may still be read
    Again,         // there is more, let others run first
  };
  static constexpr uint64_t kPartSize = 256 * 1024;
  static constexpr int kBurst = 8;  // writes at a time

  // Serialises the head into `wire` (its memory is used). `body` may be null.
  Upload(const http::RequestHead& head, http::BodySource* body, std::string wire);
  ~Upload() { stop(); }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Sends as much as goes.
  Step send(Connection& connection);
  // Content may follow although the head asked for 100 (Continue).
  void go_on();
  // Sends no more, and leaves the source alone.
  void stop();
  // From the beginning, on another connection. Only when can_restart().
  void restart();

  void set_body_ready(core::Callback<void()> ready) {
    if (body_) body_->set_ready(ready);
  }
  UploadState state() const { return state_.get(); }
  bool is_complete() const { return state_.is(UploadState::Done) && first_ == count_; }
  bool is_waiting_for_continue() const { return state_.is(UploadState::AwaitContinue) && first_ == count_; }
  bool can_restart() const { return !body_begun_; }
  bool nothing_sent() const { return !anything_sent_; }
  core::Error error() const { return error_; }
  std::string take_wire() { return std::move(wire_); }

 private:
  enum class Fill : uint8_t { Ready, Nothing, Wait, Failed };
  Fill fill();
  void push(const char* data, size_t size);
  void consume(size_t n);

  http::BodySource* body_;
  core::Machine<UploadState> state_{UploadState::None, kUploadEdges};
  bool is_chunked_ = false;
  bool expects_continue_ = false;
  bool body_begun_ = false;
  bool anything_sent_ = false;
  bool broken_ = false;
  std::optional<uint64_t> due_;  // bytes that the declared length still asks for
  core::Error error_;
  std::string wire_;        // the head
  std::string tail_;        // last chunk and trailers
  http::BodyPart part_;     // being sent
  char chunk_header_[http::kChunkHeaderMax];
  iovec out_[4];            // what is to be written next
  int first_ = 0, count_ = 0;
};

}  // namespace tributary::upstream
