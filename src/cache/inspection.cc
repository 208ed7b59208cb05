#include "cache/inspection.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "cache/store_core.h"
#include "http/text.h"

namespace tributary::cache {

// A place in a walk through the index, as a cursor writes it: 48 hexadecimal digits, "-", a decimal number.
struct Inspection::Place {
  KeyName name;
  uint64_t piece = 0;    // check: the first that was not looked at. 0: the record is done with

  std::string text() const {
    return fmt::format("{:016x}{:016x}{:016x}-{}", name.key.low, name.key.high, name.variant, piece);
  }
  static bool parse(std::string_view text, std::optional<Place>& place) {
    if (text.empty()) return true;
    Place found;
    const auto number = [&](size_t at, size_t size, int base, uint64_t& value) {
      const std::string_view digits = text.substr(std::min(at, text.size()), size);
      const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
      return !digits.empty() && end.ec == std::errc() && end.ptr == digits.data() + digits.size();
    };
    if (text.size() < 50 || text[48] != '-' || !number(0, 16, 16, found.name.key.low) ||
        !number(16, 16, 16, found.name.key.high) || !number(32, 16, 16, found.name.variant) ||
        !number(49, std::string_view::npos, 10, found.piece)) {
      return false;
    }
    place = found;
    return true;
  }
};

namespace {

std::string field_of(std::string_view lines, std::string_view name) {
  while (!lines.empty()) {
    const size_t end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && http::equal_ignoring_case(line.substr(0, colon), name)) {
      return std::string(http::trim_ows(line.substr(colon + 1)));
    }
  }
  return {};
}

}  // namespace

Inspection::Inspection(Store& store) : core_(store.core_.get()), pass_(store.core_->jobs) {}

std::optional<Inspection::Page> Inspection::list(std::string_view prefix, size_t limit, std::string_view cursor) {
  std::optional<Place> after;
  if (!Place::parse(cursor, after)) return std::nullopt;
  Page page;
  if (!core_->is_ready()) return page;
  // What was stored a moment ago is to be in it; so the list begins with what is durable by now.
  if (!after && core_->writer->pending() > 0) core_->writer->flush();
  limit = std::clamp<size_t>(limit, 1, kMostListed);
  size_t visited = 0;
  Place last;
  const Index::ReadTxn txn(*core_->index);
  txn.for_each_key(after ? &after->name : nullptr, [&](const KeyName& name, RecordId id) {
    if (page.objects.size() == limit || visited == kMostVisited) {
      page.cursor = last.text();
      return false;
    }
    ++visited;
    last.name = name;
    const auto bytes = txn.record(id);
    Record record;
    if (!bytes || !Record::decode(*bytes, record) || !record.key.starts_with(prefix)) return true;
    page.objects.push_back({.key = std::string(record.key),
                            .variant = std::string(record.variant),
                            .content_type = field_of(record.fields, "content-type"),
                            .meta = record.meta,
                            .length = record.length,
                            .present = record.stored_bytes()});
    return true;
  });
  return page;
}

Inspection::Known Inspection::find(std::string_view key) {
  Known known;
  if (!core_->is_ready() || key.size() > kMaxKey) return known;
  const Hash128 hash = hash_key(key);
  const auto add = [&](const ObjectRef& object) {
    if (object->is_dead() || object->key() != key || object->body().phase() == BodyPhase::Failed) return;
    if (core_->purges.refuses(object->parts().epoch.purge, key, object->fields().view())) return;
    for (const ObjectRef& other : known.variants) {
      if (other->variant() == object->variant()) return;  // memory is newer than the index
    }
    known.variants.push_back(object);
  };
  if (const EntryRef entry = core_->directory->peek(hash, key)) {
    for (const ObjectRef& object : entry->variants) add(object);
  }
  if (core_->filter.may_hold(hash)) {
    for (const ObjectRef& object : core_->load(hash, key)) add(object);
  }
  if (known.variants.empty()) known.refusal = core_->refusals.find(hash);
  return known;
}

std::optional<Inspection::Checked> Inspection::check(std::string_view cursor) {
  std::optional<Place> at;
  if (!Place::parse(cursor, at)) return std::nullopt;
  Checked checked;
  if (!core_->is_ready()) return checked;
  if (!at && core_->writer->pending() > 0) core_->writer->flush();
  Place place = at.value_or(Place{});
  if (place.piece > 0 && !check_record(place, checked)) {
    checked.cursor = place.text();
    return checked;
  }
  std::vector<KeyName> names;
  {
    const Index::ReadTxn txn(*core_->index);
    txn.for_each_key(at ? &at->name : nullptr, [&](const KeyName& name, RecordId) {
      names.push_back(name);
      return names.size() < kRecordsAtOnce;
    });
  }
  for (const KeyName& name : names) {
    place = {.name = name, .piece = 0};
    if (!check_record(place, checked) || checked.bytes >= kCheckedAtOnce) {
      checked.cursor = place.text();
      return checked;
    }
  }
  if (names.size() == kRecordsAtOnce) checked.cursor = place.text();
  return checked;
}

// False: there is more of it than may be read at once; the place says where to go on.
bool Inspection::check_record(Place& place, Checked& checked) {
  const StoreCore::Check result = core_->check(place.name, place.piece, kCheckedAtOnce);
  checked.bytes += result.bytes;
  if (!result.what.empty()) checked.damaged.push_back({result.key, result.what});
  place.piece = result.next_piece;
  if (place.piece > 0) return false;
  ++checked.objects;
  return true;
}

}  // namespace tributary::cache
