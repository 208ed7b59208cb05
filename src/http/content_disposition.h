// Content-Disposition (RFC 6266) with its extended file name (RFC 8187).
//
// As tolerant as browsers where they agree: no disposition type, a name without quotes that has spaces or brackets in it, a
// quotation mark without its fellow, a trailing ";" (which aria2 refuses). Not taken: RFC 2231 continuations
// (filename*0), which only some read, and encoded words of RFC 2047. Bytes that are no UTF-8 are ISO-8859-1. A plain
// name with escapes is decoded when that gives UTF-8 beyond ASCII: no name looks so by chance, and "100%25.txt" stays
// (RFC 6266, appendix D: browsers differ).
//
// The name is what the sender chose: it may hold slashes, controls, anything. fetch/file_name.h makes it safe.
#pragma once

#include <string>
#include <string_view>

#include "http/fields.h"

namespace tributary::http {

struct ContentDisposition {
  bool is_inline = false;  // every other type counts as attachment (RFC 6266, 4.2)
  std::string file_name;   // UTF-8; empty: none given. filename* before filename, of repeated ones the first
};

ContentDisposition parse_content_disposition(std::string_view value);

// Of the first such field; the default when there is none.
ContentDisposition content_disposition(const FieldSection& fields);

}  // namespace tributary::http
