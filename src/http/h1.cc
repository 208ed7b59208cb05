#include "http/h1.h"

#include <llhttp.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "http/url.h"

namespace tributary::http {
namespace {

using core::ErrorCode;

static_assert(LLHTTP_STRICT_MODE == 1 || LLHTTP_VERSION_MAJOR > 8,
              "lenient llhttp lets ambiguous messages through");
static_assert(sizeof(H1Parser) < 400);

constexpr uint8_t kMaxEmptyLines = 2;  // before a request line
constexpr size_t kMaxChunkLine = 4096;
constexpr uint32_t kMaxExtensions =
    16 * 1024;  // of one message; nobody uses them, floods do (CVE-2023-39326)
constexpr size_t kKeptPending = 4096;

// llhttp's view of a field section. The section comes in one piece, so the spans of one field lie
// side by side.
struct Collector {
  FieldSection* into;
  std::string_view name;
  std::string_view value;
  bool complete = false;
};

Collector& collector(llhttp_t* parser) {
  return *static_cast<Collector*>(parser->data);
}

void extend(std::string_view& text, const char* at, size_t size) {
  text =
      text.empty() ? std::string_view(at, size) : std::string_view(text.data(), text.size() + size);
}

int on_name(llhttp_t* parser, const char* at, size_t size) {
  extend(collector(parser).name, at, size);
  return 0;
}

int on_value(llhttp_t* parser, const char* at, size_t size) {
  extend(collector(parser).value, at, size);
  return 0;
}

int on_value_complete(llhttp_t* parser) {
  Collector& fields = collector(parser);
  fields.into->add_unchecked(fields.name, trim_ows(fields.value));
  fields.name = fields.value = {};
  return 0;
}

int on_section_complete(llhttp_t* parser) {
  collector(parser).complete = true;
  return 0;
}

// llhttp just behind the status line of a response. Start lines are ours: llhttp knows a fixed set
// of methods only, and a response leaves the meaning of the framing fields to request_framing() and
// response_framing().
const llhttp_t& at_first_field() {
  static llhttp_settings_t settings;
  static const llhttp_t ready = [] {
    llhttp_settings_init(&settings);
    settings.on_header_field = on_name;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_complete;
    settings.on_headers_complete = on_section_complete;
    llhttp_t parser;
    llhttp_init(&parser, HTTP_RESPONSE, &settings);
    constexpr std::string_view kStart = "HTTP/1.1 200 OK\r\n";
    llhttp_execute(&parser, kStart.data(), kStart.size());
    return parser;
  }();
  return ready;
}

// A line that is not complete yet: `before` came earlier, `piece` now. A CR may only be its last
// byte.
bool may_begin_line(std::string_view before, std::string_view piece) {
  if (!piece.empty() && before.ends_with('\r')) return false;
  if (piece.ends_with('\r')) piece.remove_suffix(1);
  return is_field_value(piece);
}

// Strips CRLF; false for a bare LF, a bare CR or a control character.
bool strip_line_end(std::string_view& line) {
  if (!line.ends_with("\r\n")) return false;
  line.remove_suffix(2);
  return is_field_value(line);
}

size_t through_line_feed(std::string_view input, bool& found) {
  const void* feed = input.empty() ? nullptr : std::memchr(input.data(), '\n', input.size());
  found = feed != nullptr;
  return found ? static_cast<size_t>(static_cast<const char*>(feed) - input.data()) + 1
               : input.size();
}

std::variant<RequestHead, ResponseHead> empty_head(H1Parser::Kind kind) {
  if (kind == H1Parser::Kind::Request) return RequestHead();
  return ResponseHead();
}

}  // namespace

H1Parser::H1Parser(Kind kind, H1Limits limits)
    : kind_(kind), limits_(limits), head_(empty_head(kind)) {}

H1Parser::~H1Parser() = default;

void H1Parser::reset() {
  if (kind_ == Kind::Request) {
    request().clear();
  } else {
    response().clear();
  }
  state_ = State::StartLine;
  answered_ = Method::Get;
  skipped_lines_ = 0;
  after_interim_ = false;
  head_bytes_ = lines_ = line_begin_ = extension_bytes_ = 0;
  remaining_ = 0;
  framing_ = {};
  error_ = {};
  body_ = {};
  trailers_.reset();
  forget_pending();
}

void H1Parser::release() {
  reset();
  head_ = empty_head(kind_);
  pending_ = std::string();
}

void H1Parser::forget_pending() {
  pending_taken_ = false;
  if (pending_.capacity() > kKeptPending) {
    pending_ = std::string();
  } else {
    pending_.clear();
  }
}

bool H1Parser::fail(MessageFault fault) {
  error_.side = kind_ == Kind::Request ? core::Side::Client : core::Side::Origin;
  error_.retry = core::Retry::Never;
  error_.detail = static_cast<uint8_t>(fault);
  switch (fault) {
    case MessageFault::TargetTooLong:
    case MessageFault::HeadTooLarge:
      error_.code = ErrorCode::MessageTooLarge;
      break;
    case MessageFault::UnsupportedCoding:
    case MessageFault::UnsupportedVersion:
      error_.code = ErrorCode::UnsupportedProtocol;
      break;
    case MessageFault::Incomplete:
      error_.code = ErrorCode::IncompleteMessage;
      break;
    default:
      error_.code = ErrorCode::MalformedMessage;
      break;
  }
  state_ = State::Failed;
  return false;
}

H1Parser::Event H1Parser::next(std::string_view& input) {
  for (;;) {
    switch (state_) {
      case State::Interim:
        // The final response follows; what it answers stays known.
        response().clear();
        head_bytes_ = lines_ = line_begin_ = 0;
        state_ = State::StartLine;
        continue;

      case State::StartLine: {
        std::string_view line;
        const auto taken = take_line(
            input, line, limits_.header_size,
            kind_ == Kind::Request ? MessageFault::TargetTooLong : MessageFault::HeadTooLarge);
        if (taken == Take::More) return Event::NeedMore;
        if (taken == Take::Failed) return Event::Error;
        if (line.empty() && kind_ == Kind::Request && skipped_lines_ < kMaxEmptyLines) {
          ++skipped_lines_;
          continue;
        }
        if (!parse_start_line(line)) return Event::Error;
        head_bytes_ = static_cast<uint32_t>(line.size() + 2);
        state_ = State::Fields;
        continue;
      }

      case State::Fields: {
        const auto taken =
            take_section(input, kind_ == Kind::Request ? request().fields : response().fields);
        if (taken == Take::More) return Event::NeedMore;
        if (taken == Take::Failed) return Event::Error;
        return finish_head();
      }

      case State::HeadDone:
        state_ = State::Complete;
        switch (framing_.kind) {
          case BodyKind::None:
          case BodyKind::Tunnel:
            break;
          case BodyKind::Length:
            remaining_ = framing_.length;
            state_ = State::LengthBody;
            break;
          case BodyKind::Chunked:
            state_ = State::ChunkSize;
            break;
          case BodyKind::UntilClose:
            state_ = State::UntilCloseBody;
            break;
        }
        continue;

      case State::LengthBody: {
        if (remaining_ == 0) {
          state_ = State::Complete;
          continue;
        }
        if (input.empty()) return Event::NeedMore;
        body_ = input.substr(0, static_cast<size_t>(std::min<uint64_t>(input.size(), remaining_)));
        input.remove_prefix(body_.size());
        remaining_ -= body_.size();
        return Event::Body;
      }

      case State::UntilCloseBody:
        if (input.empty()) return Event::NeedMore;
        body_ = input;
        input.remove_prefix(input.size());
        return Event::Body;

      case State::ChunkSize:
      case State::ChunkData:
      case State::ChunkEnd:
      case State::Trailers:
        return next_chunked(input);

      case State::Complete:
        body_ = {};
        return Event::Complete;

      case State::Failed:
        return Event::Error;
    }
  }
}

// chunked-body = *( size [ext] CRLF data CRLF ) 1*"0" [ext] CRLF trailer-section CRLF (RFC
// 9112, 7.1)
H1Parser::Event H1Parser::next_chunked(std::string_view& input) {
  for (;;) {
    switch (state_) {
      case State::ChunkSize: {
        std::string_view line;
        const auto taken = take_line(input, line, kMaxChunkLine, MessageFault::Framing);
        if (taken == Take::More) return Event::NeedMore;
        if (taken == Take::Failed || !parse_chunk_size(line)) return Event::Error;
        if (remaining_ > 0) {
          state_ = State::ChunkData;
        } else {
          head_bytes_ = lines_ = line_begin_ = 0;
          state_ = State::Trailers;
        }
        continue;
      }

      case State::ChunkData:
        if (input.empty()) return Event::NeedMore;
        body_ = input.substr(0, static_cast<size_t>(std::min<uint64_t>(input.size(), remaining_)));
        input.remove_prefix(body_.size());
        remaining_ -= body_.size();
        if (remaining_ == 0) {
          remaining_ = kChunkEnd.size();
          state_ = State::ChunkEnd;
        }
        return Event::Body;

      case State::ChunkEnd:
        for (; remaining_ > 0; --remaining_) {
          if (input.empty()) return Event::NeedMore;
          if (input.front() != kChunkEnd[kChunkEnd.size() - remaining_]) {
            fail(MessageFault::Framing);
            return Event::Error;
          }
          input.remove_prefix(1);
        }
        state_ = State::ChunkSize;
        continue;

      case State::Trailers: {
        if (!trailers_) trailers_ = std::make_unique<FieldSection>();
        const auto taken = take_section(input, *trailers_);
        if (taken == Take::More) return Event::NeedMore;
        if (taken == Take::Failed) return Event::Error;
        trailers_->remove_if(
            [](const Field& field) { return is_forbidden_in_trailers(field.token); });
        if (trailers_->empty()) trailers_.reset();
        body_ = {};
        state_ = State::Complete;
        return Event::Complete;
      }

      default:
        return next(input);
    }
  }
}

H1Parser::Event H1Parser::finish() {
  body_ = {};
  switch (state_) {
    case State::StartLine:
      if (idle()) return Event::NeedMore;
      break;
    case State::HeadDone:
    case State::LengthBody:
    case State::UntilCloseBody: {
      std::string_view nothing;
      const Event event = next(nothing);
      if (event == Event::Complete) return event;
      if (state_ != State::UntilCloseBody) break;
      state_ = State::Complete;
      return Event::Complete;
    }
    case State::Complete:
      return Event::Complete;
    case State::Failed:
      return Event::Error;
    default:
      break;
  }
  fail(MessageFault::Incomplete);
  return Event::Error;
}

// One line without its CRLF, a view of the input when all of it is there.
H1Parser::Take H1Parser::take_line(std::string_view& input, std::string_view& line, size_t limit,
                                   MessageFault too_long) {
  if (pending_taken_) forget_pending();
  bool whole = false;
  line = input.substr(0, through_line_feed(input, whole));
  if (pending_.size() + line.size() > limit) {
    fail(too_long);
    return Take::Failed;
  }
  input.remove_prefix(line.size());
  if (!whole) {
    if (!may_begin_line(pending_, line)) {
      fail(MessageFault::Syntax);
      return Take::Failed;
    }
    pending_ += line;
    return Take::More;
  }
  if (!pending_.empty()) {
    pending_ += line;
    line = pending_;
    pending_taken_ = true;
  }
  if (!strip_line_end(line)) {
    fail(MessageFault::Syntax);
    return Take::Failed;
  }
  return Take::Done;
}

// Fields up to and with the empty line. Every line goes through our gate as it comes; llhttp sees
// the section once it is whole, in place when it came in one piece.
H1Parser::Take H1Parser::take_section(std::string_view& input, FieldSection& into) {
  if (pending_taken_) forget_pending();
  const bool in_place = pending_.empty();
  size_t line_begin = line_begin_;
  for (size_t taken = 0;;) {
    bool whole = false;
    const size_t size = through_line_feed(input.substr(taken), whole);
    const std::string_view piece = input.substr(taken, size);
    if (size > limits_.header_size - std::min(head_bytes_, limits_.header_size)) {
      fail(MessageFault::HeadTooLarge);
      return Take::Failed;
    }
    head_bytes_ += static_cast<uint32_t>(size);
    taken += size;
    if (!whole && !may_begin_line(pending_, piece)) {
      fail(MessageFault::Syntax);
      return Take::Failed;
    }
    if (!in_place) pending_ += piece;
    if (!whole) {
      if (in_place) pending_ = input;
      line_begin_ = static_cast<uint32_t>(line_begin);
      input.remove_prefix(taken);
      return Take::More;
    }
    const std::string_view section = in_place ? input.substr(0, taken) : std::string_view(pending_);
    std::string_view line = section.substr(line_begin);
    line_begin = section.size();
    // A line that starts with white space would continue the one before (obs-fold) or, as the
    // first, hide from others; one that starts with a colon llhttp 8.1 takes for a field without a
    // name.
    if (!strip_line_end(line) || (!line.empty() && !is_token_char(line.front()))) {
      fail(MessageFault::Syntax);
      return Take::Failed;
    }
    if (line.empty()) {
      const bool good = parse_fields(section, into);
      input.remove_prefix(taken);
      forget_pending();
      line_begin_ = 0;
      return good ? Take::Done : Take::Failed;
    }
    if (++lines_ > limits_.header_count) {
      fail(MessageFault::HeadTooLarge);
      return Take::Failed;
    }
  }
}

bool H1Parser::parse_fields(std::string_view section, FieldSection& into) {
  if (lines_ == 0) return true;
  // As stored a field may be one byte longer, for the space after the colon.
  into.reserve(lines_, section.size() + lines_);
  Collector fields{&into, {}, {}};
  llhttp_t parser = at_first_field();
  parser.data = &fields;
  const llhttp_errno_t result = llhttp_execute(&parser, section.data(), section.size());
  switch (result) {
    case HPE_OK:
      return fields.complete || fail(MessageFault::Syntax);
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
      return fail(MessageFault::Framing);
    default:
      return fail(MessageFault::Syntax);
  }
}

bool H1Parser::parse_start_line(std::string_view line) {
  return kind_ == Kind::Request ? parse_request_line(line) : parse_status_line(line);
}

// method SP request-target SP HTTP-version, single spaces (RFC 9112, 3).
bool H1Parser::parse_request_line(std::string_view line) {
  RequestHead& head = request();
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1 || line.find(' ', first + 1) != last ||
      line.find('\t') != std::string_view::npos) {
    return fail(MessageFault::Syntax);
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(method)) return fail(MessageFault::Syntax);
  if (!parse_version(line.substr(last + 1), head.minor)) return false;
  head.method = method_from(method);
  if (head.method == Method::Other) head.other_method = method;
  head.target = target;
  return true;
}

