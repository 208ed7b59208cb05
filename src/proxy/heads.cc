#include "proxy/heads.h"

#include <charconv>

#include "http/via.h"

namespace tributary::proxy {

using http::FieldName;
using http::FieldSection;

upstream::Origin origin_of(const http::UrlView& url) {
  upstream::Origin origin;
  origin.scheme = url.scheme;
  origin.port = url.port();
  origin.host = url.authority.host;
  for (char& c : origin.host) c = http::to_lower(c);
  return origin;
}

http::RequestHead request_for_origin(const http::RequestHead& client, const http::UrlView& url,
                                     bool keep_upgrade, std::string_view pseudonym) {
  http::RequestHead head;
  head.method = client.method;
  head.other_method = client.other_method;
  head.minor = 1;
  // RFC 9112 3.2.4: a server-wide OPTIONS loses its empty path on the way through a proxy.
  if (url.path_query.empty()) {
    head.target = client.method == http::Method::Options ? "*" : "/";
  } else {
    if (url.path_query.front() == '?') head.target = "/";
    head.target += url.path_query;
  }

  std::string upgrade;
  if (keep_upgrade) client.fields.combined(FieldName::Upgrade, upgrade);
  head.fields = client.fields;
  head.fields.remove_hop_by_hop();
  head.fields.remove(FieldName::ProxyAuthorization);
  head.fields.remove(FieldName::ContentLength);  // framing is the next hop's affair
  if (client.minor == 0) head.fields.remove(FieldName::Expect);  // RFC 9110 10.1.1: ignored there

  // RFC 9112 3.2.2: Host is made from the target; the client's own is ignored.
  std::string host;
  http::append_origin(url.scheme, url.authority, host);
  head.fields.set(FieldName::Host, std::string_view(host).substr(host.find("//") + 2));
  if (const auto left = http::max_forwards(head.fields);
      left && *left > 0 &&
      (client.method == http::Method::Options || client.method == http::Method::Trace)) {
    head.fields.set(FieldName::MaxForwards, std::to_string(*left - 1));
  }
  http::append_via(head.fields, client.minor, pseudonym);
  if (keep_upgrade) {
    head.fields.add(FieldName::Connection, "upgrade");
    head.fields.add(FieldName::Upgrade, upgrade);
  }
  return head;
}

bool wants_upgrade(const http::RequestHead& request, const http::BodyFraming& framing) {
  if (request.minor == 0 || framing.has_content() || !request.fields.has_element(FieldName::Connection, "upgrade")) return false;
  // RFC 9113 3.1: h2c is obsolete, though some clients offer it with every request; nobody minds an answer in HTTP/1.1, which
  // can come from the cache.
  bool wants = false;
  request.fields.for_each_element(FieldName::Upgrade, [&](std::string_view protocol) {
    wants |= !http::equal_ignoring_case(protocol, "h2c");
  });
  return wants;
}

void clean_response(http::ResponseHead& response, std::string_view date, std::string_view pseudonym) {
  response.fields.remove_hop_by_hop();
  // RFC 9110 6.6.1: a recipient with a clock supplies a Date that is missing.
  if (!response.fields.has(FieldName::Date)) response.fields.add(FieldName::Date, date);
  http::append_via(response.fields, response.minor, pseudonym);
}

std::string& head_buffer() {
  static thread_local std::string buffer;
  buffer.clear();
  return buffer;
}

void append_number_field(std::string& out, std::string_view name_and_colon, uint64_t value) {
  char digits[20];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
  out += name_and_colon;
  out.append(digits, static_cast<size_t>(end.ptr - digits));
  out += "\r\n";
}

void append_cache_status(std::string& out, const cache::CacheStatus& status) {
  out += "Cache-Status: ";
  status.append_to(out);
  out += "\r\n";
}

}  // namespace tributary::proxy
