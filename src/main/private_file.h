// A file for its owner alone (0600), replaced whole or not at all: what was there stays until what is new is complete. It is not
// synced: after a power cut the old one or an empty one may be found. Blocks; for the offload pool, start and end.
#pragma once

#include <string>
#include <string_view>

namespace tributary {

bool write_private_file(const std::string& path, std::string_view text);

}  // namespace tributary
