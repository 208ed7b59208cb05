// Feeds an H1Parser in pieces and writes down what it says, so that whole, byte-wise and split
// feeding can be compared.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1.h"

namespace tributary::http::testing {

// All messages of `bytes`, cut at the offsets `cuts` (ascending), one line of text for each thing
// that happened. With a space after "body" the bytes follow, joined over events. `methods`: what
// the responses answer, in order; the last repeats.
inline std::string transcript(H1Parser::Kind kind, std::string_view bytes,
                              const std::vector<size_t>& cuts = {}, bool end = true,
                              const std::vector<Method>& methods = {Method::Get},
                              H1Limits limits = {}) {
  using Event = H1Parser::Event;
  H1Parser parser(kind, limits);
  std::string out;
  std::string body;
  bool in_body = false;
  size_t answered = 0;
  const auto expect = [&] {
    parser.expect_response_to(methods[std::min(answered++, methods.size() - 1)]);
  };
  const auto flush = [&] {
    if (in_body) out += "body " + body + "\n";
    body.clear();
    in_body = false;
  };
  expect();
  const auto run = [&](std::string_view input) {  // false: over
    for (;;) {
      const Event event = parser.next(input);
      switch (event) {
        case Event::NeedMore:
          if (!input.empty()) out += "unconsumed input at NeedMore\n";
          return true;
        case Event::Head: {
          flush();
          FieldSection* fields = nullptr;
          if (kind == H1Parser::Kind::Request) {
            RequestHead& head = parser.request();
            out += "head " + std::string(head.method_name()) + ' ' + head.target + ' ' +
                   std::to_string(head.minor);
            fields = &head.fields;
          } else {
            ResponseHead& head = parser.response();
            out += "head " + std::to_string(head.status) + ' ' + head.reason + ' ' +
                   std::to_string(head.minor);
            fields = &head.fields;
          }
          out += " [";
          for (const Field& field : *fields) {
            out.append(field.name).append("=").append(field.value).append(";");
          }
          out += "] framing " + std::to_string(static_cast<int>(parser.framing().kind)) + ' ' +
                 std::to_string(parser.framing().length) + ' ' +
                 std::to_string(parser.head_bytes()) + "\n";
          break;
        }
        case Event::Body:
          if (parser.body().empty()) out += "empty body event\n";
          in_body = true;
          body += parser.body();
          break;
        case Event::Complete:
          flush();
          if (parser.trailers() != nullptr) {
            out += "trailers [";
            for (const Field& field : *parser.trailers()) {
              out.append(field.name).append("=").append(field.value).append(";");
            }
            out += "]\n";
          }
          if (parser.switched()) {
            out += "switched\n";
            return false;
          }
          out += "complete\n";
          parser.reset();
          expect();
          break;
        case Event::Error:
          flush();
          out += "error " + std::to_string(parser.error().detail) + "\n";
          return false;
      }
    }
  };
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t stop = i < cuts.size() ? cuts[i] : bytes.size();
    // An own copy of the piece, so that the sanitizer sees who reads beyond it or keeps a view of
    // it.
    const std::string piece(bytes.substr(begin, stop - begin));
    begin = stop;
    if (!run(piece)) return out;
  }
  if (end) {
    const Event event = parser.finish();
    flush();
    if (event == Event::Complete) out += "complete at end\n";
    if (event == Event::NeedMore) out += "clean end\n";
    if (event == Event::Error)
      out += "error " + std::to_string(parser.error().detail) + " at end\n";
  }
  return out;
}

inline std::vector<size_t> every_byte(std::string_view bytes) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
  return cuts;
}

}  // namespace tributary::http::testing
