#include "fetch/unpacker.h"

#include <algorithm>
#include <utility>

#include "fetch/hasher.h"
#include "http/content_decoder.h"

namespace tributary::fetch {

// Used by one job at a time.
struct Unpacker::Work {
  std::shared_ptr<const PartPlace> place;
  std::string coding;
  uint64_t coded;
  DigestCheck check;
  std::unique_ptr<http::ContentDecoder> decoder;
  core::Fd file{};
  uint64_t read = 0, written = 0;  // bytes
  bool is_over = false;
  std::optional<core::Error> error{};
  std::string problem{};

  void run();
  void decode(std::string_view input);
  void give_up(std::string why) {
    problem = std::move(why);
    is_over = true;
  }
  void fail(core::Error why) {
    error = why;
    is_over = true;
  }
};

// One step, on the pool.
void Unpacker::Work::run() {
  if (!decoder) return give_up("it came in the coding " + coding + ", which cannot be undone here");
  if (!file) {
    core::Result<core::Fd> made = create_plain(*place);
    if (!made) return fail(made.error());
    file = std::move(*made);
  }
  const uint64_t until = read + written + kStep;
  while (!is_over && read < coded && read + written < until) {
    const uint64_t last = std::min(coded, read + (uint64_t{256} << 10));
    const core::Result<void> done = read_part(*place, read, last, [this](std::string_view input) { decode(input); });
    if (!done) return fail(done.error());
    read = last;
  }
  if (is_over || read < coded) return;
  // Nothing at all is what servers send for an empty file, whatever they call its coding.
  if (coded > 0 && !decoder->is_at_end()) return give_up("its " + coding + " form is cut off");
  problem = check.verdict();
  is_over = true;
}

void Unpacker::Work::decode(std::string_view input) {
  char room[64 * 1024];
  size_t produced = sizeof room;
  // A full room may mean that there is more to come out.
  while (!is_over && (!input.empty() || produced == sizeof room)) {
    const http::ContentDecoder::Progress progress = decoder->decode(input, room);
    if (progress.is_broken || (progress.consumed == 0 && progress.produced == 0 && !input.empty())) {
      return give_up("its " + coding + " form is broken");
    }
    input.remove_prefix(progress.consumed);
    produced = progress.produced;
    if (produced == 0) continue;
    if (written + produced > kFreely && (written + produced) / kMostTimes > coded) {
      return give_up("it unpacks to more than " + std::to_string(kMostTimes) + " times what came");
    }
    const std::string_view bytes(room, produced);
    if (const core::Result<void> done = write_bytes(file, written, bytes); !done) return fail(done.error());
    check.add(bytes);
    written += produced;
  }
}

Unpacker::Unpacker(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place, const std::string& coding,
                   uint64_t coded, const std::vector<http::Digest>& expected, core::Callback<void()> done)
    : loop_(loop),
      offload_(offload),
      done_(done),
      work_(std::make_shared<Work>(Work{std::move(place), coding, coded, DigestCheck(expected), http::ContentDecoder::make(coding)})),
      deferred_(loop) {
  step();
}

Unpacker::~Unpacker() = default;

void Unpacker::step() {
  job_ = offload_.submit(loop_, [work = work_] { work->run(); }, core::Callback<void()>::to<&Unpacker::on_step>(this));
  if (job_) return;
  work_->fail({.code = core::ErrorCode::LimitReached});
  deferred_.schedule(core::Callback<void()>::to<&Unpacker::on_step>(this));
}

void Unpacker::on_step() {
  job_ = {};
  if (!work_->is_over) return step();
  done_();  // we may be gone now
}

const std::optional<core::Error>& Unpacker::error() const { return work_->error; }
const std::string& Unpacker::problem() const { return work_->problem; }
uint64_t Unpacker::length() const { return work_->written; }
core::Fd Unpacker::take_file() { return std::move(work_->file); }

}  // namespace tributary::fetch
