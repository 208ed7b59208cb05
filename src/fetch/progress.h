// Progress of downloads as text: how fast, how far, how long still. Pure; time is a parameter.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "cache/range_set.h"
#include "core/time.h"
#include "fetch/transfer.h"

namespace tributary::fetch {

// The rate over the last few seconds.
class RateMeter {
 public:
  static constexpr core::Duration kWindow = std::chrono::seconds(5);

  // `bytes` so far, as of `now`; fewer than before: it began anew.
  void sample(uint64_t bytes, core::TimePoint now);
  double rate() const;  // bytes/s

 private:
  struct Sample {
    core::TimePoint at;
    uint64_t bytes;
  };
  std::deque<Sample> samples_;
};

// A download at one moment.
struct Progress {
  uint64_t number = 0;
  std::string url, name;  // name: empty while it is not known
  std::optional<uint64_t> length;
  uint64_t bytes = 0;
  double rate = 0;  // bytes/s
  unsigned connections = 0;

  std::optional<double> seconds_left() const;
  std::optional<double> share() const;  // 0 to 1
};

std::string format_bytes(double bytes);      // "12.3 MiB"
std::string format_seconds(double seconds);  // "45 s", "3 min 05 s", "2 h 07 min"

// Without control characters, so that no server can command a terminal.
std::string printable(std::string_view text);

// "file.iso: 45 %, 123.4 MiB of 270.0 MiB, 12.3 MiB/s, 4 connections, 12 s left"
std::string plain_line(const Progress& progress);

// Where the pieces are: "####=...##", `cells` of them; # is there, = in part, . not yet.
std::string piece_map(const cache::RangeSet& present, uint64_t length, size_t cells);

// How many columns of a terminal printable text takes, about; and as much of it as fits.
size_t columns(std::string_view text);
std::string fitted(std::string_view text, size_t width);

// For a terminal of `width` columns, at most width - 1 of them:
// "file.iso             45 % [####==....####......]  12.3 MiB/s  4 conn  12 s"
std::string bar_line(const Progress& progress, const cache::RangeSet* present, size_t width);

// One JSON object a line.
std::string json_start(uint64_t number, std::string_view url);
std::string json_event(uint64_t number, std::string_view event, std::string_view text);
std::string json_progress(const Progress& progress);
std::string json_over(uint64_t number, std::string_view url, const Transfer::Report& report);
std::string json_total(size_t done, size_t failed, uint64_t bytes, double seconds, ExitStatus status);

}  // namespace tributary::fetch
