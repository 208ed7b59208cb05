// Exit statuses of `tributary get`, wget's (shared/interface): of several downloads the highest counts. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"

namespace tributary::fetch {

enum class ExitStatus : uint8_t {
  Ok = 0,
  Generic = 1,
  Usage = 2,        // the command line, or a URL that is none
  File = 3,         // a file could not be written, or is in the way
  Network = 4,
  Tls = 5,
  Credentials = 6,  // the server or a proxy asks for them, or refused them
  Protocol = 7,     // not understood, or not the same file any more; redirects that may not be followed; a checksum
  Server = 8,       // a status that says it will not be served
};

ExitStatus exit_status(const core::Error& error);
ExitStatus exit_status_of_response(uint16_t status);  // one that brings no file

// What went wrong, in words: "the connection was refused".
std::string explain(const core::Error& error);

}  // namespace tributary::fetch
