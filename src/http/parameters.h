// Parameters as many fields have them (RFC 9110, 5.6.6): name, "=", a token or a quoted string; and the extended values of
// RFC 8187. Read as tolerantly as browsers do, because what senders write is often not quite the grammar:
// spaces around "=", values without quotes that hold spaces or brackets, a quotation mark that is never closed.
//
// Views into the text that was given. Pure; any thread; linear time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tributary::http {

struct Parameter {
  std::string_view name;  // as it came, without OWS around it; may be empty or anything but the separators
  std::string_view raw;   // between the quotes, escapes still in it; or as it came, without OWS around it
  bool has_value = false;  // there was a "="
  bool quoted = false;

  // The value with the quoted pairs of a quoted string (5.6.4) resolved.
  std::string value() const;
};

// Takes one parameter off the front of `text`, up to the first of `separators` outside of quotes; the separator stays at the
// front. What stands between a closing quote and the separator is passed over.
Parameter take_parameter(std::string_view& text, std::string_view separators);

// RFC 8187, 3.2: charset'language'value, as UTF-8. UTF-8 and ISO-8859-1 are known (ASCII is part of both). Nothing for
// another charset, an escape that is none, or bytes that are no UTF-8 where they should be: the caller then does without.
std::optional<std::string> decode_ext_value(std::string_view text);

// `text` itself when it is UTF-8, else its bytes taken as ISO-8859-1.
std::string utf8_or_latin1(std::string_view text);

}  // namespace tributary::http
