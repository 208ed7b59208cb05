// Field sections and the values read from them: lines of "name:value" are added as they come.
// Whatever gets in is written as one line each, and every reader of values copes with it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/cache_control.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/structured_fields.h"
#include "http/via.h"

using namespace tributary;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const http::FieldSection& fields) {
  std::string wire;
  fields.append_to(wire);
  require(wire.size() == fields.size_bytes());
  http::FieldSection again;
  std::string_view rest = wire;
  while (!rest.empty()) {
    const size_t end = rest.find("\r\n");
    require(end != std::string_view::npos);
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    const size_t colon = line.find(": ");
    require(colon != std::string_view::npos);
    require(again.add(line.substr(0, colon), line.substr(colon + 2)));
  }
  require(again.size() == fields.size());
  for (size_t i = 0; i < fields.size(); ++i) {
    const http::Field a = fields[i];
    const http::Field b = again[i];
    require(a.token == b.token && a.name == b.name && a.value == b.value);
    require(fields.find(a.name).has_value());
    require(a.token == http::FieldName::Unknown || fields.has(a.token));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kNow = 1795000000;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  http::FieldSection fields;
  http::FieldSection set;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t colon = std::min(line.find(':'), line.size());
    const std::string_view value = line.substr(std::min(colon + 1, line.size()));
    const bool added = fields.add(line.substr(0, colon), value);
    require(set.set(line.substr(0, colon), value) == added);
    if (const auto date = http::parse_date(value, kNow)) {
      char text[http::kDateSize];
      http::format_date(*date, text);
      require(http::parse_date({text, http::kDateSize}, kNow) == date);
    }
  }
  check(fields);
  check(set);
  require(set.size() <= fields.size());

  const auto cache = http::CacheControl::of(fields);
  require(cache.max_age.value_or(0) <= http::CacheControl::kMaxSeconds);
  http::CacheControl::of_request(fields);
  const std::string targeted[] = {"CDN-Cache-Control", "x"};
  const auto response = http::CacheControl::of_response(fields, targeted);
  require(response.max_age.value_or(0) <= http::CacheControl::kMaxSeconds);
  for (const http::Field& field : fields) {
    std::vector<http::StructuredMember> members;
    if (!http::append_dictionary(field.value, members)) continue;
    for (const http::StructuredMember& member : members) require(!member.key.empty());
  }
  http::RequestHead request;
  request.fields = fields;
  const auto validators = http::Validators::of(fields, kNow);
  http::evaluate_preconditions(request, validators, kNow);
  http::if_range_holds(fields, validators, kNow);
  http::via_contains(fields, "tributary");
  http::max_forwards(fields);
  http::append_via(request.fields, 1, "tributary");

  http::FieldSection forwarded = fields;
  forwarded.remove_hop_by_hop();
  check(forwarded);
  for (const http::Field& field : forwarded) require(!http::is_hop_by_hop(field.token));
  while (!set.empty()) require(set.remove(std::string(set[0].name)) == 1);
  require(set.size_bytes() == 0);
  return 0;
}
