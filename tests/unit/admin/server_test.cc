// The admin listener over a real loopback socket, spoken to byte by byte.
#include "admin/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "admin/cache_routes.h"
#include "net/socket.h"

namespace tributary::admin {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A raw client: what it sends is exactly what a test says, and what it got is everything that came.
class Client {
 public:
  explicit Client(const net::SocketAddress& server) {
    core::Result<core::Fd> fd = net::make_stream_socket(server);
    fd_ = std::move(*fd);
    sockaddr_storage storage{};
    const socklen_t length = server.to_sockaddr(storage);
    ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), length);
  }

  void send(std::string_view bytes) {
    ASSERT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void receive() {
    char chunk[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), chunk, sizeof chunk, 0);
      if (n > 0) got_.append(chunk, static_cast<size_t>(n));
      if (n == 0) ended_ = true;
      if (n < 0 && errno != EAGAIN && errno != EINTR) reset_ = ended_ = true;
      if (n <= 0) return;
    }
  }
  const std::string& got() const { return got_; }
  bool ended() const { return ended_; }
  bool was_reset() const { return reset_; }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  core::Fd fd_;
  std::string got_;
  bool ended_ = false, reset_ = false;
};

class AdminServer : public ::testing::Test {
 protected:
  AdminServer() {
    registry_
        .counters("tributary_requests_total", "Requests", {"protocol", "method", "status", "cache"})
        .with({"http", "GET", "200", "hit"})
        .add(7);
    settings_.version = "1.2.3";
    settings_.host_names = {"proxy.example"};
  }

  void start() {
    server_ = std::make_unique<Server>(loop_, settings_,
                                       Sources{registry_, [this] { return not_ready_; }});
    const core::Result<void> started = server_->start(*net::ListenAddress::parse("127.0.0.1:0"));
    ASSERT_TRUE(started);
  }

  template <class Condition>
  void run_until(Client& client, Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) {
      loop_.run_once(10ms);
      client.receive();
    }
    ASSERT_TRUE(condition()) << client.got();
  }

  // Sends one request that closes, and gives back everything that came.
  std::string ask(std::string_view bytes) {
    if (!server_) start();
    Client client(server_->address());
    loop_.run_once(1ms);
    client.send(bytes);
    run_until(client, [&] { return client.ended(); });
    EXPECT_FALSE(client.was_reset());
    return client.got();
  }
  std::string get(std::string_view target, std::string_view method = "GET") {
    return ask(std::string(method) + " " + std::string(target) +
               " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  }

  core::Loop loop_;
  core::Registry registry_;
  Settings settings_;
  std::string not_ready_;
  std::unique_ptr<Server> server_;
};

std::string content_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}

