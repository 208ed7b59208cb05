// A field value or a URL's path becomes a name: one component, UTF-8, short, nothing hidden, and stable.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fetch/file_name.h"
#include "http/content_disposition.h"
#include "http/parameters.h"
#include "http/utf8.h"

using namespace tributary;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const std::string& name) {
  require(name.size() <= fetch::kMaxFileName && http::is_utf8(name));
  if (name.empty()) return;
  require(name.front() != '.' && name.front() != '-' && name.front() != ' ');
  require(name.back() != '.' && name.back() != ' ');
  for (const char c : name) require(static_cast<uint8_t>(c) >= 0x20 && c != 0x7f && c != '/' && c != '\\' && c != ':');
  require(!name.ends_with(".part") && !name.ends_with(".part.json"));
  require(fetch::safe_file_name(name) == name || name.size() > fetch::kMaxFileName - 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(fetch::safe_file_name(text));
  const auto disposition = http::parse_content_disposition(text);
  require(http::is_utf8(disposition.file_name) && disposition.file_name.size() <= 2 * size);
  check(fetch::safe_file_name(disposition.file_name));
  if (const auto value = http::decode_ext_value(text)) require(http::is_utf8(*value));
  if (const auto url = http::Url::parse("http://h/" + std::string(text))) {
    check(fetch::file_name_of(*url));
    http::FieldSection fields;
    fields.add(http::FieldName::ContentDisposition, text);
    const std::string name = fetch::choose_file_name(fields, *url);
    require(!name.empty());
    check(name);
  }
  return 0;
}
