#include "main/origin_file.h"

#include <fstream>
#include <string>
#include <utility>

#include "core/log.h"
#include "main/private_file.h"

namespace tributary {
namespace {

void write(const std::string& path, const std::string& text) {
  if (!write_private_file(path, text)) core::log::debug("main", "{} cannot be written", path);
}

}  // namespace

OriginFile::OriginFile(core::Loop& loop, core::OffloadPool& offload, upstream::OriginBook& book, const std::string& directory)
    : offload_(offload), book_(book), timer_(loop) {
  if (directory.empty()) return;
  path_ = directory + "/origins";
  std::string text(kLongest, '\0');
  std::ifstream file(path_, std::ios::binary);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (const size_t strange = book_.read(text); strange > 0) {
    core::log::warn("main", "{}: {} lines are not understood and left out", path_, strange);
  }
  written_ = book_.edition();
  start_timer();
}

void OriginFile::start_timer() { timer_.start(kEvery, core::Callback<void()>::to<&OriginFile::on_time>(this)); }

void OriginFile::on_time() {
  start_timer();
  if (!is_new()) return;
  std::string text = book_.text(&written_);
  if (!offload_.submit_detached([path = path_, text = std::move(text)] { write(path, text); })) written_ = 0;  // next time
}

void OriginFile::save() {
  timer_.stop();
  if (is_new()) write(path_, book_.text(&written_));
}

}  // namespace tributary
