// The hosts file (/etc/hosts) as a table. Immutable once read; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/address.h"

namespace tributary::net {

class HostsFile {
 public:
  // What tells one version of the file from another without reading it. Any difference means: read again.
  struct Stamp {
    uint64_t inode = 0;
    int64_t size = -1;
    int64_t modified_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  static Stamp stamp(const std::string& path);  // blocking; a default Stamp when there is no such file
  // Blocking (start-up, offload pool). A missing file is an empty table; lines that make no sense are skipped.
  static std::shared_ptr<const HostsFile> read(const std::string& path);
  static HostsFile parse(std::string_view text);

  // `name` in lower case without trailing dot; null when it has no entry.
  const std::vector<IpAddress>* find(std::string_view name) const;
  const Stamp& stamp() const { return stamp_; }

 private:
  std::unordered_map<std::string, std::vector<IpAddress>> entries_;
  Stamp stamp_;
};

}  // namespace tributary::net