// HTTP-version SP status-code [SP reason] (RFC 9112, 4; the space before an absent reason is often
// left out).
bool H1Parser::parse_status_line(std::string_view line) {
  ResponseHead& head = response();
  if (!parse_version(line.substr(0, 8), head.minor)) return false;
  line.remove_prefix(8);
  if (line.size() < 4 || line[0] != ' ' || (line.size() > 4 && line[4] != ' ')) {
    return fail(MessageFault::Syntax);
  }
  const auto status = parse_decimal(line.substr(1, 3));
  if (!status || *status < 100) return fail(MessageFault::Syntax);
  head.status = static_cast<uint16_t>(*status);
  // The registered phrase is not kept: append_head() writes it again.
  const std::string_view reason = line.substr(std::min<size_t>(5, line.size()));
  if (reason != reason_phrase(head.status)) head.reason = reason;
  return true;
}

bool H1Parser::parse_version(std::string_view text, uint8_t& minor) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' ||
      !is_digit(text[7])) {
    return fail(MessageFault::Syntax);
  }
  if (text[5] != '1' || text[7] > '1') return fail(MessageFault::UnsupportedVersion);
  minor = static_cast<uint8_t>(text[7] - '0');
  return true;
}

// 1*HEXDIG and extensions, which are discarded.
bool H1Parser::parse_chunk_size(std::string_view line) {
  size_t digits = 0;
  remaining_ = 0;
  for (; digits < line.size() && hex_value(line[digits]) >= 0; ++digits) {
    if (digits == 16) return fail(MessageFault::Framing);
    remaining_ = remaining_ << 4 | static_cast<uint64_t>(hex_value(line[digits]));
  }
  if (digits == 0 || remaining_ > INT64_MAX) return fail(MessageFault::Framing);
  const std::string_view extensions = line.substr(digits);
  if (extensions.empty()) return true;
  if (!trim_ows(extensions).starts_with(';')) return fail(MessageFault::Framing);
  extension_bytes_ += static_cast<uint32_t>(extensions.size());
  return extension_bytes_ <= kMaxExtensions || fail(MessageFault::Framing);
}

