#include "proxy/request.h"

#include <algorithm>
#include <utility>

#include "cache/explain.h"
#include "cache/invalidation.h"
#include "cache/key.h"
#include "cache/revalidation.h"
#include "http/conditional.h"
#include "http/range.h"
#include "http/text.h"
#include "http/via.h"
#include "proxy/content.h"
#include "proxy/covering.h"
#include "proxy/error_page.h"
#include "proxy/fetch_table.h"
#include "proxy/heads.h"
#include "proxy/http_session.h"
#include "proxy/refresh.h"
#include "proxy/tunnel.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using cache::Forward;
using core::Error;
using core::ErrorCode;
using core::Side;
using http::BodyKind;
using http::FieldName;
using http::Method;
using State = RequestState;

namespace {

// Contents of up to this size are stored in one go when they came whole with the head.
constexpr size_t kWhole = 64 * 1024;

// What of a content has come already, up to kWhole bytes and a part.
struct Gathered {
  core::Slice bytes;
  bool ended = false;
};

Gathered gather(http::BodySource& source) {
  Gathered here;
  std::string joined;  // of the second part on
  source.set_ready({});
  while (here.bytes.size() + joined.size() <= kWhole) {
    http::BodyPart part;
    const http::BodyRead read = source.read(part, kWhole);
    if (read != http::BodyRead::Part) {  // a failure is told again to whoever reads on
      here.ended = read == http::BodyRead::End;
      break;
    }
    if (here.bytes.empty() && joined.empty()) {
      here.bytes = std::move(part.bytes);
      continue;
    }
    if (joined.empty()) {
      joined = here.bytes.view();
      here.bytes = core::Slice();
    }
    joined += part.bytes.view();
  }
  if (!joined.empty()) here.bytes = core::Slice::copy(joined);
  return here;
}

}  // namespace

Request::Request(HttpSession& session)
    : session_(session), worker_(session.worker()), key_(session.take_key_buffer()) {}

Request::~Request() { session_.give_key_buffer(std::move(key_)); }

// --- routing ---

void Request::start() {
  began_ = worker_.loop().now();
  arrived_ = worker_.loop().unix_now();
  const http::RequestHead& head = session_.head();
  if (head.method == Method::Connect) return open_tunnel();
  // RFC 9112 3.2.4: asterisk-form is for OPTIONS alone.
  const bool is_asterisk = head.target == "*" && head.method == Method::Options;
  if (head.target.empty() || head.target.front() == '/' || is_asterisk) return answer_origin_form();

  const core::Result<http::UrlView> url = http::parse_absolute(head.target);
  if (!url) {
    Error error = url.error();
    error.side = Side::Client;
    return refuse(error, error.code == ErrorCode::UnsupportedProtocol ? "only http and https URLs are forwarded"
                                                                      : "the request target is not a valid URL",
                  RejectReason::Malformed);
  }
  url_ = *url;
  if (head.method_name() == "PURGE") return purge();
  if (http::via_contains(head.fields, worker_.settings().pseudonym)) {
    return refuse({.code = ErrorCode::LoopDetected}, "this proxy has forwarded the request already", RejectReason::Loop);
  }
  std::string_view reason;
  const core::Result<void> allowed =
      worker_.access().check_target(url_.authority.host, url_.port(), TargetKind::Forward, &reason);
  if (!allowed) {
    return refuse(allowed.error(), reason,
                  allowed.error().code == ErrorCode::DestinationProhibited ? RejectReason::Address : RejectReason::Target);
  }
  if (const uint64_t limit = worker_.settings().limit.body_size;
      limit != 0 && session_.framing().kind == BodyKind::Length && session_.framing().length > limit) {
    worker_.metrics().rejected(RejectReason::TooLarge);
    return answer_error({.code = ErrorCode::MessageTooLarge, .side = Side::Client}, "checking the request",
                        "the content is larger than limit.body_size", 413);
  }
  if ((head.method == Method::Trace || head.method == Method::Options) && answer_max_forwards()) return;
  route();
}

