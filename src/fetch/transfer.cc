#include "fetch/transfer.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "fetch/file_name.h"
#include "fetch/list_file.h"
#include "fetch/url_trail.h"
#include "http/link.h"

namespace tributary::fetch {
namespace {

constexpr size_t kMaxDuplicates = 16;  // that one response may name
constexpr size_t kMaxSources = 32;     // each is tried, so more would cost more than they bring

bool is_strong(const http::Digest& digest) { return digest.algorithm >= http::HashAlgorithm::Sha256; }

}  // namespace

using State = TransferState;
using Event = TransferObserver::Event;
using core::ErrorCode;

Transfer::Transfer(const TransferContext& context, Target target, uint64_t number, core::Callback<void()> done)
    : context_(context),
      target_(std::move(target)),
      number_(number),
      done_(done),
      rate_(context.settings.rate_each),
      part_(context.loop, context.offload, core::Callback<void()>::to<&Transfer::on_part_failed>(this)),
      timer_(context.loop),
      again_(context.loop) {
  std::vector<RateLimit*> limits;
  if (rate_.is_limited()) limits.push_back(&rate_);
  if (context.rate.is_limited()) limits.push_back(&context.rate);
  part_.limit(std::move(limits));
}

Transfer::~Transfer() = default;

void Transfer::start() {
  started_ = context_.loop.now();
  const core::Result<http::Url> url = parse_url(target_.url);
  if (!url) {
    const bool is_foreign = url.error().code == ErrorCode::UnsupportedProtocol;
    return leave(ExitStatus::Usage, is_foreign ? "only http and https URLs can be fetched" : "this is no URL");
  }
  sources_.push_back(*url);
  for (const std::string& mirror : target_.mirrors) {
    if (sources_.size() == kMaxSources) break;
    const core::Result<http::Url> other = parse_url(mirror);
    if (!other) return leave(ExitStatus::Usage, "this source is no http or https URL: " + mirror);
    std::string why;
    if (!context_.proxies.route(*other, why)) return leave(ExitStatus::Usage, std::move(why));
    if (std::find(sources_.begin(), sources_.end(), *other) == sources_.end()) sources_.push_back(*other);
  }
  url_ = *url;
  users_url_ = url_;
  if (target_.login) own_login_ = context_.visitor.introduce(url_, *target_.login);
  if (!context_.settings.resume) return request();
  // Before the answer the name can only come from the URL.
  const std::string name = file_name_of(url_);
  file_name_ = name.empty() ? std::string(kNamelessFile) : name;
  state_.become(State::Finding);
  open_part(true);
}

// --- asking ---

void Transfer::request() {
  state_.become(State::Requesting);
  redirects_.emplace(url_, context_.settings.max_redirects, context_.visitor.hsts(), context_.loop.unix_now());
  challenges_ = 0;
  continuation_.reset();
  const PartState& part = part_.state();
  if (part_.is_open() && takes_pieces_ && part.can_be_resumed() && part_.bytes() > 0) {
    if (const auto gap = part.first_gap()) continuation_ = Continuation{*gap, part.validator};
  }
  send();
}

void Transfer::send() {
  const http::Url& url = redirects_->current();
  origin_ = upstream::Origin::from(url);
  std::string why;
  std::optional<upstream::RoutePtr> route = context_.proxies.route(url, why);
  if (!route) return leave(ExitStatus::Usage, std::move(why));
  origin_.route = std::move(*route);
  head_ = request_head(url, context_.settings, is_at_origin(), continuation_);
  dress(head_);
  exchange_ = context_.client.start({.origin = origin_, .head = head_}, *this);
}

// Also for the further requests of a split download.
void Transfer::dress(http::RequestHead& head) {
  context_.visitor.dress(head, visit(), context_.loop.unix_now());
}

void Transfer::on_failed(core::Error error) {
  forget_response();
  const std::string problem = describe(error);
  if (change_source(problem, !is_worth_retrying(error, has_answered_))) return request();
  if (!is_worth_retrying(error, has_answered_)) return leave(exit_status(error), problem);
  try_again(exit_status(error), problem);
}

// Whose fault it is, and what.
std::string Transfer::describe(const core::Error& error) const {
  if (error.side != core::Side::Parent || !origin_.route) return fmt::format("{}: {}", origin_.to_string(), explain(error));
  return fmt::format("{}: the proxy {}: {}", origin_.to_string(), origin_.route->to_string(), explain(error));
}

// The first source is of no use, now or at all: the next one is asked. False: there is none that was not tried since the last
// wait.
bool Transfer::change_source(const std::string& why, bool for_good) {
  // Another source has another validator: what is there is worth some patience with the one it came from.
  const bool is_worth_waiting = part_.is_open() && part_.bytes() > 0 && part_.state().can_be_resumed() &&
                                attempt_ < context_.settings.retry.retries;
  if (sources_.size() < 2 || (!for_good && (is_worth_waiting || ++changes_ >= sources_.size()))) return false;
  tell(Event::Retrying, fmt::format("{}; asking another source", why));
  if (!for_good) sources_.push_back(sources_.front());
  sources_.erase(sources_.begin());
  url_ = sources_.front();
  return true;
}

void Transfer::on_head() {
  has_answered_ = true;
  const http::ResponseHead& head = exchange_->head();
  std::string text = fmt::format("{} {}\n", head.status, head.reason);
  for (const http::Field& field : head.fields) text += fmt::format("{}: {}\n", field.name, field.value);
  tell(Event::Response, text);
  context_.visitor.note(visit(), head.fields, context_.loop.unix_now());
  if (Redirects::is_redirect(head.status)) return follow_redirect();
  if (head.status == 401) return on_challenge();
  if (head.status == 407 && origin_.route) {
    return leave(ExitStatus::Credentials, describe({.code = ErrorCode::ParentCredentials, .side = core::Side::Parent}));
  }
  representation_ = upstream::Representation::of(head, exchange_->framing(), context_.loop.unix_now());
  if (!representation_) return on_status();
  on_representation();
}

void Transfer::follow_redirect() {
  Redirects::Step step = redirects_->follow(exchange_->head(), context_.loop.unix_now());
  if (!step.url) {
    forget_response();
    return leave(ExitStatus::Protocol, std::move(step.problem));
  }
  tell(Event::Redirected, step.url->text());
  state_.become(State::Requesting);
  send();
}

void Transfer::on_challenge() {
  std::string why;
  const bool is_answerable = context_.visitor.is_answerable(visit(), head_, exchange_->head().fields, why);
  if (!is_answerable || ++challenges_ >= Authenticator::kMaxTries) {
    return leave(ExitStatus::Credentials, is_answerable ? "the server asks for credentials again and again" : why);
  }
  state_.become(State::Requesting);
  send();
}

// A response that brings no file.
void Transfer::on_status() {
  const http::ResponseHead& head = exchange_->head();
  const uint16_t status = head.status;
  const core::Duration wait = retry_after(head.fields, context_.loop.unix_now());
  forget_response();
  const bool is_nonsense = status == 200 || status == 206;
  if ((status == 416 || is_nonsense) && continuation_) {  // it is shorter now, or ranges are beyond this server
    takes_pieces_ = false;
    return request();
  }
  if (is_nonsense) return try_again(ExitStatus::Protocol, "the server's answer contradicts itself");
  const std::string_view phrase = http::reason_phrase(status);
  std::string problem = fmt::format("the server answered {}{}{}", status, phrase.empty() ? "" : " ", phrase);
  if (change_source(problem, !is_worth_retrying(status))) return request();
  if (!is_worth_retrying(status)) return leave(exit_status_of_response(status), std::move(problem));
  if (wait > context_.settings.retry.longest_wait) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait).count();
    return leave(ExitStatus::Server, fmt::format("{}, and wants to be asked again in {} s only", problem, seconds));
  }
  try_again(ExitStatus::Server, std::move(problem), wait);
}

