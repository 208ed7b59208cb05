#include "fetch/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "http/utf8.h"

namespace tributary::fetch {
namespace {

using Json = nlohmann::ordered_json;

double seconds(core::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

double rounded(double value, double step) { return std::round(value / step) * step; }

}  // namespace

void RateMeter::sample(uint64_t bytes, core::TimePoint now) {
  if (!samples_.empty() && bytes < samples_.back().bytes) samples_.clear();
  samples_.push_back({now, bytes});
  while (samples_.size() > 2 && now - samples_[1].at >= kWindow) samples_.pop_front();
}

double RateMeter::rate() const {
  if (samples_.size() < 2) return 0;
  const double time = seconds(samples_.back().at - samples_.front().at);
  return time > 0 ? static_cast<double>(samples_.back().bytes - samples_.front().bytes) / time : 0;
}

std::optional<double> Progress::seconds_left() const {
  if (!length || rate < 1 || *length < bytes) return {};
  return static_cast<double>(*length - bytes) / rate;
}

std::optional<double> Progress::share() const {
  if (!length) return {};
  return *length == 0 ? 1 : static_cast<double>(bytes) / static_cast<double>(*length);
}

std::string format_bytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1023.95 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string format_seconds(double value) {
  const auto whole = static_cast<uint64_t>(std::min(std::max(value + 0.5, 0.0), 3.6e9));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string printable(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    size_t size = 0;
    const char32_t c = http::utf8_decode(text, size);
    const bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0);  // C0, C1: some terminals obey both
    const bool turns_text = c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    if (is_control || turns_text || c == 0xfffd) {
      clean += '?';
    } else {
      clean += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return clean;
}

std::string plain_line(const Progress& progress) {
  std::string text = printable(progress.name.empty() ? progress.url : progress.name) + ": ";
  if (const auto share = progress.share()) text += fmt::format("{:.0f} %, ", std::floor(*share * 100));
  text += format_bytes(static_cast<double>(progress.bytes));
  if (progress.length) text += " of " + format_bytes(static_cast<double>(*progress.length));
  text += fmt::format(", {}/s, {} connection{}", format_bytes(progress.rate), progress.connections,
                      progress.connections == 1 ? "" : "s");
  if (const auto left = progress.seconds_left()) text += fmt::format(", {} left", format_seconds(*left));
  return text;
}

std::string piece_map(const cache::RangeSet& present, uint64_t length, size_t cells) {
  std::string map(cells, '.');
  if (length == 0) return map;
  const double step = static_cast<double>(length) / static_cast<double>(cells);
  for (size_t i = 0; i < cells; ++i) {
    const auto first = static_cast<uint64_t>(static_cast<double>(i) * step);
    const uint64_t last = i + 1 == cells ? length : static_cast<uint64_t>(static_cast<double>(i + 1) * step);
    if (first >= last) {  // more cells than bytes
      map[i] = present.covers(first, first + 1) ? '#' : '.';
      continue;
    }
    const uint64_t here = present.bytes_in(first, last);
    map[i] = here == 0 ? '.' : here == last - first ? '#' : '=';
  }
  return map;
}

size_t columns(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    size_t size = 0;
    const char32_t c = http::utf8_decode(text, size);
    // East Asian letters and pictures take two.
    count += (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xd7b0) || (c >= 0xf900 && c < 0xfb00) ||
                     (c >= 0xff00 && c < 0xff61) || c >= 0x1f300
                 ? 2
                 : 1;
    text.remove_prefix(size);
  }
  return count;
}

std::string fitted(std::string_view text, size_t width) {
  while (columns(text) > width) text = http::utf8_prefix(text, text.size() - 1);
  return std::string(text);
}

std::string bar_line(const Progress& progress, const cache::RangeSet* present, size_t width) {
  if (width < 2) return {};
  std::string tail = fmt::format("{:>10}/s {:>2} conn", format_bytes(progress.rate), progress.connections);
  if (const auto left = progress.seconds_left()) tail += "  " + format_seconds(*left);
  const auto share = progress.share();
  const std::string middle = share ? fmt::format("{:3.0f} % ", std::floor(*share * 100))
                                   : format_bytes(static_cast<double>(progress.bytes)) + " ";
  const size_t room = width - 1;
  const size_t name_width = std::min<size_t>(std::max<size_t>(room / 4, 8), 40);
  std::string line = fitted(printable(progress.name.empty() ? progress.url : progress.name), name_width);
  line += std::string(name_width - columns(line) + 1, ' ') + middle;
  const size_t used = columns(line) + columns(tail) + 3;
  if (progress.length && used + 10 <= room) {
    static const cache::RangeSet kNothing;
    line += "[" + piece_map(present ? *present : kNothing, *progress.length, std::min<size_t>(room - used - 6, 60)) + "] ";
  }
  return fitted(line + tail, room);
}

std::string json_start(uint64_t number, std::string_view url) {
  return line({{"event", "start"}, {"id", number}, {"url", url}});
}

std::string json_event(uint64_t number, std::string_view event, std::string_view text) {
  return line({{"event", event}, {"id", number}, {"text", text}});
}

std::string json_progress(const Progress& progress) {
  const auto left = progress.seconds_left();
  return line({{"event", "progress"},
               {"id", progress.number},
               {"bytes", progress.bytes},
               {"length", progress.length ? Json(*progress.length) : Json()},
               {"rate", std::round(progress.rate)},
               {"connections", progress.connections},
               {"seconds_left", left ? Json(rounded(*left, 0.1)) : Json()}});
}

std::string json_over(uint64_t number, std::string_view url, const Transfer::Report& report) {
  Json json = {{"event", report.status == ExitStatus::Ok ? "done" : "failed"},
               {"id", number},
               {"url", url},
               {"status", static_cast<int>(report.status)}};
  if (!report.path.empty()) json["file"] = report.path;
  if (report.status == ExitStatus::Ok) {
    json["length"] = report.length;
  } else {
    json["problem"] = report.problem;
    json["can_continue"] = report.can_continue;
  }
  json["fetched"] = report.fetched;
  json["seconds"] = rounded(seconds(report.duration), 0.001);
  return line(json);
}

std::string json_total(size_t done, size_t failed, uint64_t bytes, double time, ExitStatus status) {
  return line({{"event", "total"},
               {"done", done},
               {"failed", failed},
               {"bytes", bytes},
               {"seconds", rounded(time, 0.001)},
               {"status", static_cast<int>(status)}});
}

}  // namespace tributary::fetch
