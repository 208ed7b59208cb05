#include "main/private_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/fd.h"

namespace tributary {

bool write_private_file(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  core::Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  while (fd && !text.empty()) {
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fd.reset();
    if (n > 0) text.remove_prefix(static_cast<size_t>(n));
  }
  return fd && ::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace tributary
