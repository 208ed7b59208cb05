// What must hold for any bytes given to H1Parser, in either direction.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../unit/http/h1_driver.h"

namespace tributary::http::testing {

inline void require(bool holds, const std::string& a, const std::string& b) {
  if (holds) return;
  std::fprintf(stderr, "--- one\n%s\n--- other\n%s\n", a.c_str(), b.c_str());
  std::abort();
}

// The same events whole, byte by byte and cut at pseudo-random places; the same head again when it
// is written and read.
inline void check_h1(H1Parser::Kind kind, std::string_view bytes) {
  const std::vector<Method> methods = {Method::Get, Method::Head, Method::Post, Method::Connect};
  const std::string whole = transcript(kind, bytes, {}, true, methods);
  const std::string slow = transcript(kind, bytes, every_byte(bytes), true, methods);
  require(whole == slow, whole, slow);
  uint64_t state = bytes.size() * 0x9e3779b97f4a7c15;
  std::vector<size_t> cuts;
  for (size_t at = 0;;) {
    state = state * 6364136223846793005 + 1442695040888963407;
    at += 1 + (state >> 33) % 17;
    if (at >= bytes.size()) break;
    cuts.push_back(at);
  }
  const std::string cut = transcript(kind, bytes, cuts, true, methods);
  require(whole == cut, whole, cut);

  H1Parser parser(kind);
  std::string_view input = bytes;
  if (parser.next(input) != H1Parser::Event::Head) return;
  const bool request = kind == H1Parser::Kind::Request;
  if ((request ? parser.request().minor : parser.response().minor) == 0) return;
  std::string head;
  if (request) {
    append_head(parser.request(), head);
  } else {
    append_head(parser.response(), head);
  }
  const std::string first = transcript(kind, head, {}, false);
  std::string second;
  H1Parser again(kind);
  std::string_view rest = head;
  require(again.next(rest) == H1Parser::Event::Head && rest.empty(), head, std::string(bytes));
  if (request) {
    append_head(again.request(), second);
  } else {
    append_head(again.response(), second);
  }
  require(head == second, head, second);
  require(again.framing() == parser.framing(), head, first);
}

}  // namespace tributary::http::testing