void Request::route() {
  const http::RequestHead& head = session_.head();
  upgrade_ = wants_upgrade(head, session_.framing());
  facts_ = cache::RequestFacts::of(head, url_.has_query, session_.framing().has_content());
  uses_cache_ = worker_.cache().store().enabled() && !upgrade_ && cache::may_use_cache(facts_);
  key_.clear();
  facts_.signature = cache::append_cache_key(url_, key_, worker_.policy().ignore_query);
  if (key_.size() > cache::kMaxKeySize) uses_cache_ = false;
  if (worker_.policy().offline) cache::go_offline(facts_.cc);
  if (uses_cache_) return look_up();
  if (worker_.policy().offline) return answer_only_from_cache("the proxy is offline, and this is no request for the cache");
  cache_status_.forward = upgrade_ || !worker_.cache().store().enabled() ? Forward::Bypass
                          : http::is_safe(head.method)                   ? Forward::Request
                                                                         : Forward::Method;
  forward();
}

void Request::open_tunnel() {
  const http::RequestHead& head = session_.head();
  const core::Result<http::Authority> authority = http::parse_connect_authority(head.target);
  if (!authority) {
    return refuse({.code = ErrorCode::InvalidArgument, .side = Side::Client}, "CONNECT wants host:port",
                  RejectReason::Malformed);
  }
  if (http::via_contains(head.fields, worker_.settings().pseudonym)) {
    return refuse({.code = ErrorCode::LoopDetected}, "this proxy has forwarded the request already", RejectReason::Loop);
  }
  TunnelRequest request;
  request.protocol = Protocol::Connect;
  request.host = authority->host;
  request.port = authority->port;
  request.minor = head.minor;
  head.fields.combined(FieldName::Accept, request.accept);
  request.user_agent = head.fields.find(FieldName::UserAgent).value_or("");
  core::Slice early;
  state_.become(State::Done);  // the tunnel logs itself
  std::unique_ptr<net::Stream> stream = session_.release_stream(early);
  worker_.adopt(std::make_unique<Tunnel>(worker_, std::move(stream), std::move(request))).connect(early.view());
}

// --- what the cache knows ---

void Request::look_up() {
  state_.become(State::LookingUp);
  on_looked_up();
}

void Request::on_looked_up() {
  entry_.reset();
  switch (worker_.cache().lookup(key_, entry_, pending_, core::Callback<void()>::to<&Request::on_looked_up>(this))) {
    case cache::Found::Pending:
      return;
    case cache::Found::Hit:
      return consider();
    case cache::Found::Miss:
      return fetch_through_lock(Forward::UriMiss);
  }
}

// The newest stored response that this request selects.
cache::ObjectRef Request::match() const {
  for (const cache::ObjectRef& object : entry_->variants) {
    if (!object->is_dead() && object->body().phase() != cache::BodyPhase::Failed &&
        cache::selects(*object, session_.head().fields)) {
      return object;
    }
  }
  return nullptr;
}

void Request::consider() {
  cache::ObjectRef object = match();
  if (!object) return fetch_through_lock(Forward::VaryMiss);
  if (!is_proven(object)) return;
  const core::UnixTime now = worker_.loop().unix_now();
  const cache::Decision decision = cache::decide(worker_.policy(), facts_.cc, object->meta(), now, facts_.signature);
  bool usable = decision.use == cache::Use::Fresh || decision.use == cache::Use::StaleAccepted;
  if (decision.use == cache::Use::StaleRevalidate && object->body().is_whole()) {
    // Neither for who will have nothing stored of this request, nor for who forbids a fetch.
    if (!facts_.cc.no_store && !cache::forbids_fetch(facts_.cc)) {
      worker_.refreshes().start(session_.head(), url_, facts_, key_, object);
    }
    usable = true;
  }
  if (usable) {
    // Reading along with a fetch that is still running is no hit: the origin is at work for this request too.
    followed_ |= object->body().is_filling() && first_lacking(*object);
    result_ = followed_ ? CacheResult::Collapsed
                        : decision.use != cache::Use::Fresh ? CacheResult::Stale : CacheResult::Hit;
    if (followed_) {
      cache_status_.forward = Forward::UriMiss;
      cache_status_.collapsed = true;
    } else {
      cache_status_.hit = true;
    }
    if (object->body().is_partial()) {
      stored_ = std::move(object);
      return on_partial();
    }
    return serve(std::move(object));
  }
  if (decision.use == cache::Use::GatewayTimeout) {
    return answer_only_from_cache("the stored response may not be used without asking the origin");
  }
  if (decision.because == cache::Because::OtherLocation) return consider_elsewhere(std::move(object), decision);
  // A partial object that is stale is fetched anew: completing it would need the same validation.
  if (!object->body().is_partial()) stored_ = std::move(object);
  fetch_through_lock(cache::forward_reason(decision));
}