TEST_F(AdminServer, ServesMetricsAsPrometheusText) {
  const std::string response = get("/metrics");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(response, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(response, HasSubstr("tributary_requests_total{protocol=\"http\",method=\"GET\","
                                  "status=\"200\",cache=\"hit\"} 7"));
  EXPECT_THAT(response, HasSubstr("process_resident_memory_bytes "));
  EXPECT_THAT(response, HasSubstr("\ntributary_illegal_transitions_total 0"));
}

TEST_F(AdminServer, HealthIsThatItAnswersAndReadinessIsAsked) {
  EXPECT_EQ(content_of(get("/healthz")), "ok\n");
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  not_ready_ = "draining";
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  const std::string response = get("/readyz");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(nlohmann::json::parse(content_of(response)).at("detail"), "draining");
}

TEST_F(AdminServer, ServesTheTotalsAsOneJsonDocument) {
  const std::string response = get("/api/v1/stats");
  EXPECT_THAT(response, HasSubstr("Content-Type: application/json\r\n"));
  const nlohmann::json document = nlohmann::json::parse(content_of(response));
  EXPECT_EQ(document.at("version"), "1.2.3");
  EXPECT_EQ(document.at("/requests/total"_json_pointer), 7);
}

TEST_F(AdminServer, AnswersHeadWithoutContent) {
  const std::string response = get("/healthz", "HEAD");
  EXPECT_THAT(response, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_EQ(content_of(response), "");
}

TEST_F(AdminServer, SetsHeadersThatKeepBrowsersFromMisusingAnswers) {
  const std::string response = get("/metrics");
  for (const char* field :
       {"X-Content-Type-Options: nosniff\r\n", "Cache-Control: no-store\r\n",
        "Content-Security-Policy: default-src 'none'", "Date: ", "Connection: close\r\n"}) {
    EXPECT_THAT(response, HasSubstr(field));
  }
  EXPECT_THAT(response, Not(HasSubstr("Access-Control-Allow-Origin")));
}

TEST_F(AdminServer, RefusesUnknownPathsAndMethodsWithAProblemDocument) {
  const std::string missing = get("/nothing");
  EXPECT_THAT(missing, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(missing, HasSubstr("Content-Type: application/problem+json\r\n"));
  const nlohmann::json problem = nlohmann::json::parse(content_of(missing));
  EXPECT_EQ(problem.at("status"), 404);
  EXPECT_EQ(problem.at("title"), "Not Found");

  const std::string method = get("/metrics", "DELETE");
  EXPECT_THAT(method, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(method, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(AdminServer, RefusesNamesThatAreNotItsOwn) {  // V-13: DNS rebinding
  const auto with_host = [&](std::string_view host) {
    return ask("GET /metrics HTTP/1.1\r\nHost: " + std::string(host) +
               "\r\nConnection: close\r\n\r\n");
  };
  for (const char* host :
       {"evil.example", "evil.example:3129", "localhost.evil.example", "127.0.0.1.evil.example"}) {
    EXPECT_THAT(with_host(host), StartsWith("HTTP/1.1 421 Misdirected Request\r\n")) << host;
  }
  for (const char* host : {"127.0.0.1:3129", "localhost:3129", "LOCALHOST", "[::1]:3129",
                           "192.0.2.7", "proxy.example", "a.localhost"}) {
    EXPECT_THAT(with_host(host), StartsWith("HTTP/1.1 200 OK\r\n")) << host;
  }
  EXPECT_THAT(ask("GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: "
                  "close\r\n\r\n"),
              StartsWith("HTTP/1.1 4"));
  EXPECT_THAT(ask("GET http://localhost/healthz?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: "
                  "close\r\n\r\n"),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServer, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  start();
  Client client(server_->address());
  client.send(
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  run_until(client, [&] { return client.ended(); });
  const std::string& got = client.got();
  const size_t first = got.find("ok\n"), second = got.find("404 Not Found"),
               third = got.find("ready\n");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos);
  EXPECT_EQ(got.find("ok\n", third), std::string::npos)
      << "nothing is answered after Connection: close";
}

TEST_F(AdminServer, TakesARequestByteByByte) {
  start();
  Client client(server_->address());
  for (const char byte : std::string_view("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")) {
    client.send({&byte, 1});
    loop_.run_once(1ms);
  }
  run_until(client, [&] { return client.got().find("ok\n") != std::string::npos; });
  EXPECT_FALSE(client.ended());
}

TEST_F(AdminServer, AnswersAClientThatEndsItsDirectionAfterTheRequest) {
  start();
  Client client(server_->address());
  client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  client.finish_sending();
  run_until(client, [&] { return client.ended(); });
  EXPECT_THAT(client.got(), HasSubstr("ok\n"));
}

TEST_F(AdminServer, RefusesMalformedRequestsContentAndHugeHeads) {
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " +
                  std::string(2 * kMaxHead, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(AdminServer, ClosesWhoDoesNotSendAWholeRequestInTime) {
  settings_.timeout = 20ms;
  start();
  Client client(server_->address());
  client.send("GET /healthz HTTP/1.1\r\n");
  run_until(client, [&] { return client.ended(); });
  EXPECT_EQ(client.got(), "");
  loop_.run_once(1ms);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(AdminServer, TakesAtMostSixtyFourConnections) {
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < kMaxConnections; ++i)
    clients.push_back(std::make_unique<Client>(server_->address()));
  run_until(*clients[0], [&] { return server_->connections() == kMaxConnections; });
  Client one_more(server_->address());
  run_until(one_more, [&] { return one_more.ended(); });
  EXPECT_EQ(server_->connections(), kMaxConnections);
  clients.pop_back();
  run_until(*clients[0], [&] { return server_->connections() == kMaxConnections - 1; });
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServer, ForgetsEverythingWhenDestroyedInTheMiddle) {
  start();
  Client client(server_->address());
  client.send("GET /healthz HT");
  run_until(client, [&] { return server_->connections() == 1; });
  server_.reset();
  run_until(client, [&] { return client.ended(); });
}

// --- commands that take a while ---

// Holds what it is asked until the test lets go.
class HeldService final : public CacheService {
 public:
  struct Held final : Operation {
    explicit Held(HeldService& its_service) : service(its_service) { ++service.running; }
    ~Held() override { --service.running; }
    HeldService& service;
  };
  std::unique_ptr<Operation> start(CacheCommand command, Answer answer) override {
    commands.push_back(std::move(command));
    answers.push_back(std::move(answer));
    return std::make_unique<Held>(*this);
  }
  std::vector<CacheCommand> commands;
  std::vector<Answer> answers;
  int running = 0;
};

class AdminCommands : public AdminServer {
 protected:
  ~AdminCommands() override { server_.reset(); }  // its operations are the service's, which is a member here and goes first
  void SetUp() override {
    server_ = std::make_unique<Server>(loop_, settings_, Sources{registry_, [this] { return not_ready_; }, &service_});
    ASSERT_TRUE(server_->start(*net::ListenAddress::parse("127.0.0.1:0")));
    client_ = std::make_unique<Client>(server_->address());
  }
  static std::string post(std::string_view content, std::string_view fields = "") {
    return "POST /api/v1/cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(content.size()) + "\r\n" + std::string(fields) + "\r\n" + std::string(content);
  }
  void until_asked(size_t times = 1) {
    run_until(*client_, [&] { return service_.commands.size() == times; });
  }
  void until_got(std::string_view text) {
    run_until(*client_, [&] { return client_->got().find(text) != std::string::npos; });
  }
  HeldService service_;
  std::unique_ptr<Client> client_;
};

TEST_F(AdminCommands, AreAnsweredWhenTheyAreDoneAndTheConnectionGoesOn) {
  client_->send(post(R"({"tag": "x"})") + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  until_asked();
  EXPECT_EQ(service_.commands[0].text, "x");
  for (int i = 0; i < 5; ++i) loop_.run_once(1ms);
  client_->receive();
  EXPECT_EQ(client_->got(), "") << "what is pipelined waits";
  service_.answers[0]({200, "application/json", "{\"objects\": 1}\n", {}});
  until_got("ok\n");
  EXPECT_LT(client_->got().find("\"objects\""), client_->got().find("ok\n"));
  EXPECT_EQ(service_.running, 0);
}

TEST_F(AdminCommands, TakeTheirContentInPiecesAndInChunks) {
  const std::string request = post(R"({"tag": "pieces"})");
  for (const char byte : request) {
    client_->send({&byte, 1});
    loop_.run_once(1ms);
  }
  until_asked();
  EXPECT_EQ(service_.commands[0].text, "pieces");
  service_.answers[0]({200, "text/plain", "done 1\n", {}});
  until_got("done 1");
  client_->send(
      "POST /api/v1/cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  until_got("HTTP/1.1 100 Continue\r\n\r\n");
  client_->send("8\r\n{\"tag\": \r\n4\r\n\"c\"}\r\n0\r\n\r\n");
  until_asked(2);
  EXPECT_EQ(service_.commands[1].text, "c");
}

TEST_F(AdminCommands, AreGivenUpWhenTheClientGoes) {
  client_->send(post(R"({"all": true})"));
  until_asked();
  EXPECT_EQ(service_.running, 1);
  client_.reset();
  for (int i = 0; i < 1000 && service_.running > 0; ++i) loop_.run_once(10ms);
  EXPECT_EQ(service_.running, 0);
  loop_.run_once(1ms);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(AdminCommands, DoNotTimeOutWhileTheyRun) {
  settings_.timeout = 20ms;
  SetUp();
  client_->send(post(R"({"all": true})"));
  until_asked();
  for (int i = 0; i < 10; ++i) loop_.run_once(10ms);
  EXPECT_EQ(service_.running, 1);
  service_.answers[0]({200, "text/plain", "late\n", {}});
  until_got("late");
}

TEST_F(AdminCommands, WithTooMuchContentAreRefused) {
  client_->send("POST /api/v1/cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                std::to_string(kMaxContent + 1) + "\r\n\r\n");
  until_got("HTTP/1.1 413 ");
  Client other(server_->address());
  other.send(
      "POST /api/v1/cache/purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(0x1000, ' ') + "\r\n";
  for (size_t sent = 0; sent <= kMaxContent; sent += 0x1000) {
    other.send(chunk);
    loop_.run_once(1ms);
  }
  run_until(other, [&] { return other.got().find("HTTP/1.1 413 ") != std::string::npos; });
  EXPECT_TRUE(service_.commands.empty());
}

TEST_F(AdminCommands, OfAPageOfAnotherOriginAreRefused) {
  client_->send(post(R"({"all": true})", "Origin: http://evil.example\r\n"));
  until_got("HTTP/1.1 403 ");
  client_->send(post(R"({"all": true})", "Origin: null\r\n"));
  client_->send(post(R"({"all": true})", "Origin: http://localhost\r\n"));
  until_asked();
  EXPECT_EQ(service_.commands.size(), 1u);
}

TEST_F(AdminCommands, AreNotThereWithoutACache) {
  server_.reset();
  EXPECT_THAT(get("/api/v1/cache"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(AdminServer, ListensToItsClientsOnly) {
  settings_.clients.emplace();
  settings_.clients->add(*net::Cidr::parse("192.0.2.0/24"));
  start();
  Client client(server_->address());
  run_until(client, [&] { return client.ended(); });
  EXPECT_EQ(client.got(), "");
}

TEST_F(AdminServer, SaysWhyItCannotListen) {
  start();
  Server second(loop_, settings_, Sources{registry_, {}});
  const core::Result<void> started =
      second.start(*net::ListenAddress::parse(server_->address().to_string()));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().sys, EADDRINUSE);
}

}  // namespace
}  // namespace tributary::admin
