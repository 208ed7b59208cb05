// What each error of ours means to a client: the one table of status codes, Proxy-Status types (RFC 9209, 2.3) and words.
// docs/errors.md lists the same rows, and a test compares the two.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/error.h"
#include "proxy/metrics.h"

namespace tributary::proxy {

struct ErrorRow {
  core::ErrorCode code;
  uint16_t status;                // the answer when the fault is on the origin's side or ours
  uint16_t client_status;         // the answer when it is the client's
  std::string_view proxy_status;  // the error type of RFC 9209
  std::string_view title;         // what happened, a short sentence without a full stop
  std::string_view advice;        // a way out, a sentence
};

std::span<const ErrorRow> error_table();
const ErrorRow& error_row(core::ErrorCode code);

// The status code for an error: of the row, or of the message's fault where the client sent something malformed.
uint16_t error_status(const core::Error& error);
// The error type of RFC 9209; http_request_error for a client's malformed request.
std::string_view proxy_status_type(const core::Error& error);

}  // namespace tributary::proxy
