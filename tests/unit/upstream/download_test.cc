// Downloads: split or not, and every way in which an origin can misbehave. S0-1.12, S0-4.3, P-6.
#include "upstream/download.h"

#include <cstring>

#include "http/range.h"
#include "unit/upstream/fixture.h"
#include "upstream/h1_exchange.h"

namespace tributary::upstream::test {
namespace {

using http::ByteRange;
using std::chrono::milliseconds;
constexpr uint64_t kMiB = 1 << 20;

std::string content_of(size_t size, uint32_t seed = 1) {
  std::string content(size, '\0');
  for (char& c : content) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>(seed >> 24);
  }
  return content;
}

// Serves one object with ranges, each connection at a pace. Tests override single answers.
class FileOrigin {
 public:
  struct Answer {
    std::string status = "200 OK";
    std::string fields;
    ByteRange range;                 // of `content` that is sent
    std::optional<std::string> content_range;  // none: the true one for a 206
    std::optional<uint64_t> declared;          // Content-Length, when it is to be wrong
    uint64_t cut = UINT64_MAX;       // close after so many bytes of content
    bool drop = false;               // close without a word
    bool is_chunked = false;
  };

  FileOrigin(core::Loop& loop, std::string content) : origin(loop), content_(std::move(content)), timer_(loop) {
    origin.on_request = [this](TestOrigin::Peer& peer, const std::string& head) { serve(peer, head); };
    tick();
  }

  // Called with the honest answer, which it may change. `number` counts requests from 1.
  std::function<void(Answer&, int number, const std::string& head)> edit;

  TestOrigin origin;
  std::string etag = "\"v1\"";
  size_t pace = 0;        // bytes per 4 ms and connection; 0: all at once
  int range_requests = 0;
  uint64_t sent = 0;
  std::vector<std::string> heads;

 private:
  struct Transfer {
    TestOrigin::Peer* peer;
    uint64_t at, end, cut_at;
    bool is_chunked;
  };

  void serve(TestOrigin::Peer& peer, const std::string& head) {
    heads.push_back(head);
    Answer answer;
    answer.range = {0, content_.size()};
    const std::string range = field(head, "Range");
    const std::string condition = field(head, "If-Range");
    if (!range.empty() && (condition.empty() || condition == etag)) {
      ++range_requests;
      const auto specs = http::parse_range(range);
      answer.range = *(*specs)[0].resolve(content_.size());
      answer.status = "206 Partial Content";
    }
    answer.fields = "ETag: " + etag + "\r\nAccept-Ranges: bytes\r\n";
    if (edit) edit(answer, static_cast<int>(heads.size()), head);
    if (answer.drop) return peer.close();
    std::string text = "HTTP/1.1 " + answer.status + "\r\n" + answer.fields;
    if (answer.status.starts_with("206")) {
      std::string value;
      http::append_content_range({answer.range, content_.size()}, value);
      text += "Content-Range: " + answer.content_range.value_or(value) + "\r\n";
    }
    text += answer.is_chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                              : "Content-Length: " +
                                    std::to_string(answer.declared.value_or(answer.range.size())) + "\r\n\r\n";
    peer.send(text);
    const uint64_t cut_at = answer.cut == UINT64_MAX ? UINT64_MAX : answer.range.first + answer.cut;
    Transfer transfer{&peer, answer.range.first, answer.range.last, cut_at, answer.is_chunked};
    if (pace == 0) {
      while (push(transfer, 1 << 20)) {
      }
    } else if (push(transfer, pace)) {
      transfers_.push_back(transfer);
    }
  }
  bool push(Transfer& transfer, size_t most) {
    if (!transfer.peer->is_open()) return false;
    const uint64_t n = std::min({uint64_t{most}, transfer.end - transfer.at, transfer.cut_at - transfer.at});
    const std::string_view bytes = std::string_view(content_).substr(transfer.at, n);
    if (transfer.is_chunked && n > 0) {
      char header[http::kChunkHeaderMax];
      transfer.peer->send({header, http::write_chunk_header(header, n)});
    }
    transfer.peer->send(bytes);
    if (transfer.is_chunked && n > 0) transfer.peer->send("\r\n");
    transfer.at += n;
    sent += n;
    if (transfer.at == transfer.cut_at) {
      transfer.peer->close();
      return false;
    }
    if (transfer.at == transfer.end && transfer.is_chunked) transfer.peer->send(http::kLastChunk);
    return transfer.at < transfer.end;
  }
  void tick() {
    std::erase_if(transfers_, [&](Transfer& t) { return t.peer->unsent() < 4 * pace && !push(t, pace); });
    timer_.start(milliseconds(4), core::Callback<void()>::to<&FileOrigin::tick>(this));
  }