// --- what the answer brings ---

void Transfer::on_representation() {
  const upstream::Representation& here = *representation_;
  const uint16_t status = exchange_->head().status;
  const bool is_coded = context_.settings.compressed && !here.content_encoding.empty();  // the size is of the file
  if (target_.size && !is_coded && here.length && *here.length != *target_.size) {
    const std::string problem = fmt::format("{} has {} bytes, not {}", origin_.to_string(), *here.length, *target_.size);
    forget_response();
    return change_source(problem, true) ? request() : leave(ExitStatus::Protocol, problem);
  }
  note_duplicates();
  if (status == 206 && (!continuation_ || here.content.first != continuation_->range.first ||
                        !part_.state().is_same_version(here))) {
    const bool was_asked = continuation_.has_value();
    forget_response();
    if (was_asked) {
      takes_pieces_ = false;
      return request();
    }
    return try_again(ExitStatus::Protocol, "the server sent a part of the file without being asked for one");
  }
  if (!part_.is_open()) {
    file_name_ = choose_file_name(exchange_->head().fields, url_);
    return open_part(false);
  }
  if (status == 206 || (takes_pieces_ && part_.bytes() > 0 && part_.state().is_same_version(here))) return download();
  restart(part_.bytes() > 0 ? "the server has another version, or none that can be continued" : "");
}