// What came from another signed location of this resource: this one must confirm it first, and can by a strong validator only.
// Of a part that is under If-Range, of the whole a 304.
void Request::consider_elsewhere(cache::ObjectRef object, const cache::Decision& decision) {
  if (!object->meta().has(cache::kStrongEtag) || session_.head().method == Method::Head) {
    return fetch_through_lock(cache::forward_reason(decision));
  }
  if (!object->body().is_partial()) {
    stored_ = std::move(object);
    return fetch_through_lock(cache::forward_reason(decision));
  }
  const std::optional<http::ByteRange> lacking = first_lacking(*object);
  completing_ = lacking.has_value();
  if (completing_) {
    lacking_ = *lacking;
    stored_ = std::move(object);
  }
  fetch_through_lock(completing_ ? Forward::Partial : cache::forward_reason(decision));
}

// Is stored_ to be confirmed, and of another signed location?
bool Request::confirms_elsewhere() const { return stored_ && !completing_ && stored_->meta().signature != facts_.signature; }

// After an unclean end of the last session: whether what is stored is known to be what was stored, as far as that has to be
// known before the head is sent. Damage found later is repaired while the client waits (on_gap), but only where the rest
// can be asked for under If-Range. False: on_looked_up follows.
bool Request::is_proven(const cache::ObjectRef& object) {
  const std::optional<uint64_t> length = object->body().length();
  if (object->body().is_whole() || !length) return true;
  http::ByteRange wanted{0, *length};
  if (facts_.has_range && select_range(*object, *length) == Selected::Range) wanted = range_;
  if (object->meta().can_be_completed()) wanted.last = wanted.first + 1;
  return worker_.cache().is_proven(object, wanted.first, wanted.last, pending_,
                                   core::Callback<void()>::to<&Request::on_looked_up>(this));
}

std::unique_ptr<http::BodySource> Request::read(cache::ObjectRef object, uint64_t first, uint64_t last) {
  std::unique_ptr<cache::ObjectReader> reader = worker_.cache().read(std::move(object), first, last);
  reader->set_gap(core::Callback<bool(const cache::ObjectRef&, http::ByteRange)>::to<&Request::on_gap>(this));
  return reader;
}

// What our client reads has a hole: a piece proved damaged, or it never came. It is fetched for whoever reads there.
bool Request::on_gap(const cache::ObjectRef& object, http::ByteRange gap) {
  if (cache::forbids_fetch(facts_.cc)) return object->body().is_filling();
  std::unique_ptr<cache::Fill> fill = worker_.cache().fill_gap(object);
  if (!fill) return object->body().is_filling();  // somebody else's
  const http::BodyFraming framing{BodyKind::Length, object->body().length().value_or(0)};
  auto representation = upstream::Representation::of(stored_head(*object), framing, worker_.loop().unix_now());
  if (!representation) return false;
  representation->accepts_ranges = true;
  upstream::DownloadRequest request = download_request(*representation);
  request.scope = gap;
  worker_.fetches().add(std::move(fill), std::move(request));
  return true;
}

// A fresh object of which a part is missing: what is there is served, what is not is fetched under If-Range.
void Request::on_partial() {
  completing_ = stored_->body().length().has_value();
  if (completing_) {
    const std::optional<http::ByteRange> lacking = first_lacking(*stored_);
    if (session_.head().method == Method::Head || !lacking) {
      completing_ = false;
      return serve(std::exchange(stored_, nullptr));
    }
    lacking_ = *lacking;
  } else {
    stored_.reset();
  }
  cache_status_.hit = false;
  fetch_through_lock(Forward::Partial);
}

