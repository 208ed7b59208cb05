#include "upstream/origin_book.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "http/url.h"

namespace tributary::upstream {

unsigned OriginBook::useful(const Origin& origin) const {
  if (!is_kept(origin)) return 0;
  const std::string name = origin.to_string();
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  return found == entries_.end() ? 0 : found->second.useful;
}

void OriginBook::note(const Origin& origin, unsigned useful) {
  if (!is_kept(origin) || useful < 2) return;
  std::string name = origin.to_string();
  std::lock_guard lock(mutex_);
  put(std::move(name), std::min(useful, kLargest));
}

void OriginBook::put(std::string origin, unsigned useful) {
  const auto found = entries_.find(origin);
  if (found != entries_.end() && found->second.useful == useful) {
    found->second.noted = ++notes_;
    return;
  }
  if (found == entries_.end() && entries_.size() >= kMost) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return a.second.noted < b.second.noted;
    }));
  }
  entries_[std::move(origin)] = {useful, ++notes_};
  ++edition_;
}

uint64_t OriginBook::edition() const {
  std::lock_guard lock(mutex_);
  return edition_;
}

std::string OriginBook::text(uint64_t* edition) const {
  std::lock_guard lock(mutex_);
  if (edition) *edition = edition_;
  std::vector<const std::pair<const std::string, Entry>*> order;
  for (const auto& entry : entries_) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->second.noted < b->second.noted; });
  std::string text;
  for (const auto* entry : order) text += std::to_string(entry->second.useful) + ' ' + entry->first + '\n';
  return text;
}

size_t OriginBook::read(std::string_view text) {
  size_t strange = 0;
  std::lock_guard lock(mutex_);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    unsigned useful = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), useful);
    const std::string_view name = line.substr(static_cast<size_t>(rest - line.data()));
    const core::Result<http::Url> url = http::Url::parse(name.starts_with(' ') ? name.substr(1) : std::string_view());
    if (error != std::errc{} || useful < 2 || useful > kLargest || !url) {
      ++strange;
      continue;
    }
    put(Origin::from(*url).to_string(), useful);
  }
  return strange;
}

}  // namespace tributary::upstream
