#include "conf/keys.h"

#include <algorithm>
#include <type_traits>

#include <fmt/core.h>

#include "conf/value.h"
#include "http/text.h"

namespace tributary::conf {
namespace {

constexpr std::string_view kBackends[] = {"epoll"};
constexpr std::string_view kPrefer[] = {"auto", "ipv4", "ipv6"};
constexpr std::string_view kTlsVersions[] = {"1.2", "1.3"};
constexpr std::string_view kSync[] = {"batched", "always", "off"};
constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error", "fatal", "off"};
constexpr std::string_view kLogFormats[] = {"text", "json"};
constexpr std::string_view kAccessFormats[] = {"common", "combined", "squid", "json"};
constexpr std::string_view kProtocols[] = {"http", "socks4", "socks5"};

template <class T>
T from_value(const Value& value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(std::get<uint64_t>(value));
  } else if constexpr (std::is_same_v<T, std::vector<PortRange>>) {
    std::vector<PortRange> ranges;
    for (const std::string& text : std::get<std::vector<std::string>>(value))
      ranges.push_back(*parse_ports(text));
    return ranges;
  } else {
    return std::get<T>(value);
  }
}

template <class T>
Value to_value(const T& field) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<uint64_t>(field);
  } else if constexpr (std::is_same_v<T, std::vector<PortRange>>) {
    std::vector<std::string> texts;
    for (const PortRange& range : field) texts.push_back(format_ports(range));
    return texts;
  } else {
    return field;
  }
}

struct Range {
  uint64_t min = 0, max = UINT64_MAX;
  bool or_zero = false;
};

// `Field` picks the member: a captureless lambda (Config&, size_t) -> T&.
template <class Field>
Key row(std::string_view path, Kind kind, Field, std::string_view help, Range range = {},
        std::span<const std::string_view> choices = {}) {
  using T = std::remove_cvref_t<std::invoke_result_t<Field, Config&, size_t>>;
  Key key{path, kind, help, range.min, range.max, range.or_zero, choices, nullptr, nullptr};
  key.set = [](Config& config, size_t index, const Value& value) {
    Field{}(config, index) = from_value<T>(value);
  };
  key.get = [](const Config& config, size_t index) { return to_value<T>(Field{}(config, index)); };
  return key;
}

#define FIELD(member)            \
  [](auto& c, size_t) -> auto& { \
    return c.member;             \
  }
#define LISTEN_FIELD(member)       \
  [](auto& c, size_t i) -> auto& { \
    return c.listen[i].member;     \
  }

constexpr uint64_t kSecond = 1'000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour,
                   kYear = 365 * kDay;
constexpr uint64_t kKiB = 1ull << 10, kMiB = 1ull << 20, kGiB = 1ull << 30, kTiB = 1ull << 40;
constexpr Range kTimeout{100, 7 * kDay};

