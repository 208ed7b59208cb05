// `tributary serve`: builds the parts, connects them, and runs until a signal ends it. This is the
// one place that knows the whole.
//
// Threads: the main thread has a loop of its own for signals and the admin listener; the workers of
// proxy::Server, the offload pool, the cache's writer, the log's and the access log's thread each
// run on theirs.
#pragma once

#include <string_view>

#include "conf/config.h"

namespace tributary {

// The exit status: 0 after a drain, 1 when something could not be started (standard error says what
// and what to do).
int serve(const conf::Config& config, std::string_view version);

}  // namespace tributary
