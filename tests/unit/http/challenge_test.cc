#include "http/challenge.h"

#include <gtest/gtest.h>

namespace tributary::http {
namespace {

// "Scheme:token68 name=value … | Scheme …"
std::string listed(std::string_view value) {
  std::vector<Challenge> challenges;
  append_challenges(value, challenges);
  std::string out;
  for (const Challenge& challenge : challenges) {
    out += (out.empty() ? "" : " | ") + std::string(challenge.scheme);
    if (!challenge.token68.empty()) out += ":" + std::string(challenge.token68);
    for (const Parameter& parameter : challenge.parameters) {
      out += " " + std::string(parameter.name) + "=" + parameter.value();
    }
  }
  return out;
}

TEST(Challenge, ListsOfListsAreToldApart) {  // RFC 9110, 11.6.1
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"", ""},
      {"Basic", "Basic"},
      {"Basic realm=\"simple\"", "Basic realm=simple"},
      {"Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
       "Basic realm=simple | Newauth realm=apps type=1 title=Login to \"apps\""},
      {"Digest realm=\"a, Basic realm=b\", nonce=\"x\"", "Digest realm=a, Basic realm=b nonce=x"},
      {"Negotiate, NTLM, Basic realm=x", "Negotiate | NTLM | Basic realm=x"},
      {"Negotiate oRQwEqADCgEA/+==", "Negotiate:oRQwEqADCgEA/+=="},
      {"Negotiate abc, Basic realm=x", "Negotiate:abc | Basic realm=x"},
      {",, Basic ,realm=\"x\" , ,charset=UTF-8,", "Basic realm=x charset=UTF-8"},
      {"Basic realm = \"x\"", "Basic realm=x"},
      {"Basic realm=", "Basic:realm="},  // the grammar allows no other reading
      {"Digest qop=\"auth,auth-int\",nonce=abc==,algorithm=SHA-256", "Digest qop=auth,auth-int nonce=abc== algorithm=SHA-256"},
      // what senders get wrong
      {"Digest realm=\"x\" nonce=\"y\" stale=true", "Digest realm=x nonce=y stale=true"},
      {"realm=\"x\", Basic", "Basic"},
      {"Basic realm=\"x", "Basic realm=x"},
      {"Basic realm=\"x\\", "Basic realm=x\\"},
      {"\"quoted\", Basic", "Basic"},
      {"@!, Basic x y", "Basic | x:y"},
      {"Basic realm=\"x\"junk, Other", "Basic realm=x | junk | Other"},
  };
  for (const auto& [value, expected] : rows) EXPECT_EQ(listed(value), expected) << value;
}

TEST(Challenge, EveryFieldOfTheNameCountsAndParametersOfNoSchemeAreDropped) {
  FieldSection fields;
  fields.add("WWW-Authenticate", "Digest realm=a");
  fields.add("www-authenticate", "nonce=b, Basic realm=c");
  fields.add("Proxy-Authenticate", "Other");
  const auto challenges = challenges_of(fields, FieldName::WwwAuthenticate);
  ASSERT_EQ(challenges.size(), 2u);
  EXPECT_FALSE(challenges[0].has("nonce"));
  EXPECT_EQ(challenges[1].value("REALM"), "c");
  EXPECT_EQ(challenges[1].value("none"), "");
}

TEST(Challenge, AreBounded) {
  std::string many, wide = "A ";
  for (int i = 0; i < 1000; ++i) many += "S" + std::to_string(i) + ",", wide += "p=1,";
  std::vector<Challenge> challenges;
  append_challenges(many, challenges);
  EXPECT_EQ(challenges.size(), kMaxChallenges);
  challenges.clear();
  append_challenges(wide, challenges);
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_LE(challenges[0].parameters.size(), 64u);
}

}  // namespace
}  // namespace tributary::http
