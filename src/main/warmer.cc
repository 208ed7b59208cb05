#include "main/warmer.h"

#include <algorithm>

#include "core/error.h"
#include "http/field_name.h"
#include "http/h1.h"
#include "http/text.h"
#include "http/url.h"
#include "net/address.h"
#include "net/stream.h"

namespace tributary {
namespace {

// The value of the member of Cache-Status that is ours: the last, for we stand nearest to the client.
std::string own_cache_status(const http::FieldSection& fields) {
  std::string last;
  fields.for_each("Cache-Status", [&](std::string_view value) { last = value; });
  return last;
}

bool has_parameter(std::string_view cache_status, std::string_view name) {
  http::ListCursor cursor(cache_status, ';');
  for (std::string_view part; cursor.next(part);) {
    if (part == name) return true;
  }
  return false;
}

}  // namespace

class Warmer::Batch {
 public:
  Batch(Warmer& warmer, std::vector<std::string> urls, Fields fields, Done done);
  ~Batch();
  bool has_waiting() const { return next_ < urls_.size(); }
  void start_one();
  void finished(Warmed result);

 private:
  friend class Fetch;
  void reap();

  Warmer& warmer_;
  std::vector<std::string> urls_;
  const Fields fields_;
  Done done_;
  size_t next_ = 0;
  std::vector<std::unique_ptr<Fetch>> fetches_;
  std::vector<Warmed> results_;
  core::Deferred reap_;
};

// One request on a connection of its own.
class Warmer::Fetch {
 public:
  Fetch(Batch& batch, core::Loop& loop, std::string url) : batch_(batch), loop_(loop), deadline_(loop) {
    result_.url = std::move(url);
    parser_.expect_response_to(http::Method::Get);
  }

  void start(const core::Result<http::Url>& url, core::Result<core::Fd> fd, const Fields& fields) {
    if (!url) return fail("not a URL that can be fetched through the proxy");
    if (!fd) return fail("no connection to the proxy: " + core::describe(fd.error()));
    http::RequestHead head;
    head.target = url->text();
    head.fields.add(http::FieldName::Host, url->authority());
    head.fields.add(http::FieldName::UserAgent, "tributary-warm");
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    head.fields.add(http::FieldName::Connection, "close");
    http::append_head(head, output_);
    stream_ = std::make_unique<net::TcpStream>(loop_, std::move(*fd), net::SocketAddress(), core::Side::Us);
    stream_->watch(core::Interest::Both, core::Callback<void(core::Interest)>::to<&Fetch::on_ready>(this));
    touch();
  }
  bool is_over() const { return over_; }

 private:
  void touch() { deadline_.start(kSilence, core::Callback<void()>::to<&Fetch::on_silence>(this)); }
  void on_silence() { fail("nothing came for five minutes"); }

  void on_ready(core::Interest ready) {
    if (core::has(ready, core::Interest::Write) && !output_.empty()) {
      const net::IoResult sent = stream_->write(output_);
      if (sent.is_failed()) return fail("the proxy closed the connection");
      output_.erase(0, sent.n);
      if (output_.empty()) stream_->set_interest(core::Interest::Read);
    }
    if (core::has(ready, core::Interest::Read)) receive();
  }

  void receive() {
    const net::IoResult got = stream_->read(loop_.scratch(), loop_.scratch_size());
    if (got.is_would_block()) return;
    touch();
    if (!got.is_bytes()) {
      return parser_.finish() == http::H1Parser::Event::Complete ? succeed() : fail("the response ended too early");
    }
    std::string_view input(loop_.scratch(), got.n);
    for (;;) {
      switch (parser_.next(input)) {
        case http::H1Parser::Event::NeedMore:
          return;
        case http::H1Parser::Event::Head: {
          const http::ResponseHead& head = parser_.response();
          if (head.status < 200) break;
          result_.status = head.status;
          result_.cache_status = own_cache_status(head.fields);
          if (has_parameter(result_.cache_status, "hit")) return succeed();
          break;
        }
        case http::H1Parser::Event::Body:
          result_.bytes += parser_.body().size();
          break;
        case http::H1Parser::Event::Complete:
          return succeed();
        case http::H1Parser::Event::Error:
          return fail("the response is malformed");
      }
    }
  }

  void succeed() {
    result_.ok = result_.status < 400;
    end();
  }
  void fail(std::string why) {
    result_.error = std::move(why);
    end();
  }
  void end() {
    over_ = true;
    deadline_.stop();
    if (stream_) stream_->close();
    batch_.finished(std::move(result_));
  }

  Batch& batch_;
  core::Loop& loop_;
  Warmed result_;
  http::H1Parser parser_{http::H1Parser::Kind::Response};
  std::string output_;
  bool over_ = false;
  core::Timer deadline_;
  std::unique_ptr<net::TcpStream> stream_;
};

Warmer::Batch::Batch(Warmer& warmer, std::vector<std::string> urls, Fields fields, Done done)
    : warmer_(warmer), urls_(std::move(urls)), fields_(std::move(fields)), done_(std::move(done)), reap_(warmer.loop_) {}

Warmer::Batch::~Batch() {
  std::erase(warmer_.batches_, this);
  for (const std::unique_ptr<Fetch>& fetch : fetches_) warmer_.running_ -= fetch->is_over() ? 0 : 1;
  fetches_.clear();
  warmer_.schedule();
}

void Warmer::Batch::start_one() {
  fetches_.push_back(std::make_unique<Fetch>(*this, warmer_.loop_, urls_[next_++]));
  Fetch& fetch = *fetches_.back();
  ++warmer_.running_;
  const core::Result<http::Url> url = http::Url::parse(urls_[next_ - 1]);
  fetch.start(url, url ? warmer_.connect_() : core::Result<core::Fd>(url.error()), fields_);
}

void Warmer::Batch::finished(Warmed result) {
  --warmer_.running_;
  results_.push_back(std::move(result));
  reap_.schedule(core::Callback<void()>::to<&Batch::reap>(this));
  warmer_.schedule();
}

void Warmer::Batch::reap() {
  std::erase_if(fetches_, [](const std::unique_ptr<Fetch>& fetch) { return fetch->is_over(); });
  if (results_.size() < urls_.size()) return;
  const Done done = std::move(done_);
  done(std::move(results_));  // we may be gone now
}

void Warmer::BatchDeleter::operator()(Batch* batch) const { delete batch; }

Warmer::Warmer(core::Loop& loop, Connect connect) : loop_(loop), connect_(std::move(connect)), pump_(loop) {}
Warmer::~Warmer() = default;

Warmer::BatchPtr Warmer::start(std::vector<std::string> urls, Fields fields, Done done) {
  BatchPtr batch(new Batch(*this, std::move(urls), std::move(fields), std::move(done)));
  batches_.push_back(batch.get());
  schedule();
  return batch;
}

void Warmer::schedule() { pump_.schedule(core::Callback<void()>::to<&Warmer::pump>(this)); }

// Batches take turns, so that a long one does not stand before a short one.
void Warmer::pump() {
  while (running_ < kAtOnce && !batches_.empty()) {
    Batch* const batch = batches_.front();
    batches_.pop_front();
    batch->start_one();
    if (batch->has_waiting()) batches_.push_back(batch);
  }
}

}  // namespace tributary
