#include "main/get_metalink.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "fetch/metalink.h"

namespace tributary {

bool add_metalink(std::string_view text, std::vector<fetch::Target>& targets, std::string& why) {
  std::optional<fetch::Metalink> metalink = fetch::parse_metalink(text, why);
  if (!metalink) return false;
  for (fetch::MetalinkFile& file : metalink->files) {
    fetch::Target target{.url = file.sources.front().url.text(), .output = std::move(file.path)};
    for (size_t i = 1; i < file.sources.size(); ++i) target.mirrors.push_back(file.sources[i].url.text());
    target.size = file.size;
    target.digests = std::move(file.digests);
    if (file.pieces) target.pieces = std::make_shared<const fetch::PieceHashes>(std::move(*file.pieces));
    targets.push_back(std::move(target));
  }
  return true;
}

bool make_folders(const std::string& directory, const std::vector<fetch::Target>& targets, std::string& why) {
  const std::string base = directory.empty() ? "" : directory + "/";
  for (const fetch::Target& target : targets) {
    for (size_t slash = target.output.find('/'); slash != std::string::npos; slash = target.output.find('/', slash + 1)) {
      why = base + target.output.substr(0, slash);
      if (::mkdir(why.c_str(), 0777) != 0 && errno != EEXIST) return false;
    }
  }
  return true;
}

}  // namespace tributary
