#include "fetch/credentials.h"

#include <gtest/gtest.h>

#include "fetch/hasher.h"

namespace tributary::fetch {
namespace {

TEST(Hasher, HashesWhatComesInSteps) {
  const std::pair<http::HashAlgorithm, std::string_view> rows[] = {
      {http::HashAlgorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"},
      {http::HashAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {http::HashAlgorithm::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
      {http::HashAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {http::HashAlgorithm::Sha384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
      {http::HashAlgorithm::Sha512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
                                    "454d4423643ce80e2a9ac94fa54ca49f"},
  };
  for (const auto& [algorithm, hex] : rows) {
    Hasher hasher(algorithm);
    hasher.add("a");
    hasher.add("");
    hasher.add("bc");
    EXPECT_EQ((http::Digest{algorithm, hasher.finish()}.hex()), hex);
    hasher.add("abc");
    EXPECT_EQ((http::Digest{algorithm, hasher.finish()}.hex()), hex) << "starts anew";
    EXPECT_EQ((http::Digest{algorithm, Hasher::of(algorithm, "abc")}.hex()), hex);
  }
}

TEST(BasicCredentials, FollowTheExamplesOfTheRfc) {  // RFC 7617, 2 and 2.1
  EXPECT_EQ(basic_credentials("Aladdin", "open sesame")->view(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(basic_credentials("test", "123\xc2\xa3")->view(), "Basic dGVzdDoxMjPCow==");
  EXPECT_EQ(basic_credentials("", "")->view(), "Basic Og==");
  EXPECT_EQ(basic_credentials("u", "a:b")->view(), "Basic dTphOmI=");
  EXPECT_FALSE(basic_credentials("u:v", "p"));
  EXPECT_FALSE(basic_credentials("u\n", "p"));
  EXPECT_FALSE(basic_credentials("u", "p\r\n"));
}

constexpr std::string_view kExample =  // RFC 7616, 3.9.1
    "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
    "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
constexpr std::string_view kCnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

http::FieldSection unauthorized(std::initializer_list<std::string> challenges) {
  http::FieldSection fields;
  for (const std::string& challenge : challenges) fields.add("WWW-Authenticate", challenge);
  return fields;
}

std::string digest(std::string challenge) { return "Digest " + std::string(kExample) + ", " + challenge; }

// What is sent to GET /dir/index.html after this challenge, or why nothing.
std::string answer(const http::FieldSection& response, std::string user = "Mufasa", std::string_view password = "Circle of Life",
                   std::string_view cnonce = kCnonce) {
  Authenticator authenticator(std::move(user), core::Secret(password), std::string(cnonce));
  std::string why;
  if (authenticator.challenged(response, http::FieldName::WwwAuthenticate, "", why) != Authenticator::Verdict::Send) return why;
  return authenticator.header("GET", "/dir/index.html");
}

std::string value_in(const std::string& header, std::string_view name) {
  std::vector<http::Challenge> read;
  http::append_challenges(header, read);
  return read.size() == 1 ? read[0].value(name) : "";
}

TEST(DigestCredentials, FollowTheExamplesOfTheRfc) {  // S3-4.4, RFC 7616, 3.9.1
  EXPECT_EQ(answer(unauthorized({digest("algorithm=SHA-256"), digest("algorithm=MD5")})),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
            "uri=\"/dir/index.html\", response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", "
            "algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", "
            "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"");
  EXPECT_EQ(value_in(answer(unauthorized({digest("algorithm=MD5")})), "response"), "8ca523f5e9506fed4657c9700eebdbec");
  // RFC 2617, 3.5: no algorithm is MD5, and it is not repeated.
  const std::string old = answer(unauthorized({"Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", "
                                               "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""}),
                                 "Mufasa", "Circle Of Life", "0a4f113b");
  EXPECT_EQ(value_in(old, "response"), "6629fae49393a05397450978507c4ef1");
  EXPECT_EQ(old.find("algorithm"), std::string::npos);
  // RFC 2069, 2.4, as its erratum has it: without qop.
  const std::string oldest = answer(unauthorized({"Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\""}),
                                    "Mufasa", "CircleOfLife");
  EXPECT_EQ(value_in(oldest, "response"), "1949323746fe6a43ef61f9606e7febea");
  for (const char* absent : {"qop", "nc=", "cnonce", "opaque"}) EXPECT_EQ(oldest.find(absent), std::string::npos) << absent;
}

TEST(DigestCredentials, SessionsAndHashedNamesFollowTheFormulas) {  // RFC 7616, 3.4.2, 3.4.4; computed apart
  EXPECT_EQ(value_in(answer(unauthorized({digest("algorithm=MD5-sess")})), "response"), "e783283f46242139c486a698fec7211d");
  const std::string sha = answer(unauthorized({digest("algorithm=sha-256-SESS")}));
  EXPECT_EQ(value_in(sha, "response"), "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7");
  EXPECT_EQ(value_in(sha, "algorithm"), "SHA-256-sess");
  const std::string hashed = answer(unauthorized({digest("algorithm=SHA-256, userhash=true")}));
  EXPECT_EQ(value_in(hashed, "username"), "a947aad205e80e429958a387394944c6b496301e79f89d35a4cc23b6ee12b5b6");
  EXPECT_EQ(value_in(hashed, "userhash"), "true");
}

TEST(DigestCredentials, NamesAreQuotedOrExtended) {  // 3.4
  EXPECT_NE(answer(unauthorized({digest("a=b")}), "a\"b\\c").find("username=\"a\\\"b\\\\c\", "), std::string::npos);
  EXPECT_NE(answer(unauthorized({digest("a=b")}), "J\xc3\xa4s\xc3\xb8n Doe").find("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, "),
            std::string::npos);
  EXPECT_EQ(value_in(answer(unauthorized({"Digest realm=\"a \\\"b\\\"\", nonce=n"})), "realm"), "a \"b\"");
}

TEST(Authenticator, AnswersTheStrongestChallengeThatItCan) {
  const auto scheme = [](std::initializer_list<std::string> challenges) {
    const std::string header = answer(unauthorized(challenges));
    return header.substr(0, header.find(' ')) + " " + value_in(header, "algorithm");
  };
  EXPECT_EQ(scheme({"Basic realm=x"}), "Basic ");
  EXPECT_EQ(scheme({"Basic realm=x, " + digest("algorithm=MD5")}), "Digest MD5");
  EXPECT_EQ(scheme({digest("algorithm=MD5"), digest("algorithm=SHA-256"), "Basic"}), "Digest SHA-256");
  EXPECT_EQ(scheme({digest("algorithm=SHA-512-256"), "Basic realm=x"}), "Basic ");
  EXPECT_EQ(scheme({"Negotiate, NTLM", "Basic realm=x"}), "Basic ");
}

TEST(Authenticator, WhatCannotBeAnsweredIsNamed) {  // S3-4.5
  const std::pair<std::string, std::string_view> rows[] = {
      {"Digest realm=x, nonce=y, qop=\"auth-int\"", "qop=\"auth-int\" alone"},
      {"Digest realm=x, nonce=y, algorithm=SHA-512-256", "SHA-512-256 is not supported"},
      {"Digest realm=x, nonce=y, algorithm=\"\"", "is not supported"},
      {"Digest realm=x", "lacks a realm or a nonce"},
      {"Digest nonce=x", "lacks a realm or a nonce"},
      {"Negotiate", "scheme Negotiate is not supported"},
      {"", "but not how"},
  };
  for (const auto& [challenge, expected] : rows) {
    EXPECT_NE(answer(unauthorized({challenge})).find(expected), std::string::npos) << challenge << ": " << answer(unauthorized({challenge}));
  }
  EXPECT_NE(answer(unauthorized({"Basic realm=x"}), "a:b").find("colon"), std::string::npos);
}

struct Dialogue : testing::Test {
  using Verdict = Authenticator::Verdict;
  Verdict challenged(std::initializer_list<std::string> challenges, std::string_view sent) {
    return authenticator.challenged(unauthorized(challenges), http::FieldName::WwwAuthenticate, sent, why);
  }
  Authenticator authenticator{"user", core::Secret("canary-password")};
  std::string why;
};

TEST_F(Dialogue, CredentialsAreRefusedOnce) {  // S3-4.9
  EXPECT_EQ(authenticator.header("GET", "/"), "");
  EXPECT_EQ(challenged({"Basic realm=x"}, ""), Verdict::Send);
  const std::string sent = authenticator.header("GET", "/");
  EXPECT_EQ(challenged({"Basic realm=x"}, ""), Verdict::Send) << "another request had left before the challenge came";
  EXPECT_EQ(challenged({"Basic realm=x"}, sent), Verdict::Refused);
  EXPECT_EQ(why.find("canary"), std::string::npos);
  EXPECT_EQ(challenged({"Digest realm=x, nonce=n"}, sent), Verdict::Send) << "Basic did not do, Digest may";
  EXPECT_EQ(challenged({"Digest realm=x, nonce=m"}, authenticator.header("GET", "/")), Verdict::Refused);
  EXPECT_EQ(challenged({"Basic realm=x"}, authenticator.header("GET", "/")), Verdict::Refused) << "no way down";
}

TEST_F(Dialogue, EveryRequestCountsItsNonceAndAStaleOneIsRenewed) {  // S3-4.7, RFC 7616, 3.4
  EXPECT_EQ(challenged({"Digest realm=x, nonce=n1, qop=auth"}, ""), Verdict::Send);
  EXPECT_EQ(value_in(authenticator.header("GET", "/"), "nc"), "00000001");
  EXPECT_EQ(challenged({"Digest realm=x, nonce=n1, qop=auth"}, ""), Verdict::Send);
  const std::string second = authenticator.header("GET", "/");
  EXPECT_EQ(value_in(second, "nc"), "00000002");
  EXPECT_EQ(challenged({"Digest realm=x, nonce=n2, qop=auth, stale=TRUE"}, second), Verdict::Send);
  const std::string third = authenticator.header("GET", "/");
  EXPECT_EQ(value_in(third, "nc"), "00000001");
  EXPECT_EQ(value_in(third, "nonce"), "n2");
  EXPECT_EQ(value_in(third, "cnonce"), value_in(second, "cnonce"));
  authenticator.note_info("qop=auth, nextnonce=\"n3\", rspauth=\"x\"");
  EXPECT_EQ(value_in(authenticator.header("GET", "/"), "nonce"), "n3");
  for (int i = 0; i < 16; ++i) authenticator.header("GET", "/");
  EXPECT_EQ(value_in(authenticator.header("GET", "/"), "nc"), "00000012");
}

TEST_F(Dialogue, ProxiesAskByTheirOwnField) {
  http::FieldSection response = unauthorized({"Basic realm=x"});
  EXPECT_EQ(authenticator.challenged(response, http::FieldName::ProxyAuthenticate, "", why), Verdict::Unsupported);
  response.add("Proxy-Authenticate", "Basic realm=x");
  EXPECT_EQ(authenticator.challenged(response, http::FieldName::ProxyAuthenticate, "", why), Verdict::Send);
}

TEST(Cnonce, DiffersEachTime) {
  EXPECT_EQ(random_cnonce().size(), 32u);
  EXPECT_NE(random_cnonce(), random_cnonce());
}

}  // namespace
}  // namespace tributary::fetch
