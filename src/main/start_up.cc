#include "main/start_up.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "core/fd.h"

namespace tributary {

uint64_t raise_open_files(uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  rlimit raised = limit;
  raised.rlim_cur = raised.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);
  if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) {  // only root may raise the hard limit
    raised.rlim_cur = raised.rlim_max = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &raised);
  }
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

PidFile::PidFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const core::Fd fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  const std::string text = fmt::format("{}\n", ::getpid());
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    problem_ = std::strerror(errno);
    path_.clear();
  }
}

PidFile::~PidFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::string_view listen_advice(const core::Error& error) {
  switch (error.sys) {
    case EADDRINUSE:
      return "Another program listens there, perhaps another tributary: stop it, or choose another "
             "address.";
    case EADDRNOTAVAIL:
      return "No interface of this machine has this address.";
    case EACCES:
    case EPERM:
      return "This user may not listen there: ports below 1024 need CAP_NET_BIND_SERVICE, a Unix "
             "socket a directory "
             "that can be written.";
    case EAFNOSUPPORT:
      return "This machine has no IPv6: choose an IPv4 address.";
    case ENOENT:
      return "The directory of the socket does not exist.";
    default:
      return "Choose another address.";
  }
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string via_pseudonym() {
  return fmt::format("tributary-{:08x}", std::random_device()());
}

}  // namespace tributary