  std::string content_;
  std::vector<Transfer> transfers_;
  core::Timer timer_;
};

class MemorySink final : public http::RangeSink {
 public:
  explicit MemorySink(size_t size) : bytes(size, '\0'), have(size, '\0') {}
  void write(uint64_t offset, core::Slice slice) override {
    EXPECT_FALSE(is_over()) << "nothing after the end";
    if (offset + slice.size() > bytes.size()) {
      bytes.resize(offset + slice.size());
      have.resize(offset + slice.size());
    }
    for (size_t i = 0; i < slice.size();) {
      const size_t at = offset + i, rest = slice.size() - i;
      const void* next = std::memchr(have.data() + at, 1, rest);
      const size_t n = next ? static_cast<size_t>(static_cast<const char*>(next) - (have.data() + at)) : rest;
      std::memcpy(bytes.data() + at, slice.data() + i, n);
      std::memset(have.data() + at, 1, n);
      if (n < rest) ++doubled;
      i += n < rest ? n + 1 : n;
    }
    written += slice.size();
    if (on_write) on_write();
  }
  void asked(std::vector<http::ByteRange>& ranges) override {
    ranges.insert(ranges.end(), asked_for.begin(), asked_for.end());
  }
  std::vector<http::ByteRange> asked_for;
  bool has_room() const override { return room; }
  void set_room_callback(core::Callback<void()> callback) override { room_callback = callback; }
  void wanted(std::vector<uint64_t>& offsets) const override {
    const size_t at = have.find('\0');
    if (at != std::string::npos) offsets.push_back(at);
  }
  void present(std::vector<ByteRange>& ranges) const override { ranges = already; }
  void finish(uint64_t its_length) override {
    EXPECT_FALSE(is_over());
    length = its_length;
  }
  void fail(core::Error why) override {
    EXPECT_FALSE(is_over());
    error = why;
  }
  bool is_over() const { return length || error; }
  void set_present(ByteRange range, const std::string& content) {
    already.push_back(range);
    for (uint64_t i = range.first; i < range.last; ++i) {
      bytes[i] = content[i];
      have[i] = 1;
    }
  }
  void give_room() {
    room = true;
    if (room_callback) room_callback();
  }

  std::string bytes;
  std::string have;  // a 1 for each byte that is there
  std::vector<ByteRange> already;
  core::Callback<void()> room_callback;
  std::function<void()> on_write;
  bool room = true;
  std::optional<uint64_t> length;
  std::optional<core::Error> error;
  uint64_t written = 0, doubled = 0;
};

class DownloadTest : public UpstreamTest {
 public:
  void on_done() { ++done_; }

