#include "fetch/hsts.h"

#include <gtest/gtest.h>

namespace tributary::fetch {
namespace {

constexpr core::UnixTime kNow = 1795000000;

std::string read(std::string_view value) {
  const auto policy = parse_strict_transport_security(value);
  return policy ? std::to_string(policy->max_age) + (policy->include_subdomains ? "+" : "") : "ignored";
}

TEST(StrictTransportSecurity, IsReadWholeOrNotAtAll) {  // RFC 6797, 6.1
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"max-age=31536000", "31536000"},
      {"max-age=15768000 ; includeSubDomains", "15768000+"},
      {"max-age=\"31536000\"", "31536000"},
      {"MAX-AGE=0; INCLUDESUBDOMAINS", "0+"},
      {"includeSubDomains; max-age=1; preload; x=\"y;z\"", "1+"},
      {";; max-age=1 ;;", "1"},
      {"max-age=99999999999999999999", "1099511627776"},
      {"", "ignored"},
      {"includeSubDomains", "ignored"},
      {"max-age", "ignored"},
      {"max-age=", "ignored"},
      {"max-age=-1", "ignored"},
      {"max-age=1.5", "ignored"},
      {"max-age=x", "ignored"},
      {"max-age=1; max-age=2", "ignored"},
      {"max-age=1; includeSubDomains; includeSubDomains", "ignored"},
      {"max-age=1; includeSubDomains=1", "ignored"},
      {"max-age=1, includeSubDomains", "ignored"},
      {"max-age=1; a b", "ignored"},
  };
  for (const auto& [value, expected] : rows) EXPECT_EQ(read(value), expected) << value;
}

struct Hsts : testing::Test {
  void note(std::string_view url, std::string_view value, core::UnixTime now = kNow) {
    http::FieldSection response;
    response.add("Strict-Transport-Security", value);
    store.note(*http::Url::parse(url), response, now);
  }
  std::string upgraded(std::string_view url, core::UnixTime now = kNow) { return store.upgrade(*http::Url::parse(url), now).text(); }
  HstsStore store;
};

TEST_F(Hsts, AKnownHostIsFetchedOverHttps) {  // 8.3
  note("https://example.com/", "max-age=100");
  EXPECT_EQ(upgraded("http://example.com/a?b"), "https://example.com/a?b");
  EXPECT_EQ(upgraded("http://EXAMPLE.com:80/"), "https://example.com/");
  EXPECT_EQ(upgraded("http://example.com:8080/"), "https://example.com:8080/");
  EXPECT_EQ(upgraded("http://example.com:443/"), "https://example.com/");
  EXPECT_EQ(upgraded("http://example.com./"), "https://example.com./");  // the same host: CVE-2022-30115
  EXPECT_EQ(upgraded("https://example.com:80/"), "https://example.com:80/");
  EXPECT_EQ(upgraded("http://sub.example.com/"), "http://sub.example.com/");
  EXPECT_EQ(upgraded("http://badexample.com/"), "http://badexample.com/");
  EXPECT_EQ(upgraded("http://com/"), "http://com/");
  EXPECT_EQ(upgraded("http://example.com/", kNow + 99), "https://example.com/");
  EXPECT_EQ(upgraded("http://example.com/", kNow + 100), "http://example.com/");
}

TEST_F(Hsts, SubdomainsAreIncludedOnlyWhereAsked) {  // 8.2
  note("https://example.com./", "max-age=100; includeSubDomains");
  EXPECT_TRUE(store.is_known("example.com", kNow));
  EXPECT_TRUE(store.is_known("a.b.EXAMPLE.com", kNow));
  EXPECT_FALSE(store.is_known("notexample.com", kNow));
  // A host's own entry changes nothing of the one above (CVE-2024-9681).
  note("https://a.example.com/", "max-age=5");
  EXPECT_TRUE(store.is_known("a.example.com", kNow + 50));
  note("https://a.example.com/", "max-age=0");
  EXPECT_TRUE(store.is_known("a.example.com", kNow + 50));
  EXPECT_TRUE(store.is_known("example.com", kNow + 99));
  EXPECT_FALSE(store.is_known("a.example.com", kNow + 100));
}