// Nobody fetches a key twice at a time: the first leads, the others wait for what it finds.
void Request::fetch_through_lock(Forward why) {
  if (cache::forbids_fetch(facts_.cc)) {
    return answer_only_from_cache("nothing that fits is stored");
  }
  cache_status_.forward = why;
  cache_status_.hit = false;
  // RFC 9111 5.2.1.5: nothing of the answer may be stored: it freshens and completes nothing, and nobody waits for it.
  if (facts_.cc.no_store) {
    stored_.reset();
    completing_ = false;
    return forward();
  }
  // What the client asks for a part of, or under its own condition, or without content, is not what the others want.
  const http::RequestHead& head = session_.head();
  cover_.clear();
  const bool covers = !completing_ && cover();
  if (!stored_ && ((facts_.has_range && !covers) || head.method == Method::Head || http::has_preconditions(head.fields))) {
    return forward();
  }
  // RFC 9111 4: an answer that we waited for, and may not use without the origin, is not ours: it was another client's. Who
  // comes to that asks for itself at once, and does not wait for the others who do; for one of another variant, the second time.
  if (alone_ || (followed_ && (why == Forward::Stale || why == Forward::Request || (why == Forward::VaryMiss && ++strange_variants_ > 1)))) {
    cover_.clear();
    return forward();
  }
  // Everybody asks whether his own location is good, all at a time. A URL has no "#", so no key is like that.
  const std::string own = confirms_elsewhere() ? key_ + '#' + std::to_string(facts_.signature) : std::string();
  switch (worker_.cache().begin_fetch(own.empty() ? key_ : own, fetch_, core::Callback<void()>::to<&Request::on_fetch_decided>(this))) {
    case cache::FetchRole::Leader:
      return forward();
    case cache::FetchRole::Alone:
      cover_.clear();
      return forward();
    case cache::FetchRole::Follower:
      stored_.reset();
      completing_ = false;
      state_.become(State::Following);
      return;
  }
}

void Request::on_fetch_decided() {
  const cache::FetchOutcome outcome = fetch_.outcome();
  fetch_.reset();
  followed_ = outcome == cache::FetchOutcome::Published;
  alone_ = outcome == cache::FetchOutcome::Failed;
  if (outcome == cache::FetchOutcome::Declined) {
    cover_.clear();
    return forward();
  }
  look_up();
}

// --- the origin ---

void Request::forward() {
  state_.become(State::Fetching);
  const http::RequestHead& client = session_.head();
  http::RequestHead head = request_for_origin(client, url_, upgrade_, worker_.settings().pseudonym);
  if (stored_) {
    http::FieldSection fields;
    stored_->parse_fields(fields);
    if (completing_) {
      std::string range;
      http::append_range(lacking_, range);
      cache::make_conditional(fields, head.fields);
      head.fields.remove(FieldName::IfNoneMatch);
      head.fields.remove(FieldName::IfModifiedSince);
      head.fields.set(FieldName::Range, range);
      head.fields.set(FieldName::IfRange, stored_->etag().empty() ? fields.find(FieldName::LastModified).value_or("")
                                                                  : std::string_view(stored_->etag()));
    } else {
      conditional_ = cache::make_conditional(fields, head.fields);
      if (confirms_elsewhere()) head.fields.remove(FieldName::IfModifiedSince);  // two versions of one second would do
    }
  }
  if (!cover_.empty()) {
    // Without the client's If-Range, which select_range judges: the answer is then of the newest version, with all its fields.
    head.fields.set(FieldName::Range, cover_);
    head.fields.remove(FieldName::IfRange);
  }
  if (session_.framing().has_content()) content_ = session_.take_content();
  request_time_ = worker_.loop().unix_now();
  epoch_ = worker_.cache().store().epoch();
  if (result_ != CacheResult::Collapsed) result_ = uses_cache_ ? CacheResult::Miss : CacheResult::Bypass;
  const upstream::Origin origin = origin_of(url_);
  exchange_ = worker_.upstream().start(
      {.origin = origin, .head = head, .body = content_.get(), .filter = worker_.access().address_filter()}, *this);
}

