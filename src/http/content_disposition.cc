#include "http/content_disposition.h"

#include <algorithm>

#include "http/parameters.h"
#include "http/percent.h"
#include "http/text.h"
#include "http/utf8.h"

namespace tributary::http {
namespace {

std::string plain_name(const Parameter& parameter) {
  std::string name = utf8_or_latin1(parameter.value());
  std::string decoded;
  const auto is_beyond_ascii = [](char c) { return static_cast<uint8_t>(c) >= 0x80; };
  if (append_percent_decoded(name, decoded) && decoded.size() < name.size() && is_utf8(decoded) &&
      std::any_of(decoded.begin(), decoded.end(), is_beyond_ascii)) {
    return decoded;
  }
  return name;
}

}  // namespace

ContentDisposition parse_content_disposition(std::string_view value) {
  ContentDisposition disposition;
  std::string plain;
  for (bool first = true; !value.empty(); first = false) {
    const Parameter parameter = take_parameter(value, ";");
    if (!value.empty()) value.remove_prefix(1);
    if (first && !parameter.has_value) {
      disposition.is_inline = equal_ignoring_case(parameter.name, "inline");
    } else if (equal_ignoring_case(parameter.name, "filename*") && disposition.file_name.empty()) {
      disposition.file_name = decode_ext_value(parameter.value()).value_or("");
    } else if (equal_ignoring_case(parameter.name, "filename") && plain.empty()) {
      plain = plain_name(parameter);
    }
  }
  if (disposition.file_name.empty()) disposition.file_name = std::move(plain);
  return disposition;
}

ContentDisposition content_disposition(const FieldSection& fields) {
  return parse_content_disposition(fields.find(FieldName::ContentDisposition).value_or(""));
}

}  // namespace tributary::http