const std::vector<Key>& table() {
  using enum Kind;
  static const std::vector<Key> rows = {
      row("server.workers", Count, FIELD(server.workers),
          "Worker threads, each with its own event loop. 0: one per core.", {0, 64}),
      row("server.offload_threads", Count, FIELD(server.offload_threads),
          "Threads for what would stall a loop: files, cold index pages, hashing.", {1, 256}),
      row("server.backend", Choice, FIELD(server.backend), "The kernel's event interface.", {},
          kBackends),
      row("server.drain_timeout", Period, FIELD(server.drain_timeout),
          "How long TERM or INT waits for what runs to finish. 0: stop at once.", {0, kDay}),
      row("server.max_connections", Count, FIELD(server.max_connections),
          "Client connections at a time, all workers together. The limit of open files (ulimit -n) "
          "should be twice that.",
          {1, 10'000'000}),
      row("server.pid_file", Path, FIELD(server.pid_file),
          "File that gets the process number. Empty: none."),

      row("listen.address", ListenAddress, LISTEN_FIELD(address),
          "Where clients connect. \":3128\" is every interface; access.allow_clients says who "
          "may."),
      row("listen.protocols", Protocols, LISTEN_FIELD(protocols),
          "What is spoken there, told apart by the first bytes.", {}, kProtocols),

      row("timeout.header", Period, FIELD(timeout.header),
          "For a client to send a whole request head.", kTimeout),
      row("timeout.idle", Period, FIELD(timeout.idle),
          "For a client's kept connection to send its next request.", kTimeout),
      row("timeout.connect", Period, FIELD(timeout.connect),
          "For a connection to one address of an origin.", kTimeout),
      row("timeout.tls", Period, FIELD(timeout.tls), "For a TLS handshake.", kTimeout),
      row("timeout.first_byte", Period, FIELD(timeout.first_byte),
          "For an origin's response to begin once the request is sent.", kTimeout),
      row("timeout.read", Period, FIELD(timeout.read),
          "For more bytes of a message that has begun, from either side.", kTimeout),
      row("timeout.tunnel_idle", Period, FIELD(timeout.tunnel_idle),
          "For a tunnel (CONNECT, SOCKS) in which nothing moves.", kTimeout),
      row("timeout.request", Period, FIELD(timeout.request), "For a whole exchange. 0: no limit.",
          {0, 30 * kDay}),
      row("timeout.socks", Period, FIELD(timeout.socks), "For a SOCKS handshake.", kTimeout),
      row("timeout.dns", Period, FIELD(timeout.dns), "For a name to be resolved.", kTimeout),
      row("timeout.acquire", Period, FIELD(timeout.acquire),
          "For a connection to become free when upstream.max_connections or its limit per host is "
          "reached.",
          kTimeout),

      row("limit.header_size", Size, FIELD(limit.header_size),
          "A message's head, its first line included.", {1 * kKiB, 1 * kMiB}),
      row("limit.header_count", Count, FIELD(limit.header_count), "Field lines of a message.",
          {16, 10'000}),
      row("limit.body_size", Size, FIELD(limit.body_size), "Content of a request. 0: no limit."),
      row("limit.requests_per_connection", Count, FIELD(limit.requests_per_connection),
          "Requests on one client connection before it is closed. 0: no limit.",
          {0, 1'000'000'000}),

      row("access.allow_clients", Networks, FIELD(access.allow_clients),
          "Who may use the proxy. The default is this machine and private networks, so that it is "
          "never an open proxy."),
      row("access.deny_clients", Networks, FIELD(access.deny_clients),
          "Who may not, though allowed above."),
      row("access.allow_hosts", Hosts, FIELD(access.allow_hosts),
          "Destinations that are allowed: exact names, \".suffix\" for a domain and all below it, "
          "globs. Empty: all."),
      row("access.deny_hosts", Hosts, FIELD(access.deny_hosts),
          "Destinations that are not, though allowed above."),
      row("access.allow_ports", Ports, FIELD(access.allow_ports),
          "Ports of destinations. \"*\" opens all."),
      row("access.connect_ports", Ports, FIELD(access.connect_ports),
          "Ports that CONNECT may tunnel to. [\"*\"] opens all."),
      row("access.allow_private", Bool, FIELD(access.allow_private),
          "Whether a destination may resolve to a loopback, link-local, private or otherwise "
          "special address. Needed for "
          "origins in one's own network."),

      row("dns.servers", DnsServers, FIELD(dns.servers),
          "Name servers, asked in order. Empty: those of the system."),
      row("dns.hosts_file", Path, FIELD(dns.hosts_file),
          "Names that are looked up here first. Empty: none."),
      row("dns.min_ttl", Period, FIELD(dns.min_ttl),
          "Shorter lifetimes of answers are raised to this.", {0, 7 * kDay}),
      row("dns.max_ttl", Period, FIELD(dns.max_ttl), "Longer lifetimes of answers are cut to this.",
          {0, 7 * kDay}),
      row("dns.negative_ttl", Period, FIELD(dns.negative_ttl),
          "How long it is remembered that a name does not exist.", {0, kDay}),
      row("dns.cache_entries", Count, FIELD(dns.cache_entries), "Names remembered by each worker.",
          {16, 10'000'000}),
      row("dns.prefer", Choice, FIELD(dns.prefer),
          "Which addresses are tried first when a name has both. \"auto\": IPv6, then the other "
          "soon after (RFC 8305).",
          {}, kPrefer),

      row("upstream.max_connections", Count, FIELD(upstream.max_connections),
          "Connections for requests to all origins at a time, all workers together. Tunnels do not count: each "
          "lasts as long as its client, and server.max_connections bounds those.",
          {1, 10'000'000}),
      row("upstream.max_connections_per_host", Count, FIELD(upstream.max_connections_per_host),
          "Connections for requests to one origin at a time, all workers together.", {1, 1'000'000}),
      row("upstream.max_idle_per_host", Count, FIELD(upstream.max_idle_per_host),
          "Idle connections that are kept to one origin, by each worker.", {0, 100'000}),
      row("upstream.idle_timeout", Period, FIELD(upstream.idle_timeout),
          "How long an idle connection is kept.", kTimeout),
      row("upstream.max_age", Period, FIELD(upstream.max_age),
          "Age at which a connection is not used again. 0: no limit.", {0, 7 * kDay}),
      row("upstream.retries", Count, FIELD(upstream.retries),
          "Further attempts of a request that can safely be repeated.", {0, 10}),
      row("upstream.tls.ca_file", Path, FIELD(upstream.tls.ca_file),
          "PEM file of the authorities that origins are verified against. Empty: those of the "
          "system."),
      row("upstream.tls.verify", Bool, FIELD(upstream.tls.verify),
          "Whether certificates of origins are verified. Turn it off for tests only."),
      row("upstream.tls.min_version", Choice, FIELD(upstream.tls.min_version),
          "Oldest TLS version spoken to origins.", {}, kTlsVersions),

      row("accelerate.enabled", Bool, FIELD(accelerate.enabled),
          "Whether large downloads are split over connections."),
      row("accelerate.min_size", Size, FIELD(accelerate.min_size),
          "Smallest download that is split.", {256 * kKiB, kTiB}),
      row("accelerate.max_connections", Count, FIELD(accelerate.max_connections),
          "Connections for one download.", {1, 128}),
      row("accelerate.max_connections_per_host", Count, FIELD(accelerate.max_connections_per_host),
          "Connections of all downloads to one origin.", {1, 1'000}),
      row("accelerate.piece_size", Size, FIELD(accelerate.piece_size),
          "What one connection asks for at a time. 0: chosen from the rate that is measured.",
          {256 * kKiB, kGiB, true}),
      row("accelerate.max_downloads", Count, FIELD(accelerate.max_downloads),
          "Downloads that are split at the same time; further ones use one connection.",
          {1, 10'000}),

      row("cache.enabled", Bool, FIELD(cache.enabled),
          "Whether responses are stored and served again."),
      row("cache.directory", Path, FIELD(cache.directory),
          "Where they are stored; one process at a time. Empty: $XDG_CACHE_HOME/tributary, "
          "~/.cache/tributary, or "
          "/var/cache/tributary where there is no home directory."),
      row("cache.size", Size, FIELD(cache.size), "Disk that the cache may use.",
          {64 * kMiB, 1024 * kTiB}),
      row("cache.memory", Size, FIELD(cache.memory), "Memory for the most used small objects.",
          {1 * kMiB, kTiB}),
      row("cache.max_object", Size, FIELD(cache.max_object),
          "Content of the largest object that is stored. 0: a quarter of cache.size.",
          {0, 1024 * kTiB}),
      row("cache.min_free_disk", Size, FIELD(cache.min_free_disk),
          "Space that is left free on the file system: the cache stays smaller than its size for "
          "that. 0: all is used.",
          {0, 1024 * kTiB}),
      row("cache.sync", Choice, FIELD(cache.sync),
          "When new entries are made durable: \"batched\" a few times a second, \"always\" with "
          "their content before they "
          "count as stored, \"off\" when the kernel likes. A crash never makes a wrong entry, "
          "whatever is chosen.",
          {}, kSync),
      row("cache.stale_if_error", Period, FIELD(cache.stale_if_error),
          "How long beyond its freshness a response may answer when the origin cannot be reached or answers 500, 502, "
          "503 or 504, where the response does not say it itself (RFC 5861). Never against must-revalidate.",
          {0, kYear}),
      row("cache.stale_while_revalidate", Period, FIELD(cache.stale_while_revalidate),
          "How long beyond its freshness a response is served at once while it is validated in the background, where "
          "the response does not say it itself (RFC 5861). Never against must-revalidate.",
          {0, kYear}),
      row("cache.negative_ttl", Period, FIELD(cache.negative_ttl),
          "How long an answer 404, 405, 410, 414 or 501 that says nothing about it is fresh.", {0, kYear}),
      row("cache.targeted_fields", FieldNames, FIELD(cache.targeted_fields),
          "Response fields that count instead of Cache-Control and Expires, most wanted first (RFC 9213). Empty: none."),
      row("cache.ignore_query", QueryNames, FIELD(cache.ignore_query),
          "Query parameters that make no difference to what is stored: names, or globs such as utm_*. The origin still "
          "gets them. Only for parameters that never change a response."),
      row("cache.offline", Bool, FIELD(cache.offline),
          "Whether to answer from the cache alone: stale responses will do, what is not stored is refused with 504. "
          "Tunnels are not affected."),

      row("admin.address", AdminAddress, FIELD(admin.address),
          "Where metrics, health and statistics are served; \"off\" for none. Loopback or a unix "
          "socket only."),
      row("admin.allow_clients", Networks, FIELD(admin.allow_clients),
          "Who may use that listener, and the method PURGE on the proxy's own ports."),

      row("log.level", Choice, FIELD(log.level), "Least severe lines that are written.", {},
          kLevels),
      row("log.file", Path, FIELD(log.file), "Empty: standard error. USR1 opens it again."),
      row("log.format", Choice, FIELD(log.format), "Form of the lines.", {}, kLogFormats),
      row("log.access_file", Path, FIELD(log.access_file),
          "A line for each request. Empty: none; \"-\": standard output. USR1 opens it again."),
      row("log.access_format", Choice, FIELD(log.access_format), "Form of these lines.", {},
          kAccessFormats),
  };
  return rows;
}
#undef FIELD
#undef LISTEN_FIELD

constexpr std::string_view kNotImplemented[] = {
    "server.user",
    "server.max_connections_per_client",
    "server.memory_limit",
    "listen.tls",
    "listen.proxy_protocol",
    "listen.transparent",
    "limit.bandwidth_per_client",
    "limit.bandwidth_per_connection",
    "limit.requests_per_second_per_client",
    "auth",
    "upstream.http2",
    "upstream.fast_open",
    "upstream.tls.ocsp",
    "upstream.tls.crl_file",
    "upstream.tls.crl_refresh",
    "upstream.tls.ct_log_list",
    "upstream.tls.certificate",
    "upstream.tls.key",
    "parent",
    "cache.verify",
    "mirror",
    "intercept",
    "admin.token_file",
    "admin.cors_origins",
    "log.sample",
    "statsd",
};

constexpr Section kSections[] = {
    {"server", "The process."},
    {"listen", "Where clients connect. Repeat it for further addresses."},
    {"timeout", "How long each wait may last."},
    {"limit", "What one client may send."},
    {"access", "Who may go where."},
    {"dns", "Name resolution, with a cache in each worker."},
    {"upstream", "Connections to origins."},
    {"upstream.tls", "TLS towards origins."},
    {"accelerate", "Splitting of large downloads over several connections."},
    {"cache", "The store."},
    {"admin", "The listener for operators and monitoring."},
    {"log", "What is written down."},
};

std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names)
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
  return text;
}

std::string range_text(const Key& key, std::string (*format)(uint64_t)) {
  if (key.max == UINT64_MAX)
    return key.min == 0 ? "" : fmt::format(" of at least {}", format(key.min));
  return fmt::format("{} from {} to {}", key.or_zero ? " of 0 or" : "", format(key.min),
                     format(key.max));
}

std::string format_count(uint64_t n) {
  return fmt::format("{}", n);
}
std::string format_milliseconds(uint64_t n) {
  return format_duration(std::chrono::milliseconds(static_cast<int64_t>(n)));
}

std::optional<uint64_t> in_range(const Key& key, std::optional<uint64_t> number) {
  if (!number || (*number == 0 && key.or_zero)) return number;
  return key.min <= *number && *number <= key.max ? number : std::nullopt;
}

std::optional<Value> text_if(bool is_allowed, std::string_view text) {
  return is_allowed ? std::optional<Value>(std::string(text)) : std::nullopt;
}

std::optional<Value> parse_choice(const Key& key, std::string_view text) {
  const auto at = std::find(key.choices.begin(), key.choices.end(), text);
  if (at == key.choices.end()) return std::nullopt;
  return static_cast<uint64_t>(at - key.choices.begin());
}

std::optional<Value> parse_count(const Key& key, std::string_view text) {
  const bool plain =
      !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  const std::optional<uint64_t> number = in_range(key, plain ? parse_size(text) : std::nullopt);
  return number ? std::optional<Value>(*number) : std::nullopt;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

}  // namespace

std::span<const Key> keys() {
  return table();
}
std::span<const std::string_view> keys_not_implemented() {
  return kNotImplemented;
}
std::span<const Section> sections() {
  return kSections;
}

const Key* find_key(std::string_view path) {
  for (const Key& key : table()) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

std::string environment_name(std::string_view path) {
  std::string name = "TRIBUTARY_";
  for (const char c : path)
    name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::string allowed(const Key& key) {
  switch (key.kind) {
    case Kind::Bool:
      return "true or false";
    case Kind::Count:
      return "a whole number" + range_text(key, format_count);
    case Kind::Size:
      return "a size" + range_text(key, format_size) + ", such as 64KiB, 10GiB or 1GB";
    case Kind::Period:
      return "a duration" + range_text(key, format_milliseconds) + ", such as 250ms, 30s, 5m or 7d";
    case Kind::Path:
      return "a path";
    case Kind::Choice:
      return (key.choices.size() > 1 ? "one of " : "") + joined(key.choices);
    case Kind::ListenAddress:
      return "an IP address with a port, such as 127.0.0.1:3128, [::1]:3128 or :3128 (all "
             "interfaces), or "
             "unix:/run/tributary.sock";
    case Kind::AdminAddress:
      return "an address of this machine only, such as 127.0.0.1:3129, [::1]:3129 or "
             "unix:/run/tributary-admin.sock, or off";
    case Kind::Protocols:
      return "a list of at least one of " + joined(key.choices);
    case Kind::Networks:
      return "a list of addresses and networks, such as 10.0.0.0/8, fc00::/7 or 192.0.2.7";
    case Kind::Hosts:
      return "a list of host names, such as example.com, .example.com or *.cdn.example.com";
    case Kind::Ports:
      return "a list of ports from 1 to 65535, such as 443, \"1024-65535\" or \"*\"";
    case Kind::DnsServers:
      return "a list of IP addresses, with a port or without, such as 192.0.2.53 or "
             "[2001:db8::53]:53";
    case Kind::FieldNames:
      return "a list of field names, such as CDN-Cache-Control";
    case Kind::QueryNames:
      return "a list of parameter names, such as fbclid or utm_*";
  }
  return "";
}

std::optional<Value> parse_value(const Key& key, std::string_view text) {
  switch (key.kind) {
    case Kind::Bool:
      return text == "true"    ? std::optional<Value>(true)
             : text == "false" ? std::optional<Value>(false)
                               : std::nullopt;
    case Kind::Count:
      return parse_count(key, text);
    case Kind::Size: {
      const std::optional<uint64_t> size = in_range(key, parse_size(text));
      return size ? std::optional<Value>(*size) : std::nullopt;
    }
    case Kind::Period: {
      const std::optional<Duration> duration = parse_duration(text);
      if (!duration) return std::nullopt;
      const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(*duration).count();
      return in_range(key, static_cast<uint64_t>(milliseconds)) ? std::optional<Value>(*duration)
                                                                : std::nullopt;
    }
    case Kind::Choice:
      return parse_choice(key, text);
    case Kind::Path:
      return text_if(text.find('\0') == std::string_view::npos, text);
    case Kind::ListenAddress:
      return text_if(is_listen_address(text), text);
    case Kind::AdminAddress:
      return text_if(text == "off" || (is_listen_address(text) && is_local_address(text)), text);
    case Kind::Protocols:
      return text_if(parse_choice(key, text).has_value(), text);
    case Kind::Networks:
      return text_if(is_network(text), text);
    case Kind::Hosts:
      return text_if(is_host_pattern(lower(text)), lower(text));
    case Kind::DnsServers:
      return text_if(is_dns_server(text), text);
    case Kind::FieldNames:
      return text_if(http::is_token(text), text);
    case Kind::QueryNames:
      return text_if(!text.empty() && text.find_first_of("&=#? \t") == std::string_view::npos, text);
    case Kind::Ports: {
      const std::optional<PortRange> range = parse_ports(text);
      return text_if(range.has_value(), range ? format_ports(*range) : std::string());
    }
  }
  return std::nullopt;
}

namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace

std::string format_value(const Key& key, const Value& value) {
  switch (key.kind) {
    case Kind::Bool:
      return std::get<bool>(value) ? "true" : "false";
    case Kind::Count:
      return format_count(std::get<uint64_t>(value));
    case Kind::Size:
      return quoted(format_size(std::get<uint64_t>(value)));
    case Kind::Period:
      return quoted(format_duration(std::get<Duration>(value)));
    case Kind::Choice:
      return quoted(key.choices[std::get<uint64_t>(value)]);
    default:
      break;
  }
  if (!is_list(key.kind)) return quoted(std::get<std::string>(value));
  std::string list;
  for (const std::string& item : std::get<std::vector<std::string>>(value)) {
    const bool is_number =
        key.kind == Kind::Ports && item.find_first_not_of("0123456789") == std::string::npos;
    list += (list.empty() ? "" : ", ") + (is_number ? item : quoted(item));
  }
  return "[" + list + "]";
}

}  // namespace tributary::conf
