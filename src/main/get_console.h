// What `tributary get` tells its user: lines on standard error for people, JSON objects on standard output for programs.
// Loop-affine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/loop.h"
#include "core/offload.h"
#include "fetch/batch.h"
#include "fetch/progress.h"
#include "main/get_command.h"
#include "main/print_queue.h"

namespace tributary {

class GetConsole final : public fetch::BatchObserver {
 public:
  GetConsole(core::Loop& loop, core::OffloadPool& offload, const GetOptions& options, bool many);

  // Progress of this batch from now on.
  void start(const fetch::Batch& batch);
  void note(std::string_view text);
  void finish();

  void on_started(const fetch::Transfer& transfer) override;
  void on_over(const fetch::Transfer& transfer) override;
  void on_event(const fetch::Transfer& transfer, Event event, const std::string& text) override;

 private:
  static constexpr core::Duration kSample = std::chrono::milliseconds(500);
  static constexpr core::Duration kPlain = std::chrono::seconds(5);
  static constexpr core::Duration kJson = std::chrono::seconds(1);
  static constexpr core::Duration kDraw = std::chrono::milliseconds(200);

  void on_tick();
  void on_resize(int) { draw(); }
  void show();
  void say(std::string_view lines);
  std::string erased();
  void draw();
  std::string prefix(const fetch::Transfer& transfer) const;
  fetch::Progress progress_of(const fetch::Transfer& transfer) const;
  bool is_json() const { return style_ == ProgressStyle::Json; }

  core::Loop& loop_;
  const ProgressStyle style_;
  const bool quiet_, verbose_, many_;
  PrintQueue out_, err_;
  const fetch::Batch* batch_ = nullptr;
  std::unordered_map<uint64_t, fetch::RateMeter> meters_;
  core::TimePoint started_, shown_;
  core::Timer tick_;
  core::SignalWatcher resize_;
  size_t drawn_ = 0;        // lines of the bar that stand below everything else
  size_t drawn_width_ = 0;  // of the terminal then
};

}  // namespace tributary
