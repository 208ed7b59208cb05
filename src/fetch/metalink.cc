#include "fetch/metalink.h"

#include <expat.h>

#include <algorithm>
#include <memory>
#include <set>

#include "fetch/file_name.h"
#include "http/link.h"
#include "http/text.h"

namespace tributary::fetch {
namespace {

constexpr std::string_view kVersion4 = "urn:ietf:params:xml:ns:metalink";
constexpr std::string_view kVersion3 = "http://www.metalinker.org/";
constexpr char kSeparator = ' ';  // between namespace and name; in neither
constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxText = 64 * 1024;  // of one element
constexpr size_t kMaxComponents = 32;

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// RFC 5854, 4.1.2.1: a name may have directories, but none that leads out.
std::string relative_path(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.back() == '/') return {};
  std::string path;
  for (size_t count = 0; !name.empty(); ++count) {
    const std::string_view component = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(component.size() + 1, name.size()));
    const std::string safe = safe_file_name(component);  // of ".." nothing is left
    if (safe.empty() || count == kMaxComponents) return {};
    path.append(path.empty() ? "" : "/").append(safe);
  }
  return path.size() <= 4000 ? path : "";
}

// Reads one document. The elements of both versions differ in three wrappers of version 3 (files, verification, resources),
// which are left out of path_: from then on "metalink/file/url" means one thing.
class Reader {
 public:
  Reader() : parser_(XML_ParserCreateNS(nullptr, kSeparator)) {
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(parser_.get(), &Reader::on_start, &Reader::on_end);
    XML_SetCharacterDataHandler(parser_.get(), &Reader::on_text);
    XML_SetStartDoctypeDeclHandler(parser_.get(), &Reader::on_doctype);
  }

  std::optional<Metalink> read(std::string_view text, std::string& why) {
    if (text.size() > kMaxMetalink) {
      why = "more than " + std::to_string(kMaxMetalink >> 20) + " MiB";
      return std::nullopt;
    }
    const bool parsed = XML_Parse(parser_.get(), text.data(), static_cast<int>(text.size()), 1) == XML_STATUS_OK;
    if (!parsed || !problem_.empty()) {
      if (problem_.empty()) problem_ = XML_ErrorString(XML_GetErrorCode(parser_.get()));
      why = "line " + std::to_string(XML_GetCurrentLineNumber(parser_.get())) + ": " + problem_;
      return std::nullopt;
    }
    if (metalink_.files.empty()) {
      why = "there is no file in it that can be fetched over http or https";
      return std::nullopt;
    }
    return std::move(metalink_);
  }

 private:
  static Reader& self(void* user) { return *static_cast<Reader*>(user); }
  static void on_start(void* user, const XML_Char* name, const XML_Char** attributes) { self(user).start(name, attributes); }
  static void on_end(void* user, const XML_Char*) { self(user).end(); }
  static void on_text(void* user, const XML_Char* text, int size) {
    self(user).add_text({text, static_cast<size_t>(size)});
  }
  static void on_doctype(void* user, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    self(user).fail("a document type declaration has no place in a Metalink");
  }

