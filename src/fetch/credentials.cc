#include "fetch/credentials.h"

#include <sys/random.h>

#include <algorithm>

#include "fetch/hasher.h"
#include "http/base64.h"
#include "http/text.h"

namespace tributary::fetch {
namespace {

using http::equal_ignoring_case;

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kUpperHex = "0123456789ABCDEF";

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<uint8_t>(c) >> 4];
    out += kHex[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
}

void append_quoted(std::string_view name, std::string_view value, std::string& out) {
  out.append(out.ends_with(' ') ? "" : ", ").append(name).append("=\"");
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// RFC 7616, 3.4: a name beyond ASCII goes as an extended value.
void append_user(std::string_view user, std::string& out) {
  const bool is_plain = std::all_of(user.begin(), user.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (is_plain) return append_quoted("username", user, out);
  out += "username*=UTF-8''";
  for (const char c : user) {
    if (http::is_alpha(c) || http::is_digit(c) || c == '.' || c == '-' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kUpperHex[static_cast<uint8_t>(c) >> 4];
      out += kUpperHex[static_cast<uint8_t>(c) & 15];
    }
  }
}

// The formulas of RFC 7616, 3.4, with the names they have there.
struct Formulas {
  const DigestChallenge& challenge;

  std::string H(std::string_view data) const { return hex(Hasher::of(challenge.algorithm, data)); }
  // H of its parts with ":" between; what was put together is wiped.
  template <class... Parts>
  std::string H_of(std::string_view first, Parts... rest) const {
    core::Secret data(first);
    ((data.append(":"), data.append(rest)), ...);
    return H(data.view());
  }
  std::string HA1(std::string_view user, std::string_view password, std::string_view cnonce) const {
    std::string ha1 = H_of(user, std::string_view(challenge.realm), password);
    return challenge.session ? H_of(ha1, std::string_view(challenge.nonce), cnonce) : ha1;
  }
};

}  // namespace

std::optional<core::Secret> basic_credentials(std::string_view user, std::string_view password) {
  if (user.find(':') != std::string_view::npos || has_control(user) || has_control(password)) return std::nullopt;
  core::Secret pair(user);
  pair.append(":");
  pair.append(password);
  core::Secret out("Basic ");
  std::string encoded = http::base64_encode(pair.view());
  out.append(encoded);
  explicit_bzero(encoded.data(), encoded.size());
  return out;
}

std::optional<DigestChallenge> read_digest_challenge(const http::Challenge& challenge, std::string& why) {
  if (!equal_ignoring_case(challenge.scheme, "Digest")) {
    why = "the scheme " + std::string(challenge.scheme) + " is not supported";
    return std::nullopt;
  }
  DigestChallenge out;
  std::string algorithm = challenge.value("algorithm");
  out.names_algorithm = challenge.has("algorithm");
  constexpr std::string_view kSession = "-sess";
  if (algorithm.size() > kSession.size() &&
      equal_ignoring_case(std::string_view(algorithm).substr(algorithm.size() - kSession.size()), kSession)) {
    out.session = true;
    algorithm.resize(algorithm.size() - kSession.size());
  }
  if (equal_ignoring_case(algorithm, "SHA-256")) {
    out.algorithm = http::HashAlgorithm::Sha256;
  } else if (out.names_algorithm && !equal_ignoring_case(algorithm, "MD5")) {
    why = "the Digest algorithm " + algorithm + " is not supported (MD5 and SHA-256 are)";
    return std::nullopt;
  }
  out.realm = challenge.value("realm");
  out.nonce = challenge.value("nonce");
  out.opaque = challenge.value("opaque");
  out.has_opaque = challenge.has("opaque");
  if (!challenge.has("realm") || out.nonce.empty() || has_control(out.realm) || has_control(out.nonce) || has_control(out.opaque)) {
    why = "the Digest challenge lacks a realm or a nonce";
    return std::nullopt;
  }
  if (challenge.has("qop")) {
    const std::string qop = challenge.value("qop");
    http::ListCursor options(qop);
    for (std::string_view option; options.next(option);) out.has_qop = out.has_qop || equal_ignoring_case(option, "auth");
    if (!out.has_qop) {
      why = "the Digest challenge offers qop=\"" + qop + "\" alone, and only auth is supported";
      return std::nullopt;
    }
  }
  out.stale = equal_ignoring_case(challenge.value("stale"), "true");
  out.userhash = equal_ignoring_case(challenge.value("userhash"), "true");
  return out;
}

std::string digest_credentials(const DigestChallenge& challenge, std::string_view user, std::string_view password,
                               std::string_view method, std::string_view target, uint32_t nonce_count, std::string_view cnonce) {
  const Formulas f{challenge};
  const core::Secret ha1(f.HA1(user, password, cnonce));
  if (ha1.empty()) return {};
  std::string nc(8, '0');
  for (size_t i = 0; i < 8; ++i) nc[i] = kHex[nonce_count >> (28 - 4 * i) & 15];
  const std::string ha2 = f.H_of(method, target);
  const std::string response =
      challenge.has_qop ? f.H_of(ha1.view(), std::string_view(challenge.nonce), std::string_view(nc), cnonce,
                                 std::string_view("auth"), std::string_view(ha2))
                        : f.H_of(ha1.view(), std::string_view(challenge.nonce), std::string_view(ha2));
  std::string out = "Digest ";
  if (challenge.userhash) {
    append_quoted("username", f.H_of(user, std::string_view(challenge.realm)), out);
  } else {
    append_user(user, out);
  }
  append_quoted("realm", challenge.realm, out);
  append_quoted("nonce", challenge.nonce, out);
  append_quoted("uri", target, out);
  append_quoted("response", response, out);
  if (challenge.names_algorithm) {
    out.append(", algorithm=").append(challenge.algorithm == http::HashAlgorithm::Md5 ? "MD5" : "SHA-256");
    if (challenge.session) out += "-sess";
  }
  if (challenge.has_qop) out.append(", qop=auth, nc=").append(nc);  // both without quotes: 3.4
  if (challenge.has_qop || challenge.session) append_quoted("cnonce", cnonce, out);
  if (challenge.has_opaque) append_quoted("opaque", challenge.opaque, out);
  if (challenge.userhash) out += ", userhash=true";
  return out;
}

std::string random_cnonce() {
  char bytes[16];
  for (size_t filled = 0; filled < sizeof bytes;) {
    const ssize_t count = getrandom(bytes + filled, sizeof bytes - filled, 0);
    if (count > 0) filled += static_cast<size_t>(count);
  }
  return hex({bytes, sizeof bytes});
}

Authenticator::Authenticator(std::string user, core::Secret password, std::string cnonce)
    : user_(std::move(user)), password_(std::move(password)), cnonce_(std::move(cnonce)) {}

Authenticator::Verdict Authenticator::challenged(const http::FieldSection& response, http::FieldName name, std::string_view sent,
                                                 std::string& why) {
  std::optional<DigestChallenge> digest;
  bool has_basic = false;
  why = "the server asks for credentials, but not how";
  for (const http::Challenge& challenge : http::challenges_of(response, name)) {
    if (equal_ignoring_case(challenge.scheme, "Basic")) {
      has_basic = true;
      continue;
    }
    auto read = read_digest_challenge(challenge, why);
    if (read && (!digest || read->algorithm > digest->algorithm)) digest = std::move(read);
  }
  if (!digest && !has_basic) return Verdict::Unsupported;
  const bool sent_digest = sent.starts_with("Digest ");
  if (!sent.empty() && !(digest && sent_digest && digest->stale) && !(digest && !sent_digest)) {
    why = "the server does not accept the user name or the password";
    return Verdict::Refused;
  }
  if (digest) {
    if (!digest_ || digest_->nonce != digest->nonce) nonce_count_ = 0;
    digest_ = std::move(digest);
    return Verdict::Send;
  }
  auto basic = basic_credentials(user_, password_.view());
  if (!basic) {
    why = "Basic authentication cannot carry a colon in the user name, or control characters";
    return Verdict::Unsupported;
  }
  digest_.reset();
  basic_ = std::move(*basic);
  return Verdict::Send;
}

void Authenticator::note_info(std::string_view value) {
  if (!digest_) return;
  http::ListCursor elements(value);
  for (std::string_view element; elements.next(element);) {
    const http::Parameter parameter = http::take_parameter(element, ",");
    std::string nonce = parameter.value();
    if (!equal_ignoring_case(parameter.name, "nextnonce") || nonce.empty() || nonce == digest_->nonce || has_control(nonce)) continue;
    digest_->nonce = std::move(nonce);
    nonce_count_ = 0;
  }
}

std::string Authenticator::header(std::string_view method, std::string_view target) {
  if (digest_) return digest_credentials(*digest_, user_, password_.view(), method, target, ++nonce_count_, cnonce_);
  return std::string(basic_.view());
}

}  // namespace tributary::fetch
