// The formats of the access log: NCSA common and combined (what Apache and nginx write), squid's native one, and a JSON
// object a line.
#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "proxy/access_log.h"
#include "proxy/error_page.h"

namespace tributary::proxy {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr size_t kMaxColumn = 8192;  // longer text is cut; a head has at most 64 KiB

void append_number(uint64_t value, std::string& out) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void append_padded(uint64_t value, size_t width, std::string& out) {
  char digits[20];
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  for (size_t n = static_cast<size_t>(end - digits); n < width; ++n) out += '0';
  out.append(digits, end);
}

// What peers wrote, so that it can neither end its column nor the line: quotes, backslashes and everything that is not
// printable ASCII become \xHH, as Apache does. Outside of quotes (`bare`) blanks do too.
void append_escaped(std::string_view text, bool bare, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : text.substr(0, kMaxColumn)) {
    const uint8_t byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\' || (bare && c == ' ')) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

void append_column(std::string_view text, std::string& out) {
  if (text.empty()) {
    out += '-';
  } else {
    append_escaped(text, true, out);
  }
}

void append_quoted(std::string_view text, std::string& out) {
  out += '"';
  if (text.empty()) {
    out += '-';
  } else {
    append_escaped(text, false, out);
  }
  out += '"';
}

void append_client(const AccessRecord& record, std::string& out) {
  if (!record.client || record.client->is_none()) {
    out += '-';
  } else if (record.client->is_ip()) {
    out += record.client->ip().to_string();
  } else {
    out += "unix:";
  }
}

std::tm utc(core::UnixTime seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return parts;
}

int64_t milliseconds(core::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

bool is_socks(Protocol protocol) { return protocol == Protocol::Socks4 || protocol == Protocol::Socks5; }

// 127.0.0.1 - user [21/Nov/2026:08:23:22 +0000] "GET http://h/ HTTP/1.1" 200 5120
void append_common(const AccessRecord& record, std::string& out) {
  append_client(record, out);
  out += " - ";
  append_column(record.user, out);
  const std::tm time = utc(record.finished);
  out += " [";
  append_padded(static_cast<uint64_t>(time.tm_mday), 2, out);
  out += '/';
  out += kMonths[static_cast<size_t>(time.tm_mon)];
  out += '/';
  append_padded(static_cast<uint64_t>(time.tm_year + 1900), 4, out);
  for (const int part : {time.tm_hour, time.tm_min, time.tm_sec}) {
    out += ':';
    append_padded(static_cast<uint64_t>(part), 2, out);
  }
  out += " +0000] \"";
  if (record.method.empty()) {
    out += '-';
  } else {
    append_escaped(record.method, true, out);
    out += ' ';
    append_escaped(record.target, true, out);
    if (is_socks(record.protocol)) {
      out += record.protocol == Protocol::Socks5 ? " SOCKS/5" : " SOCKS/4";
    } else {
      out += " HTTP/1.";
      out += static_cast<char>('0' + record.minor % 10);
    }
  }
  out += "\" ";
  if (record.status == 0) {
    out += '-';
  } else {
    append_padded(record.status, 3, out);
  }
  out += ' ';
  append_number(record.bytes_sent, out);
}

// Squid's result code and hierarchy, from what the cache did.
std::string_view squid_result(const AccessRecord& record) {
  if (record.method == "CONNECT" || is_socks(record.protocol)) {
    return record.error.empty() ? "TCP_TUNNEL" : "TCP_DENIED";
  }
  if (record.status == 403 || record.status == 407) return "TCP_DENIED";
  switch (record.cache) {
    case CacheResult::Hit: return "TCP_HIT";
    case CacheResult::Stale: return "TCP_STALE_HIT";
    case CacheResult::Revalidated: return "TCP_REFRESH_UNMODIFIED";
    case CacheResult::Collapsed: return "TCP_CF_HIT";
    case CacheResult::Miss:
    case CacheResult::Bypass: break;
  }
  return "TCP_MISS";
}

// 1763713402.123     45 127.0.0.1 TCP_MISS/200 5120 GET http://h/ - HIER_DIRECT/h text/html
void append_squid(const AccessRecord& record, std::string& out) {
  append_number(static_cast<uint64_t>(record.finished), out);
  out += '.';
  append_padded(record.finished_ms % 1000, 3, out);
  std::string elapsed;
  append_number(static_cast<uint64_t>(std::max<int64_t>(0, milliseconds(record.duration))), elapsed);
  out.append(elapsed.size() < 7 ? 7 - elapsed.size() : 1, ' ');
  out += elapsed;
  out += ' ';
  append_client(record, out);
  out += ' ';
  out += squid_result(record);
  out += '/';
  append_padded(record.status, 3, out);
  out += ' ';
  append_number(record.bytes_sent, out);
  out += ' ';
  append_column(record.method, out);
  out += ' ';
  append_column(record.target, out);
  out += ' ';
  append_column(record.user, out);
  out += record.origin.empty() ? " HIER_NONE/" : " HIER_DIRECT/";
  append_column(record.origin, out);
  out += ' ';
  append_column(record.content_type.substr(0, record.content_type.find(';')), out);
}

void append_json_line(const AccessRecord& record, std::string& out) {
  const std::tm time = utc(record.finished);
  out += "{\"time\":\"";
  append_padded(static_cast<uint64_t>(time.tm_year + 1900), 4, out);
  out += '-';
  append_padded(static_cast<uint64_t>(time.tm_mon + 1), 2, out);
  out += '-';
  append_padded(static_cast<uint64_t>(time.tm_mday), 2, out);
  char separator = 'T';
  for (const int part : {time.tm_hour, time.tm_min, time.tm_sec}) {
    out += separator;
    append_padded(static_cast<uint64_t>(part), 2, out);
    separator = ':';
  }
  out += '.';
  append_padded(record.finished_ms % 1000, 3, out);
  out += "Z\",\"client\":\"";
  append_client(record, out);
  out += '"';
  const auto text = [&out](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += ",\"";
    out += name;
    out += "\":\"";
    append_json(value.substr(0, kMaxColumn), out);
    out += '"';
  };
  const auto number = [&out](std::string_view name, uint64_t value) {
    out += ",\"";
    out += name;
    out += "\":";
    append_number(value, out);
  };
  text("user", record.user);
  text("protocol", protocol_name(record.protocol));
  text("method", record.method);
  text("target", record.target);
  number("status", record.status);
  text("cache", cache_result_name(record.cache));
  number("bytes_received", record.bytes_received);
  number("bytes_sent", record.bytes_sent);
  number("duration_ms", static_cast<uint64_t>(std::max<int64_t>(0, milliseconds(record.duration))));
  text("origin", record.origin);
  text("content_type", record.content_type);
  text("referer", record.referer);
  text("user_agent", record.user_agent);
  text("error", record.error);
  out += '}';
}

}  // namespace

void format_access_line(AccessFormat format, const AccessRecord& record, std::string& out) {
  switch (format) {
    case AccessFormat::Common:
      append_common(record, out);
      break;
    case AccessFormat::Combined:
      append_common(record, out);
      out += ' ';
      append_quoted(record.referer, out);
      out += ' ';
      append_quoted(record.user_agent, out);
      break;
    case AccessFormat::Squid:
      append_squid(record, out);
      break;
    case AccessFormat::Json:
      append_json_line(record, out);
      break;
  }
  out += '\n';
}

}  // namespace tributary::proxy
