#include "fetch/file_name.h"

#include <algorithm>

#include "http/content_disposition.h"
#include "http/parameters.h"
#include "http/percent.h"
#include "http/text.h"
#include "http/utf8.h"

namespace tributary::fetch {
namespace {

struct CodePoints {
  char32_t first, last;
};

// Nothing that is seen: controls, separators of lines, formatting. The joiners U+200C and U+200D are not among
// them: words of several scripts need them.
constexpr CodePoints kDropped[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},     {0x180e, 0x180e},
    {0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0xfeff, 0xfeff},
    {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f},
};
constexpr std::string_view kReplaced = "<>:\"|?*";
constexpr size_t kMaxExtension = 20;

bool is_dropped(char32_t c) {
  return std::any_of(std::begin(kDropped), std::end(kDropped),
                     [c](CodePoints range) { return c >= range.first && c <= range.last; });
}

bool is_replaced(char32_t c) {
  return c == 0xfffd || (c < 0x80 && kReplaced.find(static_cast<char>(c)) != std::string_view::npos);
}

std::string harmless_characters(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  while (!name.empty()) {
    size_t size = 0;
    const char32_t c = http::utf8_decode(name, size);
    if (is_replaced(c)) {
      out += '_';
    } else if (!is_dropped(c)) {
      out += name.substr(0, size);
    }
    name.remove_prefix(size);
  }
  return out;
}

// CON, NUL, COM1, …, with or without an extension.
bool is_device(std::string_view name) {
  const std::string_view stem = name.substr(0, name.find('.'));
  for (const std::string_view device : {"con", "prn", "aux", "nul"}) {
    if (http::equal_ignoring_case(stem, device)) return true;
  }
  return stem.size() == 4 && http::is_digit(stem[3]) && stem[3] != '0' &&
         (http::equal_ignoring_case(stem.substr(0, 3), "com") || http::equal_ignoring_case(stem.substr(0, 3), "lpt"));
}

bool ends_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && http::equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

void trim_ends(std::string& name) {
  name.erase(0, std::min(name.find_first_not_of(".- "), name.size()));
  name.erase(name.find_last_not_of(". ") + 1);  // of nothing: all of it
}

void shorten(std::string& name, size_t limit) {
  if (name.size() <= limit) return;
  size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0 || name.size() - dot > kMaxExtension) dot = name.size();
  const std::string extension = name.substr(dot);
  name.resize(http::utf8_prefix(std::string_view(name).substr(0, dot), limit - extension.size()).size());
  trim_ends(name);
  name += extension;
}

}  // namespace

std::string safe_file_name(std::string_view name) {
  const size_t slash = name.find_last_of("/\\");
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  std::string out = harmless_characters(name);
  trim_ends(out);
  shorten(out, kMaxFileName - 2);
  if (ends_ignoring_case(out, ".part") || ends_ignoring_case(out, ".part.json")) out += '_';
  if (is_device(out)) out.insert(0, 1, '_');
  return out;
}

std::string file_name_of(const http::Url& url) {
  const std::string_view path = url.path();
  std::string decoded;
  http::append_percent_decoded(path.substr(path.rfind('/') + 1), decoded);
  return safe_file_name(http::utf8_or_latin1(decoded));
}

std::string choose_file_name(const http::FieldSection& response, const http::Url& url) {
  std::string name = safe_file_name(http::content_disposition(response).file_name);
  if (name.empty()) name = file_name_of(url);
  return name.empty() ? std::string(kNamelessFile) : name;
}

}  // namespace tributary::fetch
