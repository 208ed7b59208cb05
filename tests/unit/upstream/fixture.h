// What the tests of this layer have in common: a loop, a client on it, and a handler that records what it hears.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/offload.h"
#include "net/resolver.h"
#include "net/socket.h"
#include "upstream/client.h"
#include "upstream/metrics.h"
#include "unit/upstream/test_origin.h"

namespace tributary::upstream::test {

// Starts an exchange and reads its response.
struct Call final : ExchangeHandler {
  std::unique_ptr<Exchange> exchange;
  std::vector<int> interim;
  bool has_head = false, ended = false, failed = false;
  bool reads = true;                 // else read_all() is the test's affair
  uint64_t at_most = UINT64_MAX;
  size_t parts = 0, largest_part = 0;
  std::string body;
  core::Error error;
  std::function<void()> on_head_hook, on_end_hook;

  void on_interim(const http::ResponseHead& head) override { interim.push_back(head.status); }
  void on_head() override {
    has_head = true;
    if (on_head_hook) on_head_hook();
    if (!exchange) return;
    exchange->set_ready(core::Callback<void()>::to<&Call::read_all>(this));
    if (reads && exchange->framing().kind != http::BodyKind::Tunnel) read_all();
  }
  void on_failed(core::Error why) override {
    failed = true;
    error = why;
    if (on_end_hook) on_end_hook();
  }
  void read_all() {
    for (;;) {
      http::BodyPart part;
      switch (exchange->read(part, at_most)) {
        case http::BodyRead::Part:
          EXPECT_GT(part.bytes.size(), 0u);
          EXPECT_LE(part.bytes.size(), at_most);
          ++parts;
          largest_part = std::max(largest_part, part.bytes.size());
          body += part.bytes.view();
          continue;
        case http::BodyRead::Wait: return;
        case http::BodyRead::End: ended = true; break;
        case http::BodyRead::Failed:
          failed = true;
          error = exchange->error();
          break;
      }
      if (on_end_hook) on_end_hook();
      return;
    }
  }
  bool is_over() const { return ended || failed; }
  int status() const { return has_head ? exchange->head().status : 0; }
};

class UpstreamTest : public ::testing::Test {
 protected:
  UpstreamTest() { net::ignore_sigpipe(); }

  // Made on first use, so that a test may change the settings before.
  Client& client() {
    if (!client_) {
      shared_ = std::make_unique<Shared>(settings_, accelerate_);
      client_ = std::make_unique<Client>(loop_, resolver_, nullptr, *shared_, settings_, registry_);
    }
    return *client_;
  }
  Shared& shared() {
    client();
    return *shared_;
  }
  Origin at(const TestOrigin& origin) { return {http::Scheme::Http, origin.port(), "127.0.0.1", 0}; }

  static http::RequestHead get(std::string_view target = "/", http::Method method = http::Method::Get) {
    http::RequestHead head;
    head.method = method;
    head.target = target;
    head.fields.add(http::FieldName::Host, "origin.test");
    return head;
  }
  void start(Call& call, const Origin& origin, const http::RequestHead& head, http::BodySource* body = nullptr) {
    call.exchange = client().start({.origin = origin, .head = head, .body = body}, call);
  }
  // Starts and waits for the end.
  void run(Call& call, const Origin& origin, const http::RequestHead& head = get()) {
    start(call, origin, head);
    until([&] { return call.is_over(); });
  }
  // Turns the loop until `done`; a test that would wait for ever fails after a minute.
  template <class Predicate>
  bool until(Predicate done) {
    const core::TimePoint deadline = core::Clock::now() + std::chrono::seconds(60);
    while (!done()) {
      if (core::Clock::now() > deadline) {
        ADD_FAILURE() << "nothing happened for a minute";
        return false;
      }
      loop_.run_once(std::chrono::milliseconds(20));
    }
    return true;
  }
  // Lets everything happen that is on its way.
  void settle() {
    for (int i = 0; i < 8; ++i) loop_.run_once();
  }
  uint64_t counter(const std::string& name, const std::vector<std::string>& labels = {}) {
    for (const core::FamilySnapshot& family : registry_.snapshot()) {
      if (family.name != name) continue;
      for (const core::Sample& sample : family.samples) {
        if (sample.label_values == labels) return static_cast<uint64_t>(sample.value);
      }
    }
    return 0;
  }

  core::Registry registry_;
  core::Loop loop_;
  core::OffloadPool offload_{{.threads = 1}};
  net::Resolver resolver_{loop_, offload_, registry_, {.servers = {"127.0.0.1"}, .hosts_file = ""}};
  UpstreamSettings settings_;
  AccelerateSettings accelerate_;
  std::unique_ptr<Shared> shared_;
  std::unique_ptr<Client> client_;
};

}  // namespace tributary::upstream::test
