#include "net/hosts_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/fd.h"

namespace tributary::net {
namespace {

constexpr size_t kMaxSize = size_t{64} << 20;  // block lists are a few MiB; beyond this it is not a hosts file

HostsFile::Stamp stamp_of(const struct stat& info) {
  return {info.st_ino, info.st_size, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

std::string_view next_word(std::string_view& line) {
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return line = {};
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

HostsFile::Stamp HostsFile::stamp(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 ? stamp_of(info) : Stamp{};
}

std::shared_ptr<const HostsFile> HostsFile::read(const std::string& path) {
  auto table = std::make_shared<HostsFile>();
  const core::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return table;
  std::string text;
  char buffer[16 * 1024];
  for (ssize_t n; text.size() < kMaxSize && (n = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  *table = parse(text);
  table->stamp_ = stamp_of(info);
  return table;
}

HostsFile HostsFile::parse(std::string_view text) {
  HostsFile table;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find('#'));
    const auto ip = IpAddress::parse(next_word(line));
    if (!ip) continue;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (word.back() == '.') word.remove_suffix(1);
      std::string name(word);
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      }
      table.entries_[std::move(name)].push_back(*ip);
    }
  }
  return table;
}

const std::vector<IpAddress>* HostsFile::find(std::string_view name) const {
  const auto at = entries_.find(std::string(name));
  return at == entries_.end() ? nullptr : &at->second;
}

}  // namespace tributary::net
