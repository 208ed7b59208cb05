#include "main/get_console.h"

#include <fmt/core.h>
#include <unistd.h>

namespace tributary {

using fetch::ExitStatus;
using fetch::printable;

namespace {

double seconds(core::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

GetConsole::GetConsole(core::Loop& loop, core::OffloadPool& offload, const GetOptions& options, bool many)
    : loop_(loop),
      style_(options.progress == ProgressStyle::Auto ? ProgressStyle::Plain : options.progress),
      quiet_(options.quiet),
      verbose_(options.verbose),
      many_(many),
      out_(loop, offload, STDOUT_FILENO),
      err_(loop, offload, STDERR_FILENO),
      tick_(loop) {}

void GetConsole::start(const fetch::Batch& batch) {
  batch_ = &batch;
  started_ = shown_ = loop_.now();
  tick_.start(kSample, core::Callback<void()>::to<&GetConsole::on_tick>(this));
}

void GetConsole::note(std::string_view text) {
  if (!quiet_ && !is_json()) err_.print(fmt::format("tributary get: {}\n", text));
}

void GetConsole::finish() {
  tick_.stop();
  const fetch::Batch::Totals totals = batch_->totals();
  const double time = seconds(loop_.now() - started_);
  if (is_json()) {
    out_.print(fetch::json_total(totals.done, totals.failed, totals.bytes, time, batch_->status()));
  } else if (many_ && !quiet_) {
    err_.print(fmt::format("{} of {} files, {} in {}\n", totals.done, totals.done + totals.failed,
                           fetch::format_bytes(static_cast<double>(totals.bytes)), fetch::format_seconds(time)));
  }
}

std::string GetConsole::prefix(const fetch::Transfer& transfer) const {
  return many_ ? fmt::format("[{}] ", transfer.number()) : std::string();
}

void GetConsole::on_started(const fetch::Transfer& transfer) {
  if (is_json()) out_.print(fetch::json_start(transfer.number(), transfer.url()));
  if (verbose_ && !is_json()) err_.print(fmt::format("{}{}\n", prefix(transfer), printable(transfer.url())));
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
  err_.print(lines);
}

void GetConsole::on_over(const fetch::Transfer& transfer) {
  meters_.erase(transfer.number());
  const fetch::Transfer::Report& report = transfer.report();
  if (is_json()) return out_.print(fetch::json_over(transfer.number(), transfer.url(), report));
  if (report.status == ExitStatus::Ok) {
    if (quiet_) return;
    const std::string path = printable(report.path), size = fetch::format_bytes(static_cast<double>(report.length));
    if (report.was_there) return err_.print(fmt::format("{}{} is there already ({})\n", prefix(transfer), path, size));
    const double time = seconds(report.duration);
    err_.print(fmt::format("{}saved {} ({} in {:.1f} s, {}/s)\n", prefix(transfer), path, size, time,
                           fetch::format_bytes(static_cast<double>(report.fetched) / std::max(time, 1e-3))));
    return;
  }
  std::string line = fmt::format("{}tributary get: {}: {}", prefix(transfer), printable(transfer.url()), printable(report.problem));
  if (report.can_continue) line += fmt::format("; {}.part is kept, -c continues it", printable(transfer.name()));
  err_.print(line + "\n");
}

fetch::Progress GetConsole::progress_of(const fetch::Transfer& transfer) const {
  const auto meter = meters_.find(transfer.number());
  return {transfer.number(), transfer.url(),  transfer.name(), transfer.length(),
          transfer.bytes(),  meter == meters_.end() ? 0 : meter->second.rate(), transfer.connections()};
}

void GetConsole::on_tick() {
  for (const auto& transfer : batch_->running()) meters_[transfer->number()].sample(transfer->bytes(), loop_.now());
  if (loop_.now() - shown_ >= (is_json() ? kJson : kPlain)) {
    shown_ = loop_.now();
    show();
  }
  tick_.start(kSample, core::Callback<void()>::to<&GetConsole::on_tick>(this));
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
