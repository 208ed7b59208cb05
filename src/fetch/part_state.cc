#include "fetch/part_state.h"

#include <nlohmann/json.hpp>

#include "http/text.h"

namespace tributary::fetch {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "tributary-part";
constexpr unsigned kVersion = 1;

bool read_text(const Json& json, const char* name, std::string& out) {
  const auto at = json.find(name);
  if (at == json.end() || !at->is_string()) return false;
  out = at->get_ref<const std::string&>();
  return true;
}

}  // namespace

bool PartState::has_coding(std::string_view content_encoding) {
  return !content_encoding.empty() && !http::equal_ignoring_case(content_encoding, "identity");
}

PartState PartState::of(std::string url, std::string final_url, const upstream::Representation& representation,
                        bool unpacks) {
  PartState state;
  state.url = std::move(url);
  state.final_url = std::move(final_url);
  state.length = representation.length;
  state.validator = representation.validator;
  state.etag = representation.etag;
  state.last_modified = representation.last_modified;
  state.content_encoding = representation.content_encoding;
  state.unpacks = unpacks && has_coding(state.content_encoding);
  return state;
}

bool PartState::is_same_version(const upstream::Representation& representation) const {
  return can_be_resumed() && representation.validator == validator && representation.length == length &&
         (representation.content_encoding == content_encoding ||
          // RFC 9110, 15.3.7: a 206 to If-Range need not repeat it; a strong ETag vouches for it.
          (representation.content_encoding.empty() && validator == etag));
}

std::optional<http::ByteRange> PartState::first_gap() const {
  if (!length) return {};
  const uint64_t first = present.end_from(0);
  if (first >= *length) return {};
  return http::ByteRange{first, present.next_from(first, *length)};
}

std::string to_json(const PartState& state) {
  Json present = Json::array();
  for (const http::ByteRange& range : state.present.ranges()) present.push_back({range.first, range.last});
  const Json json = {{kFormat, kVersion},
                     {"url", state.url},
                     {"final_url", state.final_url},
                     {"length", state.length ? Json(*state.length) : Json()},
                     {"validator", state.validator},
                     {"etag", state.etag},
                     {"last_modified", state.last_modified},
                     {"content_encoding", state.content_encoding},
                     {"unpacks", state.unpacks},
                     {"present", std::move(present)}};
  // Bytes that are no UTF-8 (obs-text of an ETag) are replaced: such a validator matches nothing later, which is safe.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<PartState> parse_part_state(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return {};
  const auto format = json.find(kFormat);
  if (format == json.end() || !format->is_number_unsigned() || *format != kVersion) return {};
  PartState state;
  if (!read_text(json, "url", state.url) || !read_text(json, "final_url", state.final_url) ||
      !read_text(json, "validator", state.validator) || !read_text(json, "etag", state.etag) ||
      !read_text(json, "last_modified", state.last_modified) ||
      !read_text(json, "content_encoding", state.content_encoding)) {
    return {};
  }
  const auto unpacks = json.find("unpacks");
  if (unpacks != json.end()) {
    if (!unpacks->is_boolean()) return {};
    state.unpacks = unpacks->get<bool>() && PartState::has_coding(state.content_encoding);
  }
  const auto length = json.find("length"), present = json.find("present");
  if (length == json.end() || present == json.end() || !present->is_array()) return {};
  if (length->is_number_unsigned()) {
    state.length = length->get<uint64_t>();
  } else if (!length->is_null()) {
    return {};
  }
  for (const Json& range : *present) {
    if (!range.is_array() || range.size() != 2 || !range[0].is_number_unsigned() || !range[1].is_number_unsigned()) return {};
    const auto first = range[0].get<uint64_t>(), last = range[1].get<uint64_t>();
    if (first > last || last > state.length.value_or(UINT64_MAX)) return {};
    state.present.add(first, last);
  }
  return state;
}

}  // namespace tributary::fetch
