#include "main/get_console.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace tributary {

using fetch::ExitStatus;
using fetch::printable;

namespace {

double seconds(core::Duration duration) { return std::chrono::duration<double>(duration).count(); }

winsize terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size.ws_col = 80;
  if (size.ws_row == 0) size.ws_row = 24;
  return size;
}

}  // namespace

GetConsole::GetConsole(core::Loop& loop, core::OffloadPool& offload, const GetOptions& options, bool many)
    : loop_(loop),
      style_(options.progress != ProgressStyle::Auto ? options.progress
             : ::isatty(STDERR_FILENO)               ? ProgressStyle::Bar
                                                     : ProgressStyle::Plain),
      quiet_(options.quiet),
      verbose_(options.verbose),
      many_(many),
      out_(loop, offload, STDOUT_FILENO),
      err_(loop, offload, STDERR_FILENO),
      tick_(loop),
      resize_(loop) {
  if (style_ == ProgressStyle::Bar && !quiet_) {
    resize_.start(SIGWINCH, core::Callback<void(int)>::to<&GetConsole::on_resize>(this));
  }
}

void GetConsole::start(const fetch::Batch& batch) {
  batch_ = &batch;
  started_ = shown_ = loop_.now();
  tick_.start(style_ == ProgressStyle::Bar ? kDraw : kSample, core::Callback<void()>::to<&GetConsole::on_tick>(this));
}

void GetConsole::note(std::string_view text) {
  if (!quiet_ && !is_json()) say(fmt::format("tributary get: {}\n", text));
}

void GetConsole::finish() {
  tick_.stop();
  resize_.stop();
  err_.print(erased());
  const fetch::Batch::Totals totals = batch_->totals();
  const double time = seconds(loop_.now() - started_);
  if (is_json()) {
    out_.print(fetch::json_total(totals.done, totals.failed, totals.bytes, time, batch_->status()));
  } else if (many_ && !quiet_) {
    say(fmt::format("{} of {} files, {} in {}\n", totals.done, totals.done + totals.failed,
                           fetch::format_bytes(static_cast<double>(totals.bytes)), fetch::format_seconds(time)));
  }
}

std::string GetConsole::prefix(const fetch::Transfer& transfer) const {
  return many_ ? fmt::format("[{}] ", transfer.number()) : std::string();
}

void GetConsole::on_started(const fetch::Transfer& transfer) {
  if (is_json()) out_.print(fetch::json_start(transfer.number(), transfer.url()));
  if (verbose_ && !is_json()) say(fmt::format("{}{}\n", prefix(transfer), printable(transfer.url())));
}

void GetConsole::on_event(const fetch::Transfer& transfer, Event event, const std::string& text) {
  struct Words {
    const char *json, *plain;
    bool only_verbose;
  };
  const auto words = [event]() -> Words {
    switch (event) {
      case Event::Redirected: return {"redirect", "redirected to ", true};
      case Event::Named: return {"file", "", true};
      case Event::Resumed: return {"resume", "continuing ", false};
      case Event::Restarted: return {"restart", "from the beginning: ", false};
      case Event::Retrying: return {"retry", "", false};
      case Event::Response: return {"response", "", true};
    }
    return {"", "", true};
  }();
  if (is_json()) {
    if (event != Event::Response || verbose_) out_.print(fetch::json_event(transfer.number(), words.json, text));
    return;
  }
  if (quiet_ || (words.only_verbose && !verbose_)) return;
  std::string lines;
  for (size_t at = 0; at < text.size();) {  // a head has several
    const size_t end = std::min(text.find('\n', at), text.size());
    lines += prefix(transfer) + words.plain + printable(std::string_view(text).substr(at, end - at)) + "\n";
    at = end + 1;
  }
  say(lines);
}

