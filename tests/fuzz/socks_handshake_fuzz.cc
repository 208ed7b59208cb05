// The server's SOCKS handshake: however the input is split, the outcome is the same, and nothing is
// read past the message. Byte 0 chooses the settings and the cut, the rest is what the client
// sends.
#include "socks/handshake.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace tributary::socks;

std::string run(std::string_view input, size_t step_size, HandshakeSettings settings) {
  Handshake handshake(settings);
  std::string trace, buffer;
  for (size_t at = 0; at < input.size(); at += step_size) {
    buffer += input.substr(at, step_size);
    for (;;) {
      const Step step = handshake.advance(buffer);
      if (step.consumed > buffer.size()) std::abort();
      if (step.outcome == Outcome::NeedMore) {
        if (step.consumed != 0) std::abort();
        break;
      }
      trace += static_cast<char>('0' + static_cast<int>(step.outcome));
      trace += static_cast<char>('0' + static_cast<int>(step.refusal));
      trace += step.reply;
      if (step.outcome == Outcome::Login) {
        trace.append(step.user).append(":").append(step.password);
        trace += handshake.login(step.password != "no").view();
      }
      if (step.outcome == Outcome::Ask) {
        const Request& request = step.request;
        if (request.port == 0 || (request.kind == HostKind::Name) != !request.name.empty())
          std::abort();
        trace.append(request.host()).append(request.user);
        trace += std::to_string(request.port);
      }
      buffer.erase(0, step.consumed);
    }
    const bool needs_more = handshake.state() == State::Start ||
                            handshake.state() == State::Greeted ||
                            handshake.state() == State::LoginDue;
    if (needs_more && buffer.size() >= kMaxMessage) std::abort();
  }
  if (handshake.state() != State::Refused) trace += buffer;
  return trace;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const HandshakeSettings settings = {.allow_v4 = (data[0] & 1) == 0,
                                      .allow_v5 = (data[0] & 2) == 0,
                                      .require_login = (data[0] & 4) != 0};
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string whole = run(input, input.size() + 1, settings);
  if (run(input, 1, settings) != whole) std::abort();
  if (run(input, 1 + data[0] / 8, settings) != whole) std::abort();
  return 0;
}
