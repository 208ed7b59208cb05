// process_* from /proc/self, as Prometheus' client libraries define them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>

#include "admin/exposition.h"
#include "core/fd.h"

namespace tributary::admin {
namespace {

std::string read_proc(const char* path) {
  const core::Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char chunk[4096];
  for (ssize_t n; fd && (n = ::read(fd.get(), chunk, sizeof chunk)) > 0;)
    text.append(chunk, static_cast<size_t>(n));
  return text;
}

double boot_time() {
  const std::string stat = read_proc("/proc/stat");
  const size_t at = stat.find("\nbtime ");
  return at == std::string::npos ? 0 : std::strtod(stat.c_str() + at + 7, nullptr);
}

double count_open_fds() {
  struct Closer {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  const std::unique_ptr<DIR, Closer> directory(::opendir("/proc/self/fd"));
  double count = 0;
  for (const dirent* entry; directory && (entry = ::readdir(directory.get()));) {
    if (entry->d_name[0] != '.') ++count;
  }
  return count > 0 ? count - 1 : 0;  // without the directory itself
}

}  // namespace

std::optional<ProcessMetrics> process_metrics() {
  // "pid (comm) state …": comm may hold spaces and parentheses, so fields are counted from the last
  // one.
  const std::string stat = read_proc("/proc/self/stat");
  const size_t comm_end = stat.rfind(')');
  if (comm_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(comm_end + 1));
  double value[25] = {};  // by the numbers of proc(5), which begin at 1; 3 is the state
  std::string state;
  fields >> state;
  for (int i = 4; i <= 24 && fields; ++i) fields >> value[i];
  if (!fields) return std::nullopt;

  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessMetrics metrics;
  metrics.cpu_seconds = (value[14] + value[15]) / ticks;
  static const double booted = boot_time();
  metrics.start_time = booted + value[22] / ticks;
  metrics.virtual_bytes = value[23];
  metrics.resident_bytes = value[24] * static_cast<double>(::sysconf(_SC_PAGESIZE));
  metrics.open_fds = count_open_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    metrics.max_fds = static_cast<double>(limit.rlim_cur);
  return metrics;
}

}  // namespace tributary::admin
