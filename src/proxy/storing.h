// What a response of an origin becomes in the cache: the parts to store of a new one, and of one that a 304 or a HEAD
// freshened. Shared by requests and by background refreshes. Pure but for the variant text; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/object.h"
#include "cache/policy.h"
#include "http/message.h"

namespace tributary::proxy {

// The exchange that a response came from.
struct Asked {
  const cache::PolicySettings& policy;
  const cache::RequestFacts& facts;
  const http::FieldSection& fields;  // the client's request, for Vary
  std::string_view key;
  cache::Epoch epoch;       // the store's, before that
  core::UnixTime sent;      // when the request went to the origin
  core::UnixTime answered;  // when the head of the response came
};

// Fills `parts` unless the verdict is no. The response is a whole one, cleaned for the client.
cache::Verdict parts_to_store(const Asked& asked, const http::ResponseHead& response, const http::CacheControl& cc,
                              cache::ObjectParts& parts);

// A stored response with what `update`, a 304 or the answer to a HEAD, says (RFC 9111 4.3.4, 4.3.5).
struct Freshened {
  enum class Keep : uint8_t {
    Store,  // for everybody
    Leave,  // for this request alone (Authorization, no-store); what is stored stays as it was
    Drop,   // for this request alone, and what is stored goes: the update forbids to keep it
  };
  cache::ObjectParts parts;
  std::string own_fields;  // lines of the update for the client that asked alone
  Keep keep = Keep::Store;
};
// Nothing when the 304 is about another version than ours. `update` loses what concerns its connection.
std::optional<Freshened> freshen_stored(const Asked& asked, const cache::Object& stored, http::FieldSection& update);

http::ResponseHead stored_head(const cache::Object& object);

}  // namespace tributary::proxy
