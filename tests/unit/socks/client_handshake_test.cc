// SOCKS5 as a client: every message byte by byte, and what a proxy may answer (RFC 1928, RFC 1929; P-14).
#include "socks/client_handshake.h"

#include <gtest/gtest.h>

namespace tributary::socks {
namespace {

using Outcome = ClientHandshake::Outcome;
using core::ErrorCode;
using core::Side;
using namespace std::string_view_literals;

// Feeds `input` in pieces of `size` bytes as a caller would; what was sent is in `out`, what was not consumed in `rest`.
ClientHandshake::Step feed(ClientHandshake& handshake, std::string_view input, size_t size, std::string& out, std::string& rest) {
  ClientHandshake::Step step;
  for (size_t at = 0; at < input.size(); at += size) {
    rest += input.substr(at, size);
    do {
      step = handshake.advance(rest, out);
      rest.erase(0, step.consumed);
    } while (step.outcome == Outcome::Send && !rest.empty());
    if (step.outcome == Outcome::Failed) return step;
  }
  return step;
}

TEST(SocksClient, ReachesANameWithoutCredentialsHoweverTheBytesCome) {
  for (const size_t size : {size_t{1}, size_t{3}, size_t{100}}) {
    ClientHandshake handshake("host.test", 443, {});
    std::string out, rest;
    handshake.start(out);
    EXPECT_EQ(out, "\5\1\0"sv);
    out.clear();
    const auto step = feed(handshake, "\5\0\5\0\0\1\1\2\3\4\0\x50"sv, size, out, rest);
    EXPECT_EQ(step.outcome, Outcome::Done);
    EXPECT_EQ(out, "\5\1\0\3\x09host.test\1\xbb"sv);
    EXPECT_EQ(rest, "");
    EXPECT_EQ(handshake.state(), ClientState::Done);
  }
}

TEST(SocksClient, SendsAddressesAsAddresses) {
  std::string out, rest;
  ClientHandshake four("192.0.2.1", 80, {});
  four.start(out);
  out.clear();
  feed(four, "\5\0"sv, 2, out, rest);
  EXPECT_EQ(out, "\5\1\0\1\xc0\0\2\1\0\x50"sv);
  ClientHandshake six("2001:db8::1", 80, {});
  six.start(out);
  out.clear();
  feed(six, "\5\0"sv, 2, out, rest);
  EXPECT_EQ(out, "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x50"sv);
}

TEST(SocksClient, LogsInWhenAsked) {
  ClientHandshake handshake("h", 1, {"user", "secret", true});
  std::string out, rest;
  handshake.start(out);
  EXPECT_EQ(out, "\5\2\0\2"sv);
  out.clear();
  feed(handshake, "\5\2"sv, 2, out, rest);
  EXPECT_EQ(out, "\1\4user\6secret"sv);
  out.clear();
  const auto step = feed(handshake, "\1\0\5\0\0\3\2ab\0\0"sv, 1, out, rest);  // the bound address may be a name
  EXPECT_EQ(out, "\5\1\0\3\1h\0\1"sv);
  EXPECT_EQ(step.outcome, Outcome::Done);
}

TEST(SocksClient, LeavesWhatFollowsTheReplyToItsCaller) {
  ClientHandshake handshake("h", 1, {});
  std::string out, rest;
  handshake.start(out);
  const auto step = feed(handshake, "\5\0\5\0\0\4\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\0\0hello"sv, 100, out, rest);
  EXPECT_EQ(step.outcome, Outcome::Done);
  EXPECT_EQ(rest, "hello");
}

TEST(SocksClient, TellsWhoseFaultItIs) {
  struct Row {
    std::string_view answer;
    ErrorCode code;
    Side side;
    bool has_login = false;
  };
  const Row rows[] = {
      {"\5\xff"sv, ErrorCode::ParentCredentials, Side::Parent},
      {"\5\2"sv, ErrorCode::MalformedMessage, Side::Parent},  // was not offered
      {"\5\2\1\1"sv, ErrorCode::ParentCredentials, Side::Parent, true},
      {"\5\2\5\0"sv, ErrorCode::MalformedMessage, Side::Parent, true},
      {"\4\0"sv, ErrorCode::MalformedMessage, Side::Parent},
      {"HTTP/1.1 400"sv, ErrorCode::MalformedMessage, Side::Parent},
      {"\5\0\5\1"sv, ErrorCode::ParentRefused, Side::Parent},
      {"\5\0\5\2"sv, ErrorCode::Forbidden, Side::Parent},
      {"\5\0\5\3"sv, ErrorCode::HostUnreachable, Side::Origin},
      {"\5\0\5\4"sv, ErrorCode::HostUnreachable, Side::Origin},
      {"\5\0\5\5"sv, ErrorCode::ConnectionRefused, Side::Origin},
      {"\5\0\5\7"sv, ErrorCode::UnsupportedProtocol, Side::Parent},
      {"\5\0\5\x77"sv, ErrorCode::ParentRefused, Side::Parent},
      {"\5\0\5\0\0\2\0\0\0\0\0\0"sv, ErrorCode::MalformedMessage, Side::Parent},
  };
  for (const Row& row : rows) {
    ClientHandshake handshake("h", 1, {"u", "p", row.has_login});
    std::string out, rest;
    handshake.start(out);
    const auto step = feed(handshake, row.answer, 1, out, rest);
    EXPECT_EQ(step.outcome, Outcome::Failed) << testing::PrintToString(row.answer);
    EXPECT_EQ(step.error.code, row.code) << testing::PrintToString(row.answer);
    EXPECT_EQ(step.error.side, row.side) << testing::PrintToString(row.answer);
  }
}

TEST(SocksClient, RefusesANameThatDoesNotFit) {
  const std::string name(256, 'a');
  ClientHandshake handshake(name, 1, {});
  std::string out, rest;
  handshake.start(out);
  EXPECT_EQ(feed(handshake, "\5\0"sv, 2, out, rest).error.code, ErrorCode::InvalidArgument);
}

}  // namespace
}  // namespace tributary::socks
