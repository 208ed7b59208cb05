// Small steps of start-up that concern the process and not the proxy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace tributary {

// Raises the soft limit of open files to the hard one, the hard one too where that is allowed and
// `wanted` exceeds it. The limit that is in force then.
uint64_t raise_open_files(uint64_t wanted);

// The process number in a file, which is removed again at the end. An empty path does nothing.
class PidFile {
 public:
  explicit PidFile(std::string path);
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  // Empty, or why it could not be written.
  const std::string& problem() const { return problem_; }

 private:
  std::string path_, problem_;
};

// What to do about an address that cannot be listened on: a sentence.
std::string_view listen_advice(const core::Error& error);

std::string host_name();

// A name for this process in Via, "tributary-3f2a9c1e": two proxies in a row are no loop, one that meets itself is.
std::string via_pseudonym();

}  // namespace tributary