 protected:
  DownloadTest() {
    settings_.retries = 0;
    accelerate_.min_size = kMiB;
  }
  // Asks for the object as a client would, then lets a Download bring it into `sink_`.
  void begin(const http::RequestHead& head = get("/file"), std::optional<ByteRange> scope = {}) {
    sink_ = sink_ ? std::move(sink_) : std::make_unique<MemorySink>(content_.size());
    call_.reads = false;
    start(call_, at(file_->origin), head);
    until([&] { return call_.has_head || call_.failed; });
    ASSERT_TRUE(call_.has_head);
    auto representation =
        Representation::of(call_.exchange->head(), call_.exchange->framing(), loop_.unix_now());
    ASSERT_TRUE(representation);
    download_ = std::make_unique<Download>(
        client(), accelerate_,
        DownloadRequest{.origin = at(file_->origin), .head = head, .representation = *representation, .scope = scope},
        *sink_, core::Callback<void()>::to<&DownloadTest::on_done>(this));
    download_->start(std::move(call_.exchange));
    EXPECT_EQ(sink_->written, 0u);
  }
  void begin_cold(std::optional<ByteRange> scope = {}) {
    Representation representation;
    representation.content = {0, content_.size()};
    representation.length = content_.size();
    representation.validator = representation.etag = "\"v1\"";
    representation.accepts_ranges = true;
    download_ = std::make_unique<Download>(client(), accelerate_,
                                           DownloadRequest{.origin = at(file_->origin),
                                                           .head = get("/file"),
                                                           .representation = representation,
                                                           .scope = scope},
                                           *sink_, core::Callback<void()>::to<&DownloadTest::on_done>(this));
    download_->start_cold();
  }
  void finish() {
    until([&] { return done_ > 0; });
    EXPECT_EQ(done_, 1);
  }
  void make(size_t size, size_t pace) {
    content_ = content_of(size);
    file_ = std::make_unique<FileOrigin>(loop_, content_);
    file_->pace = pace;
  }
  void expect_whole() {
    ASSERT_TRUE(sink_->length) << (sink_->error ? core::describe(*sink_->error) : "not over");
    EXPECT_EQ(*sink_->length, content_.size());
    EXPECT_TRUE(sink_->bytes == content_);
    EXPECT_EQ(download_->outcome(), Download::Outcome::Finished);
  }
  // Every byte that is there is right, whatever happened.
  void expect_nothing_wrong() {
    for (size_t i = 0; i < content_.size(); ++i) {
      if (sink_->have[i]) {
        ASSERT_EQ(sink_->bytes[i], content_[i]) << "at " << i;
      }
    }
  }
  void expect_nothing_left() {
    download_.reset();
    until([&] { return client().active() == 0; });
    EXPECT_EQ(counter("tributary_downloads"), 0u);
    EXPECT_EQ(counter("tributary_download_connections"), 0u);
    EXPECT_EQ(counter("tributary_upstream_connections", {"active"}), 0u);
  }

  static constexpr size_t kPaced = 64 * 1024;  // 8 to 16 MiB/s a connection

