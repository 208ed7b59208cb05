// H1Parser: HTTP/1.1 and 1.0 messages from bytes, incrementally and strictly. Pulled: the caller
// asks for the next event and keeps what was not consumed, so a paused reader just stops asking.
//
//   http::H1Parser parser(http::H1Parser::Kind::Request, limits);
//   std::string_view input(buffer, n);
//   for (;;) switch (parser.next(input)) {
//     case Event::NeedMore: return;                  // input is empty now
//     case Event::Head:     route(parser.request(), parser.framing()); break;
//     case Event::Body:     feed(parser.body()); break;
//     case Event::Complete: if (parser.switched()) relay(input); else parser.reset(); break;
//     case Event::Error:    refuse(parser.error()); return;
//   }
//
// The head's field lines are parsed by llhttp in strict mode behind a gate of our own; start line,
// chunk framing and the framing decision (RFC 9112, 6.3) are ours, so that one place decides where
// a message ends. Refused, never repaired (V-1): bare CR or LF, obs-fold, space before a colon, NUL
// and controls, leading space, HTTP/0.9 and versions other than 1.0 and 1.1, missing or repeated
// Host, every doubtful Content-Length, Transfer-Encoding or chunk size. Up to two empty lines
// before a request line are skipped (RFC 9112, 2.2).
//
// Sans-I/O, loop-affine. An idle parser after release() holds no heap; sizeof is below 400 bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "core/error.h"
#include "http/message.h"

namespace tributary::http {

struct H1Limits {
  uint32_t header_size =
      64 * 1024;  // bytes of start line and fields together; of the trailer section likewise
  uint32_t header_count = 128;  // fields of a head; of the trailer section likewise
};

class H1Parser {
 public:
  enum class Kind : uint8_t { Request, Response };
  enum class Event : uint8_t {
    NeedMore,  // the input is consumed; more bytes are needed
    Head,  // request() or response() and framing() are there. After an interim response (1xx but
           // 101) go on: another Head follows
    Body,  // body() is a stretch of content
    Complete,  // the message is over; trailers() are there. reset() before the next one
    Error,     // error(); final
  };

  explicit H1Parser(Kind kind, H1Limits limits = {});
  ~H1Parser();
  H1Parser(const H1Parser&) = delete;
  H1Parser& operator=(const H1Parser&) = delete;

  // Takes bytes from the front of `input` until there is an event. Everything of `input` is
  // consumed at NeedMore; at Complete the rest belongs to the next message, or to the new protocol
  // when switched().
  Event next(std::string_view& input);

  // The peer ended its stream. Complete: that was the end of content read until close. NeedMore:
  // between messages, a clean end. Error: inside a message (IncompleteMessage).
  Event finish();

  // The request that a response answers: HEAD and CONNECT change how it ends. Call before next()
  // sees the response's head.
  void expect_response_to(Method method) { answered_ = method; }

  // The head, from Event::Head to reset(). The owner may move it out or edit it; the parser does
  // not look at it again.
  RequestHead& request() { return *std::get_if<RequestHead>(&head_); }
  const RequestHead& request() const { return *std::get_if<RequestHead>(&head_); }
  ResponseHead& response() { return *std::get_if<ResponseHead>(&head_); }
  const BodyFraming& framing() const { return framing_; }

  // Content found by the last Event::Body; a view of the input that was passed in.
  std::string_view body() const { return body_; }

  // After Complete: the trailer section without the fields that must not be in it
  // (is_forbidden_in_trailers); null when none came.
  const FieldSection* trailers() const { return trailers_.get(); }

  // The bytes that remain of a body with Content-Length; meaningful between Head and Complete.
  uint64_t remaining() const { return remaining_; }
  // After Complete: the connection speaks another protocol from here on (2xx to CONNECT, 101).
  bool switched() const { return framing_.kind == BodyKind::Tunnel && state_ == State::Complete; }
  // No byte of the next message was seen: closing here loses nothing.
  bool idle() const {
    return state_ == State::StartLine && !after_interim_ && (pending_.empty() || pending_taken_);
  }
  // Bytes of the head, start line to empty line, from Event::Head until trailers are read.
  uint32_t head_bytes() const { return head_bytes_; }

  const core::Error& error() const { return error_; }

  // Ready for the next message of the connection. Keeps memory for reuse.
  void reset();
  // As reset(), and gives all memory back: for connections that go idle.
  void release();

 private:
  enum class State : uint8_t {
    StartLine,
    Fields,
    Interim,
    HeadDone,
    LengthBody,
    UntilCloseBody,
    ChunkSize,
    ChunkData,
    ChunkEnd,
    Trailers,
    Complete,
    Failed,
  };
  enum class Take : uint8_t { More, Done, Failed };

  Take take_line(std::string_view& input, std::string_view& line, size_t limit,
                 MessageFault too_long);
  Take take_section(std::string_view& input, FieldSection& into);
  Event next_chunked(std::string_view& input);
  bool parse_start_line(std::string_view line);
  bool parse_request_line(std::string_view line);
  bool parse_status_line(std::string_view line);
  bool parse_version(std::string_view text, uint8_t& minor);
  bool parse_fields(std::string_view section, FieldSection& into);
  bool parse_chunk_size(std::string_view line);
  bool has_good_host() const;
  Event finish_head();
  bool fail(MessageFault fault);
  void forget_pending();

  Kind kind_;
  State state_ = State::StartLine;
  Method answered_ = Method::Get;
  uint8_t skipped_lines_ = 0;
  bool pending_taken_ = false;  // pending_ was handed out: forget it before the next byte
  bool after_interim_ = false;  // a final response is due
  H1Limits limits_;
  uint32_t head_bytes_ = 0;       // of the head, or of the trailer section while that is read
  uint32_t lines_ = 0;            // fields of it so far
  uint32_t line_begin_ = 0;       // in pending_, of the section's line that is not complete yet
  uint32_t extension_bytes_ = 0;  // of chunk extensions in this message
  uint64_t remaining_ = 0;        // of the body, of the chunk, or of the CRLF after it
  BodyFraming framing_;
  core::Error error_;
  std::string_view body_;
  std::string pending_;  // what is not complete yet: a line, or the fields of a head
  std::variant<RequestHead, ResponseHead> head_;
  std::unique_ptr<FieldSection> trailers_;
};

// Chunked framing of content we send (RFC 9112, 7.1). A chunk is: chunk header, the bytes, "\r\n";
// the end is the last chunk, the trailer fields and an empty line. No chunk of size 0: that is the
// end.
inline constexpr size_t kChunkHeaderMax = 18;  // 16 hexadecimal digits and CRLF
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";  // when there are no trailers

// Writes the header of a chunk of `size` > 0 bytes to `out` (room for kChunkHeaderMax); how many
// bytes that took.
size_t write_chunk_header(char* out, uint64_t size);
// Appends the last chunk with these trailers (null: none).
void append_last_chunk(const FieldSection* trailers, std::string& out);

}  // namespace tributary::http
