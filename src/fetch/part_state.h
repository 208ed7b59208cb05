// What FILE.part.json says of FILE.part: which bytes of which version of which URL are in it. Pure.
//
//   {"tributary-part": 1, "url": "https://…", "final_url": "https://…", "length": 1000, "validator": "\"abc\"",
//    "etag": "\"abc\"", "last_modified": "…", "content_encoding": "", "unpacks": false,
//    "present": [[0, 500], [700, 800]]}
//
// Ranges are half open. What has another format number, a range beyond the length or a wrong type is not ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/range_set.h"
#include "upstream/representation.h"

namespace tributary::fetch {

struct PartState {
  std::string url;        // as asked for
  std::string final_url;  // where redirects led
  std::optional<uint64_t> length;
  std::string validator;  // for If-Range; empty: none that is strong
  std::string etag, last_modified, content_encoding;
  bool unpacks = false;   // FILE is what the content coding stands for
  cache::RangeSet present;

  static PartState of(std::string url, std::string final_url, const upstream::Representation& representation,
                      bool unpacks = false);

  // Whether there is anything to unpack.
  static bool has_coding(std::string_view content_encoding);

  // Whether parts of this representation are parts of the same version; never without a strong validator.
  bool is_same_version(const upstream::Representation& representation) const;
  bool can_be_resumed() const { return length && !validator.empty(); }
  bool is_whole() const { return length && present.covers(0, *length); }
  // The first stretch that lacks; nothing when it is whole or its length is not known.
  std::optional<http::ByteRange> first_gap() const;
};

std::string to_json(const PartState& state);
std::optional<PartState> parse_part_state(std::string_view json);

}  // namespace tributary::fetch
