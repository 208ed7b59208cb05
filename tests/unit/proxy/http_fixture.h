// A worker with a cache, a scripted origin on the same loop, and clients that speak HTTP/1.1 through it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1.h"
#include "proxy/fetch_table.h"
#include "unit/proxy/worker_fixture.h"
#include "unit/upstream/test_origin.h"

namespace tributary::proxy::test {

using Origin = upstream::test::TestOrigin;
using Peer = upstream::test::TestOrigin::Peer;
using upstream::test::field;
using upstream::test::response;

// A response as a client understands it.
struct Answer {
  int status = 0;
  std::vector<int> interim;
  http::FieldSection fields;
  std::string body;
  std::string trailer;         // of the field "X-End"
  bool is_complete = false;    // ended as its framing promised

  std::string operator[](std::string_view name) const { return std::string(fields.find(name).value_or("")); }
  bool has(std::string_view name) const { return fields.find(name).has_value(); }
  bool is_hit() const { return (*this)["Cache-Status"].find("; hit") != std::string::npos; }
};

class HttpTest : public WorkerTest {
 protected:
  HttpTest() {
    std::string pattern = "/tmp/tributary_http_test_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    store_settings = {.directory = directory_, .size = uint64_t{256} << 20, .sync = cache::Sync::Off};
  }
  ~HttpTest() override { std::filesystem::remove_all(directory_); }

  void TearDown() override {
    if (!has_worker()) return;
    for (size_t i = 0; i < origin.accepted; ++i) {
      if (origin.peer(i).is_open()) origin.peer(i).reset();
    }
    worker().drain();
    EXPECT_TRUE(until([&] { return is_quiet(); })) << worker().active() << " sessions, " << worker().fetches().size()
                                                  << " fetches, " << worker().upstream().active() << " exchanges";
  }

  // Nothing runs: no session, no fetch, no exchange.
  bool is_quiet() {
    return worker().active() == 0 && worker().fetches().size() == 0 && worker().upstream().active() == 0;
  }
  template <class Done>
  bool until(Done done) {
    const auto limit = std::chrono::steady_clock::now() + 15s;
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop.run_once(5ms);
    }
    return true;
  }
  // Lets a deadline of this length pass.
  void let_pass(core::Duration time) {
    const auto end = std::chrono::steady_clock::now() + time;
    until([&] { return std::chrono::steady_clock::now() >= end; });
  }

  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(origin.port()) + std::string(path);
  }
  std::string request(std::string_view path = "/", std::string_view fields = {}, std::string_view method = "GET") const {
    return std::string(method) + " " + url(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n";
  }

  class Client {
   public:
    explicit Client(std::unique_ptr<TestClient> client) : client_(std::move(client)) {}
    TestClient* operator->() { return client_.get(); }

    // The next response of the connection.
    Answer answer(http::Method to = http::Method::Get) {
      http::H1Parser parser(http::H1Parser::Kind::Response);
      parser.expect_response_to(to);
      Answer answer;
      for (;;) {
        std::string_view input = rest_;
        const http::H1Parser::Event event = parser.next(input);
        const std::string left(input);
        switch (event) {
          case http::H1Parser::Event::Head:
            if (parser.response().status < 200 && parser.response().status != 101) {
              answer.interim.push_back(parser.response().status);
            } else {
              answer.status = parser.response().status;
              answer.fields = parser.response().fields;
            }
            break;
          case http::H1Parser::Event::Body: answer.body += parser.body(); break;
          case http::H1Parser::Event::Complete:
            answer.is_complete = true;
            if (parser.trailers()) answer.trailer = parser.trailers()->find("X-End").value_or("");
            rest_ = left;
            return answer;
          case http::H1Parser::Event::Error: ADD_FAILURE() << "malformed response: " << rest_.substr(0, 200); return answer;
          case http::H1Parser::Event::NeedMore:
            if (client_->is_ended()) {
              answer.is_complete = !client_->was_reset() && parser.finish() == http::H1Parser::Event::Complete;
              rest_.clear();
              return answer;
            }
            client_->receive(1);
            rest_ = client_->take();
            continue;
        }
        rest_ = left;
      }
    }
    // The connection is over, and nothing more came.
    bool ends() { return rest_.empty() && client_->receive_to_end().empty(); }
    const std::string& rest() const { return rest_; }

   private:
    std::unique_ptr<TestClient> client_;
    std::string rest_;
  };

  Client client() { return Client(dial()); }
  // One request on a connection of its own.
  Answer fetch(const std::string& request, http::Method method = http::Method::Get) {
    Client one = client();
    one->send(request);
    return one.answer(method);
  }
  // The origin answers everything so.
  void answer_with(std::string text) {
    origin.on_request = [text = std::move(text)](Peer& peer, const std::string&) { peer.send(text); };
  }

  Origin origin{loop};

 private:
  std::string directory_;
};

}  // namespace tributary::proxy::test
