// What a response says about the representation that it carries, and whether a further response carries a part of the
// very same one. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "http/digest_fields.h"
#include "http/message.h"
#include "http/range_sink.h"

namespace tributary::upstream {

struct Representation {
  http::ByteRange content;          // what the response brings; last is UINT64_MAX when its length is not known
  std::optional<uint64_t> length;   // of the whole
  std::string validator;            // for If-Range: a strong ETag, else a strong Last-Modified; empty: none
  std::string etag, last_modified;  // as they came
  std::string content_encoding;     // all of it, joined
  bool accepts_ranges = false;      // Accept-Ranges: bytes, or it is a 206
  bool forbids_storing = false;     // Cache-Control: no-store or private; of a version that may be stored no part says so

  // Nothing for another status than 200 and 206, or for a 206 whose Content-Range is missing or contradicts the framing.
  static std::optional<Representation> of(const http::ResponseHead& head, const http::BodyFraming& framing,
                                          core::UnixTime now);

  // Further parts can be asked for, and told to be of the same version.
  bool can_be_joined() const { return accepts_ranges && length && !validator.empty(); }
};

struct PieceVerdict {
  enum class Kind : uint8_t {
    Good,          // `content` is bytes of the representation
    Refused,       // not now (429, 503, 403): `retry_after`
    RangeIgnored,  // the origin does not do ranges in a way that can be trusted
    Changed,       // another version
    Broken,
  };
  Kind kind = Kind::Broken;
  http::ByteRange content{};
  core::Duration retry_after{};
};

// Judges the response to a request for `asked`, sent with If-Range; `whole`: sent without Range, so a 200 with everything
// is due. Good only for exactly what was asked for (a 206 may end earlier), the same length, validator and coding.
PieceVerdict judge_piece(const Representation& wanted, http::ByteRange asked, bool whole, const http::ResponseHead& head,
                         const http::BodyFraming& framing, core::UnixTime now);

// Judges the first answer of another source, sent without If-Range. Validators are each server's own, so what must agree is
// the length, the coding and, where the source says one, the digest; `found` is what its further answers are judged by. A
// source without a strong validator of its own cannot be told from one that changes meanwhile, and is not used.
PieceVerdict judge_source(const Representation& wanted, const std::vector<http::Digest>& digests, http::ByteRange asked,
                          bool whole, const http::ResponseHead& head, const http::BodyFraming& framing, core::UnixTime now,
                          Representation& found);

}  // namespace tributary::upstream
