// --metalink: what a Metalink document (RFC 5854, or version 3) has to get.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fetch/settings.h"

namespace tributary {

// Appends its files, each with its sources, size and hashes. Where the document is of no use, false, and `why` says what is
// wrong with it. Pure.
bool add_metalink(std::string_view text, std::vector<fetch::Target>& targets, std::string& why);

// Makes the folders in the files' paths, below `directory`. Before the loop runs. On failure false, with the path in `why`.
bool make_folders(const std::string& directory, const std::vector<fetch::Target>& targets, std::string& why);

}  // namespace tributary
