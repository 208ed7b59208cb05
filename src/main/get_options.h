// The command line of `tributary get`.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace tributary {

// Adds the command to `app`; `chosen` becomes what is to be run.
void add_get_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace tributary
