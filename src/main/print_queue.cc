#include "main/print_queue.h"

#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <utility>

namespace tributary {

// Shared with the job that writes it: at the end the loop's thread takes over where the job has got to.
struct PrintJob {
  PrintJob(int its_fd, std::string its_text) : fd(its_fd), text(std::move(its_text)) {}
  void write() {
    const std::lock_guard lock(mutex);
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t n = ::write(fd, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // nobody reads it
      rest.remove_prefix(static_cast<size_t>(n));
    }
    text.clear();
  }

  const int fd;
  std::mutex mutex;
  std::string text;
};

PrintQueue::PrintQueue(core::Loop& loop, core::OffloadPool& offload, int fd) : loop_(loop), offload_(offload), fd_(fd) {}

PrintQueue::~PrintQueue() {
  job_.cancel();
  if (current_) current_->write();
  PrintJob(fd_, std::move(waiting_)).write();
}

void PrintQueue::print(std::string_view text, bool important) {
  if (!important && waiting_.size() > kLimit) return;
  if (text.empty()) return;
  waiting_ += text;
  write();
}

void PrintQueue::write() {
  if (job_ || waiting_.empty()) return;
  current_ = std::make_shared<PrintJob>(fd_, std::exchange(waiting_, {}));
  job_ = offload_.submit(loop_, [job = current_] { job->write(); },
                         core::Callback<void()>::to<&PrintQueue::on_written>(this));
  if (!job_) waiting_ = std::move(current_->text);  // the pool is full: with the next line
}

void PrintQueue::on_written() {
  job_ = {};
  write();
}

}  // namespace tributary