void GetConsole::on_over(const fetch::Transfer& transfer) {
  meters_.erase(transfer.number());
  const fetch::Transfer::Report& report = transfer.report();
  if (is_json()) return out_.print(fetch::json_over(transfer.number(), transfer.url(), report));
  if (report.status == ExitStatus::Ok) {
    if (quiet_) return;
    const std::string path = printable(report.path), size = fetch::format_bytes(static_cast<double>(report.length));
    if (report.was_there) return say(fmt::format("{}{} is there already ({})\n", prefix(transfer), path, size));
    const double time = seconds(report.duration);
    say(fmt::format("{}saved {} ({} in {:.1f} s, {}/s)\n", prefix(transfer), path, size, time,
                           fetch::format_bytes(static_cast<double>(report.fetched) / std::max(time, 1e-3))));
    return;
  }
  std::string line = fmt::format("{}tributary get: {}: {}", prefix(transfer), printable(transfer.url()), printable(report.problem));
  if (report.can_continue) line += fmt::format("; {}.part is kept, -c continues it", printable(transfer.name()));
  say(line + "\n");
}

fetch::Progress GetConsole::progress_of(const fetch::Transfer& transfer) const {
  const auto meter = meters_.find(transfer.number());
  return {transfer.number(), transfer.url(),  transfer.name(), transfer.length(),
          transfer.bytes(),  meter == meters_.end() ? 0 : meter->second.rate(), transfer.connections()};
}

void GetConsole::on_tick() {
  for (const auto& transfer : batch_->running()) meters_[transfer->number()].sample(transfer->bytes(), loop_.now());
  const bool is_bar = style_ == ProgressStyle::Bar;
  if (is_bar) {
    draw();
  } else if (loop_.now() - shown_ >= (is_json() ? kJson : kPlain)) {
    shown_ = loop_.now();
    show();
  }
  tick_.start(is_bar ? kDraw : kSample, core::Callback<void()>::to<&GetConsole::on_tick>(this));
}

// Lines above the bar.
void GetConsole::say(std::string_view lines) {
  err_.print(erased());
  err_.print(lines);
  if (batch_) draw();
}

// What takes the bar away again.
std::string GetConsole::erased() {
  if (drawn_ == 0) return {};
  const size_t width = std::max<size_t>(terminal_size().ws_col, 1);
  const size_t rows = drawn_ * ((std::max(drawn_width_, width) + width - 1) / width);  // a narrower terminal has wrapped them
  drawn_ = 0;
  return fmt::format("\x1b[{}A\r\x1b[J", rows);
}

void GetConsole::draw() {
  if (style_ != ProgressStyle::Bar || quiet_ || !err_.is_idle()) return;  // a terminal that is stopped gets no more
  const winsize size = terminal_size();
  std::string lines = erased();
  const size_t most = size.ws_row > 3 ? size.ws_row - 2u : 1u;
  double rate = 0;
  for (const auto& transfer : batch_->running()) {
    const fetch::Progress progress = progress_of(*transfer);
    rate += progress.rate;
    if (drawn_ >= most) continue;
    lines += fetch::bar_line(progress, transfer->present(), size.ws_col) + "\n";
    ++drawn_;
  }
  if (many_) {
    const fetch::Batch::Totals totals = batch_->totals();
    lines += fetch::fitted(fmt::format("{} of {} done, {} failed, {}, {}/s", totals.done,
                                       totals.done + totals.failed + totals.running + totals.waiting, totals.failed,
                                       fetch::format_bytes(static_cast<double>(totals.bytes)), fetch::format_bytes(rate)),
                           size.ws_col - 1u) + "\n";
    ++drawn_;
  }
  drawn_width_ = size.ws_col;
  err_.print(lines);
}

void GetConsole::show() {
  if (style_ == ProgressStyle::None || (quiet_ && !is_json())) return;
  std::string lines;
  for (const auto& transfer : batch_->running()) {
    const fetch::Progress progress = progress_of(*transfer);
    lines += is_json() ? fetch::json_progress(progress) : prefix(*transfer) + fetch::plain_line(progress) + "\n";
  }
  (is_json() ? out_ : err_).print(lines, false);
}

}  // namespace tributary
