#include "http/parameters.h"

#include <algorithm>

#include "http/percent.h"
#include "http/text.h"
#include "http/utf8.h"

namespace tributary::http {
namespace {

std::string latin1_to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) append_utf8(static_cast<uint8_t>(c), out);
  return out;
}

}  // namespace

std::string Parameter::value() const {
  if (!quoted) return std::string(raw);
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\\' && i + 1 < raw.size()) ++i;
    out += raw[i];
  }
  return out;
}

Parameter take_parameter(std::string_view& text, std::string_view separators) {
  const auto take_to = [&text](size_t end) {
    const std::string_view taken = text.substr(0, end);
    text.remove_prefix(taken.size());
    return taken;
  };
  const auto is_separator = [separators](char c) { return separators.find(c) != std::string_view::npos; };
  const auto next_separator = [&] {
    return static_cast<size_t>(std::find_if(text.begin(), text.end(), is_separator) - text.begin());
  };
  Parameter parameter;
  parameter.name = trim_ows(take_to(std::min(next_separator(), text.find('='))));
  if (!text.starts_with('=')) return parameter;
  parameter.has_value = true;
  text.remove_prefix(1);
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  if (!text.starts_with('"')) {
    parameter.raw = trim_ows(take_to(next_separator()));
    return parameter;
  }
  text.remove_prefix(1);
  parameter.quoted = true;
  size_t close = 0;
  while (close < text.size() && text[close] != '"') close += text[close] == '\\' ? 2 : 1;
  parameter.raw = take_to(close);
  take_to(next_separator());
  return parameter;
}

std::optional<std::string> decode_ext_value(std::string_view text) {
  const size_t first = text.find('\'');
  const size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view charset = text.substr(0, first);
  std::string bytes;
  if (!append_percent_decoded(text.substr(second + 1), bytes)) return std::nullopt;
  if (equal_ignoring_case(charset, "iso-8859-1")) return latin1_to_utf8(bytes);
  if (!equal_ignoring_case(charset, "utf-8") || !is_utf8(bytes)) return std::nullopt;
  return bytes;
}

std::string utf8_or_latin1(std::string_view text) {
  return is_utf8(text) ? std::string(text) : latin1_to_utf8(text);
}

}  // namespace tributary::http
