#include "http/fields.h"

#include <algorithm>

namespace tributary::http {
namespace {

constexpr size_t kMaxArena = INT32_MAX;
constexpr size_t kMaxName = UINT16_MAX;
constexpr std::string_view kColon = ": ";
constexpr std::string_view kLineEnd = "\r\n";

// One field in wire form, to room that is there.
void write_line(char* out, std::string_view name, std::string_view value) {
  out += name.copy(out, name.size());
  out += kColon.copy(out, kColon.size());
  out += value.copy(out, value.size());
  kLineEnd.copy(out, kLineEnd.size());
}

// More than a head may have fields; bounds the quadratic part.
constexpr size_t kMaxUnknownInConnection = 256;

// Fields that Connection must not take away from the next hop: what frames, names and protects the
// message. Legitimate senders never list them; "Connection: Content-Length" and the like only serve
// to confuse.
bool is_protected_from_connection(FieldName name) {
  switch (name) {
    case FieldName::Age:
    case FieldName::Authorization:
    case FieldName::CacheControl:
    case FieldName::CdnCacheControl:
    case FieldName::CdnLoop:
    case FieldName::ContentEncoding:
    case FieldName::ContentLength:
    case FieldName::ContentRange:
    case FieldName::ContentType:
    case FieldName::Cookie:
    case FieldName::Date:
    case FieldName::ETag:
    case FieldName::Expires:
    case FieldName::Forwarded:
    case FieldName::Host:
    case FieldName::LastModified:
    case FieldName::MaxForwards:
    case FieldName::Pragma:
    case FieldName::ProxyAuthorization:
    case FieldName::SetCookie:
    case FieldName::Vary:
    case FieldName::Via:
    case FieldName::XForwardedFor:
      return true;
    default:
      return false;
  }
}

}  // namespace

Field FieldSection::operator[](size_t index) const {
  const Entry& entry = entries_[index];
  const char* name = arena_.data() + entry.offset;
  return {entry.token,
          {name, entry.name_size},
          {name + entry.name_size + kColon.size(), entry.value_size}};
}

void FieldSection::reserve(size_t fields, size_t bytes) {
  entries_.reserve(fields);
  arena_.reserve(bytes);
}

void FieldSection::clear() {
  arena_.clear();
  entries_.clear();
  present_[0] = present_[1] = 0;
  live_bytes_ = 0;
  in_order_ = true;
}

void FieldSection::release() {
  *this = FieldSection();
}

bool FieldSection::append(FieldName token, std::string_view name, std::string_view value,
                          Entry& entry) {
  value = trim_ows(value);
  if (name.size() > kMaxName || !is_token(name) || !is_field_value(value)) return false;
  const size_t needed = name.size() + value.size() + kColon.size() + kLineEnd.size();
  if (needed > kMaxArena - arena_.size()) return false;
  // name and value may lie in the arena, so the old one must live until they are copied.
  std::vector<char> grown;
  std::vector<char>* target = &arena_;
  if (arena_.capacity() - arena_.size() < needed) {
    grown.reserve(std::max({size_t{256}, 2 * arena_.capacity(), arena_.size() + needed}));
    grown.insert(grown.end(), arena_.begin(), arena_.end());
    target = &grown;
  }
  entry = {static_cast<uint32_t>(target->size()), static_cast<uint32_t>(value.size()),
           static_cast<uint16_t>(name.size()), token};
  target->resize(target->size() + needed);
  write_line(target->data() + entry.offset, name, value);
  if (target == &grown) arena_ = std::move(grown);
  return true;
}

bool FieldSection::add(FieldName name, std::string_view value) {
  Entry entry;
  if (!append(name, field_text(name), value, entry)) return false;
  entries_.push_back(entry);
  present_[word(name)] |= bit(name);
  live_bytes_ += static_cast<uint32_t>(wire_size(entry));
  return true;
}

bool FieldSection::add(std::string_view name, std::string_view value) {
  Entry entry;
  const FieldName token = field_name(name);
  if (!append(token, name, value, entry)) return false;
  entries_.push_back(entry);
  present_[word(token)] |= bit(token);
  live_bytes_ += static_cast<uint32_t>(wire_size(entry));
  return true;
}

bool FieldSection::matches(const Entry& entry, FieldName token, std::string_view name) const {
  if (entry.token != token) return false;
  if (token != FieldName::Unknown) return true;
  return equal_ignoring_case({arena_.data() + entry.offset, entry.name_size}, name);
}

bool FieldSection::replace(FieldName token, std::string_view name, std::string_view value) {
  const auto same = [&](const Entry& entry) { return matches(entry, token, name); };
  const auto first = (present_[word(token)] & bit(token)) != 0
                         ? std::find_if(entries_.begin(), entries_.end(), same)
                         : entries_.end();
  Entry fresh;
  if (!append(token, name, value, fresh)) return false;
  live_bytes_ += static_cast<uint32_t>(wire_size(fresh));
  if (first == entries_.end()) {
    entries_.push_back(fresh);
    present_[word(token)] |= bit(token);
    return true;
  }
  // `name` may be a view of the old arena, so what is compared from here on is the copy.
  const std::string_view copy(arena_.data() + fresh.offset, fresh.name_size);
  live_bytes_ -= static_cast<uint32_t>(wire_size(*first));
  *first = fresh;
  in_order_ = false;
  const auto rest = std::remove_if(first + 1, entries_.end(), [&](const Entry& entry) {
    if (!matches(entry, token, copy)) return false;
    live_bytes_ -= static_cast<uint32_t>(wire_size(entry));
    return true;
  });
  entries_.erase(rest, entries_.end());
  return true;
}

bool FieldSection::set(FieldName name, std::string_view value) {
  return replace(name, field_text(name), value);
}

bool FieldSection::set(std::string_view name, std::string_view value) {
  return replace(field_name(name), name, value);
}

size_t FieldSection::remove(FieldName name) {
  if (!has(name)) return 0;
  return remove_if([name](const Field& field) { return field.token == name; });
}

size_t FieldSection::remove(std::string_view name) {
  const FieldName token = field_name(name);
  if (token != FieldName::Unknown) return remove(token);
  if (!has(token)) return 0;
  return remove_if([&](const Field& field) {
    return field.token == token && equal_ignoring_case(field.name, name);
  });
}

size_t FieldSection::finish_removal(size_t kept) {
  const size_t removed = entries_.size() - kept;
  if (removed == 0) return 0;
  entries_.resize(kept);
  rebuild_presence();
  return removed;
}

void FieldSection::rebuild_presence() {
  present_[0] = present_[1] = 0;
  live_bytes_ = 0;
  for (const Entry& entry : entries_) {
    present_[word(entry.token)] |= bit(entry.token);
    live_bytes_ += static_cast<uint32_t>(wire_size(entry));
  }
}

size_t FieldSection::count(FieldName name) const {
  if (!has(name)) return 0;
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                           [name](const Entry& e) { return e.token == name; }));
}