  std::string content_;
  std::unique_ptr<FileOrigin> file_;
  std::unique_ptr<MemorySink> sink_;
  Call call_;
  std::unique_ptr<Download> download_;
  int done_ = 0;
};

// --- one connection ---

TEST_F(DownloadTest, ASmallObjectComesOverTheOneConnection) {
  make(1000, 0);
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(file_->heads.size(), 1u);
  expect_nothing_left();
  EXPECT_EQ(client().idle(), 1u);
}

TEST_F(DownloadTest, AnEmptyObjectIsFinishedToo) {
  make(0, 0);
  begin();
  finish();
  expect_whole();
}

TEST_F(DownloadTest, ContentOfUnknownLengthIsFinishedWithItsTrueOne) {
  make(3 * kMiB, 0);
  file_->edit = [](FileOrigin::Answer& answer, int, const std::string&) { answer.is_chunked = true; };
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(file_->heads.size(), 1u);
}

TEST_F(DownloadTest, AFastOriginIsNotAskedTwice) {
  make(24 * kMiB, 0);
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(file_->origin.accepted, 1u);
  EXPECT_EQ(client().idle(), 1u);
}

TEST_F(DownloadTest, WithoutRangesOrValidatorNothingIsSplit) {
  for (const std::string fields : {"ETag: \"v1\"\r\n", "ETag: \"v1\"\r\nAccept-Ranges: none\r\n",
                                   "ETag: W/\"v1\"\r\nAccept-Ranges: bytes\r\n", "Accept-Ranges: bytes\r\n"}) {
    make(4 * kMiB, kPaced);
    sink_.reset();
    done_ = 0;
    call_.has_head = false;
    file_->edit = [&](FileOrigin::Answer& answer, int, const std::string&) { answer.fields = fields; };
    begin();
    finish();
    expect_whole();
    EXPECT_EQ(file_->heads.size(), 1u) << fields;
    expect_nothing_left();
  }
}

TEST_F(DownloadTest, AShortUnjoinableResponseFailsTheSink) {
  make(100'000, 0);
  file_->edit = [](FileOrigin::Answer& answer, int, const std::string&) {
    answer.fields.clear();
    answer.cut = 60'000;
  };
  begin();
  finish();
  ASSERT_TRUE(sink_->error);
  EXPECT_EQ(sink_->error->code, core::ErrorCode::IncompleteMessage);
  EXPECT_EQ(download_->outcome(), Download::Outcome::Failed);
  expect_nothing_wrong();
}

TEST_F(DownloadTest, AJoinableResponseThatBreaksOffIsResumedEvenWhenSmall) {
  make(100'000, 0);
  file_->edit = [](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number == 1) answer.cut = 60'000;
  };
  begin();
  finish();
  expect_whole();
  ASSERT_EQ(file_->heads.size(), 2u);
  EXPECT_EQ(field(file_->heads[1], "Range"), "bytes=60000-99999");
  EXPECT_EQ(field(file_->heads[1], "If-Range"), "\"v1\"");
}

TEST_F(DownloadTest, ASinkWithoutRoomHoldsEverythingBack) {
  make(8 * kMiB, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  sink_->on_write = [&] { sink_->room = false; };
  begin();
  for (int i = 0; i < 30; ++i) {
    const uint64_t before = sink_->written;
    settle();
    EXPECT_LE(sink_->written, before + 256 * 1024) << "one part a permission";
    sink_->give_room();
  }
  EXPECT_FALSE(sink_->is_over());
  sink_->on_write = {};
  sink_->give_room();
  finish();
  expect_whole();
}

TEST_F(DownloadTest, ItMayBeDestroyedAtAnyMoment) {
  for (const int stage : {0, 1, 2, 3}) {
    make(16 * kMiB, stage == 0 ? 0 : kPaced);
    sink_.reset();
    done_ = 0;
    call_.has_head = false;
    begin();
    if (stage == 1) until([&] { return sink_->written > 0; });
    if (stage >= 2) until([&] { return download_->snapshot().fetches.size() > 2; });
    if (stage == 3) until([&] { return file_->range_requests > 0; });
    download_.reset();
    EXPECT_FALSE(sink_->is_over());
    EXPECT_EQ(client().active(), 0u);
    until([&] { return file_->origin.open == client().idle(); });
  }
  EXPECT_EQ(done_, 0);
  EXPECT_EQ(counter("tributary_downloads"), 0u);
  EXPECT_EQ(counter("tributary_download_connections"), 0u);
}

// --- many connections ---

TEST_F(DownloadTest, ANewClientKnowsWhatTheBookSaysOfAnOrigin) {
  const Origin origin{http::Scheme::Http, 80, "known.example", 0, nullptr};
  shared().origins.note(origin, 12);
  EXPECT_EQ(client().memory(origin)->useful, 12u);
}

TEST_F(DownloadTest, ASlowOriginIsAskedOverManyConnections) {
  make(24 * kMiB, kPaced);
  begin();
  finish();
  expect_whole();
  // What paid is written in the book that outlives us.
  EXPECT_NE(shared().origins.text().find(" http://127.0.0.1:"), std::string::npos) << shared().origins.text();
  EXPECT_GT(file_->range_requests, 3);
  EXPECT_GT(file_->origin.most_open, 3u);
  EXPECT_LE(file_->origin.most_open, 17u);
  for (size_t i = 1; i < file_->heads.size(); ++i) {
    EXPECT_EQ(field(file_->heads[i], "If-Range"), "\"v1\"");
    EXPECT_EQ(file_->heads[i].substr(0, 19), "GET /file HTTP/1.1\r");
  }
  EXPECT_GT(counter("tributary_download_pieces_total", {"ok"}), 0u);
  expect_nothing_left();
}

TEST_F(DownloadTest, PiecesAreAskedForWithTheFieldsOfTheOriginal) {
  make(12 * kMiB, kPaced);
  http::RequestHead head = get("/file");
  head.fields.add(http::FieldName::AcceptEncoding, "gzip");
  head.fields.add(http::FieldName::Cookie, "a=b");
  head.fields.add(http::FieldName::IfNoneMatch, "\"old\"");
  begin(head);
  finish();
  expect_whole();
  ASSERT_GT(file_->heads.size(), 1u);
  EXPECT_EQ(field(file_->heads[1], "Accept-Encoding"), "gzip");
  EXPECT_EQ(field(file_->heads[1], "Cookie"), "a=b");
  EXPECT_EQ(field(file_->heads[1], "If-None-Match"), "");
}

TEST_F(DownloadTest, AcceleratingCanBeTurnedOff) {
  accelerate_.enabled = false;
  make(4 * kMiB, kPaced);
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(file_->heads.size(), 1u);
}

TEST_F(DownloadTest, OnlySoManyDownloadsAreSplitAtATime) {
  accelerate_.max_downloads = 0;
  make(4 * kMiB, kPaced);
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(file_->heads.size(), 1u);
}

TEST_F(DownloadTest, TheLimitsOfAnOriginHoldForItsPiecesToo) {
  settings_.max_connections_per_host = 3;
  make(12 * kMiB, kPaced);
  begin();
  finish();
  expect_whole();
  EXPECT_LE(file_->origin.most_open, 4u);
  EXPECT_GT(file_->range_requests, 0);
}

TEST_F(DownloadTest, PiecesOfAllDownloadsToAnOriginAreLimited) {
  accelerate_.max_connections_per_host = 2;
  make(12 * kMiB, kPaced);
  begin();
  finish();
  expect_whole();
  EXPECT_LE(file_->origin.most_open, 4u);
}

TEST_F(DownloadTest, ASlowSinkIsNoStall) {
  make(12 * kMiB, kPaced);
  sink_ = std::make_unique<MemorySink>(content_.size());
  begin();
  until([&] { return download_->snapshot().fetches.size() > 2; });
  sink_->room = false;
  const core::TimePoint paused = core::Clock::now();
  until([&] { return core::Clock::now() > paused + milliseconds(200); });
  const size_t requests = file_->heads.size();  // what was under way has arrived
  until([&] { return core::Clock::now() > paused + milliseconds(1400); });
  EXPECT_EQ(file_->heads.size(), requests) << "no hedging against our own pause";
  sink_->give_room();
  finish();
  expect_whole();
}

// --- partial objects ---

TEST_F(DownloadTest, APartialObjectIsCompleted) {
  make(3 * kMiB, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  sink_->set_present({0, kMiB}, content_);
  sink_->set_present({2 * kMiB, 2 * kMiB + 1000}, content_);
  begin_cold();
  finish();
  expect_whole();
  EXPECT_EQ(sink_->doubled, 0u);
  EXPECT_EQ(file_->sent, 2 * kMiB - 1000);
}

TEST_F(DownloadTest, AScopeIsNotExceeded) {
  make(3 * kMiB, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  begin_cold(ByteRange{kMiB, 2 * kMiB});
  finish();
  EXPECT_EQ(download_->outcome(), Download::Outcome::Finished);
  EXPECT_FALSE(sink_->is_over()) << "gaps are left outside: the owner decides";
  EXPECT_EQ(sink_->written, kMiB);
  expect_nothing_wrong();
}

TEST_F(DownloadTest, AScopeGrowsWithWhatTheSinkIsAskedFor) {
  make(4 * kMiB, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  sink_->asked_for = {{kMiB, 2 * kMiB}};
  sink_->on_write = [this] {
    if (sink_->asked_for.size() > 1) return;
    sink_->asked_for.push_back({3 * kMiB, 4 * kMiB});
    sink_->room_callback();
  };
  begin_cold(ByteRange{kMiB, 2 * kMiB});
  finish();
  EXPECT_EQ(download_->outcome(), Download::Outcome::Finished);
  EXPECT_FALSE(sink_->is_over());
  EXPECT_EQ(sink_->written, 2 * kMiB);
  EXPECT_EQ(file_->heads.size(), 2u);
  expect_nothing_wrong();
}

TEST_F(DownloadTest, AScopeThatGrowsToTheWholeFinishesTheObject) {
  make(4 * kMiB, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  sink_->on_write = [this] { sink_->asked_for = {{0, 4 * kMiB}}; };  // seen at the latest when the scope is done
  begin_cold(ByteRange{kMiB, 2 * kMiB});
  finish();
  expect_whole();
  EXPECT_EQ(sink_->doubled, 0u);
}

TEST_F(DownloadTest, AnUnsplitDownloadThatBreaksOffIsContinuedWithOneRequest) {
  accelerate_.enabled = false;
  make(6 * kMiB, 0);
  file_->edit = [](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number == 1) answer.cut = 2 * kMiB;
  };
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(file_->heads.size(), 2u);
}

TEST_F(DownloadTest, AScopeThatCompletesTheObjectFinishesIt) {
  make(3 * kMiB, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  sink_->set_present({0, kMiB}, content_);
  begin_cold(ByteRange{kMiB, 3 * kMiB});
  finish();
  expect_whole();
}

TEST_F(DownloadTest, AClientsRangeIsFetchedAlone) {
  make(3 * kMiB, 0);
  http::RequestHead head = get("/file");
  head.fields.add(http::FieldName::Range, "bytes=1000-1999");
  sink_ = std::make_unique<MemorySink>(content_.size());
  begin(head, ByteRange{1000, 2000});
  finish();
  EXPECT_EQ(sink_->written, 1000u);
  EXPECT_FALSE(sink_->is_over());
  EXPECT_EQ(file_->heads.size(), 1u);
  expect_nothing_wrong();
}

TEST_F(DownloadTest, AColdStartOfSomethingThatCannotBeJoinedFails) {
  make(1000, 0);
  sink_ = std::make_unique<MemorySink>(content_.size());
  Representation representation;
  representation.length = 1000;
  download_ = std::make_unique<Download>(client(), accelerate_,
                                         DownloadRequest{.origin = at(file_->origin), .head = get(),
                                                         .representation = representation},
                                         *sink_, core::Callback<void()>::to<&DownloadTest::on_done>(this));
  download_->start_cold();
  EXPECT_FALSE(sink_->is_over());
  finish();
  EXPECT_EQ(sink_->error->code, core::ErrorCode::InvalidArgument);
}

// --- misbehaviour; each time the right bytes or a clear failure ---

TEST_F(DownloadTest, AnOriginThatIgnoresRangesGoesOnAlone) {
  make(7 * kMiB, kPaced);
  file_->edit = [&](FileOrigin::Answer& answer, int, const std::string&) {
    answer.status = "200 OK";
    answer.range = {0, content_.size()};
  };
  begin();
  finish();
  expect_whole();
  EXPECT_GT(counter("tributary_download_pieces_total", {"ignored"}), 0u);
  EXPECT_TRUE(client().memory(at(file_->origin))->ignores_ranges);
  expect_nothing_left();
}

TEST_F(DownloadTest, AChangedObjectIsFinishedFromTheOriginalResponse) {
  make(12 * kMiB, kPaced);
  file_->edit = [&](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number > 1) {
      answer.fields = "ETag: \"v2\"\r\nAccept-Ranges: bytes\r\n";
      answer.status = "200 OK";
      answer.range = {0, content_.size()};
    }
  };
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(counter("tributary_download_pieces_total", {"changed"}), 1u);
  expect_nothing_left();
}

TEST_F(DownloadTest, AnObjectThatChangesHalfWayIsNeverMixed) {
  make(16 * kMiB, kPaced);
  int honest = 4;
  file_->edit = [&](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number <= honest) return;
    answer.fields = "ETag: \"v2\"\r\nAccept-Ranges: bytes\r\n";
    answer.status = "200 OK";
    answer.range = {0, content_.size()};
  };
  begin();
  finish();
  if (sink_->error) {
    EXPECT_EQ(sink_->error->code, core::ErrorCode::ContentMismatch);
    EXPECT_EQ(download_->outcome(), Download::Outcome::Changed);
  } else {
    expect_whole();
  }
  expect_nothing_wrong();
  expect_nothing_left();
}

TEST_F(DownloadTest, AnotherTotalLengthIsAnotherObject) {
  make(12 * kMiB, kPaced);
  file_->edit = [&](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number > 1) {
      answer.content_range = "bytes " + std::to_string(answer.range.first) + "-" +
                             std::to_string(answer.range.last - 1) + "/" + std::to_string(content_.size() + 5);
    }
  };
  begin();
  finish();
  expect_whole();
  EXPECT_GT(counter("tributary_download_pieces_total", {"changed"}), 0u);
}

TEST_F(DownloadTest, AStoredPartOfAnotherVersionFailsAndSaysSo) {
  make(3 * kMiB, 0);
  file_->etag = "\"v2\"";
  sink_ = std::make_unique<MemorySink>(content_.size());
  sink_->set_present({0, kMiB}, content_);
  begin_cold();
  finish();
  ASSERT_TRUE(sink_->error);
  EXPECT_EQ(sink_->error->code, core::ErrorCode::ContentMismatch);
  EXPECT_EQ(download_->outcome(), Download::Outcome::Changed);
  EXPECT_EQ(sink_->written, 0u);
}

TEST_F(DownloadTest, AWrongContentRangeIsNotUsed) {
  for (const int kind : {0, 1, 2, 3}) {
    make(7 * kMiB, kPaced);
    sink_.reset();
    done_ = 0;
    call_.has_head = false;
    file_->edit = [&](FileOrigin::Answer& answer, int number, const std::string&) {
      if (number == 1) return;
      const auto [first, last] = answer.range;
      const std::string total = "/" + std::to_string(content_.size());
      switch (kind) {
        case 0: answer.content_range = "bytes " + std::to_string(first - 1) + "-" + std::to_string(last - 2) + total; break;
        case 1: answer.content_range = "bytes nonsense"; break;
        case 2: answer.content_range = "bytes " + std::to_string(first) + "-" + std::to_string(last) + total; break;
        default: answer.content_range = "bytes " + std::to_string(first) + "-" + std::to_string(last - 1) + "/*"; break;
      }
    };
    begin();
    finish();
    expect_whole();
    EXPECT_GT(counter("tributary_download_pieces_total", {"broken"}), 0u);
    EXPECT_EQ(counter("tributary_download_pieces_total", {"ok"}), 0u) << kind;
    expect_nothing_left();
  }
}

TEST_F(DownloadTest, APieceInAnotherCodingIsNotUsed) {
  make(7 * kMiB, kPaced);
  file_->edit = [&](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number > 1) answer.fields += "Content-Encoding: gzip\r\n";
  };
  begin();
  finish();
  expect_whole();
  EXPECT_EQ(counter("tributary_download_pieces_total", {"ok"}), 0u);
}

TEST_F(DownloadTest, ARefusalIsRespectedAndTheRestGoesOn) {
  for (const std::string status : {"503 Service Unavailable", "429 Too Many Requests", "403 Forbidden"}) {
    make(24 * kMiB, kPaced);
    sink_.reset();
    done_ = 0;
    call_.has_head = false;
    file_->edit = [&](FileOrigin::Answer& answer, int, const std::string&) {
      if (file_->origin.open < 4) return;
      answer = {};
      answer.status = status;
      answer.fields = "Retry-After: 60\r\n";
    };
    begin();
    finish();
    expect_whole();
    EXPECT_GT(counter("tributary_download_pieces_total", {"refused"}), 0u);
    expect_nothing_left();
  }
}

TEST_F(DownloadTest, PiecesThatBreakOffAreFetchedAgain) {
  make(24 * kMiB, kPaced);
  file_->edit = [](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number > 1 && number % 2 == 0) answer.cut = 100'000;
    if (number == 5) answer.drop = true;
  };
  begin();
  finish();
  expect_whole();
  EXPECT_GT(counter("tributary_download_pieces_total", {"broken"}), 0u);
}

TEST_F(DownloadTest, TheOriginalMayBreakOffToo) {
  make(24 * kMiB, kPaced);
  file_->edit = [](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number == 1) answer.cut = 3 * kMiB + 77;
  };
  begin();
  finish();
  expect_whole();
}

TEST_F(DownloadTest, APieceThatIsClippedIsFollowedByTheRest) {
  make(12 * kMiB, kPaced);
  file_->edit = [](FileOrigin::Answer& answer, int number, const std::string&) {
    if (number > 1 && answer.range.size() > 300'000) answer.range.last = answer.range.first + 300'000;
  };
  begin();
  finish();
  expect_whole();
}

TEST_F(DownloadTest, AnOriginThatDiesFailsTheSinkInTheEnd) {
  make(12 * kMiB, kPaced);
  begin();
  until([&] { return sink_->written > 4 * kMiB; });
  file_->origin.stop_listening();
  for (size_t i = 0; i < file_->origin.accepted; ++i) {
    if (file_->origin.peer(i).is_open()) file_->origin.peer(i).reset();
  }
  finish();
  ASSERT_TRUE(sink_->error);
  EXPECT_EQ(sink_->error->code, core::ErrorCode::ConnectionRefused);
  EXPECT_EQ(download_->outcome(), Download::Outcome::Failed);
  expect_nothing_wrong();
  expect_nothing_left();
}

TEST_F(DownloadTest, TheSnapshotShowsWhoFetchesWhat) {
  make(12 * kMiB, kPaced);
  begin();
  until([&] { return download_->snapshot().fetches.size() >= 3; });
  const Download::Snapshot snapshot = download_->snapshot();
  EXPECT_EQ(snapshot.target, "/file");
  EXPECT_EQ(snapshot.length, content_.size());
  EXPECT_GT(snapshot.fetched, 0u);
  for (const auto& fetch : snapshot.fetches) {
    EXPECT_GE(fetch.position, fetch.range.first);
    EXPECT_LE(fetch.position, fetch.range.last);
  }
  finish();
  expect_whole();
}

}  // namespace
}  // namespace tributary::upstream::test