  void fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    XML_StopParser(parser_.get(), XML_FALSE);
  }

  void start(std::string_view name, const XML_Char** attributes) {
    if (!problem_.empty()) return;
    if (starts_.size() == kMaxDepth) return fail("too many elements in one another");
    const size_t separator = name.find(kSeparator);
    const std::string_view space = separator == std::string_view::npos ? std::string_view() : name.substr(0, separator);
    const std::string_view local = name.substr(separator == std::string_view::npos ? 0 : separator + 1);
    if (starts_.empty()) {
      if (local != "metalink" || (space != kVersion4 && space != kVersion3)) return fail("this is no Metalink of version 3 or 4");
      metalink_.version = space == kVersion4 ? 4 : 3;
    }
    starts_.push_back(path_.size());
    text_.clear();
    const bool is_known = space == (metalink_.version == 4 ? kVersion4 : kVersion3);
    const bool is_wrapper = metalink_.version == 3 && (local == "files" || local == "verification" || local == "resources");
    if (is_known && is_wrapper) return;
    path_.append("/").append(is_known ? local : "?");
    const auto attribute = [attributes](std::string_view wanted) {
      for (const XML_Char** at = attributes; *at; at += 2) {
        if (wanted == *at) return std::string_view(at[1]);
      }
      return std::string_view();
    };
    if (path_ == "/metalink/file") {
      start_file(attribute("name"));
    } else if (path_ == "/metalink/file/hash") {
      hash_type_ = attribute("type");
    } else if (path_ == "/metalink/file/pieces") {
      start_pieces(attribute("type"), attribute("length"));
    } else if (path_ == "/metalink/file/pieces/hash") {
      // Version 3 numbers them; any order but the natural one is beyond what was ever written.
      const std::string_view number = attribute("piece");
      if (!number.empty() && http::parse_decimal(number) != pieces_.count()) pieces_are_usable_ = false;
    } else if (path_ == "/metalink/file/url") {
      start_source(attribute("priority"), attribute("preference"), attribute("location"), attribute("type"));
    }
  }

  void end() {
    if (!problem_.empty() || starts_.empty()) return;
    const std::string_view text = trim(text_);
    if (path_.size() == starts_.back()) {
      // a wrapper
    } else if (path_ == "/metalink/file") {
      end_file();
    } else if (path_ == "/metalink/file/size") {
      file_.size = http::parse_decimal(text);
    } else if (path_ == "/metalink/file/hash") {
      const auto algorithm = http::find_hash(hash_type_);
      auto digest = algorithm ? http::digest_from_hex(*algorithm, text) : std::nullopt;
      if (digest && file_.digests.size() < 16) file_.digests.push_back(std::move(*digest));
    } else if (path_ == "/metalink/file/pieces") {
      end_pieces();
    } else if (path_ == "/metalink/file/pieces/hash") {
      const auto digest = http::digest_from_hex(pieces_.algorithm, text);
      if (digest) pieces_.bytes += digest->bytes;
      pieces_are_usable_ = pieces_are_usable_ && digest;
    } else if (path_ == "/metalink/file/url") {
      end_source(text);
    }
    path_.resize(starts_.back());
    starts_.pop_back();
    text_.clear();
  }

  void add_text(std::string_view text) {
    if (text_.size() + text.size() > kMaxText) return fail("an element with too much text");
    text_ += text;
  }

  void start_file(std::string_view name) {
    if (metalink_.files.size() + metalink_.passed_over == kMaxMetalinkFiles) return fail("too many files");
    file_ = {};
    file_.path = relative_path(trim(name));
  }

  void end_file() {
    if (file_.path.empty() || file_.sources.empty() || !paths_.insert(file_.path).second) {
      ++metalink_.passed_over;
      return;
    }
    std::stable_sort(file_.sources.begin(), file_.sources.end(),
                     [](const MetalinkSource& a, const MetalinkSource& b) { return a.priority < b.priority; });
    // A set of pieces that is not the file's says nothing about any of them.
    if (file_.pieces && file_.size) {
      const uint64_t length = file_.pieces->length;
      const uint64_t expected = *file_.size / length + (*file_.size % length != 0 ? 1 : 0);
      if (file_.pieces->count() != expected) file_.pieces.reset();
    }
    metalink_.files.push_back(std::move(file_));
  }

  void start_pieces(std::string_view type, std::string_view length) {
    const auto algorithm = http::find_hash(type);
    pieces_ = {};
    pieces_.algorithm = algorithm.value_or(http::HashAlgorithm::Sha1);
    pieces_.length = http::parse_decimal(length).value_or(0);
    pieces_are_usable_ = algorithm && pieces_.length > 0;
  }

  void end_pieces() {
    if (!pieces_are_usable_ || pieces_.bytes.empty()) return;
    if (!file_.pieces || pieces_.algorithm > file_.pieces->algorithm) file_.pieces = std::move(pieces_);
  }

  void start_source(std::string_view priority, std::string_view preference, std::string_view location, std::string_view type) {
    source_ = {};
    const auto given = http::parse_decimal(priority);
    const auto preferred = http::parse_decimal(preference);
    source_.priority = http::kLowestPriority;
    if (given && *given >= 1 && *given <= http::kLowestPriority) source_.priority = static_cast<uint32_t>(*given);
    if (metalink_.version == 3 && preferred && *preferred <= 100) source_.priority = static_cast<uint32_t>(101 - *preferred);
    if (location.size() == 2 && http::is_alpha(location[0]) && http::is_alpha(location[1])) {
      source_.location = {http::to_lower(location[0]), http::to_lower(location[1])};
    }
    // Version 3 marks torrents by the type: their URL is an https one (aria2 issue 1727).
    source_is_usable_ = metalink_.version == 4 || type.empty() || type == "http" || type == "https";
  }

  void end_source(std::string_view text) {
    if (!source_is_usable_ || file_.sources.size() == kMaxMetalinkSources) return;
    auto url = http::Url::parse(text);
    if (!url) return;
    source_.url = std::move(*url);
    file_.sources.push_back(std::move(source_));
  }

  struct FreeParser {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
  };
  std::unique_ptr<std::remove_pointer_t<XML_Parser>, FreeParser> parser_;
  std::string problem_;
  std::string path_;            // of the open elements, "/metalink/file/…"
  std::vector<size_t> starts_;  // of the open elements: where path_ ended before each
  std::string text_;            // of the innermost open element
  std::string hash_type_;
  PieceHashes pieces_;
  bool pieces_are_usable_ = false;
  MetalinkSource source_;
  bool source_is_usable_ = false;
  MetalinkFile file_;
  std::set<std::string, std::less<>> paths_;
  Metalink metalink_;
};

}  // namespace

std::optional<Metalink> parse_metalink(std::string_view text, std::string& why) {
  return Reader().read(text, why);
}

}  // namespace tributary::fetch