std::optional<std::string_view> FieldSection::find(FieldName name) const {
  if (!has(name)) return std::nullopt;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].token == name) return (*this)[i].value;
  }
  return std::nullopt;
}

std::optional<std::string_view> FieldSection::find(std::string_view name) const {
  const FieldName token = field_name(name);
  if (!has(token)) return std::nullopt;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (matches(entries_[i], token, name)) return (*this)[i].value;
  }
  return std::nullopt;
}

std::optional<std::string_view> FieldSection::find_only(FieldName name) const {
  return count(name) == 1 ? find(name) : std::nullopt;
}

bool FieldSection::combined(FieldName name, std::string& out) const {
  bool any = false;
  for_each(name, [&](std::string_view value) {
    if (any) out += ", ";
    out += value;
    any = true;
  });
  return any;
}

bool FieldSection::combined(std::string_view name, std::string& out) const {
  bool any = false;
  for_each(name, [&](std::string_view value) {
    if (any) out += ", ";
    out += value;
    any = true;
  });
  return any;
}

bool FieldSection::has_element(FieldName name, std::string_view element) const {
  bool found = false;
  for_each_element(
      name, [&](std::string_view each) { found = found || equal_ignoring_case(each, element); });
  return found;
}

void FieldSection::remove_hop_by_hop() {
  // Removing leaves the arena as it is, so the views of Connection's elements stay good meanwhile.
  uint64_t tokens[2] = {0, 0};
  std::vector<std::string_view> unknown;
  for_each_element(FieldName::Connection, [&](std::string_view element) {
    const FieldName name = field_name(element);
    if (name != FieldName::Unknown) {
      if (!is_protected_from_connection(name)) tokens[word(name)] |= bit(name);
    } else if (has(FieldName::Unknown) && unknown.size() < kMaxUnknownInConnection) {
      unknown.push_back(element);
    }
  });
  remove_if([&](const Field& field) {
    if (field.token != FieldName::Unknown) {
      return is_hop_by_hop(field.token) || (tokens[word(field.token)] & bit(field.token)) != 0;
    }
    return std::any_of(unknown.begin(), unknown.end(), [&](std::string_view element) {
      return equal_ignoring_case(element, field.name);
    });
  });
}

bool FieldSection::connection_hides_fields() const {
  bool hides = false;
  size_t unknown = 0;
  for_each_element(FieldName::Connection, [&](std::string_view element) {
    if (hides) return;
    const FieldName name = field_name(element);
    if (name != FieldName::Unknown) {
      hides = has(name) && !is_hop_by_hop(name) && !is_protected_from_connection(name);
    } else if (has(FieldName::Unknown) && !equal_ignoring_case(element, "http2-settings")) {  // RFC 7540 3.2.1: of h2c alone
      hides = ++unknown > kMaxUnknownInConnection || has(element);
    }
  });
  return hides;
}

void FieldSection::append_to(std::string& out) const {
  if (in_order_ && live_bytes_ == arena_.size()) {
    out.append(arena_.data(), arena_.size());
    return;
  }
  out.reserve(out.size() + live_bytes_);
  for (const Entry& entry : entries_) out.append(arena_.data() + entry.offset, wire_size(entry));
}

FieldName FieldSection::add_unchecked(std::string_view name, std::string_view value) {
  const FieldName token = field_name(name);
  const Entry entry{static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(value.size()),
                    static_cast<uint16_t>(name.size()), token};
  arena_.resize(arena_.size() + wire_size(entry));
  write_line(arena_.data() + entry.offset, name, value);
  entries_.push_back(entry);
  present_[word(token)] |= bit(token);
  live_bytes_ += static_cast<uint32_t>(wire_size(entry));
  return token;
}

}  // namespace tributary::http