void Request::on_interim(const http::ResponseHead& head) {
  // RFC 9110 15.2: not to HTTP/1.0 clients; ours to relay otherwise.
  if (session_.head().minor == 0) return;
  http::ResponseHead interim = head;
  interim.fields.remove_hop_by_hop();
  std::string text;
  http::append_head(interim, text);
  session_.respond_interim(text);
}

void Request::on_head() {
  http::ResponseHead& response = exchange_->head();
  const core::UnixTime now = worker_.loop().unix_now();
  if (exchange_->framing().kind == BodyKind::Tunnel) return switch_protocols();
  cache_status_.forward_status = response.status;

  if (response.status == 304 && conditional_) return on_not_modified();
  if (response.status == 200 && session_.head().method == Method::Head && stored_ && on_stored_head()) return;
  if (stored_ && !completing_ && cache::is_stale_if_error_status(response.status) &&
      cache::may_serve_stale_on_error(worker_.policy(), facts_.cc, stored_->meta(), now, facts_.signature)) {
    result_ = CacheResult::Stale;
    exchange_.reset();
    fetch_.fail();
    return serve(std::exchange(stored_, nullptr));
  }
  clean_response(response, worker_.date(), worker_.settings().pseudonym);
  if (!http::is_safe(session_.head().method)) {
    const core::Result<http::Url> target = http::Url::parse(key_);
    if (target) invalidate(*target);
    epoch_.change = worker_.cache().store().epoch().change;  // what it brings itself is of after the change
    facts_.response_is_of_target = target && cache::is_of_target(*target, response.fields);
  }

  // RFC 9110 9.3.3: the response to a POST may answer the GETs that follow.
  const bool is_post = session_.head().method == Method::Post && facts_.response_is_of_target &&
                       worker_.cache().store().enabled() && key_.size() <= cache::kMaxKeySize;
  if (uses_cache_ || is_post) {
    const http::CacheControl cc = cache::response_directives(worker_.policy(), response.fields);
    if (store(cc)) return;
    if (!cover_.empty() && answer_from_cover()) return;
    // Another 206, a 304 to the client's own condition and the like say nothing about what the next one gets.
    // Nor does a refusal of one signed location, about the others.
    if (response.status == 206 || response.status == 304 || session_.head().method == Method::Head ||
        (facts_.signature != 0 && response.status != 200)) {
      fetch_.reset();
    } else {
      fetch_.decline();
    }
  }
  pass_through({});
}

// Stores what came, when it may be stored; this request then reads along. False: nothing was consumed.
bool Request::store(const http::CacheControl& cc) {
  const http::ResponseHead& response = exchange_->head();
  const http::BodyFraming framing = exchange_->framing();
  const auto representation = upstream::Representation::of(response, framing, worker_.loop().unix_now());
  if (completing_ && complete(representation)) return true;
  // A part as a client asked for it is passed on; what covers it is stored.
  const bool is_part = response.status == 206;
  if (is_part && !is_storable_part(representation)) return false;
  cache::ObjectParts parts;
  if (const cache::Verdict verdict = parts_to_store(asked(), response, cc, parts); !verdict) {
    worker_.cache().note_refusal(key_, verdict.reason, response.status);
    return false;
  }
  own_fields_ = cache::left_out_fields(response.fields, cc);
  std::optional<uint64_t> length;
  if (framing.kind == BodyKind::Length) length = framing.length;
  if (framing.kind == BodyKind::None) length = 0;
  if (is_part) length = representation->length;

  // Small contents mostly come whole with their head: no fill, no task, one copy.
  Gathered here{.ended = length == 0};
  if (!here.ended && !is_part && length.value_or(0) <= kWhole) here = gather(*exchange_);
  // What a POST brings is asked for once: a fill might have to ask again, and must not outlive the request's own content. It
  // is kept as it goes by.
  if (!here.ended && session_.head().method != Method::Get) {
    pass_through(std::move(here.bytes), std::move(parts));
    return true;
  }
  cache::ObjectRef object;
  if (here.ended) {
    object = worker_.cache().store_whole(std::move(parts), here.bytes, &fetch_);
    if (object) exchange_.reset();
  } else if (std::unique_ptr<cache::Fill> fill = worker_.cache().start_fill(std::move(parts), length, &fetch_)) {
    object = fill->object();
    if (here.bytes.empty() && representation) {
      upstream::DownloadRequest request = download_request(*representation);
      if (is_part) request.scope = whole_pieces(representation->content, object->body().piece_size(), *length);
      worker_.fetches().add(std::move(fill), std::move(request), std::move(exchange_));
    } else {
      worker_.fetches().add(std::move(fill), std::move(here.bytes), std::move(exchange_));
    }
  }
  if (object) {
    cache_status_.stored = true;
    stored_.reset();
    serve(std::move(object));
  } else {
    // No room, or the disk refuses: everybody gets it from the origin.
    fetch_.decline();
    if (is_part) return false;
    pass_through(std::move(here.bytes));
  }
  return true;
}

