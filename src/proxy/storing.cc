#include "proxy/storing.h"

#include <utility>

#include "cache/revalidation.h"
#include "cache/vary.h"

namespace tributary::proxy {

using http::FieldName;

namespace {

// The variant text of an object: the names that its response varies by, and what the request had there (cache/vary.h).
std::string make_variant(const cache::VaryNames& vary, const http::FieldSection& request) {
  if (vary.names.empty()) return {};
  std::string variant = vary.names;
  variant += '\n';
  cache::append_secondary_key(vary.names, request, variant);
  return variant;
}

}  // namespace

cache::Verdict parts_to_store(const Asked& asked, const http::ResponseHead& response, const http::CacheControl& cc,
                              cache::ObjectParts& parts) {
  if (const cache::Verdict verdict = cache::storable(asked.policy, asked.facts, response, cc, asked.answered); !verdict) {
    return verdict;
  }
  const cache::VaryNames vary = cache::VaryNames::of(response.fields);
  parts.key = asked.key;
  parts.epoch = asked.epoch;
  parts.variant = make_variant(vary, asked.fields);
  parts.meta = cache::describe(asked.policy, response, cc, asked.facts.has_query, asked.sent, asked.answered);
  parts.meta.signature = asked.facts.signature;
  parts.etag = response.fields.find(FieldName::ETag).value_or("");
  parts.fields = core::Slice::copy(cache::stored_fields(response, cc));
  return {};
}

std::optional<Freshened> freshen_stored(const Asked& asked, const cache::Object& stored, http::FieldSection& update) {
  http::ResponseHead head = stored_head(stored);
  if (!cache::not_modified_selects(head.fields, update)) return std::nullopt;
  update.remove_hop_by_hop();
  Freshened result;
  result.parts = stored.parts();
  result.parts.meta =
      cache::freshen(asked.policy, head, update, stored.meta(), asked.facts.has_query, asked.sent, asked.answered);
  result.parts.meta.signature = asked.facts.signature;
  const http::CacheControl cc = cache::response_directives(asked.policy, head.fields);
  cache::RequestFacts anybody;  // what is stored came with a GET, whatever is asked now
  anybody.has_query = asked.facts.has_query;
  cache::RequestFacts facts = asked.facts;
  facts.method = http::Method::Get;
  const auto may_be_stored = [&](const cache::RequestFacts& by) {
    return bool(cache::storable(asked.policy, by, head, cc, asked.answered));
  };
  result.keep = may_be_stored(facts)     ? Freshened::Keep::Store
                : may_be_stored(anybody) ? Freshened::Keep::Leave
                                         : Freshened::Keep::Drop;
  result.own_fields = cache::left_out_fields(update, cc);
  result.parts.fields = core::Slice::copy(cache::stored_fields(head, cc));
  return result;
}

http::ResponseHead stored_head(const cache::Object& object) {
  http::ResponseHead head;
  head.status = object.meta().status;
  object.parse_fields(head.fields);
  return head;
}

}  // namespace tributary::proxy
