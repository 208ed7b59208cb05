#include "proxy/landing_page.h"

#include "http/url.h"

namespace tributary::proxy {
namespace {

// One list for both forms: what to do, and the line that does it. %A is the proxy's address.
struct Hint {
  std::string_view what, line;
};
constexpr Hint kHints[] = {
    {"Shell, curl, wget, pip, npm, cargo, go", "export http_proxy=http://%A https_proxy=http://%A"},
    {"apt", "Acquire::http::Proxy \"http://%A\";"},
    {"git", "git config --global http.proxy http://%A"},
    {"curl over SOCKS5", "curl --proxy socks5h://%A URL"},
    {"Browser", "HTTP and SOCKS proxy: %A"},
};

std::string with_address(std::string_view line, std::string_view address) {
  std::string out;
  for (size_t at; (at = line.find("%A")) != std::string_view::npos; line.remove_prefix(at + 2)) {
    out += line.substr(0, at);
    out += address;
  }
  out += line;
  return out;
}

}  // namespace

std::string landing_response(std::string_view authority, const AnswerContext& answer) {
  const bool is_address = !authority.empty() && http::parse_authority(authority).ok();
  const std::string_view address = is_address ? authority : "127.0.0.1:3128";
  std::string content, out;
  if (preferred_format(answer.accept) == ErrorFormat::Html) {
    content =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>tributary</title>\n</head>\n"
        "<body>\n<h1>This is a proxy</h1>\n<p>tributary makes downloads fast: it fetches large files in parallel "
        "and keeps what it fetched. Point your program at it as its proxy, not as a web site.</p>\n<dl>\n";
    for (const Hint& hint : kHints) {
      content += "<dt>";
      append_html(hint.what, content);
      content += "</dt><dd><code>";
      append_html(with_address(hint.line, address), content);
      content += "</code></dd>\n";
    }
    content += "</dl>\n</body>\n</html>\n";
    append_answer(200, {}, "text/html; charset=utf-8", content, answer, out);
  } else {
    content = "This is the proxy tributary. Point your program at it as its proxy, not as a web site.\n\n";
    for (const Hint& hint : kHints) {
      content += hint.what;
      content += ":\n    ";
      content += with_address(hint.line, address);
      content += '\n';
    }
    append_answer(200, {}, "text/plain; charset=utf-8", content, answer, out);
  }
  return out;
}

}  // namespace tributary::proxy
