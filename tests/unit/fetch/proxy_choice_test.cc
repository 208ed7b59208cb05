#include "fetch/proxy_choice.h"

#include <gtest/gtest.h>

#include <map>

namespace tributary::fetch {
namespace {

TEST(ProxyEnvironment, LowerCaseCountsBeforeUpperAndHttpProxyIsLowerOnly) {
  std::map<std::string, std::string> variables;
  const auto get = [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  variables = {{"HTTP_PROXY", "evil:80"}, {"HTTPS_PROXY", "upper:1"}, {"ALL_PROXY", "all:1"}, {"NO_PROXY", "x"}};
  ProxyEnvironment environment = proxy_environment(get);
  EXPECT_EQ(environment.http_proxy, "");  // CVE-2016-5385
  EXPECT_EQ(environment.https_proxy, "upper:1");
  EXPECT_EQ(environment.all_proxy, "all:1");
  EXPECT_EQ(environment.no_proxy, "x");
  variables = {{"http_proxy", "p:1"}, {"https_proxy", "lower:1"}, {"HTTPS_PROXY", "upper:1"}, {"all_proxy", ""}, {"ALL_PROXY", "all:1"}};
  environment = proxy_environment(get);
  EXPECT_EQ(environment.http_proxy, "p:1");
  EXPECT_EQ(environment.https_proxy, "lower:1");
  EXPECT_EQ(environment.all_proxy, "all:1");
  EXPECT_EQ(environment.no_proxy, "");
}

TEST(ProxyChoice, TheVariableOfTheSchemeCountsBeforeAllProxy) {
  const auto choose = [](std::string_view url, const ProxyEnvironment& environment) {
    return std::string(proxy_for(*http::Url::parse(url), environment));
  };
  EXPECT_EQ(choose("http://h/", {}), "");
  const ProxyEnvironment both{"plain", "secure", "all", "no.org"};
  EXPECT_EQ(choose("http://h/", both), "plain");
  EXPECT_EQ(choose("https://h/", both), "secure");
  EXPECT_EQ(choose("https://x.no.org/", both), "");
  EXPECT_EQ(choose("https://h/", {"plain", "", "all", ""}), "all");
  EXPECT_EQ(choose("https://h/", {"plain", "", "", ""}), "");
  EXPECT_EQ(choose("http://h:8080/", {"plain", "", "", "h:8080"}), "");
  EXPECT_EQ(choose("http://h/", {"plain", "", "", "h:80"}), "");
  EXPECT_EQ(choose("https://h/", {"", "secure", "", "h:80"}), "secure");
  EXPECT_EQ(choose("http://[::1]/", {"plain", "", "", "::1"}), "");
}

TEST(NoProxy, MatchesAsCurlAndWgetAgree) {
  struct Row {
    std::string_view list, host;
    bool direct;
    uint16_t port = 80;
  };
  const Row rows[] = {
      {"", "h", false},
      {"*", "h", true},
      {"a, *", "1.2.3.4", true},
      {"example.com", "example.com", true},
      {"example.com", "EXAMPLE.com.", true},
      {"example.com", "www.example.com", true},
      {"example.com", "badexample.com", false},
      {"example.com", "example.com.org", false},
      {"example.com", "example.org", false},
      {".example.com", "www.example.com", true},
      {".example.com", "example.com", true},
      {"*.example.com", "www.example.com", true},
      {"example.com.", "www.example.com", true},
      {"EXAMPLE.com", "www.example.com", true},
      {"a,b , example.com\tlast", "example.com", true},
      {"a b last", "last", true},
      {",,", "h", false},
      {".", "h", false},
      {"*.", "h", false},
      {"com", "example.com", true},
      {"localhost", "localhost", true},
      {"localhost", "127.0.0.1", false},
      // ports
      {"example.com:8080", "example.com", true, 8080},
      {"example.com:8080", "example.com", false, 80},
      {"example.com:x", "example.com", false, 80},
      {"example.com:", "example.com", false, 80},
      {"10.0.0.1:81", "10.0.0.1", true, 81},
      {"[::1]:81", "::1", true, 81},
      {"[::1]:81", "::1", false, 80},
      {"*:81", "h", false, 81},
      // addresses
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.10", false},
      {"2.1", "192.0.2.1", false},
      {".2.1", "192.0.2.1", false},
      {"192.0.2.0/24", "192.0.2.77", true},
      {"192.0.2.5/24", "192.0.2.77", true},  // as curl: the bits below do not matter
      {"192.0.2.0/24", "192.0.3.1", false},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"192.0.2.0/33", "192.0.2.1", false},
      {"192.0.2.0/", "192.0.2.1", false},
      {"192.0.2.0/24", "x192.0.2.1", false},
      {"10.0.0.0/9", "10.127.0.1", true},
      {"10.0.0.0/9", "10.128.0.1", false},
      {"::1", "::1", true},
      {"[::1]", "::1", true},
      {"[::1", "::1", false},
      {"0:0::1", "::1", true},
      {"fd00::/8", "fd12::1", true},
      {"fd00::/8", "fe80::1", false},
      {"::/0", "1.2.3.4", false},
      {"192.0.2.1", "::ffff:192.0.2.1", true},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
  };
  for (const Row& row : rows) EXPECT_EQ(bypasses_proxy(row.list, row.host, row.port), row.direct) << row.list << " | " << row.host;
}

TEST(ProxyChoice, MakesEachRouteOnceAndSaysWhatIsNoProxy) {
  ProxyChoice choice({"user:secret@p:1", "ftp://user:secret@p", "", "direct.org"});
  const auto route = [&](std::string_view url, std::string& why) { return choice.route(*http::Url::parse(url), why); };
  std::string why;
  const auto first = route("http://a/", why), second = route("http://b/", why), direct = route("http://direct.org/", why);
  ASSERT_TRUE(first && *first && second && direct);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ((*first)->to_string(), "http://p:1");
  EXPECT_EQ(*direct, nullptr);
  EXPECT_FALSE(route("https://a/", why));
  EXPECT_NE(why.find("scheme"), std::string::npos);
  EXPECT_EQ(why.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace tributary::fetch