// The answer to our request for the rest of a partial object. False: it is another version, whole; to be stored like any.
bool Request::complete(const std::optional<upstream::Representation>& rest) {
  const uint16_t status = exchange_->head().status;
  if (status != 206 && status != 416) return false;
  // 416 answers our Range, not the client's: there is a shorter version now.
  bool is_same = status == 206 && rest && rest->length == stored_->body().length() && rest->etag == stored_->etag();
  if (is_same && rest->etag.empty()) {
    is_same = rest->last_modified == stored_head(*stored_).fields.find(FieldName::LastModified).value_or("");
  }
  // RFC 9111 3: the part, too, comes to this client, under these directives.
  is_same = is_same && cache::storable(worker_.policy(), facts_, exchange_->head(),
                                       cache::response_directives(worker_.policy(), exchange_->head().fields),
                                       worker_.loop().unix_now());
  std::unique_ptr<cache::Fill> fill = is_same ? worker_.cache().resume_fill(stored_, &fetch_) : nullptr;
  if (!fill) {
    fetch_anew();
    return true;
  }
  cache_status_.stored = true;
  upstream::DownloadRequest request = download_request(*rest);
  request.scope = lacking_;
  worker_.fetches().add(std::move(fill), std::move(request), std::move(exchange_));
  serve(std::exchange(stored_, nullptr));
  return true;
}

upstream::DownloadRequest Request::download_request(const upstream::Representation& representation) {
  return {origin_of(url_), request_for_origin(session_.head(), url_, false, worker_.settings().pseudonym),
          worker_.access().address_filter(), representation, std::nullopt};
}

// What is stored cannot be used with what the origin says: it goes, unless somebody else completes it by now, and we look
// again. Once: others may store, and the origin may confirm the wrong thing, for ever. Then the whole is asked for.
void Request::fetch_anew() {
  if (!stored_->body().is_filling()) worker_.cache().remove(stored_);
  stored_.reset();
  conditional_ = completing_ = false;
  exchange_.reset();
  fetch_.reset();
  if (!std::exchange(anew_, true)) return look_up();
  cover_.clear();
  forward();
}

Asked Request::asked() const {
  return {worker_.policy(), facts_,        session_.head().fields,
          key_,             epoch_, request_time_, worker_.loop().unix_now()};
}

// RFC 9111 4.3.4
void Request::on_not_modified() {
  const bool elsewhere = confirms_elsewhere();
  const http::FieldSection& fields = exchange_->head().fields;
  std::optional<Freshened> freshened;
  // Of another location by the same strong validator only: If-None-Match is compared weakly (RFC 9110 13.1.2).
  if (!elsewhere || fields.find(FieldName::ETag).value_or(stored_->etag()) == stored_->etag()) {
    freshened = freshen_stored(asked(), *stored_, exchange_->head().fields);
  }
  if (!freshened && elsewhere) {
    stored_.reset();
    conditional_ = false;
    exchange_.reset();
    return forward();
  }
  if (!freshened) return fetch_anew();  // about another version than ours
  if (elsewhere) cache_status_.detail = "signed-location";
  serve_freshened(*std::move(freshened));
}