TEST_F(Hsts, OnlyTheFirstFieldOfHttpsResponsesOfNamesCounts) {  // 8.1
  note("http://example.com/", "max-age=100");
  note("https://127.0.0.1/", "max-age=100");
  note("https://[::1]/", "max-age=100");
  note("https://example.com/", "nonsense");
  store.note(*http::Url::parse("https://example.com/"), {}, kNow);
  EXPECT_EQ(store.size(), 0u);
  EXPECT_FALSE(store.is_known("127.0.0.1", kNow));
  http::FieldSection two;
  two.add("Strict-Transport-Security", "max-age=100");
  two.add("Strict-Transport-Security", "max-age=0");
  store.note(*http::Url::parse("https://example.com/"), two, kNow);
  EXPECT_TRUE(store.is_known("example.com", kNow));
  note("https://example.com/", "max-age=200; includeSubDomains", kNow + 1);  // replaced
  EXPECT_TRUE(store.is_known("x.example.com", kNow + 150));
  note("https://example.com/", "max-age=0");
  EXPECT_EQ(store.size(), 0u);
}

TEST_F(Hsts, FilesAreThoseOfWget) {
  EXPECT_EQ(store.read("# HSTS 1.0 Known Hosts database for GNU Wget.\n"
                       "# <hostname>\t<port>\t<incl. subdomains>\t<created>\t<max-age>\n"
                       "Example.com\t0\t1\t1794000000\t31536000\r\n"
                       "plain.org 8443 0 1794000000 31536000\n"
                       "old.org\t0\t0\t1\t5\n"
                       "future.org\t0\t0\t9999999999\t10",
                       kNow),
            0u);
  EXPECT_TRUE(store.is_known("a.example.com", kNow));
  EXPECT_TRUE(store.is_known("plain.org", kNow));
  EXPECT_FALSE(store.is_known("a.plain.org", kNow));
  EXPECT_FALSE(store.is_known("old.org", kNow));
  EXPECT_FALSE(store.is_known("future.org", kNow + 10));  // a clock that was wrong is no licence
  const std::string text = store.write(kNow);
  EXPECT_NE(text.find("\nexample.com\t0\t1\t1794000000\t31536000\n"), std::string::npos) << text;
  HstsStore again;
  EXPECT_EQ(again.read(text, kNow), 0u);
  EXPECT_EQ(again.write(kNow), text);
  // Of two entries the later one counts, whichever is read first.
  EXPECT_EQ(again.read("example.com 0 0 1793000000 31536000\nplain.org 0 1 1794500000 31536000\n", kNow), 0u);
  EXPECT_TRUE(again.is_known("a.example.com", kNow));
  EXPECT_TRUE(again.is_known("a.plain.org", kNow));
}

TEST_F(Hsts, LinesThatAreNoEntriesAreCounted) {
  EXPECT_EQ(store.read("x\nx.org 0 2 1 1\nx.org a 0 1 1\n127.0.0.1 0 0 1794000000 31536000\nx.org 0 0 1794000000 -1\n"
                       "x.org 0 0 1794000000 31536000 more\na/b 0 0 1794000000 31536000\n",
                       kNow),
            7u);
  EXPECT_EQ(store.size(), 0u);
}

TEST_F(Hsts, IsBounded) {  // V-10
  for (size_t i = 0; i < HstsStore::kMaxHosts; ++i) note("https://h" + std::to_string(i) + ".org/", "max-age=1000");
  note("https://soon.org/", "max-age=1");
  EXPECT_EQ(store.size(), HstsStore::kMaxHosts);
  EXPECT_FALSE(store.is_known("soon.org", kNow));
  note("https://late.org/", "max-age=2000");
  EXPECT_EQ(store.size(), HstsStore::kMaxHosts);
  EXPECT_TRUE(store.is_known("late.org", kNow));
}

}  // namespace
}  // namespace tributary::fetch
