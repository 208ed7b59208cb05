// The command line of `tributary cache`.
#pragma once

#include <functional>

#include "conf/load.h"

namespace CLI {
class App;
}

namespace tributary {

// Adds the command to `app`. `add_sources` gives a command the options of the configuration; `load` loads it and prints what
// is wrong; `chosen` becomes what is to be run.
void add_cache_command(CLI::App& app, conf::Sources& sources, const std::function<void(CLI::App&)>& add_sources,
                       const std::function<bool(conf::Loaded&)>& load, std::function<int()>& chosen);

}  // namespace tributary
