// The configuration written out again, from the same table that reads it (conf/keys.h).
#pragma once

#include <string>

#include "conf/config.h"

namespace tributary::conf {

// The configuration as TOML that load() reads back to an equal one.
std::string to_toml(const Config& config);

// conf/tributary.toml: every key, explained, with its default, commented out. A test holds the
// shipped file against it.
std::string documented_toml();

// JSON Schema (2020-12) of the file, for editors and for generated documentation.
std::string json_schema();

}  // namespace tributary::conf
