#include "http/percent.h"

#include "http/text.h"

namespace tributary::http {

bool append_percent_decoded(std::string_view text, std::string& out) {
  bool well_formed = true;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
    } else if (i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
      i += 2;
    } else {
      out += '%';
      well_formed = false;
    }
  }
  return well_formed;
}

}  // namespace tributary::http