std::string Transfer::wished_path() const {
  const std::string& name = target_.output.empty() ? file_name_ : target_.output;
  if (context_.settings.directory.empty() || name.starts_with('/')) return name;
  return context_.settings.directory + (context_.settings.directory.ends_with('/') ? "" : "/") + name;
}

void Transfer::open_part(bool only_find) {
  if (only_find) {
    part_.open({wished_path(), users_url_.text(), true, context_.settings.compressed, true}, Done::to<&Transfer::on_found>(this));
    return;
  }
  state_.become(State::Opening);
  part_.open({wished_path(), users_url_.text(), context_.settings.resume, context_.settings.compressed, false}, Done::to<&Transfer::on_opened>(this));
}

// -c, before anything was asked.
void Transfer::on_found() {
  if (part_.opened().kind != OpenedPart::Kind::Resumed) return request();
  name_ = part_.path();
  most_ = part_.bytes();
  expect_digests();
  tell(Event::Resumed, name_);
  part_.state().is_whole() ? commit() : request();
}

void Transfer::on_opened() {
  switch (part_.opened().kind) {
    case OpenedPart::Kind::Existing: {
      const OpenedPart& found = part_.opened();
      name_ = found.place.path;
      if (context_.settings.compressed && PartState::has_coding(representation_->content_encoding)) {
        return leave(ExitStatus::File, fmt::format("{} is there, and cannot be compared with what comes compressed; remove it, or choose another name with -o", name_));
      }
      if (representation_->length == found.size) {
        report_.was_there = true;
        report_.path = name_;
        report_.length = found.size;
        return leave(ExitStatus::Ok, {});
      }
      return leave(ExitStatus::File, fmt::format("{} is there, but is not this file; remove it, or choose another name with -o", name_));
    }
    case OpenedPart::Kind::Resumed:
      name_ = part_.path();
      most_ = part_.bytes();
      digests_ = http::representation_digests(exchange_->head().fields);
      expect_digests();
      tell(Event::Resumed, name_);
      if (part_.state().is_whole()) return commit();
      // The answer brings all of it: what lacks is asked for instead.
      forget_response();
      return request();
    case OpenedPart::Kind::Fresh:
      name_ = part_.path();
      tell(Event::Named, name_);
      return restart("");
    case OpenedPart::Kind::Nothing:
    case OpenedPart::Kind::Failed:
      break;
  }
  const core::Error error = part_.opened().error;
  forget_response();
  leave(ExitStatus::File, fmt::format("{}: {}", wished_path(), explain(error)));
}

void Transfer::restart(const char* why) {
  if (*why) tell(Event::Restarted, why);
  state_.become(State::Restarting);
  digests_ = http::representation_digests(exchange_->head().fields);
  from_others_.clear();
  part_.restart(PartState::of(users_url_.text(), redirects_->current().text(), *representation_, context_.settings.compressed),
                PartFile::Done::to<&Transfer::on_restarted>(this));
}

void Transfer::on_restarted(core::Result<void> result) {
  if (!result) {
    forget_response();
    return leave(exit_status(result.error()), fmt::format("{}: {}", name_, explain(result.error())));
  }
  expect_digests();
  download();
}

// The strongest of what the server says is of what comes (RFC 9530, 2: with its content coding), what the user says of FILE.
void Transfer::expect_digests() {
  std::vector<http::Digest> coming, file = context_.settings.digests;
  if (const http::Digest* digest = http::strongest(digests_)) coming.push_back(*digest);
  file.insert(file.end(), target_.digests.begin(), target_.digests.end());
  part_.expect(std::move(coming), std::move(file), target_.pieces);
}

