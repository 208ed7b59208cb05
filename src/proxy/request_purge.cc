// PURGE, the method that caches have agreed on without a standard: the stored responses of a URL go. It is for us, from
// whomever admin.allow_clients names, and never forwarded: not even to whom we may not listen to.
#include <fmt/format.h>

#include "cache/key.h"
#include "proxy/error_page.h"
#include "proxy/http_session.h"
#include "proxy/request.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using core::ErrorCode;
using core::Side;

void Request::purge() {
  if (!worker_.access().allows_purge(session_.peer())) {
    return refuse({.code = ErrorCode::Forbidden, .side = Side::Client},
                  "this client may not purge (admin.allow_clients)", RejectReason::Client);
  }
  key_.clear();
  cache::append_cache_key(url_, key_, worker_.policy().ignore_query);
  state_.become(RequestState::Purging);
  purge_ = std::make_unique<cache::PurgeWait>();
  if (!worker_.cache().store().purge({cache::Selection::By::Url, key_}, worker_.loop(), *purge_,
                                     core::Callback<void()>::to<&Request::on_purged>(this))) {
    answer_error({.code = ErrorCode::LimitReached, .side = Side::Us}, "purging", "too many purges are under way", 503);
  }
}

void Request::on_purged() {
  const cache::Purged purged = purge_->result();
  purge_.reset();
  if (!purged.durable) {
    return answer_error({.code = ErrorCode::StorageIo, .side = Side::Us}, "purging",
                        "it is not served any more, but the disk refuses to forget it: a restart may bring it back", 503);
  }
  const uint16_t status = purged.objects > 0 ? 200 : 404;
  const bool close = closes();
  const AnswerContext context{.pseudonym = worker_.settings().pseudonym,
                              .date = worker_.date(),
                              .close = close};
  std::string response;
  append_answer(status, {}, "application/json", fmt::format("{{\"objects\": {}}}\n", purged.objects), context, response);
  answering(status);
  session_.respond(response, core::Slice(), close);
}

}  // namespace tributary::proxy
