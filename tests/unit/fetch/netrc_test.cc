#include "fetch/netrc.h"

#include <gtest/gtest.h>

namespace tributary::fetch {
namespace {

// "login:password" or "-".
std::string found(std::string_view text, std::string_view host, std::string_view login = {}) {
  std::string why;
  const auto netrc = Netrc::parse(text, why);
  if (!netrc) return why;
  const NetrcEntry* entry = netrc->find(host, login);
  return entry ? entry->login + ":" + (entry->has_password ? std::string(entry->password.view()) : "none") : "-";
}

TEST(Netrc, TheFirstEntryOfTheHostCounts) {
  constexpr std::string_view kText =
      "# passwords\n"
      "machine a.org login one password p1\n"
      "machine b.org\n\tlogin two\n\tpassword p2 account x\n"
      "MACHINE a.org LOGIN three PASSWORD p3\n"
      "default login anonymous password me@\n"
      "machine late.org login late password p4\n";
  EXPECT_EQ(found(kText, "a.org"), "one:p1");
  EXPECT_EQ(found(kText, "A.ORG"), "one:p1");
  EXPECT_EQ(found(kText, "a.org", "three"), "three:p3");
  EXPECT_EQ(found(kText, "b.org"), "two:p2");
  EXPECT_EQ(found(kText, "other.org"), "anonymous:me@");
  EXPECT_EQ(found(kText, "late.org"), "anonymous:me@");  // default comes last, what is behind it is never reached
  EXPECT_EQ(found(kText, "b.org", "nobody"), "-");
  EXPECT_EQ(found("", "a.org"), "-");
  EXPECT_EQ(found("login x password y", "a.org"), "-");
}

TEST(Netrc, WhatAnEntryLacksIsNotTakenFromAnother) {  // CVE-2024-11053
  constexpr std::string_view kText = "machine a.org login alice\ndefault login bob password secret\n";
  EXPECT_EQ(found(kText, "a.org"), "alice:none");
  EXPECT_EQ(found("machine a.org\ndefault login bob password secret", "a.org"), ":none");
  EXPECT_EQ(found("machine a.org password p", "a.org", "alice"), ":p");
  EXPECT_EQ(found("machine \"\" login x password y", "a.org"), "-");  // no default
}

TEST(Netrc, WordsMayBeQuoted) {
  EXPECT_EQ(found("machine a login \"two words\" password \"q\\\"\\\\\\n\\t\\r\\x\"", "a"), "two words:q\"\\\n\t\rx");
  EXPECT_EQ(found("machine a login l password mid\"dle", "a"), "l:mid\"dle");
  EXPECT_EQ(found("machine a login l password \"\"", "a"), "l:");
  EXPECT_EQ(found("machine a login l password #hash", "a"), "l:#hash");
  EXPECT_EQ(found("machine a login l password \"machine b\"", "b"), "-");
}

TEST(Netrc, CommentsMacrosAndOtherKeywordsAreReadPast) {
  EXPECT_EQ(found("#machine a login x password y\nmachine a login l # password no\n password p", "a"), "l:p");
  EXPECT_EQ(found("machine a login l password p\nmacdef init\ncd /pub\nmachine a login evil\n\nmachine b login m password q", "b"), "m:q");
  EXPECT_EQ(found("macdef init\r\nmachine a login evil password e\r\n\r\nmachine a login l password p\r\n", "a"), "l:p");
  EXPECT_EQ(found("macdef init\nmachine a login evil password e", "a"), "-");
  EXPECT_EQ(found("machine a port 443 login l protocol https password p", "a"), "l:p");
  EXPECT_EQ(found("machine a unknown login l password p", "a"), "l:p");
}

TEST(Netrc, ABrokenFileIsNoHalfFile) {
  EXPECT_EQ(found("machine a login l password p\nmachine b login \"x\n", "a"), "line 2: a quoted word has no end");
  EXPECT_EQ(found("machine a\n login l\n\n password", "a"), "line 4: a keyword has no value");
  EXPECT_EQ(found("machine a login \"x\\", "a"), "line 1: a quoted word has no end");
  EXPECT_EQ(found("\n\n\"x", "a"), "line 3: a quoted word has no end");
}

}  // namespace
}  // namespace tributary::fetch