// Of what comes.
std::vector<http::Digest> Transfer::known_digests() const {
  std::vector<http::Digest> known;
  if (!part_.state().unpacks) {
    known = context_.settings.digests;
    known.insert(known.end(), target_.digests.begin(), target_.digests.end());
  }
  if (const http::Digest* digest = http::strongest(digests_)) known.push_back(*digest);
  return known;
}

// RFC 6249: other sources that the server names. Only a digest shows that they have the same bytes (section 7).
void Transfer::note_duplicates() {
  if (!takes_others_) return;  // from here on each step has fewer sources, so there is an end
  const http::FieldSection& fields = exchange_->head().fields;
  std::vector<http::Digest> digests = http::representation_digests(fields);
  for (const http::Digest& digest : known_digests()) digests.push_back(digest);
  if (std::none_of(digests.begin(), digests.end(), is_strong)) return;
  const http::Url& here = redirects_->current();
  size_t taken = 0;
  for (const http::DuplicateLink& link : http::download_links(fields, here).duplicates) {
    const bool is_downgrade = here.scheme() == http::Scheme::Https && link.url.scheme() == http::Scheme::Http;
    const bool is_known = link.url == here || std::find(sources_.begin(), sources_.end(), link.url) != sources_.end();
    std::string why;
    if (is_downgrade || is_known || !context_.proxies.route(link.url, why) || ++taken > kMaxDuplicates) continue;
    sources_.push_back(link.url);
    tell(Event::Redirected, "also at " + link.url.text());
  }
}

std::unique_ptr<upstream::Trail> Transfer::make_trail(size_t source) {
  const http::Url& url = sources_[source];
  return std::make_unique<UrlTrail>(url, is_users(url), own_login_.get(), context_.settings, context_.visitor, context_.proxies, context_.loop);
}

void Transfer::download() {
  state_.become(State::Downloading);
  if (part_.error()) return on_disk_failure();  // while nobody wrote: the state file
  takes_pieces_ = true;
  download_ = std::make_unique<upstream::Download>(
      context_.client, context_.accelerate,
      upstream::DownloadRequest{
          .origin = origin_,
          .head = head_,
          .representation = *representation_,
          .prepare = core::Callback<void(http::RequestHead&)>::to<&Transfer::dress>(this),
          .trails = this,
          // What each source makes of a coding is its own: coded content is never put together from several.
          .more_sources = takes_others_ && !part_.state().unpacks ? sources_.size() - 1 : 0,
          .is_redirected = redirects_->count() > 0,
          .digests = known_digests(),
          .checked_piece = part_.checked_piece()},
      part_,
      Done::to<&Transfer::on_downloaded>(this));
  download_->start(std::move(exchange_));
}

void Transfer::on_downloaded() {
  using Outcome = upstream::Download::Outcome;
  const Outcome outcome = download_->outcome();
  const core::Error error = download_->error();
  forget_response();
  if (outcome == Outcome::Finished) return commit();
  if (outcome == Outcome::Wrong) {
    is_wrong_ = true;
    return leave(ExitStatus::Protocol, fmt::format("{}: pieces do not have their hashes, and there is no other source; it is not kept", name_));
  }
  if (outcome == Outcome::Changed) takes_pieces_ = false;
  const std::string problem = outcome == Outcome::Changed
                                  ? "the file changed at the server while it was fetched"
                                  : describe(error);
  if (!is_worth_retrying(error, true)) return leave(exit_status(error), problem);
  try_again(exit_status(error), problem);
}

void Transfer::on_part_failed() {
  if (!state_.is(State::Downloading)) return;  // the operation that runs will say so
  again_.schedule(Done::to<&Transfer::on_disk_failure>(this));
}

void Transfer::on_disk_failure() {
  if (!state_.is(State::Downloading)) return;
  forget_response();
  leave(exit_status(*part_.error()), fmt::format("{}: {}", name_, explain(*part_.error())));
}

void Transfer::commit() {
  forget_response();
  state_.become(State::Committing);
  part_.commit(PartFile::Done::to<&Transfer::on_committed>(this));
}

