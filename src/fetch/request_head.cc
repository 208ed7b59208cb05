#include "fetch/request_head.h"

#include "http/content_decoder.h"
#include "http/range.h"

namespace tributary::fetch {
namespace {

using http::FieldName;

// Ours alone: what they say must fit what we do with the answer.
bool is_reserved(FieldName name) {
  switch (name) {
    case FieldName::Range:
    case FieldName::IfRange:
    case FieldName::Connection:
    case FieldName::TransferEncoding:
    case FieldName::ContentLength:
    case FieldName::Te: return true;
    default: return false;
  }
}

bool is_secret(FieldName name) {
  return name == FieldName::Authorization || name == FieldName::Cookie || name == FieldName::ProxyAuthorization;
}

}  // namespace

http::RequestHead request_head(const http::Url& url, const Settings& settings, bool is_at_origin,
                               const std::optional<Continuation>& continuation) {
  http::RequestHead head;
  head.method = http::Method::Get;
  head.target = url.target();
  http::FieldSection& fields = head.fields;
  fields.add(FieldName::Host, url.authority());
  fields.add(FieldName::UserAgent, settings.user_agent);
  fields.add(FieldName::Accept, "*/*");
  // Else a file as it is. Ranges are of what comes, coded or not.
  fields.add(FieldName::AcceptEncoding, settings.compressed ? http::kAcceptedCodings : "identity");
  for (const auto& [name, value] : settings.fields) {
    const FieldName token = http::field_name(name);
    if (is_reserved(token) || (!is_at_origin && (is_secret(token) || token == FieldName::Host))) continue;
    const bool replaces = token == FieldName::Host || token == FieldName::UserAgent || token == FieldName::Accept ||
                          token == FieldName::AcceptEncoding;
    replaces ? fields.set(name, value) : fields.add(name, value);
  }
  if (continuation) {
    std::string range;
    http::append_range(continuation->range, range);
    fields.add(FieldName::Range, range);
    fields.add(FieldName::IfRange, continuation->validator);
  }
  return head;
}

}  // namespace tributary::fetch
