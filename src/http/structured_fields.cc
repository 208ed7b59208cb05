#include "http/structured_fields.h"

#include <algorithm>

#include "http/text.h"

namespace tributary::http {
namespace {

using Type = StructuredItem::Type;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// The algorithms of RFC 9651 4.2 under their names there; each says false for "fail parsing".
class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  bool dictionary(std::vector<StructuredMember>& members) {
    skip(" ");
    while (!rest_.empty()) {
      StructuredMember member;
      if (!key(member.key) || !member_value(member)) return false;
      const auto same = std::find_if(members.begin(), members.end(),
                                     [&](const StructuredMember& other) { return other.key == member.key; });
      if (same == members.end()) {
        if (members.size() == kMaxMembers) return false;
        members.push_back(std::move(member));
      } else {
        *same = std::move(member);
      }
      skip(" \t");
      if (rest_.empty()) return true;
      if (!take(',')) return false;
      skip(" \t");
      if (rest_.empty()) return false;  // a trailing comma
    }
    return true;
  }

 private:
  bool member_value(StructuredMember& member) {
    if (!take('=')) return parameters();  // true
    if (peek() != '(') return item(member.item);
    member.is_inner_list = true;
    return inner_list(member.list);
  }

  bool inner_list(std::vector<StructuredItem>& list) {
    take('(');
    while (!rest_.empty()) {
      skip(" ");
      if (take(')')) return parameters();
      if (!item(list.emplace_back())) return false;
      if (peek() != ' ' && peek() != ')') return false;
    }
    return false;
  }

  bool item(StructuredItem& out) { return bare_item(out) && parameters(); }

  bool parameters() {
    while (take(';')) {
      skip(" ");
      std::string_view name;
      StructuredItem value;
      if (!key(name) || (take('=') && !bare_item(value))) return false;
    }
    return true;
  }

  bool key(std::string_view& out) {
    if (!is_lower(peek()) && peek() != '*') return false;
    return run(out, [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*'; });
  }

  bool bare_item(StructuredItem& out) {
    const char first = peek();
    if (first == '-' || is_digit(first)) return number(out);
    if (first == '"') return string(out);
    if (first == ':') return bytes(out);
    if (first == '?') return boolean(out);
    if (first == '@') return date(out);
    if (first == '%') return display_string(out);
    if (first != '*' && !is_alpha(first)) return false;
    out.type = Type::Token;
    return run(out.text, [](char c) { return is_token_char(c) || c == ':' || c == '/'; });
  }

  bool number(StructuredItem& out) {
    const std::string_view begin = rest_;
    const bool negative = take('-');
    std::string_view whole, fraction;
    if (!run(whole, is_digit)) return false;
    out.type = Type::Integer;
    if (take('.')) {
      out.type = Type::Decimal;
      if (!run(fraction, is_digit) || whole.size() > 12 || fraction.size() > 3) return false;
    } else if (whole.size() > 15) {
      return false;
    }
    out.text = begin.substr(0, begin.size() - rest_.size());
    out.integer = static_cast<int64_t>(parse_decimal(whole).value_or(0));
    if (negative) out.integer = -out.integer;
    return true;
  }

  bool string(StructuredItem& out) {
    take('"');
    out.type = Type::String;
    for (size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        out.text = rest_.substr(0, i);
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (c < 0x20 || c > 0x7e) return false;
      if (c != '\\') continue;
      if (++i == rest_.size() || (rest_[i] != '"' && rest_[i] != '\\')) return false;
    }
    return false;
  }

  bool bytes(StructuredItem& out) {
    take(':');
    out.type = Type::Bytes;
    const auto is_base64 = [](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '='; };
    if (peek() != ':' && !run(out.text, is_base64)) return false;
    return take(':');
  }

  bool boolean(StructuredItem& out) {
    take('?');
    out.type = Type::Boolean;
    out.boolean = peek() == '1';
    return take('1') || take('0');
  }

  bool date(StructuredItem& out) {
    take('@');
    const bool is_integer = number(out) && out.type == Type::Integer;
    out.type = Type::Date;
    return is_integer;
  }

  bool display_string(StructuredItem& out) {
    take('%');
    out.type = Type::DisplayString;
    if (!take('"')) return false;
    for (size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        out.text = rest_.substr(0, i);
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (c < 0x20 || c > 0x7e) return false;
      if (c != '%') continue;
      const auto is_hex = [](char d) { return is_digit(d) || (d >= 'a' && d <= 'f'); };
      if (i + 2 >= rest_.size() || !is_hex(rest_[i + 1]) || !is_hex(rest_[i + 2])) return false;
      i += 2;
    }
    return false;
  }

  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char c) {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip(std::string_view characters) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(characters), rest_.size()));
  }
  // A non-empty run.
  template <class Predicate>
  bool run(std::string_view& out, Predicate is_member) {
    size_t size = 0;
    while (size < rest_.size() && is_member(rest_[size])) ++size;
    out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return size > 0;
  }

  std::string_view rest_;
};

}  // namespace

bool append_dictionary(std::string_view line, std::vector<StructuredMember>& members) {
  // Spaces around the whole field are no part of it (4.2, steps 2 and 6).
  while (line.ends_with(' ')) line.remove_suffix(1);
  return Parser(line).dictionary(members);
}

}  // namespace tributary::http
