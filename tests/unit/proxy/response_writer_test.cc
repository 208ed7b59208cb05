// The writer against a real socket pair whose reader is slow, and sources that make it wait, end early or fail.
#include "proxy/response_writer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <csignal>
#include <deque>
#include <string>

#include "core/fd.h"
#include "core/loop.h"

namespace tributary::proxy {
namespace {

using Progress = ResponseWriter::Progress;

// Hands out what the test has put in; Wait when empty.
class ScriptedSource final : public http::BodySource {
 public:
  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    ++reads;
    if (parts.empty()) return end;
    part = parts.front();
    if (part.size() > at_most) {
      if (part.is_file()) {
        part.file_length = at_most;
        parts.front().file_offset += at_most;
        parts.front().file_length -= at_most;
      } else {
        part.bytes = part.bytes.sub(0, at_most);
        parts.front().bytes.remove_prefix(at_most);
      }
    } else {
      parts.pop_front();
    }
    return http::BodyRead::Part;
  }
  void set_ready(core::Callback<void()>) override {}
  core::Error error() const override { return {.code = core::ErrorCode::ReadTimeout, .side = core::Side::Origin}; }
  void add(std::string_view bytes) {
    http::BodyPart part;
    part.bytes = core::Slice::copy(bytes);
    parts.push_back(part);
  }

  std::deque<http::BodyPart> parts;
  http::BodyRead end = http::BodyRead::End;
  int reads = 0;
};

class Writing : public testing::Test {
 protected:
  Writing() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    int small = 4096;
    ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    stream_ = std::make_unique<net::TcpStream>(loop_, core::Fd(fds[0]), net::SocketAddress(), core::Side::Client);
    peer_ = core::Fd(fds[1]);
    auto nothing = [](core::Interest) {};
    stream_->watch(core::Interest::None, core::Callback<void(core::Interest)>::ref(nothing));
  }

  std::string take() {
    std::string all;
    char buffer[65536];
    for (ssize_t n; (n = ::read(peer_.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
    return all;
  }
  // Pumps and reads until the writer says something else than Parked.
  Progress drive(ResponseWriter& writer, Progress progress, std::string& out) {
    out += take();
    for (int i = 0; progress == Progress::Parked && i < 100'000; ++i) {
      progress = writer.pump();
      out += take();
    }
    return progress;
  }

  core::Loop loop_;
  std::unique_ptr<net::TcpStream> stream_;
  core::Fd peer_;
};

TEST_F(Writing, SendsHeadAndContentTogether) {
  ResponseWriter writer(*stream_, {});
  EXPECT_EQ(writer.write("HEAD\r\n\r\n", core::Slice::copy("content")), Progress::Done);
  EXPECT_EQ(take(), "HEAD\r\n\r\ncontent");
  EXPECT_TRUE(writer.is_idle());
  EXPECT_EQ(writer.bytes_sent(), 15u);
}

TEST_F(Writing, KeepsWhatASlowClientDoesNotTakeAndAsksForNoMore) {
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  ScriptedSource* raw = source.get();
  const std::string content(3'000'000, 'x');
  source->add(content);
  Progress progress = writer.begin("H", std::move(source), {http::BodyKind::Length, content.size()});
  EXPECT_EQ(progress, Progress::Parked);
  EXPECT_TRUE(writer.is_blocked_by_client());
  EXPECT_TRUE(has(stream_->interest(), core::Interest::Write));
  const int reads = raw->reads;
  EXPECT_EQ(writer.pump(), Progress::Parked);  // the client still takes nothing
  EXPECT_EQ(raw->reads, reads);
  std::string out;
  EXPECT_EQ(drive(writer, Progress::Parked, out), Progress::Done);
  EXPECT_EQ(out, "H" + content);
  EXPECT_FALSE(has(stream_->interest(), core::Interest::Write));
}

TEST_F(Writing, WaitsForItsSourceWithoutWatchingTheSocket) {
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  ScriptedSource* raw = source.get();
  raw->end = http::BodyRead::Wait;
  EXPECT_EQ(writer.begin("H", std::move(source), {http::BodyKind::Length, 3}), Progress::Parked);
  EXPECT_EQ(take(), "H");  // the head does not wait for the content
  EXPECT_FALSE(has(stream_->interest(), core::Interest::Write));
  raw->add("abc");
  raw->end = http::BodyRead::End;
  EXPECT_EQ(writer.pump(), Progress::Done);
  EXPECT_EQ(take(), "abc");
}

TEST_F(Writing, FramesChunksAndTheirEnd) {
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  source->add("hello");
  source->add("0123456789abcdef");
  EXPECT_EQ(writer.begin("H", std::move(source), {http::BodyKind::Chunked, 0}), Progress::Done);
  EXPECT_EQ(take(), "H5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
}

// S0-4.3
TEST_F(Writing, ContentThatEndsShortIsAFailureAndNotAnEnd) {
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  source->add("abc");
  EXPECT_EQ(writer.begin("H", std::move(source), {http::BodyKind::Length, 10}), Progress::Failed);
  EXPECT_EQ(writer.error().code, core::ErrorCode::IncompleteMessage);
}

TEST_F(Writing, ContentLongerThanPromisedIsNotSent) {
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  source->add("abcdef");
  EXPECT_EQ(writer.begin("H", std::move(source), {http::BodyKind::Length, 3}), Progress::Failed);
  EXPECT_EQ(writer.error().code, core::ErrorCode::ContentMismatch);
}

TEST_F(Writing, AFailedSourceFailsTheResponseWithoutALastChunk) {
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  source->add("abc");
  source->end = http::BodyRead::Failed;
  EXPECT_EQ(writer.begin("H", std::move(source), {http::BodyKind::Chunked, 0}), Progress::Failed);
  EXPECT_EQ(writer.error().code, core::ErrorCode::ReadTimeout);
  EXPECT_EQ(take().find("0\r\n\r\n"), std::string::npos);
}

TEST_F(Writing, SendsFilePartsBetweenMemory) {
  core::Fd file(::memfd_create("content", MFD_CLOEXEC));
  std::string bytes(100'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  ASSERT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ResponseWriter writer(*stream_, {});
  auto source = std::make_unique<ScriptedSource>();
  http::BodyPart part;
  part.file = file.get();
  part.file_offset = 1000;
  part.file_length = 90'000;
  source->parts.push_back(part);
  source->add("tail");
  std::string out;
  const Progress first = writer.begin("H", std::move(source), {http::BodyKind::Length, 90'004});
  EXPECT_EQ(drive(writer, first, out), Progress::Done);
  EXPECT_EQ(out, "H" + bytes.substr(1000, 90'000) + "tail");
}

TEST_F(Writing, AFinalResponseFollowsAnInterimThatIsStillQueued) {
  ResponseWriter writer(*stream_, {});
  const std::string filler(500'000, 'i');
  EXPECT_EQ(writer.write_interim(filler), Progress::Parked);
  auto source = std::make_unique<ScriptedSource>();
  source->add("abc");
  std::string out;
  const Progress first = writer.begin("H", std::move(source), {http::BodyKind::Length, 3});
  EXPECT_EQ(drive(writer, first, out), Progress::Done);
  EXPECT_EQ(out, filler + "Habc");
}

TEST_F(Writing, AVanishedClientIsAnErrorOfItsSide) {
  ResponseWriter writer(*stream_, {});
  peer_.reset();
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(writer.write("HEAD", {}), Progress::Failed);
  EXPECT_EQ(writer.error().side, core::Side::Client);
}

}  // namespace
}  // namespace tributary::proxy
