#include "http/challenge.h"

#include <algorithm>

#include "http/text.h"

namespace tributary::http {
namespace {

constexpr size_t kMaxParameters = 64;

void skip_ows(std::string_view& text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
}

template <class Predicate>
std::string_view take_run(std::string_view& text, Predicate is_member) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_member);
  const std::string_view run = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(run.size());
  return run;
}

// RFC 9110, 11.2. Taken only if nothing but the end or a comma follows: otherwise it is a parameter's name.
std::string_view take_token68(std::string_view& text) {
  std::string_view rest = text;
  take_run(rest, [](char c) { return is_alpha(c) || is_digit(c) || std::string_view("-._~+/").find(c) != std::string_view::npos; });
  take_run(rest, [](char c) { return c == '='; });
  const std::string_view token = text.substr(0, text.size() - rest.size());
  skip_ows(rest);
  if (token.empty() || token.front() == '=' || !(rest.empty() || rest.front() == ',')) return {};
  text = rest;
  return token;
}

// The value behind a name's "=".
Parameter take_value(std::string_view name, std::string_view& text) {
  Parameter parameter{name, {}, true, text.starts_with('"')};
  if (!parameter.quoted) {
    parameter.raw = take_run(text, [](char c) { return !is_ows(c) && c != ','; });
    return parameter;
  }
  size_t close = 1;
  while (close < text.size() && text[close] != '"') close += text[close] == '\\' ? 2 : 1;
  parameter.raw = text.substr(1, close - 1);
  text.remove_prefix(std::min(close + 1, text.size()));
  return parameter;
}

}  // namespace

std::string Challenge::value(std::string_view name) const {
  for (const Parameter& parameter : parameters) {
    if (equal_ignoring_case(parameter.name, name)) return parameter.value();
  }
  return {};
}

bool Challenge::has(std::string_view name) const {
  return std::any_of(parameters.begin(), parameters.end(),
                     [name](const Parameter& parameter) { return equal_ignoring_case(parameter.name, name); });
}

void append_challenges(std::string_view value, std::vector<Challenge>& challenges) {
  const size_t before = challenges.size();
  for (;;) {
    take_run(value, [](char c) { return is_ows(c) || c == ','; });
    if (value.empty()) return;
    const std::string_view word = take_run(value, is_token_char);
    if (word.empty()) {  // no list element begins like this
      take_run(value, [](char c) { return c != ','; });
      continue;
    }
    skip_ows(value);
    if (value.starts_with('=')) {
      value.remove_prefix(1);
      skip_ows(value);
      const Parameter parameter = take_value(word, value);
      // In front of every scheme it belongs to none.
      if (challenges.size() > before && challenges.back().parameters.size() < kMaxParameters) {
        challenges.back().parameters.push_back(parameter);
      }
    } else {
      if (challenges.size() >= kMaxChallenges) return;
      challenges.push_back({word, take_token68(value), {}});
    }
  }
}

std::vector<Challenge> challenges_of(const FieldSection& fields, FieldName name) {
  std::vector<Challenge> challenges;
  fields.for_each(name, [&](std::string_view value) { append_challenges(value, challenges); });
  return challenges;
}

}  // namespace tributary::http
