// FieldSection: the fields of a head or a trailer section, in order, with duplicates and with the
// names' case kept.
//
// All text lies in one arena in wire form ("Name: value\r\n"), indexed by a vector of 12-byte
// entries: a whole head costs two allocations, and none when a cleared section is used again.
// Loop-affine (plain data: may be moved to another thread).
//
// Names are compared without case. Every string_view and Field handed out points into the arena and
// is valid until the next call that changes the section. Offsets are 32 bits: a section is meant
// for at most a few MiB, far above any limit for heads; beyond 2 GiB adds are refused.
//
// Only valid fields get in: add() and set() refuse a name that is not a token or a value with CR,
// LF, NUL or another control (RFC 9110, 5.5), so that no caller can split a message by what it
// writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/field_name.h"
#include "http/text.h"

namespace tributary::http {

struct Field {
  FieldName token = FieldName::Unknown;
  std::string_view name;   // as it was written
  std::string_view value;  // without surrounding OWS
};

class FieldSection {
 public:
  class Iterator {
   public:
    Iterator(const FieldSection* section, size_t index) : section_(section), index_(index) {}
    Field operator*() const { return (*section_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const FieldSection* section_;
    size_t index_;
  };

  FieldSection() = default;

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  Field operator[](size_t index) const;
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, entries_.size()}; }

  // Bytes on the wire, without the empty line that ends the section.
  size_t size_bytes() const { return live_bytes_; }

  void reserve(size_t fields, size_t bytes);
  // Forgets the fields, keeps the memory.
  void clear();
  // Forgets the fields and gives the memory back.
  void release();

  // Appends a field. `value` is trimmed of OWS and may point into this section. False, and nothing
  // done, for an invalid name or value.
  bool add(FieldName name, std::string_view value);
  bool add(std::string_view name, std::string_view value);

  // Makes `value` the only one of that name, in the place of the first, else at the end.
  bool set(FieldName name, std::string_view value);
  bool set(std::string_view name, std::string_view value);

  // Removes every field of that name; how many there were.
  size_t remove(FieldName name);
  size_t remove(std::string_view name);

  // Removes those for which `predicate(Field)` is true; how many.
  template <class Predicate>
  size_t remove_if(Predicate predicate);

  bool has(FieldName name) const { return present_[word(name)] & bit(name); }
  bool has(std::string_view name) const { return find(name).has_value(); }
  size_t count(FieldName name) const;

  // The first value of that name.
  std::optional<std::string_view> find(FieldName name) const;
  std::optional<std::string_view> find(std::string_view name) const;
  // The value when the name occurs exactly once; nothing when it is absent or repeated.
  std::optional<std::string_view> find_only(FieldName name) const;

  // Every value of that name joined with ", " (RFC 9110, 5.3). Not for Set-Cookie. Appends to
  // `out`; false when absent.
  bool combined(FieldName name, std::string& out) const;
  bool combined(std::string_view name, std::string& out) const;

  // Calls visit(std::string_view value) for every field of that name, in order.
  template <class Visit>
  void for_each(FieldName name, Visit visit) const;
  template <class Visit>
  void for_each(std::string_view name, Visit visit) const;

  // Calls visit(std::string_view element) for every list element of every field of that name.
  template <class Visit>
  void for_each_element(FieldName name, Visit visit) const;

  // Whether a list-valued field contains `element`, compared without case ("Connection: close").
  bool has_element(FieldName name, std::string_view element) const;

  // Removes what concerns one connection only: every field that Connection names, and the fixed
  // list of is_hop_by_hop() (RFC 9110, 7.6.1). Framing and end-to-end fields that Connection must
  // not name (Content-Length, Host, Cache-Control …) stay in, lest a client strips what protects
  // the next hop.
  void remove_hop_by_hop();
  // Whether that takes a field which is no hop-by-hop field but for Connection naming it: the next hop does not see it.
  bool connection_hides_fields() const;

  // Appends the section in wire form, without the empty line.
  void append_to(std::string& out) const;

  // For codecs that have checked both already: nothing is validated or trimmed. Neither may point
  // into this section; the name is at most 65535 bytes. Returns the token.
  FieldName add_unchecked(std::string_view name, std::string_view value);

 private:
  struct Entry {
    uint32_t offset;  // of the name; ": ", the value and CRLF follow
    uint32_t value_size;
    uint16_t name_size;
    FieldName token;
  };
  static_assert(sizeof(Entry) == 12);

  static size_t word(FieldName name) { return static_cast<size_t>(name) / 64; }
  static uint64_t bit(FieldName name) { return uint64_t{1} << (static_cast<size_t>(name) % 64); }
  static size_t wire_size(const Entry& entry) {
    return entry.name_size + size_t{entry.value_size} + 4;
  }
  bool append(FieldName token, std::string_view name, std::string_view value, Entry& entry);
  bool matches(const Entry& entry, FieldName token, std::string_view name) const;
  bool replace(FieldName token, std::string_view name, std::string_view value);
  void rebuild_presence();
  size_t finish_removal(size_t kept);

  std::vector<char> arena_;
  std::vector<Entry> entries_;
  uint64_t present_[2] = {0, 0};  // by token; bit 0 means "some unknown name"
  uint32_t live_bytes_ = 0;
  bool in_order_ = true;  // the arena is exactly the wire form
};

template <class Predicate>
size_t FieldSection::remove_if(Predicate predicate) {
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!predicate((*this)[i])) entries_[kept++] = entries_[i];
  }
  return finish_removal(kept);
}

template <class Visit>
void FieldSection::for_each(FieldName name, Visit visit) const {
  if (!has(name)) return;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].token == name) visit((*this)[i].value);
  }
}

template <class Visit>
void FieldSection::for_each(std::string_view name, Visit visit) const {
  const FieldName token = field_name(name);
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (matches(entries_[i], token, name)) visit((*this)[i].value);
  }
}

template <class Visit>
void FieldSection::for_each_element(FieldName name, Visit visit) const {
  for_each(name, [&](std::string_view value) {
    ListCursor cursor(value);
    for (std::string_view element; cursor.next(element);) visit(element);
  });
}

}  // namespace tributary::http
