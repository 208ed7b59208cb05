// How the parts play together (download.h says what for):
//
//   Exchange ─ready─► pump(fetch) ─write─► RangeSink          Planner ─next_command─► drive() ─► Client::start
//                        └─ progress, finished, failed ─────────►┘
//
// Three modes:  Single   the one response brings all that is missing; no planner, no cost.
//               Planned  the planner decides who fetches what.
//               Alone    the object changed; the original response, one version by itself, brings the rest.
// A Single that breaks off goes on as Planned when the representation can be joined.
#include "upstream/download.h"

#include <algorithm>
#include <utility>

#include "http/range.h"
#include "upstream/metrics.h"

namespace tributary::upstream {
namespace {

using core::ErrorCode;
using http::ByteRange;

constexpr uint64_t kLargestSeam = 16 << 20;  // bytes
constexpr unsigned kMaxSuspicions = 3;  // pieces of several sources that were wrong
constexpr uint64_t kAskReaders = 1 << 20;  // bytes between two questions where the readers are

// `from` without `cut`; both ordered and disjoint.
std::vector<ByteRange> subtract(const ByteRange& from, const std::vector<ByteRange>& cut) {
  std::vector<ByteRange> rest;
  uint64_t at = from.first;
  for (const ByteRange& range : cut) {
    if (range.last <= at || range.first >= from.last) continue;
    if (range.first > at) rest.push_back({at, range.first});
    at = std::max(at, range.last);
  }
  if (at < from.last) rest.push_back({at, from.last});
  return rest;
}

void insert(std::vector<ByteRange>& ranges, ByteRange range) {
  if (range.first >= range.last) return;
  ranges.push_back(range);
  std::sort(ranges.begin(), ranges.end(), [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  size_t kept = 0;
  for (const ByteRange& next : ranges) {
    if (kept > 0 && next.first <= ranges[kept - 1].last) {
      ranges[kept - 1].last = std::max(ranges[kept - 1].last, next.last);
    } else {
      ranges[kept++] = next;
    }
  }
  ranges.resize(kept);
}

void erase(std::vector<ByteRange>& ranges, const ByteRange& cut) {
  std::vector<ByteRange> rest;
  for (const ByteRange& range : ranges) {
    for (const ByteRange& left : subtract(range, {cut})) rest.push_back(left);
  }
  ranges = std::move(rest);
}

bool is_redirect(uint16_t status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What a signed place says once its time is over.
bool may_be_expired(uint16_t status) {
  return status == 401 || status == 403 || status == 404 || status == 410;
}

bool is_within(const ByteRange& inner, const ByteRange& outer) {
  return inner.first >= outer.first && inner.last <= outer.last;
}

// The request of a piece: as the original, but for what concerns the original alone.
http::RequestHead piece_request(http::RequestHead head) {
  using http::FieldName;
  for (const FieldName name : {FieldName::Range, FieldName::IfRange, FieldName::IfMatch, FieldName::IfNoneMatch,
                               FieldName::IfModifiedSince, FieldName::IfUnmodifiedSince, FieldName::Expect}) {
    head.fields.remove(name);
  }
  return head;
}

bool is_refusal(const core::Error& error) {
  return error.code == ErrorCode::ConnectionRefused || error.code == ErrorCode::LimitReached ||
         error.code == ErrorCode::AcquireTimeout || error.code == ErrorCode::DescriptorsExhausted;
}

}  // namespace

class Download::Impl {
 public:
  Impl(Client& client, const AccelerateSettings& settings, DownloadRequest request, http::RangeSink& sink,
       core::Callback<void()> done);
  ~Impl();

  void start(std::unique_ptr<Exchange> exchange);
  void start_cold();

  Outcome outcome() const { return outcome_; }
  core::Error error() const { return error_; }
  Snapshot snapshot() const;
  std::vector<ByteRange> brought_by_others() const;

 private:
  struct Source {
    std::shared_ptr<Trail> trail;  // where it answered last; null: as the request says, or never asked
    bool is_given = false;         // the first one, while it is asked as the request says
    std::optional<Representation> representation;  // what its answers are judged by; none: it has not answered
    std::shared_ptr<OriginMemory> memory;
    std::vector<ByteRange> brought;  // by fetches that are over
    unsigned suspicions = 0;
  };
  enum class Mode : uint8_t { Single, Planned, Alone };

  // One response that feeds the download.
  struct Fetch final : ExchangeHandler {
    explicit Fetch(Impl& its_owner) : owner(its_owner) {}
    void on_head() override { owner.on_head(*this); }
    void on_failed(core::Error error) override { owner.on_fetch_failed(*this, error); }
    void on_ready() { owner.pump(*this); }
    bool is_original() const { return id == owner.original_; }

    Impl& owner;
    FetchId id = 0;
    std::unique_ptr<Exchange> exchange;  // null: it is over, and waits to be reaped
    ByteRange asked;                     // of the request; of the original: what its response brings
    uint64_t position = 0;               // of the next byte
    uint64_t limit = 0;                  // where it ends, asked.last or before
    uint64_t skip = 0;                   // bytes of the response that come before `position`
    SourceId source = 0;
    std::shared_ptr<Trail> trail;        // null: as the request says
    bool has_own_trail = false;          // made for this fetch, so it may move
    bool is_further = false;
    bool whole = false;
    bool has_head = false;
    uint64_t began = 0;
    DownloadLimits::Slot slot;
  };

  void start_planned(bool splits);
  void drive();
  void execute(const Command& command);
  void begin_piece(const Command& command);
  bool send(Fetch& fetch);
  bool take_detour(Fetch& fetch);
  PieceVerdict judge(Fetch& fetch);
  void give_up(SourceId source, const char* result);
  bool take_rejected();
  std::vector<ByteRange> brought_by(SourceId source) const;
  void on_head(Fetch& fetch);
  void on_fetch_failed(Fetch& fetch, core::Error error);
  void fail_fetch(Fetch& fetch, Failure failure, core::Duration retry_after, const char* result);
  void pump(Fetch& fetch);
  bool deliver(Fetch& fetch, core::Slice bytes);
  void end_of_fetch(Fetch& fetch);
  void break_off(Fetch& fetch, core::Error error);
  void on_changed(Fetch& fetch);
  void drop(Fetch& fetch);
  void finish();
  void fail(core::Error error, Outcome outcome);
  void end(Outcome outcome);

  void on_started();
  void on_tick();
  void on_room() { resume_.schedule(core::Callback<void()>::to<&Impl::on_resume>(this)); }
  void on_resume();
  void on_over();
  void on_reap() { dead_.clear(); }
  void pause();
  void ask_readers();
  Fetch* find(FetchId id);
  Fetch& add(FetchId id);
  core::TimePoint now() const { return (is_paused_ ? paused_at_ : client_.loop().now()) - paused_for_; }
  bool widen();
  std::vector<ByteRange> missing() const;
  bool is_whole_object() const;
  void count(const char* result) { client_.metrics().download_pieces.with({result}).add(); }

  Client& client_;
  const AccelerateSettings settings_;
  const Origin origin_;
  http::RequestHead head_;  // of pieces
  const net::AddressFilter filter_;
  const Representation representation_;
  const bool is_scoped_;
  const core::Callback<void(http::RequestHead&)> prepare_;
  TrailMaker* const trails_;
  const bool is_redirected_;
  const std::vector<http::Digest> digests_;
  const uint64_t checked_piece_;
  std::vector<Source> sources_;
  http::RangeSink& sink_;
  const core::Callback<void()> done_;

  Mode mode_ = Mode::Single;
  Outcome outcome_ = Outcome::Running;
  core::Error error_;
  std::vector<ByteRange> present_;    // of the sink at the start; in Single and Alone also what was fetched
  std::vector<ByteRange> scope_;      // what is to be there in the end; grows while it runs, when it is scoped
  DownloadLimits::Slot slot_;         // while it may split
  std::unique_ptr<Planner> planner_;
  std::vector<std::unique_ptr<Fetch>> fetches_;
  std::vector<std::unique_ptr<Fetch>> dead_;
  FetchId original_ = 0;              // 0: there is none (any more)
  uint64_t fetched_ = 0;
  uint64_t ask_readers_at_ = 0;
  std::vector<uint64_t> offsets_;
  bool is_driving_ = false;
  bool was_rejected_ = false;
  bool is_counted_ = false;
  // The planner's clock stands still while the sink has no room: a pause is no stall.
  bool is_paused_ = false;
  core::TimePoint paused_at_{};
  core::Duration paused_for_{};
  core::Timer tick_;
  core::Deferred started_, resume_, over_, reap_;
};

Download::Impl::Impl(Client& client, const AccelerateSettings& settings, DownloadRequest request,
                     http::RangeSink& sink, core::Callback<void()> done)
    : client_(client),
      settings_(settings),
      origin_(std::move(request.origin)),
      head_(piece_request(std::move(request.head))),
      filter_(request.filter),
      representation_(std::move(request.representation)),
      is_scoped_(request.scope.has_value()),
      prepare_(request.prepare),
      trails_(request.trails),
      is_redirected_(request.is_redirected),
      digests_(std::move(request.digests)),
      checked_piece_(request.checked_piece),
      sources_(1 + (request.trails ? request.more_sources : 0)),
      sink_(sink),
      done_(done),
      tick_(client.loop()),
      started_(client.loop()),
      resume_(client.loop()),
      over_(client.loop()),
      reap_(client.loop()) {
  sources_[0].is_given = true;
  if (representation_.can_be_joined()) sources_[0].representation = representation_;
  std::vector<ByteRange> of_before;
  sink_.rejected(of_before);  // not present either
  sink_.present(present_);
  const uint64_t length = representation_.length.value_or(UINT64_MAX);
  const ByteRange scope = request.scope.value_or(ByteRange{0, length});
  insert(scope_, {std::min(scope.first, length), std::min(scope.last, length)});
}

Download::Impl::~Impl() {
  if (outcome_ == Outcome::Running) sink_.set_room_callback({});
  while (!fetches_.empty()) drop(*fetches_.back());
  if (is_counted_) client_.metrics().downloads.sub();
}

// --- starting ---

void Download::Impl::start(std::unique_ptr<Exchange> exchange) {
  client_.metrics().downloads.add();
  is_counted_ = true;
  sink_.set_room_callback(core::Callback<void()>::to<&Impl::on_room>(this));
  Fetch& fetch = add(0);
  const Exchange::Timing& timing = exchange->timing();
  const core::Duration rtt = timing.head - timing.sent_from;
  fetch.exchange = std::move(exchange);
  fetch.exchange->set_ready(core::Callback<void()>::to<&Fetch::on_ready>(&fetch));
  fetch.asked = representation_.content;
  fetch.position = fetch.began = fetch.asked.first;
  fetch.limit = std::min(fetch.asked.last, std::max(scope_.empty() ? 0 : scope_.back().last, fetch.asked.first));
  fetch.has_head = true;
  started_.schedule(core::Callback<void()>::to<&Impl::on_started>(this));

  const bool has_parts = representation_.can_be_joined() || (sources_.size() > 1 && representation_.length);
  if (head_.method != http::Method::Get || !has_parts) return;
  widen();
  uint64_t bytes = 0;
  bool brings_all = true;
  for (const ByteRange& range : missing()) {
    bytes += range.size();
    brings_all = brings_all && is_within(range, fetch.asked);
  }
  const bool splits = settings_.enabled && bytes >= settings_.min_size;
  if (!splits && brings_all && !is_scoped_ && sources_.size() == 1 && checked_piece_ == 0) return;
  start_planned(splits);
  if (!representation_.can_be_joined()) planner_->drop_source(0, false, now());  // this one answer is all it is good for
  fetch.id = original_ = planner_->begin(fetch.asked, true, rtt, now());
  for (const Planner::FetchView& view : planner_->fetches()) {
    if (view.id == original_) fetch.limit = view.range.last;
  }
}

void Download::Impl::start_cold() {
  client_.metrics().downloads.add();
  is_counted_ = true;
  sink_.set_room_callback(core::Callback<void()>::to<&Impl::on_room>(this));
  started_.schedule(core::Callback<void()>::to<&Impl::on_started>(this));
  if (head_.method != http::Method::Get || !representation_.can_be_joined()) return;  // on_started() says so
  widen();
  uint64_t bytes = 0;
  for (const ByteRange& range : missing()) bytes += range.size();
  start_planned(settings_.enabled && bytes >= settings_.min_size);
  planner_->begin_cold(true, {}, now());
}

void Download::Impl::start_planned(bool splits) {
  mode_ = Mode::Planned;
  if (splits) slot_ = client_.shared().downloads.try_download();
  sources_[0].memory = client_.memory(origin_);
  PlannerSettings settings;
  if (checked_piece_ > 0 && checked_piece_ <= kLargestSeam) {  // a piece that is checked comes from one source
    settings.alignment = (settings.alignment + checked_piece_ - 1) / checked_piece_ * checked_piece_;
    settings.min_piece = std::max(settings.min_piece, settings.alignment);
  }
  settings.max_fetches = slot_ ? std::max(settings_.max_connections, 1u) : 1;
  settings.piece_size = settings_.piece_size;
  // What lies outside the scope need not be fetched, like what is there.
  std::vector<ByteRange> settled = present_;
  const uint64_t length = *representation_.length;
  for (const ByteRange& outside : subtract({0, length}, scope_)) insert(settled, outside);
  planner_ = std::make_unique<Planner>(settings, length, settled, *sources_[0].memory);
  for (size_t source = 1; source < sources_.size(); ++source) {
    sources_[source].memory = client_.memory(trails_->make_trail(source)->origin());
    planner_->add_source(*sources_[source].memory);
  }
  ask_readers();
}

void Download::Impl::on_started() {
  if (!planner_ && fetches_.empty()) return fail({.code = ErrorCode::InvalidArgument}, Outcome::Failed);
  drive();
  if (outcome_ == Outcome::Running && !fetches_.empty() && fetches_.front()->has_head) pump(*fetches_.front());
}

// --- the planner's commands ---

void Download::Impl::drive() {
  if (is_driving_ || outcome_ != Outcome::Running) return;  // the one that runs sees what is new
  is_driving_ = true;
  while (planner_ && outcome_ == Outcome::Running) {
    const std::optional<Command> command = planner_->next_command();
    if (!command) break;
    execute(*command);
  }
  is_driving_ = false;
  if (!planner_ || outcome_ != Outcome::Running) return;
  switch (planner_->status()) {
    case Planner::Status::Complete:
      if (widen()) return drive();
      if (sink_.is_checking()) return tick_.stop();  // on_resume() goes on
      return finish();
    case Planner::Status::Failed: return fail(error_, was_rejected_ ? Outcome::Wrong : Outcome::Failed);
    case Planner::Status::Running: break;
  }
  const auto wake_at = planner_->wake_at();
  if (wake_at && !is_paused_) {
    tick_.start_at(*wake_at + paused_for_, core::Callback<void()>::to<&Impl::on_tick>(this));
  } else {
    tick_.stop();
  }
}

void Download::Impl::execute(const Command& command) {
  if (command.kind == Command::Kind::Start) return begin_piece(command);
  Fetch* fetch = find(command.fetch);
  if (!fetch) return;
  if (command.kind == Command::Kind::WindDown) {
    if (fetch->exchange) fetch->exchange->wind_down();
    return;
  }
  if (command.kind == Command::Kind::Limit) {
    fetch->limit = std::min(command.range.last, fetch->asked.last);
    if (fetch->position >= fetch->limit) end_of_fetch(*fetch);
    return;
  }
  if (!fetch->is_original()) count("cancelled");
  drop(*fetch);
}

void Download::Impl::begin_piece(const Command& command) {
  // The first response of a download is like anybody's; every further one takes only what is free.
  const bool is_further = !fetches_.empty();
  Fetch& fetch = add(command.fetch);
  fetch.is_further = is_further;
  fetch.source = command.source;
  const Source& source = sources_[command.source];
  fetch.trail = source.trail;
  fetch.has_own_trail = !fetch.trail && !source.is_given;
  if (fetch.has_own_trail) fetch.trail = trails_->make_trail(command.source);
  fetch.asked = command.range;
  fetch.began = command.range.first;
  fetch.whole = command.whole;
  fetch.position = command.range.first;
  fetch.limit = command.range.last;
  if (send(fetch)) return;
  count("refused");
  drop(fetch);
  planner_->failed(command.fetch, Failure::Refused, {}, now());
}

// False: there is no room for a further fetch at this origin.
bool Download::Impl::send(Fetch& fetch) {
  const Origin origin = fetch.trail ? fetch.trail->origin() : origin_;
  fetch.slot.reset();
  if (fetch.is_further) {
    fetch.slot = client_.shared().downloads.try_fetch(origin);
    if (!fetch.slot) return false;
  }
  http::RequestHead head = fetch.trail ? fetch.trail->head() : head_;
  if (!fetch.whole) {
    std::string range;
    http::append_range(fetch.asked, range);
    head.fields.set(http::FieldName::Range, range);
    const std::optional<Representation>& known = sources_[fetch.source].representation;
    if (known) head.fields.set(http::FieldName::IfRange, known->validator);
  }
  if (!fetch.trail && prepare_) prepare_(head);
  fetch.exchange = client_.start(
      {.origin = origin, .head = std::move(head), .filter = filter_, .wait_for_room = !fetch.is_further}, fetch);
  return true;
}

// Follows a redirect, or begins at the stable URL again where the place that a redirect led to has expired. Each fetch does
// the latter once. False: the answer is to be judged.
bool Download::Impl::take_detour(Fetch& fetch) {
  if (!trails_) return false;
  const http::ResponseHead& head = fetch.exchange->head();
  if (fetch.has_own_trail) {
    if (!is_redirect(head.status) || !fetch.trail->follow(head)) return false;
  } else {
    const bool was_redirected = fetch.trail ? fetch.trail->is_redirected() : is_redirected_;
    if (!is_redirect(head.status) && !(was_redirected && may_be_expired(head.status))) return false;
    Source& source = sources_[fetch.source];
    if (source.trail == fetch.trail) {
      source.trail.reset();
      source.is_given = false;
    }
    fetch.trail = trails_->make_trail(fetch.source);
    fetch.has_own_trail = true;
  }
  fetch.exchange.reset();
  if (!send(fetch)) fail_fetch(fetch, Failure::Refused, {}, "refused");
  return true;
}

// --- what the responses say ---

PieceVerdict Download::Impl::judge(Fetch& fetch) {
  std::optional<Representation>& known = sources_[fetch.source].representation;
  const http::ResponseHead& head = fetch.exchange->head();
  const http::BodyFraming& framing = fetch.exchange->framing();
  const core::UnixTime today = client_.loop().unix_now();
  if (known) return judge_piece(*known, fetch.asked, fetch.whole, head, framing, today);
  Representation found;
  const PieceVerdict verdict =
      judge_source(representation_, digests_, fetch.asked, fetch.whole, head, framing, today, found);
  if (verdict.kind == PieceVerdict::Kind::Good) known = std::move(found);
  return verdict;
}

void Download::Impl::on_head(Fetch& fetch) {
  if (take_detour(fetch)) return;
  const PieceVerdict verdict = judge(fetch);
  const uint16_t status = fetch.exchange->head().status;
  // Another source that does not have it is not asked three times.
  const bool is_useless = fetch.source > 0 && !sources_[fetch.source].representation && (status == 404 || status == 410);
  switch (verdict.kind) {
    case PieceVerdict::Kind::Good: break;
    case PieceVerdict::Kind::Changed:
      if (fetch.source == 0) return on_changed(fetch);
      error_ = {.code = ErrorCode::ContentMismatch, .side = core::Side::Origin};
      return give_up(fetch.source, "changed");
    case PieceVerdict::Kind::Refused:
      error_ = {.code = ErrorCode::LimitReached, .side = core::Side::Origin, .retry = core::Retry::IfIdempotent};
      return fail_fetch(fetch, Failure::Refused, verdict.retry_after, "refused");
    case PieceVerdict::Kind::RangeIgnored:
      error_ = {.code = ErrorCode::ContentMismatch, .side = core::Side::Origin};
      return fail_fetch(fetch, Failure::RangeIgnored, {}, "ignored");
    case PieceVerdict::Kind::Broken:
      error_ = {.code = ErrorCode::ContentMismatch, .side = core::Side::Origin};
      if (is_useless) return give_up(fetch.source, "broken");
      return fail_fetch(fetch, Failure::Broken, {}, "broken");
  }
  if (fetch.has_own_trail) {
    sources_[fetch.source].trail = fetch.trail;
    sources_[fetch.source].is_given = fetch.has_own_trail = false;
  }
  fetch.has_head = true;
  fetch.skip = fetch.position - verdict.content.first;
  fetch.asked.last = verdict.content.last;
  fetch.exchange->set_ready(core::Callback<void()>::to<&Fetch::on_ready>(&fetch));
  planner_->head(fetch.id, now());
  drive();
  pump(fetch);
}

void Download::Impl::on_fetch_failed(Fetch& fetch, core::Error error) {
  error_ = error;
  const bool refused = is_refusal(error);
  fail_fetch(fetch, refused ? Failure::Refused : Failure::Broken, {}, refused ? "refused" : "broken");
}

void Download::Impl::fail_fetch(Fetch& fetch, Failure failure, core::Duration retry_after, const char* result) {
  if (!fetch.is_original()) count(result);
  const FetchId id = fetch.id;
  drop(fetch);
  planner_->failed(id, failure, retry_after, now());
  drive();
}

// --- sources ---

std::vector<ByteRange> Download::Impl::brought_by(SourceId source) const {
  std::vector<ByteRange> ranges = sources_[source].brought;
  for (const auto& fetch : fetches_) {
    if (fetch->source == source) insert(ranges, {fetch->began, fetch->position});
  }
  return ranges;
}

// It has other bytes, or none: what it brought and nobody checked is fetched again from others.
void Download::Impl::give_up(SourceId source, const char* result) {
  count(result);
  std::vector<ByteRange> doubtful = brought_by(source);
  planner_->drop_source(source, true, now());
  drive();
  if (outcome_ != Outcome::Running) return;
  sources_[source].brought.clear();
  for (const ByteRange& range : doubtful) sink_.distrust(range);
  std::vector<ByteRange> present;
  sink_.present(present);
  for (const ByteRange& range : doubtful) {
    for (const ByteRange& lacking : subtract(range, present)) planner_->want(lacking, now());
  }
  drive();
}

// Pieces that the sink found wrong. Who brought all of one is a liar; of several nobody can tell, so they are suspected.
bool Download::Impl::take_rejected() {
  std::vector<ByteRange> wrong;
  sink_.rejected(wrong);
  if (wrong.empty()) return false;
  error_ = {.code = ErrorCode::ContentMismatch, .side = core::Side::Origin};
  if (mode_ != Mode::Planned) {
    fail(error_, Outcome::Wrong);
    return true;
  }
  was_rejected_ = true;
  std::vector<SourceId> liars;
  for (const ByteRange& piece : wrong) {
    count("rejected");
    for (SourceId id = 0; id < sources_.size(); ++id) {
      std::vector<ByteRange> of_others{piece};
      for (const ByteRange& range : brought_by(id)) erase(of_others, range);
      erase(sources_[id].brought, piece);
      if (of_others == std::vector<ByteRange>{piece}) continue;
      if (of_others.empty() || ++sources_[id].suspicions >= kMaxSuspicions) liars.push_back(id);
    }
    planner_->want(piece, now());
  }
  for (const SourceId id : liars) {
    if (outcome_ == Outcome::Running) give_up(id, "rejected");
  }
  if (outcome_ == Outcome::Running) drive();
  return true;
}

std::vector<ByteRange> Download::Impl::brought_by_others() const {
  std::vector<ByteRange> ranges;
  for (SourceId id = 1; id < sources_.size(); ++id) {
    for (const ByteRange& range : brought_by(id)) insert(ranges, range);
  }
  return ranges;
}

// --- content ---

void Download::Impl::pump(Fetch& fetch) {
  while (fetch.exchange) {
    if (fetch.position >= fetch.limit) return end_of_fetch(fetch);
    if (!sink_.has_room()) return pause();
    http::BodyPart part;
    switch (fetch.exchange->read(part, fetch.skip + std::min(fetch.limit - fetch.position, sink_.room()))) {
      case http::BodyRead::Wait: return;
      case http::BodyRead::Failed: return break_off(fetch, fetch.exchange->error());
      case http::BodyRead::End:
        if (fetch.limit == UINT64_MAX) fetch.limit = fetch.position;  // now its length is known
        if (fetch.position < fetch.limit) {
          return break_off(fetch, {.code = ErrorCode::IncompleteMessage, .side = core::Side::Origin});
        }
        return end_of_fetch(fetch);
      case http::BodyRead::Part: break;
    }
    if (fetch.skip > 0) {
      const auto skipped = static_cast<size_t>(std::min<uint64_t>(fetch.skip, part.bytes.size()));
      part.bytes.remove_prefix(skipped);
      fetch.skip -= skipped;
      if (part.bytes.empty()) continue;
    }
    const size_t size = part.bytes.size();
    sink_.write(fetch.position, std::move(part.bytes));
    fetch.position += size;
    fetched_ += size;
    if (mode_ != Mode::Planned) continue;
    if (fetched_ >= ask_readers_at_) ask_readers();
    planner_->progress(fetch.id, size, now());
    drive();
  }
}

// It delivered all that it was asked for.
void Download::Impl::end_of_fetch(Fetch& fetch) {
  if (mode_ != Mode::Planned) {
    insert(present_, {fetch.asked.first, fetch.position});
    return finish();
  }
  if (!fetch.is_original()) count("ok");
  const FetchId id = fetch.id;
  drop(fetch);
  planner_->finished(id, now());
  drive();
}

void Download::Impl::break_off(Fetch& fetch, core::Error error) {
  error_ = error;
  if (mode_ == Mode::Planned && error.code != ErrorCode::RequestTimeout) {
    return fail_fetch(fetch, Failure::Broken, {}, "broken");
  }
  const bool can_resume = mode_ == Mode::Single && head_.method == http::Method::Get &&
                          representation_.can_be_joined() && error.code != ErrorCode::RequestTimeout;
  if (!can_resume) return fail(error, mode_ == Mode::Alone ? Outcome::Changed : Outcome::Failed);
  insert(present_, {fetch.asked.first, fetch.position});
  drop(fetch);
  start_planned(false);
  planner_->begin_cold(true, {}, now());
  drive();
}

// A further response shows another version. What was fetched with the old validator is good; nothing more of it can be had,
// but through the original response.
void Download::Impl::on_changed(Fetch& fetch) {
  count("changed");
  drop(fetch);
  error_ = {.code = ErrorCode::ContentMismatch, .side = core::Side::Origin};
  Fetch* original = original_ ? find(original_) : nullptr;
  if (!original) return fail(error_, Outcome::Changed);
  const ByteRange to_come{original->position, original->asked.last};
  bool brings_all = true;
  for (const ByteRange& gap : planner_->gaps()) brings_all = brings_all && is_within(gap, to_come);
  for (const Planner::FetchView& view : planner_->fetches()) {
    if (view.position < view.range.last) {
      brings_all = brings_all && is_within({view.position, view.range.last}, to_come);
    }
  }
  if (!brings_all) return fail(error_, Outcome::Changed);
  mode_ = Mode::Alone;
  for (size_t i = fetches_.size(); i-- > 0;) {
    if (fetches_[i].get() != original) {
      count("cancelled");
      drop(*fetches_[i]);
    }
  }
  // The original is to bring everything behind its position: what was there before it, or came from others, stays.
  present_.clear();
  insert(present_, {0, original->position});
  planner_.reset();
  slot_.reset();
  tick_.stop();
  original->limit = std::min(original->asked.last, std::max(scope_.back().last, original->position));
  pump(*original);
}

// --- ends ---

// Its exchange ends at once; the object itself is reaped from another stack, for it may be on this one.
void Download::Impl::drop(Fetch& fetch) {
  insert(sources_[fetch.source].brought, {fetch.began, fetch.position});
  fetch.exchange.reset();
  fetch.slot.reset();
  if (fetch.is_original()) original_ = 0;
  client_.metrics().download_connections.sub();
  const auto at = std::find_if(fetches_.begin(), fetches_.end(), [&](const auto& held) { return held.get() == &fetch; });
  dead_.push_back(std::move(*at));
  fetches_.erase(at);
  reap_.schedule(core::Callback<void()>::to<&Impl::on_reap>(this));
}

void Download::Impl::finish() {
  const bool all_fetched = mode_ != Mode::Single || !representation_.length ||
                           missing().empty();
  if (!all_fetched) return fail({.code = ErrorCode::IncompleteMessage, .side = core::Side::Origin}, Outcome::Failed);
  const uint64_t length = representation_.length.value_or(fetches_.empty() ? 0 : fetches_.front()->position);
  end(Outcome::Finished);
  if (is_whole_object()) sink_.finish(length);
}

void Download::Impl::fail(core::Error error, Outcome outcome) {
  error_ = error;
  end(outcome);
  sink_.fail(error);
}

void Download::Impl::end(Outcome outcome) {
  outcome_ = outcome;
  // Of several sources the planner's number says nothing about one, and it writes none.
  if (planner_) client_.shared().origins.note(origin_, sources_[0].memory->useful);
  sink_.set_room_callback({});
  while (!fetches_.empty()) drop(*fetches_.back());
  tick_.stop();
  started_.cancel();
  resume_.cancel();
  slot_.reset();
  over_.schedule(core::Callback<void()>::to<&Impl::on_over>(this));
}

void Download::Impl::on_over() {
  const core::Callback<void()> done = done_;
  if (done) done();
}

// --- time and room ---

void Download::Impl::on_tick() {
  ask_readers();
  planner_->tick(now());
  drive();
}

void Download::Impl::pause() {
  if (is_paused_) return;
  is_paused_ = true;
  paused_at_ = client_.loop().now();
  tick_.stop();
}

void Download::Impl::on_resume() {
  if (outcome_ != Outcome::Running) return;
  if (widen() && !is_paused_) drive();
  if (outcome_ == Outcome::Running) take_rejected();
  if (outcome_ == Outcome::Running && planner_ && planner_->status() == Planner::Status::Complete) drive();
  if (outcome_ != Outcome::Running || !is_paused_ || !sink_.has_room()) return;
  paused_for_ += client_.loop().now() - paused_at_;
  is_paused_ = false;
  std::vector<FetchId> ids;
  for (const auto& fetch : fetches_) {
    if (fetch->has_head) ids.push_back(fetch->id);
  }
  for (const FetchId id : ids) {
    if (Fetch* fetch = find(id)) pump(*fetch);
    if (outcome_ != Outcome::Running) return;
  }
  if (planner_) drive();
}

void Download::Impl::ask_readers() {
  ask_readers_at_ = fetched_ + kAskReaders;
  offsets_.clear();
  sink_.wanted(offsets_);
  planner_->readers(offsets_);
}

// --- small things ---

Download::Impl::Fetch* Download::Impl::find(FetchId id) {
  for (const auto& fetch : fetches_) {
    if (fetch->id == id) return fetch.get();
  }
  return nullptr;
}

Download::Impl::Fetch& Download::Impl::add(FetchId id) {
  fetches_.push_back(std::make_unique<Fetch>(*this));
  fetches_.back()->id = id;
  client_.metrics().download_connections.add();
  return *fetches_.back();
}

// Takes what the sink is asked for into the scope. True when there is more to fetch now.
bool Download::Impl::widen() {
  if (!is_scoped_ || mode_ == Mode::Alone) return false;
  std::vector<ByteRange> asked, present;
  sink_.asked(asked);
  sink_.present(present);
  uint64_t more = 0;
  for (const ByteRange& range : asked) {
    for (const ByteRange& added : subtract(range, scope_)) {
      insert(scope_, added);
      if (!planner_) continue;
      for (const ByteRange& lacking : subtract(added, present)) {
        planner_->want(lacking, now());
        more += lacking.size();
      }
    }
  }
  if (!slot_ && settings_.enabled && more >= settings_.min_size) {
    slot_ = client_.shared().downloads.try_download();
    if (slot_) planner_->allow(std::max(settings_.max_connections, 1u));
  }
  return more > 0;
}

// Of the scope, by what was there at the start.
std::vector<ByteRange> Download::Impl::missing() const {
  std::vector<ByteRange> missing;
  for (const ByteRange& range : scope_) {
    for (const ByteRange& rest : subtract(range, present_)) missing.push_back(rest);
  }
  return missing;
}

// Whether nothing is missing outside the scope either.
bool Download::Impl::is_whole_object() const {
  if (!representation_.length) return !is_scoped_;
  std::vector<ByteRange> known = present_;
  for (const ByteRange& range : scope_) insert(known, range);
  return subtract({0, *representation_.length}, known).empty();
}

Download::Snapshot Download::Impl::snapshot() const {
  Snapshot snapshot;
  snapshot.origin = origin_.to_string();
  snapshot.target = head_.target;
  snapshot.length = representation_.length;
  snapshot.fetched = fetched_;
  snapshot.rate = planner_ ? planner_->rate() : 0;
  for (const auto& fetch : fetches_) snapshot.fetches.push_back({{fetch->asked.first, fetch->limit}, fetch->position});
  return snapshot;
}

std::vector<ByteRange> Download::brought_by_others() const { return impl_->brought_by_others(); }

// --- Download ---

Download::Download(Client& client, const AccelerateSettings& settings, DownloadRequest request, http::RangeSink& sink,
                   core::Callback<void()> done)
    : impl_(std::make_unique<Impl>(client, settings, std::move(request), sink, done)) {}
Download::~Download() = default;
void Download::start(std::unique_ptr<Exchange> exchange) { impl_->start(std::move(exchange)); }
void Download::start_cold() { impl_->start_cold(); }
Download::Outcome Download::outcome() const { return impl_->outcome(); }
core::Error Download::error() const { return impl_->error(); }
Download::Snapshot Download::snapshot() const { return impl_->snapshot(); }

}  // namespace tributary::upstream
