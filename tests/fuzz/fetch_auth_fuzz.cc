// Challenges, netrc and HSTS files and fields: whatever comes, what goes out is a field value, and files that were written are
// read again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fetch/credentials.h"
#include "fetch/hsts.h"
#include "fetch/netrc.h"
#include "http/text.h"

using namespace tributary;

namespace {

constexpr core::UnixTime kNow = 1795000000;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_dialogue(const http::FieldSection& response, std::string_view text) {
  fetch::Authenticator authenticator("us\"er", core::Secret("password"), "cnonce");
  std::string why;
  for (int tries = 0; tries < fetch::Authenticator::kMaxTries; ++tries) {
    const std::string sent = authenticator.header("GET", "/x");
    require(http::is_field_value(sent));
    require(sent.find("password") == std::string::npos || text.find("password") != std::string_view::npos);  // an echo
    if (authenticator.challenged(response, http::FieldName::WwwAuthenticate, sent, why) != fetch::Authenticator::Verdict::Send) {
      require(!why.empty());
      break;
    }
    require(!authenticator.header("GET", "/x").empty());
  }
  authenticator.note_info(text);
  require(http::is_field_value(authenticator.header("GET", "/x")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  http::FieldSection response;
  if (response.add(http::FieldName::WwwAuthenticate, text)) {
    response.add(http::FieldName::StrictTransportSecurity, text);
    check_dialogue(response, text);
  }
  std::vector<http::Challenge> challenges;
  http::append_challenges(text, challenges);
  require(challenges.size() <= http::kMaxChallenges);
  for (const http::Challenge& challenge : challenges) require(http::is_token(challenge.scheme));

  std::string why;
  const auto netrc = fetch::Netrc::parse(text, why);
  require(netrc.has_value() == why.empty());
  if (netrc) netrc->find("example.com", "user");

  fetch::HstsStore store;
  store.note(*http::Url::parse("https://example.com/"), response, kNow);
  store.read(text, kNow);
  const std::string written = store.write(kNow);
  fetch::HstsStore again;
  require(again.read(written, kNow) == 0 && again.write(kNow) == written);
  require(!store.upgrade(*http::Url::parse("http://a.example.com:81/x"), kNow).empty());
  return 0;
}
