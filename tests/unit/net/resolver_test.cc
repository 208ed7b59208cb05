// The resolver against a scripted server. S0-1.6, S0-1.7, S0-1.8, S4-4.2, V-5 (forms).
#include "net/resolver.h"

#include <algorithm>
#include <fstream>

#include "unit/net/dns_server.h"

namespace tributary::net {
namespace {

using namespace test;

struct Waiter {
  Resolver::Lookup lookup;
  std::vector<Resolver::Answer> answers;
  void on_answer(const Resolver::Answer& answer) { answers.push_back(answer); }
  core::Callback<void(const Resolver::Answer&)> callback() {
    return core::Callback<void(const Resolver::Answer&)>::to<&Waiter::on_answer>(this);
  }
  bool done() const { return !answers.empty(); }
  std::string text() const {
    const DnsAnswer& answer = answers.back().addresses;
    if (!answer) return std::string(core::error_name(answer.error().code));
    std::string joined;
    for (const IpAddress& ip : **answer) joined += (joined.empty() ? "" : " ") + ip.to_string();
    return joined;
  }
};

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest() { settings.servers = {server.address()}, settings.hosts_file = folder.path + "/hosts"; }

  Resolver& resolver() {
    if (!made) made = std::make_unique<Resolver>(loop, offload, metrics, settings);
    return *made;
  }
  std::string resolve(std::string_view host) {
    Waiter waiter;
    resolver().lookup(waiter.lookup, host, waiter.callback());
    EXPECT_FALSE(waiter.done()) << "called from inside lookup()";
    if (!run_until(loop, [&] { return waiter.done(); })) return "nothing";
    return waiter.text();
  }
  double metric(const std::string& name, const std::string& label) {
    for (const auto& family : metrics.snapshot()) {
      if (family.name != name) continue;
      for (const auto& sample : family.samples) {
        if (sample.label_values == std::vector<std::string>{label}) return sample.value;
      }
    }
    return 0;
  }