// RFC 9111 4.3.5: what a HEAD brings updates the stored response to GET, or shows that it is outdated (then: false).
bool Request::on_stored_head() {
  http::FieldSection& fields = exchange_->head().fields;
  std::optional<Freshened> freshened;
  // What is stored of another status is about another time.
  if (stored_->meta().status == 200 &&
      cache::judge_head(stored_head(*stored_).fields, stored_->body().length(), fields) == cache::HeadSays::Freshen) {
    freshened = freshen_stored(asked(), *stored_, fields);
  }
  if (!freshened) {
    worker_.cache().remove(stored_);
    stored_.reset();
    return false;
  }
  serve_freshened(*std::move(freshened));
  return true;
}

void Request::serve_freshened(Freshened freshened) {
  exchange_.reset();
  own_fields_ = std::move(freshened.own_fields);
  result_ = CacheResult::Revalidated;
  cache::ObjectRef fresh;
  if (freshened.keep == Freshened::Keep::Store) fresh = worker_.cache().refresh(stored_, freshened.parts, &fetch_);
  if (freshened.keep == Freshened::Keep::Drop) worker_.cache().remove(stored_);
  if (!fresh) {
    // Not to be stored, or it was removed meanwhile: its content may still be read, and is what the origin confirmed.
    fresh = std::make_shared<const cache::Object>(std::move(freshened.parts), stored_->stored_body());
    fetch_.reset();
  }
  stored_.reset();
  serve(std::move(fresh));
}

void Request::on_failed(Error error) {
  fetch_.fail();
  const core::UnixTime now = worker_.loop().unix_now();
  const bool prohibited = error.code == ErrorCode::DestinationProhibited;
  if (stored_ && !completing_ && !prohibited &&
      cache::may_serve_stale_on_error(worker_.policy(), facts_.cc, stored_->meta(), now, facts_.signature)) {
    result_ = CacheResult::Stale;
    exchange_.reset();
    return serve(std::exchange(stored_, nullptr));
  }
  if (prohibited) worker_.metrics().rejected(RejectReason::Address);
  if (error.code == ErrorCode::MessageTooLarge && error.side == Side::Client) {
    worker_.metrics().rejected(RejectReason::TooLarge);
    return answer_error(error, "reading the content", "the content is larger than limit.body_size", 413);
  }
  answer_error(error, "fetching from the origin");
}

void Request::invalidate(const http::Url& target) {
  std::vector<std::string> keys;
  cache::invalidated_keys(session_.head().method, target, exchange_->head(), keys, worker_.policy().ignore_query);
  for (const std::string& key : keys) worker_.cache().invalidate(key);
}

// 101: the connection is a tunnel from here on (RFC 9110 7.8). The head travels in front of the origin's first bytes.
void Request::switch_protocols() {
  if (!upgrade_) {
    return answer_error({.code = ErrorCode::MalformedMessage, .side = Side::Origin}, "reading the response",
                        "the origin switched protocols without being asked to");
  }
  http::ResponseHead head = exchange_->head();
  std::string upgrade;
  head.fields.combined(FieldName::Upgrade, upgrade);
  head.fields.remove_hop_by_hop();
  head.fields.add(FieldName::Connection, "upgrade");
  head.fields.add(FieldName::Upgrade, upgrade);
  http::append_via(head.fields, head.minor, worker_.settings().pseudonym);
  std::string from_origin;
  http::append_head(head, from_origin);
  upstream::SwitchedStream switched = exchange_->take_stream();
  from_origin += switched.initial.view();

  TunnelRequest request;
  request.protocol = Protocol::Http;
  request.host = url_.authority.host;
  request.port = url_.port();
  core::Slice from_client;
  state_.become(State::Done);  // the tunnel logs itself
  std::unique_ptr<net::Stream> stream = session_.release_stream(from_client);
  worker_.adopt(std::make_unique<Tunnel>(worker_, std::move(stream), std::move(request)))
      .relay(std::move(switched.stream), from_client.view(), from_origin, std::move(switched.place));
}

}  // namespace tributary::proxy