// RFC 9112, 3.2: exactly one in HTTP/1.1, at most one before, and valid.
bool H1Parser::has_good_host() const {
  const RequestHead& head = *std::get_if<RequestHead>(&head_);
  const size_t count = head.fields.count(FieldName::Host);
  if (count == 0) return head.minor == 0;
  const auto value = head.fields.find_only(FieldName::Host);
  return value && (value->empty() || parse_authority(*value));
}

H1Parser::Event H1Parser::finish_head() {
  if (kind_ == Kind::Request && !has_good_host()) {
    fail(MessageFault::Host);
    return Event::Error;
  }
  const auto framing =
      kind_ == Kind::Request ? request_framing(request()) : response_framing(answered_, response());
  if (!framing) {
    error_ = framing.error();
    state_ = State::Failed;
    return Event::Error;
  }
  framing_ = *framing;
  const bool interim =
      kind_ == Kind::Response && response().status < 200 && response().status != 101;
  after_interim_ = interim;
  state_ = interim ? State::Interim : State::HeadDone;
  return Event::Head;
}

size_t write_chunk_header(char* out, uint64_t size) {
  char* end = std::to_chars(out, out + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<size_t>(end - out);
}

void append_last_chunk(const FieldSection* trailers, std::string& out) {
  out += "0\r\n";
  if (trailers != nullptr) trailers->append_to(out);
  out += "\r\n";
}

}  // namespace tributary::http