  TemporaryFolder folder;
  core::Loop loop;
  core::OffloadPool offload{{.threads = 1}};
  core::Registry metrics;
  DnsServer server{loop};
  ResolverSettings settings;
  std::unique_ptr<Resolver> made;
};

TEST_F(ResolverTest, AsksForBothFamiliesAtOnceAndRemembers) {
  settings.prefer = Prefer::Ipv6;
  server.on_question = [&](const auto& q) { server.answer(q, {"192.0.2.1", "192.0.2.2"}, {"2001:db8::1"}); };
  Waiter waiter;
  resolver().lookup(waiter.lookup, "Example.TEST.", waiter.callback());
  ASSERT_TRUE(run_until(loop, [&] { return server.asked.size() == 2; }));  // neither waits for the other
  ASSERT_TRUE(run_until(loop, [&] { return resolver().queries_under_way() == 0; }));
  EXPECT_NE(server.asked[0].wants_v6, server.asked[1].wants_v6);
  EXPECT_EQ(server.asked[0].name, "example.test");
  EXPECT_EQ(resolve("example.test"), "2001:db8::1 192.0.2.1 192.0.2.2");
  ASSERT_TRUE(resolver().cached("EXAMPLE.test"));
  EXPECT_EQ(server.asked.size(), 2u);
  EXPECT_EQ(metric("tributary_dns_cache_total", "miss"), 1);
  EXPECT_EQ(metric("tributary_dns_cache_total", "hit"), 2);
  EXPECT_EQ(metric("tributary_dns_queries_total", "ok"), 1);
}

TEST_F(ResolverTest, EqualNamesUnderWayShareOneQuery) {
  std::vector<DnsServer::Question> held;
  server.on_question = [&](const auto& q) { held.push_back(q); };
  Waiter waiters[5];
  for (Waiter& waiter : waiters) resolver().lookup(waiter.lookup, "shared.test", waiter.callback());
  ASSERT_TRUE(run_until(loop, [&] { return held.size() == 2; }));
  waiters[2].lookup.cancel();
  for (const auto& q : held) server.answer(q, {"192.0.2.1"});
  ASSERT_TRUE(run_until(loop, [&] { return waiters[0].done() && waiters[1].done() && waiters[3].done() && waiters[4].done(); }));
  EXPECT_FALSE(waiters[2].done());
  EXPECT_EQ(server.asked.size(), 2u);
  EXPECT_EQ(metric("tributary_dns_cache_total", "coalesced"), 4);
}

TEST_F(ResolverTest, MissingNamesAreRememberedToo) {
  EXPECT_EQ(resolve("missing.test"), "name_not_found");
  const size_t asked = server.asked.size();
  EXPECT_EQ(resolve("missing.test"), "name_not_found");
  EXPECT_EQ(server.asked.size(), asked);
  EXPECT_EQ(metric("tributary_dns_cache_total", "negative_hit"), 1);
  server.on_question = [&](const auto& q) { server.answer(q, {}); };  // no data in either family
  EXPECT_EQ(resolve("empty.test"), "name_not_found");
}

TEST_F(ResolverTest, ServerFailureIsAnErrorOfItsOwn) {
  server.on_question = [&](const auto& q) { server.reply(q, {.code = 2, .addresses = {}}); };
  EXPECT_EQ(resolve("broken.test"), "dns_failure");
  EXPECT_EQ(metric("tributary_dns_queries_total", "failure"), 1);
}

TEST_F(ResolverTest, TtlZeroIsNotKept) {
  server.on_question = [&](const auto& q) { server.answer(q, {"192.0.2.1"}, {}, 0); };
  EXPECT_EQ(resolve("zero.test"), "192.0.2.1");
  EXPECT_FALSE(resolver().cached("zero.test"));
}

TEST_F(ResolverTest, ATruncatedReplyIsAskedForAgainOverTcp) {
  server.on_question = [&](const auto& q) {
    if (q.over_tcp) return server.answer(q, {"192.0.2.1"});
    server.reply(q, {.code = 0, .addresses = {}, .truncated = true});
  };
  EXPECT_EQ(resolve("large.test"), "192.0.2.1");
  EXPECT_TRUE(std::any_of(server.asked.begin(), server.asked.end(), [](const auto& q) { return q.over_tcp; }));
}

TEST_F(ResolverTest, RepliesMayComeOutOfOrder) {
  std::vector<DnsServer::Question> held;
  server.on_question = [&](const auto& q) { held.push_back(q); };
  Waiter one, two;
  resolver().lookup(one.lookup, "one.test", one.callback());
  resolver().lookup(two.lookup, "two.test", two.callback());
  ASSERT_TRUE(run_until(loop, [&] { return held.size() == 4; }));
  std::reverse(held.begin(), held.end());
  for (const auto& q : held) server.answer(q, {q.name == "one.test" ? "192.0.2.1" : "192.0.2.2"});
  ASSERT_TRUE(run_until(loop, [&] { return one.done() && two.done(); }));
  EXPECT_EQ(one.text(), "192.0.2.1");
  EXPECT_EQ(two.text(), "192.0.2.2");
}

TEST_F(ResolverTest, AServerThatNeverAnswersEndsInATimeoutAndALateReplyIsUnheard) {
  settings.timeout = 100ms;
  std::vector<DnsServer::Question> held;
  server.on_question = [&](const auto& q) { held.push_back(q); };
  EXPECT_EQ(resolve("silent.test"), "dns_timeout");
  EXPECT_EQ(resolver().queries_under_way(), 0u);
  for (const auto& q : held) server.answer(q, {"192.0.2.1"});
  ASSERT_TRUE(run_until(loop, [&] { return resolver().watched_descriptors() == 0; }));
}

TEST_F(ResolverTest, OneSilentFamilyDelaysNobody) {
  // RFC 8305 3: A is there, AAAA is not: a partial answer after the resolution delay, the rest for who asks for it.
  std::vector<DnsServer::Question> held;
  server.on_question = [&](const auto& q) {
    if (q.wants_v6) return held.push_back(q);
    server.answer(q, {"192.0.2.1"});
  };
  Waiter first, second, whole;
  resolver().lookup(first.lookup, "half.test", first.callback());
  resolver().lookup(whole.lookup, "half.test", whole.callback(), Resolver::Want::Whole);
  ASSERT_TRUE(run_until(loop, [&] { return first.done(); }));
  EXPECT_TRUE(first.answers[0].is_partial);
  EXPECT_EQ(first.text(), "192.0.2.1");
  resolver().lookup(second.lookup, "half.test", second.callback());
  ASSERT_TRUE(run_until(loop, [&] { return second.done(); }));
  EXPECT_FALSE(whole.done());
  ASSERT_TRUE(run_until(loop, [&] { return !held.empty(); }));
  for (const auto& q : held) server.answer(q, {}, {"2001:db8::1"});
  ASSERT_TRUE(run_until(loop, [&] { return whole.done(); }));
  EXPECT_FALSE(whole.answers[0].is_partial);
  EXPECT_EQ((*whole.answers[0].addresses)->size(), 2u);
}

TEST_F(ResolverTest, LiteralsAndLocalhostAreAnsweredAtOnce) {
  EXPECT_EQ((**resolver().cached("192.0.2.7"))->front().to_string(), "192.0.2.7");
  EXPECT_EQ((**resolver().cached("2001:db8::7"))->front().to_string(), "2001:db8::7");
  for (const char* name : {"localhost", "LOCALHOST.", "a.b.localhost"}) {
    const auto answer = resolver().cached(name);
    ASSERT_TRUE(answer && *answer) << name;
    for (const IpAddress& ip : ***answer) EXPECT_EQ(classify(ip), AddressClass::Loopback);
  }
  EXPECT_EQ(resolve("192.0.2.7"), "192.0.2.7");
  EXPECT_TRUE(server.asked.empty());
}

TEST_F(ResolverTest, NamesThatCannotBeAreNotAskedFor) {
  server.on_question = [&](const auto& q) { server.answer(q, {"127.0.0.1"}); };
  for (const std::string_view name :
       {"127.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "2130706433", "127.0.0.1.5", "1.2.3.4.", "fe80::1%eth0", "[::1]", "",
        ".", "a..b", ".a", "a b", "a\nb", "x.onion", "invalid", "a.invalid", "b\xc3\xbc.test", "1.0x", "256.1.1.1"}) {
    const auto answer = resolver().cached(name);
    ASSERT_TRUE(answer) << name;
    EXPECT_FALSE(*answer) << name;
  }
  EXPECT_FALSE(*resolver().cached(std::string(64, 'a') + ".test"));
  EXPECT_FALSE(*resolver().cached(std::string(300, 'a')));
  EXPECT_TRUE(server.asked.empty());
}

TEST_F(ResolverTest, HostsFileWins) {
  std::ofstream(settings.hosts_file) << "192.0.2.9 Pinned.test alias\n";
  EXPECT_EQ(resolve("pinned.test"), "192.0.2.9");
  EXPECT_EQ(resolve("alias"), "192.0.2.9");
  EXPECT_TRUE(server.asked.empty());
}

TEST_F(ResolverTest, AChangedHostsFileIsReadAgainOffTheLoop) {
  settings.hosts_check = {};
  EXPECT_EQ(resolve("later.test"), "name_not_found");
  std::ofstream(settings.hosts_file) << "192.0.2.9 later.test\n";
  ASSERT_TRUE(run_until(loop, [&] {
    const auto answer = resolver().cached("later.test");
    return answer && *answer;
  }));
  std::filesystem::remove(settings.hosts_file);
  ASSERT_TRUE(run_until(loop, [&] {
    const auto answer = resolver().cached("later.test");
    return !answer || !*answer;
  }));
}

TEST_F(ResolverTest, CancelledLookupsAreNeverHeard) {
  std::vector<DnsServer::Question> held;
  server.on_question = [&](const auto& q) { held.push_back(q); };
  auto waiter = std::make_unique<Waiter>();
  resolver().lookup(waiter->lookup, "a.test", waiter->callback());
  ASSERT_TRUE(run_until(loop, [&] { return held.size() == 2; }));
  waiter.reset();
  for (const auto& q : held) server.answer(q, {"192.0.2.1"});
  ASSERT_TRUE(run_until(loop, [&] { return resolver().queries_under_way() == 0; }));
  // Also when the answer is known already and only waits to be given out.
  Waiter ready;
  resolver().lookup(ready.lookup, "192.0.2.1", ready.callback());
  ready.lookup.cancel();
  loop.run_once(1ms);
  EXPECT_FALSE(ready.done());
}

TEST_F(ResolverTest, AnAnswerMayDestroyOthersThatWaitForIt) {
  server.on_question = [&](const auto& q) { server.answer(q, {"192.0.2.1"}); };
  Waiter a, b;
  int heard = 0;
  auto on_a = [&](const Resolver::Answer&) { ++heard, b.lookup.cancel(); };
  auto on_b = [&](const Resolver::Answer&) { ++heard, a.lookup.cancel(); };
  resolver().lookup(a.lookup, "a.test", core::Callback<void(const Resolver::Answer&)>::ref(on_a));
  resolver().lookup(b.lookup, "a.test", core::Callback<void(const Resolver::Answer&)>::ref(on_b));
  ASSERT_TRUE(run_until(loop, [&] { return resolver().queries_under_way() == 0 && heard > 0; }));
  loop.run_once(1ms);
  EXPECT_EQ(heard, 1);
}

TEST_F(ResolverTest, CanBeDestroyedWithQueriesUnderWay) {
  server.on_question = [](const auto&) {};
  Waiter waiter;
  resolver().lookup(waiter.lookup, "a.test", waiter.callback());
  ASSERT_TRUE(run_until(loop, [&] { return server.asked.size() == 2; }));
  EXPECT_GT(resolver().watched_descriptors(), 0u);
  made.reset();
  EXPECT_FALSE(waiter.lookup.is_active());
  EXPECT_FALSE(waiter.done());
}

TEST_F(ResolverTest, EveryDescriptorIsGivenBack) {
  server.on_question = [&](const auto& q) { server.answer(q, {"192.0.2.1"}); };
  for (int i = 0; i < 20; ++i) EXPECT_EQ(resolve("n" + std::to_string(i) + ".test"), "192.0.2.1");
  ASSERT_TRUE(run_until(loop, [&] { return resolver().watched_descriptors() == 0; }));
}

TEST_F(ResolverTest, ABurstIsQueuedAndAnsweredWithoutLoss) {
  server.on_question = [&](const auto& q) { server.answer(q, {"192.0.2.1"}, {"2001:db8::1"}); };
  std::list<Waiter> waiters;
  for (int i = 0; i < 1000; ++i) {
    Waiter& waiter = waiters.emplace_back();
    resolver().lookup(waiter.lookup, "n" + std::to_string(i) + ".test", waiter.callback());
  }
  ASSERT_TRUE(run_until(loop, [&] {
    return std::all_of(waiters.begin(), waiters.end(), [](const Waiter& waiter) { return waiter.done(); });
  }));
  EXPECT_EQ(server.asked.size(), 2000u);  // none lost, none asked for twice
  for (const Waiter& waiter : waiters) EXPECT_TRUE(waiter.answers[0].addresses);
}

TEST_F(ResolverTest, ANameThatNobodyWaitsForAnyMoreIsNotAskedFor) {
  std::vector<DnsServer::Question> held;
  server.on_question = [&](const auto& q) { held.push_back(q); };
  std::list<Waiter> waiters;
  for (size_t i = 0; i < Resolver::kMaxAsked / 2 + 50; ++i) {
    Waiter& waiter = waiters.emplace_back();
    resolver().lookup(waiter.lookup, "n" + std::to_string(i) + ".test", waiter.callback());
  }
  waiters.clear();
  ASSERT_TRUE(run_until(loop, [&] { return held.size() == Resolver::kMaxAsked; }));
  for (const auto& q : held) server.answer(q, {"192.0.2.1"});
  ASSERT_TRUE(run_until(loop, [&] { return resolver().queries_under_way() == 0; }));
  EXPECT_EQ(server.asked.size(), Resolver::kMaxAsked);
}

TEST_F(ResolverTest, NamesWithoutAReplyDoNotHoldUpTheOthers) {
  server.on_question = [&](const auto& q) {
    if (q.name.starts_with("alive")) server.answer(q, {"192.0.2.1"});
  };
  std::list<Waiter> dead;
  for (size_t i = 0; i < 3 * Resolver::kMaxAsked / 2; ++i) {
    Waiter& waiter = dead.emplace_back();
    resolver().lookup(waiter.lookup, "dead" + std::to_string(i) + ".test", waiter.callback());
  }
  EXPECT_EQ(resolve("alive.test"), "192.0.2.1");
  for (const Waiter& waiter : dead) EXPECT_FALSE(waiter.done()) << "they go on waiting until their own time is over";
}

TEST_F(ResolverTest, NoMoreNamesWaitThanItsBound) {
  server.on_question = [](const auto&) {};
  std::list<Waiter> waiters;
  for (size_t i = 0; i < Resolver::kMaxAsked / 2 + Resolver::kMaxWaiting; ++i) {
    Waiter& waiter = waiters.emplace_back();
    resolver().lookup(waiter.lookup, "n" + std::to_string(i) + ".test", waiter.callback());
  }
  EXPECT_EQ(resolve("one.more.test"), "dns_failure");
  EXPECT_EQ(resolver().queries_under_way(), waiters.size());
}

TEST_F(ResolverTest, RefusesServersThatAreNoAddresses) {
  EXPECT_TRUE(Resolver::check({.servers = {"192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53"}}));
  for (const char* entry : {"dns.example", "192.0.2.53:", "192.0.2.53:0", "unix:/x", "", "1.1"}) {
    EXPECT_FALSE(Resolver::check({.servers = {entry}})) << entry;
  }
  settings.servers = {"nonsense"};
  EXPECT_EQ(resolve("a.test"), "dns_failure");
}

}  // namespace
}  // namespace tributary::net