void Transfer::on_committed(core::Result<void> result) {
  if (!result && !part_.mismatch().empty() && mend()) return request();
  if (!result && !part_.mismatch().empty()) {
    return leave(ExitStatus::Protocol, fmt::format("{} is not the file that was meant: {}; it is not kept", name_, part_.mismatch()));
  }
  if (!result) return leave(exit_status(result.error()), fmt::format("{}: {}", name_, explain(result.error())));
  report_.status = ExitStatus::Ok;
  report_.path = name_ = part_.path();
  report_.length = part_.length();
  state_.become(State::Over);
  again_.schedule(Done::to<&Transfer::on_over>(this));
}

// The whole is not what its digest says, and there were several sources: what cannot be told apart by pieces is told apart by
// asking one alone. False: there is nobody left to ask.
bool Transfer::mend() {
  if (part_.checked_piece() > 0) return false;  // what was said of the pieces contradicts what was said of the whole
  const std::string why = part_.mismatch();
  takes_others_ = false;
  if (!from_others_.empty()) {
    tell(Event::Restarted, why + "; what other sources brought is fetched again");
    for (const http::ByteRange& range : from_others_.ranges()) part_.distrust(range);
    from_others_.clear();
    expect_digests();
    return true;
  }
  takes_pieces_ = false;
  return change_source(why, true);
}

// --- trying again, and ending ---

void Transfer::forget_response() {
  if (download_) {
    fetched_before_ += download_->snapshot().fetched;
    for (const http::ByteRange& range : download_->brought_by_others()) from_others_.add(range.first, range.last);
  }
  download_.reset();
  exchange_.reset();
}

void Transfer::try_again(ExitStatus status, std::string problem, core::Duration at_least) {
  if (part_.is_open() && part_.bytes() > most_ && part_.state().can_be_resumed()) {
    most_ = part_.bytes();
    attempt_ = 0;
  }
  if (++attempt_ > context_.settings.retry.retries) return leave(status, std::move(problem));
  const double chance = static_cast<double>(random_() - random_.min()) / (static_cast<double>(random_.max()) + 1);
  const core::Duration wait = std::max(retry_delay(context_.settings.retry, attempt_, chance), at_least);
  tell(Event::Retrying, fmt::format("{}; trying again in {:.1f} s", problem, std::chrono::duration<double>(wait).count()));
  changes_ = 0;
  state_.become(State::Waiting);
  timer_.start(wait, Done::to<&Transfer::request>(this));
}

void Transfer::stop() {
  if (state_.is(State::Committing) || state_.is(State::Leaving) || state_.is(State::Over)) return;
  report_.is_stopped = true;
  timer_.stop();
  again_.cancel();
  forget_response();
  leave(ExitStatus::Generic, "interrupted");
}

void Transfer::leave(ExitStatus status, std::string problem) {
  report_.status = status;
  report_.problem = std::move(problem);
  timer_.stop();
  forget_response();
  state_.become(State::Leaving);
  const auto done = PartFile::Done::to<&Transfer::on_left>(this);
  if (!part_.is_open()) return on_left({});
  report_.can_continue = part_.state().can_be_resumed() && part_.bytes() > 0 && part_.mismatch().empty() && !is_wrong_;
  report_.can_continue ? part_.settle(done) : part_.remove(done);
}

void Transfer::on_left(core::Result<void> result) {
  if (!result) report_.can_continue = false;
  state_.become(State::Over);
  again_.schedule(Done::to<&Transfer::on_over>(this));
}

void Transfer::on_over() {
  report_.duration = context_.loop.now() - started_;
  report_.fetched = fetched_before_;
  is_told_ = true;
  done_();  // we may be gone now
}

// --- for progress ---

std::optional<uint64_t> Transfer::length() const {
  if (part_.is_open() && part_.state().length) return part_.state().length;
  return representation_ ? representation_->length : std::nullopt;
}

uint64_t Transfer::bytes() const { return part_.is_open() ? part_.bytes() : 0; }

unsigned Transfer::connections() const {
  if (download_) return static_cast<unsigned>(download_->snapshot().fetches.size());
  return exchange_ ? 1 : 0;
}

const cache::RangeSet* Transfer::present() const { return part_.is_open() ? &part_.accepted() : nullptr; }

}  // namespace tributary::fetch
