#include "fetch/public_suffix.h"

#include <libpsl.h>

#include <cstdio>

#include "http/date.h"
#include "net/address.h"

namespace tributary::fetch {
namespace {

// A psl_ctx_t, seen from a header without libpsl.
const psl_ctx_t* list_of(const void* data) {
  return static_cast<const psl_ctx_t*>(data);
}

}  // namespace

void PublicSuffixList::Release::operator()(Data* data) const {
  psl_free(reinterpret_cast<psl_ctx_t*>(data));
}

PublicSuffixList::PublicSuffixList() : data_(reinterpret_cast<const Data*>(psl_builtin())) {}

PublicSuffixList::PublicSuffixList(const std::string& text) {
  // libpsl reads streams only; this one is memory.
  FILE* stream = fmemopen(const_cast<char*>(text.data()), text.size(), "r");
  if (stream) {
    given_.reset(reinterpret_cast<Data*>(psl_load_fp(stream)));
    fclose(stream);
  }
  data_ = given_.get();
}

bool PublicSuffixList::is_public_suffix(std::string_view domain) const {
  if (domain.find('.') == std::string_view::npos) return true;
  return psl_is_public_suffix(list_of(data_), std::string(domain).c_str()) == 1;
}

std::string PublicSuffixList::site_of(std::string_view host) const {
  std::string name(host);
  if (net::IpAddress::parse(host)) return name;
  const char* site = psl_registrable_domain(list_of(data_), name.c_str());
  return site ? std::string(site) : name;
}

std::string PublicSuffixList::describe() const {
  const std::string rules = std::to_string(psl_suffix_count(list_of(data_))) + " rules";
  if (given_) return "given, " + rules;
  if (!data_) return "none";
  char date[http::kDateSize];
  http::format_date(psl_builtin_file_time(), date);
  return "built in, " + rules + " of " + std::string(date + 5, 11);
}

}  // namespace tributary::fetch
