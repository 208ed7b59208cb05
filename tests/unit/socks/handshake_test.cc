#include "socks/handshake.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

namespace tributary::socks {
namespace {

using namespace std::string_literals;
using core::Error;
using core::ErrorCode;

// What a handshake did with some input, comparable.
struct Transcript {
  std::string sent;
  std::string asked;  // "5 name host:port user"
  std::string logins;
  Refusal refusal = Refusal::None;
  std::string rest;  // left for the tunnel
  State state = State::Start;
  friend bool operator==(const Transcript&, const Transcript&) = default;
};

std::string describe(const Request& request) {
  return std::to_string(static_cast<int>(request.version)) + " " + request.host() + ":" +
         std::to_string(request.port) + " " + std::string(request.user);
}

// Feeds `input` in the given chunks, as a connection would: what is not consumed is kept.
Transcript feed(const std::vector<std::string>& chunks, HandshakeSettings settings = {},
                bool login_ok = true) {
  Handshake handshake(settings);
  Transcript out;
  std::string buffer;
  for (const std::string& chunk : chunks) {
    buffer += chunk;
    for (bool more = true; more;) {
      const Step step = handshake.advance(buffer);
      switch (step.outcome) {
        case Outcome::NeedMore:
          EXPECT_EQ(step.consumed, 0u);
          more = false;
          break;
        case Outcome::Send:
          out.sent += step.reply;
          break;
        case Outcome::Login:
          out.logins += std::string(step.user) + ":" + std::string(step.password) + ";";
          out.sent += handshake.login(login_ok).view();
          break;
        case Outcome::Ask:
          out.asked = describe(step.request);
          break;
        case Outcome::Refuse:
          out.refusal = step.refusal;
          out.sent += step.reply;
          break;
      }
      buffer.erase(0, step.consumed);
    }
    if (handshake.state() == State::Refused) buffer.clear();
  }
  out.rest = buffer;
  out.state = handshake.state();
  return out;
}

std::vector<std::string> bytes_of(const std::string& input) {
  std::vector<std::string> chunks;
  for (char c : input) chunks.emplace_back(1, c);
  return chunks;
}

const std::string kGreeting = "\x05\x01\x00"s;
std::string name_request(const std::string& name, const std::string& port = "\x00\x50"s,
                         char command = 1) {
  return "\x05"s + command + "\x00\x03"s + static_cast<char>(name.size()) + name + port;
}
std::string request4(const std::string& ip, const std::string& rest,
                     const std::string& port = "\x00\x50"s, char command = 1) {
  return "\x04"s + command + port + ip + rest;
}

struct Row {
  const char* what;
  std::string input;
  std::string sent;
  std::string asked;
  Refusal refusal = Refusal::None;
  HandshakeSettings settings = {};
  std::string rest = "";
};

const std::string kAgreed = "\x05\x00"s;
const std::string kNoMethod = "\x05\xff"s;
std::string failure5(char code) {
  return "\x05"s + code + "\x00\x01\x00\x00\x00\x00\x00\x00"s;
}
const std::string kRejected4 = "\x00\x5b\x00\x00\x00\x00\x00\x00"s;
const HandshakeSettings kLogin = {.require_login = true};

std::vector<Row> rows() {
  const std::string long_name(255, 'a');
  return {
      {"IPv4", kGreeting + "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"s, kAgreed,
       "5 192.0.2.1:443 "},
      {"IPv6",
       kGreeting + "\x05\x01\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01\x1f\x90"s,
       kAgreed, "5 2001:db8::1:8080 "},
      {"name", kGreeting + name_request("example.org"), kAgreed, "5 example.org:80 "},
      {"a name of one byte", kGreeting + name_request("a"), kAgreed, "5 a:80 "},
      {"a name of 255 bytes", kGreeting + name_request(long_name), kAgreed,
       "5 " + long_name + ":80 "},
      {"pipelined data is the tunnel's",
       kGreeting + name_request("h") + "\x16\x03\x01 hello"s,
       kAgreed,
       "5 h:80 ",
       Refusal::None,
       {},
       "\x16\x03\x01 hello"s},
      {"no-login among many methods", "\x05\x04\x01\x02\x80\x00"s + name_request("h"), kAgreed,
       "5 h:80 "},
      {"255 methods", "\x05\xff"s + std::string(254, '\x09') + "\x00"s + name_request("h"), kAgreed,
       "5 h:80 "},

      {"no methods at all", "\x05\x00"s, kNoMethod, "", Refusal::NoAcceptableMethod},
      {"only a password offered", "\x05\x01\x02"s, kNoMethod, "", Refusal::NoAcceptableMethod},
      {"only GSSAPI", "\x05\x01\x01"s, kNoMethod, "", Refusal::NoAcceptableMethod},
      {"255 methods and none of ours", "\x05\xff"s + std::string(255, '\x09'), kNoMethod, "",
       Refusal::NoAcceptableMethod},
      {"SOCKS6", "\x06\x01\x00"s, "", "", Refusal::UnknownVersion},
      {"zero", "\x00"s, "", "", Refusal::UnknownVersion},
      {"SOCKS5 switched off",
       "\x05\x01\x00"s,
       kNoMethod,
       "",
       Refusal::VersionNotAllowed,
       {.allow_v5 = false}},
      {"request of version 4 after a greeting of 5", kGreeting + "\x04\x01\x00\x01"s,
       kAgreed + failure5(1), "", Refusal::Malformed},
      {"reserved byte not zero", kGreeting + "\x05\x01\x01\x01\x7f\x00\x00\x01\x00\x50"s,
       kAgreed + failure5(1), "", Refusal::Malformed},
      {"BIND", kGreeting + name_request("h", "\x00\x50"s, 2), kAgreed + failure5(7), "",
       Refusal::UnsupportedCommand},
      {"UDP ASSOCIATE", kGreeting + "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"s,
       kAgreed + failure5(7), "", Refusal::UnsupportedCommand},
      {"command 0", kGreeting + name_request("h", "\x00\x50"s, 0), kAgreed + failure5(7), "",
       Refusal::UnsupportedCommand},
      {"unknown address type", kGreeting + "\x05\x01\x00\x02"s, kAgreed + failure5(8), "",
       Refusal::UnsupportedAddress},
      {"address type 0", kGreeting + "\x05\x01\x00\x00"s, kAgreed + failure5(8), "",
       Refusal::UnsupportedAddress},
      {"unknown command before unknown address type", kGreeting + "\x05\x09\x00\x09"s,
       kAgreed + failure5(7), "", Refusal::UnsupportedCommand},
      {"empty name", kGreeting + name_request(""), kAgreed + failure5(1), "", Refusal::InvalidName},
      {"NUL in a name", kGreeting + name_request("a\0b"s), kAgreed + failure5(1), "",
       Refusal::InvalidName},
      {"CR LF in a name", kGreeting + name_request("a\r\nb"), kAgreed + failure5(1), "",
       Refusal::InvalidName},
      {"space in a name", kGreeting + name_request("a b"), kAgreed + failure5(1), "",
       Refusal::InvalidName},
      {"DEL in a name", kGreeting + name_request("a\x7f"), kAgreed + failure5(1), "",
       Refusal::InvalidName},
      {"not ASCII in a name", kGreeting + name_request("\xc3\xa4"), kAgreed + failure5(1), "",
       Refusal::InvalidName},
      {"port 0", kGreeting + name_request("h", "\0\0"s), kAgreed + failure5(1), "",
       Refusal::InvalidPort},

      {"login",
       "\x05\x01\x02\x01\x05"
       "alice\x06"
       "secret"s +
           name_request("h"),
       "\x05\x02\x01\x00"s, "5 h:80 ", Refusal::None, kLogin},
      {"login with an empty password",
       "\x05\x01\x02\x01\x01"
       "a\x00"s +
           name_request("h"),
       "\x05\x02\x01\x00"s, "5 h:80 ", Refusal::None, kLogin},
      {"login of the longest",
       "\x05\x01\x02\x01\xff"s + std::string(255, 'u') + "\xff"s + std::string(255, 'p') +
           name_request("h"),
       "\x05\x02\x01\x00"s, "5 h:80 ", Refusal::None, kLogin},
      {"login required and not offered", "\x05\x01\x00"s, kNoMethod, "",
       Refusal::NoAcceptableMethod, kLogin},
      {"login without a user", "\x05\x01\x02\x01\x00\x01p"s, "\x05\x02\x01\x01"s, "",
       Refusal::Malformed, kLogin},
      {"login of another version", "\x05\x01\x02\x05\x01\x00"s, "\x05\x02\x01\x01"s, "",
       Refusal::Malformed, kLogin},

      {"SOCKS4", request4("\xc0\x00\x02\x01"s, "bob\0"s), "", "4 192.0.2.1:80 bob"},
      {"SOCKS4 without user", request4("\xc0\x00\x02\x01"s, "\0"s), "", "4 192.0.2.1:80 "},
      {"SOCKS4 with pipelined data",
       request4("\xc0\x00\x02\x01"s, "\0GET"s),
       "",
       "4 192.0.2.1:80 ",
       Refusal::None,
       {},
       "GET"},
      {"SOCKS4a", request4("\0\0\0\x01"s, "bob\0example.org\0"s), "", "4 example.org:80 bob"},
      {"SOCKS4a of the longest",
       request4("\0\0\0\xff"s, std::string(255, 'u') + '\0' + long_name + '\0'), "",
       "4 " + long_name + ":80 " + std::string(255, 'u')},
      {"0.0.0.0 is an address, not 4a", request4("\0\0\0\0"s, "\0"s), "", "4 0.0.0.0:80 "},
      {"SOCKS4 switched off",
       request4("\xc0\x00\x02\x01"s, "\0"s),
       kRejected4,
       "",
       Refusal::VersionNotAllowed,
       {.allow_v4 = false}},
      {"SOCKS4 where a login is due", request4("\xc0\x00\x02\x01"s, "\0"s), kRejected4, "",
       Refusal::NoAcceptableMethod, kLogin},
      {"SOCKS4 BIND", request4("\xc0\x00\x02\x01"s, "\0"s, "\x00\x50"s, 2), kRejected4, "",
       Refusal::UnsupportedCommand},
      {"SOCKS4a empty name", request4("\0\0\0\x01"s, "\0\0"s), kRejected4, "",
       Refusal::InvalidName},
      {"SOCKS4a tab in a name", request4("\0\0\0\x01"s, "\0a\tb\0"s), kRejected4, "",
       Refusal::InvalidName},
      {"SOCKS4 port 0", request4("\xc0\x00\x02\x01"s, "\0"s, "\0\0"s), kRejected4, "",
       Refusal::InvalidPort},
      {"SOCKS4 user without end", request4("\xc0\x00\x02\x01"s, std::string(256, 'u')), kRejected4,
       "", Refusal::TooLong},
      {"SOCKS4a name without end", request4("\0\0\0\x01"s, '\0' + std::string(256, 'n')),
       kRejected4, "", Refusal::TooLong},
  };
}

TEST(SocksHandshake, AnswersEveryMessageAsTheRfcsSay) {
  for (const Row& row : rows()) {
    const Transcript got = feed({row.input}, row.settings);
    EXPECT_EQ(got.sent, row.sent) << row.what;
    EXPECT_EQ(got.asked, row.asked) << row.what;
    EXPECT_EQ(refusal_name(got.refusal), refusal_name(row.refusal)) << row.what;
    EXPECT_EQ(got.rest, row.rest) << row.what;
  }
}

TEST(SocksHandshake, SplittingTheInputAnywhereChangesNothing) {  // V-7
  for (const Row& row : rows()) {
    const Transcript whole = feed({row.input}, row.settings);
    EXPECT_EQ(feed(bytes_of(row.input), row.settings), whole) << row.what;
    for (size_t cut = 1; cut < row.input.size(); ++cut) {
      ASSERT_EQ(feed({row.input.substr(0, cut), row.input.substr(cut)}, row.settings), whole)
          << row.what << " cut at " << cut;
    }
  }
}

TEST(SocksHandshake, WaitsAtEveryPrefixOfAGoodRequest) {
  for (const Row& row : rows()) {
    if (row.asked.empty()) continue;
    const std::string input = row.input.substr(0, row.input.size() - row.rest.size());
    for (size_t size = 0; size < input.size(); ++size) {
      const Transcript got = feed({input.substr(0, size)}, row.settings);
      ASSERT_EQ(got.asked, "") << row.what << " at " << size;
      ASSERT_EQ(got.refusal, Refusal::None) << row.what << " at " << size;
    }
  }
}

TEST(SocksHandshake, NeedsNoMoreThanMaxMessageBytesToDecide) {
  const std::string endless =
      request4("\0\0\0\x01"s, std::string(255, 'u') + '\0' + std::string(1000, 'n'));
  EXPECT_EQ(feed({endless.substr(0, kMaxMessage)}).refusal, Refusal::TooLong);
}

TEST(SocksHandshake, HandsTheLoginOutAndEndsWhenItIsRefused) {  // S3-1.3
  const std::string input =
      "\x05\x02\x00\x02\x01\x05"
      "alice\x05"
      "wrong"s +
      name_request("h");
  const Transcript refused = feed({input}, kLogin, false);
  EXPECT_EQ(refused.logins, "alice:wrong;");
  EXPECT_EQ(refused.sent, "\x05\x02\x01\x01"s);
  EXPECT_EQ(refused.state, State::Refused);
  EXPECT_EQ(refused.asked, "");
}

Handshake asked(const std::string& input) {
  Handshake handshake;
  std::string_view rest = input;
  for (Step step = handshake.advance(rest);
       step.outcome == Outcome::Send || step.outcome == Outcome::Ask;
       step = handshake.advance(rest)) {
    rest.remove_prefix(step.consumed);
  }
  EXPECT_EQ(handshake.state(), State::Asked);
  return handshake;
}

TEST(SocksReply, TellsTheBoundAddress) {
  const uint8_t ipv4[] = {192, 0, 2, 7};
  const uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
  Handshake a = asked(kGreeting + name_request("h"));
  EXPECT_EQ(a.established(ipv4, 0x1234).view(), "\x05\x00\x00\x01\xc0\x00\x02\x07\x12\x34"s);
  EXPECT_EQ(a.state(), State::Done);
  Handshake b = asked(kGreeting + name_request("h"));
  EXPECT_EQ(
      b.established(ipv6, 80).view(),
      "\x05\x00\x00\x04"s + std::string(reinterpret_cast<const char*>(ipv6), 16) + "\x00\x50"s);
  Handshake c = asked(kGreeting + name_request("h"));
  EXPECT_EQ(c.established({}, 0).view(), "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"s);
  Handshake d = asked(request4("\xc0\x00\x02\x01"s, "\0"s));
  EXPECT_EQ(d.established(ipv4, 80).view(), "\x00\x5a\x00\x50\xc0\x00\x02\x07"s);
  Handshake e = asked(request4("\xc0\x00\x02\x01"s, "\0"s));
  EXPECT_EQ(e.established(ipv6, 80).view(), "\x00\x5a\x00\x50\x00\x00\x00\x00"s);
}

TEST(SocksReply, NamesTheReasonOfAFailure) {
  const struct {
    ErrorCode code;
    int sys;
    char reply;
  } table[] = {
      {ErrorCode::ConnectionRefused, 0, 5},
      {ErrorCode::HostUnreachable, EHOSTUNREACH, 4},
      {ErrorCode::HostUnreachable, ENETUNREACH, 3},
      {ErrorCode::ConnectTimeout, 0, 6},
      {ErrorCode::DnsTimeout, 0, 4},
      {ErrorCode::NameNotFound, 0, 4},
      {ErrorCode::DnsFailure, 0, 4},
      {ErrorCode::DestinationProhibited, 0, 2},
      {ErrorCode::Forbidden, 0, 2},
      {ErrorCode::LimitReached, 0, 1},
      {ErrorCode::AcquireTimeout, 0, 1},
      {ErrorCode::DescriptorsExhausted, 0, 1},
      {ErrorCode::ConnectionReset, 0, 1},
      {ErrorCode::Internal, 0, 1},
  };
  for (const auto& row : table) {
    const Error error{.code = row.code, .sys = row.sys};
    Handshake five = asked(kGreeting + name_request("h"));
    EXPECT_EQ(five.failed(error).view(), failure5(row.reply)) << static_cast<int>(row.code);
    EXPECT_EQ(five.state(), State::Refused);
    Handshake four = asked(request4("\xc0\x00\x02\x01"s, "\0"s));
    EXPECT_EQ(four.failed(error).view(), kRejected4);
  }
}

TEST(SocksHandshake, ConsumesNothingOnceItAskedOrEnded) {
  Handshake handshake = asked(kGreeting + name_request("h"));
  EXPECT_EQ(handshake.advance("more").consumed, 0u);
  handshake.established({}, 0);
  EXPECT_EQ(handshake.advance("\x05\x01\x00"s).consumed, 0u);
  EXPECT_EQ(handshake.advance("\x05\x01\x00"s).outcome, Outcome::NeedMore);
}

TEST(SocksStates, EveryStateIsReachedAndOnlyTheEndsHaveNoWayOut) {
  std::set<State> reached = {State::Start}, leaving;
  for (const auto& edge : kEdges) {
    reached.insert(edge.to);
    leaving.insert(edge.from);
  }
  EXPECT_EQ(reached.size(), static_cast<size_t>(State::Refused) + 1);
  EXPECT_EQ(leaving.count(State::Done) + leaving.count(State::Refused), 0u);
  EXPECT_EQ(leaving.size(), reached.size() - 2);
}

}  // namespace
}  // namespace tributary::socks
