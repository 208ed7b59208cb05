#include "cache/purge.h"

#include "cache/key.h"
#include "cache/object.h"
#include "cache/tags.h"

namespace tributary::cache {
namespace {

std::optional<std::string> key_of(std::string_view text, std::span<const std::string> ignored) {
  const core::Result<http::Url> url = http::Url::parse(text);
  if (!url) return std::nullopt;
  std::string key = make_key(*url, ignored).key;
  if (key.size() > kMaxKeySize) return std::nullopt;
  return key;
}

}  // namespace

std::optional<Selection> Selection::url(std::string_view url, std::span<const std::string> ignored) {
  std::optional<std::string> key = key_of(url, ignored);
  if (!key) return std::nullopt;
  return Selection{By::Url, std::move(*key)};
}

std::optional<Selection> Selection::prefix(std::string_view url, std::span<const std::string> ignored) {
  std::optional<std::string> key = key_of(url, ignored);
  if (!key) return std::nullopt;
  return Selection{By::Prefix, std::move(*key)};
}

std::optional<Selection> Selection::tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxKeySize || tag.find_first_of(", \t") != std::string_view::npos) {
    return std::nullopt;
  }
  return Selection{By::Tag, fold_tag(tag)};
}

bool Selection::matches(std::string_view key, std::string_view fields) const {
  switch (by) {
    case By::Url:
      return key == text;
    case By::Prefix:
      return key.starts_with(text);
    case By::Tag:
      return has_tag(fields, text);
    case By::All:
      return true;
  }
  return true;
}

std::optional<PurgeLog::Epoch> PurgeLog::add(std::shared_ptr<const Selection> selection) {
  std::lock_guard lock(mutex_);
  if (open_ == kMostOpen) return std::nullopt;
  ++open_;
  const Epoch epoch = current_.load(std::memory_order_relaxed) + 1;
  items_.push_back({epoch, std::move(selection), false});
  current_.store(epoch, std::memory_order_release);
  return epoch;
}

void PurgeLog::settle(Epoch epoch) {
  std::lock_guard lock(mutex_);
  Epoch settled = items_.front().epoch - 1;
  bool so_far = true;
  for (Item& item : items_) {
    if (item.epoch == epoch && !item.settled) {
      item.settled = true;
      --open_;
    }
    so_far = so_far && item.settled;
    if (so_far) settled = item.epoch;
    if (!so_far && item.epoch >= epoch) break;
  }
  settled_.store(settled, std::memory_order_release);
  while (items_.size() > kKept && items_.front().settled) items_.pop_front();
}

bool PurgeLog::refuses_slowly(Epoch since, std::string_view key, std::string_view fields) const {
  std::lock_guard lock(mutex_);
  if (items_.empty() || since + 1 < items_.front().epoch) return true;
  for (size_t i = since + 1 - items_.front().epoch; i < items_.size(); ++i) {
    if (items_[i].selection->matches(key, fields)) return true;
  }
  return false;
}

}  // namespace tributary::cache
