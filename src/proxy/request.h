// Request: one HTTP request from its head to the last byte of its answer: where it goes, what the cache knows, whom it
// waits for. Joins the cache and the upstream engine, which do not know each other.
//
//   New ──> LookingUp ──hit, fresh──────────────────────────────────────┐
//    │          │ ▲  └──absent or stale──> Fetching ──304, stored───────┤
//    │          │ │                          │  ▲ └──not storable───────┤ (content straight from the origin)
//    │          │ └──published── Following <─┘  │                       │
//    │          │    (another request fetches)──┘ declined, vanished    ▼
//    ├──────────┴──refused, failed─────────────────────────────────> Answering ──> Done
//    └──PURGE──> Purging ──gone from the cache───────────────────────────┘
//
// A storable answer is handed to the FetchTable, and this request reads along like everybody else; so it is served by the
// same code as a hit. The request dies with its client or when it is answered; whatever it waits for goes with it.
// Member of its HttpSession, loop-affine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_status.h"
#include "cache/policy.h"
#include "cache/store.h"
#include "core/fsm.h"
#include "http/url.h"
#include "proxy/metrics.h"
#include "proxy/storing.h"
#include "upstream/download.h"
#include "upstream/exchange.h"

namespace tributary::proxy {

class HttpSession;
class Worker;

enum class RequestState : uint8_t { New, Purging, LookingUp, Following, Fetching, Answering, Done };
inline constexpr core::Edge<RequestState> kRequestEdges[] = {
    {RequestState::New, RequestState::LookingUp},        {RequestState::New, RequestState::Fetching},
    {RequestState::New, RequestState::Answering},        {RequestState::New, RequestState::Done},
    {RequestState::New, RequestState::Purging},          {RequestState::Purging, RequestState::Answering},
    {RequestState::Purging, RequestState::Done},
    {RequestState::LookingUp, RequestState::Following},  {RequestState::LookingUp, RequestState::Fetching},
    {RequestState::LookingUp, RequestState::Answering},  {RequestState::LookingUp, RequestState::Done},
    {RequestState::Following, RequestState::LookingUp},  {RequestState::Following, RequestState::Fetching},
    {RequestState::Following, RequestState::Done},       {RequestState::Fetching, RequestState::Answering},
    {RequestState::Fetching, RequestState::LookingUp},   {RequestState::Fetching, RequestState::Done},
    {RequestState::Fetching, RequestState::Fetching},    // a widened Range did not help: as the client wrote it
    {RequestState::Answering, RequestState::Done},
};

class Request final : private upstream::ExchangeHandler {
 public:
  explicit Request(HttpSession& session);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // The head is in session.head(). May answer before it returns.
  void start();

  // From the session: the final response has been begun / is completely sent / will never be. The last drops at once what
  // the request waits for, also from inside its callbacks: nothing that calls respond() may look at it afterwards.
  bool is_answered() const { return state_.is(RequestState::Answering); }
  void on_sent(uint64_t bytes);
  void on_aborted(const core::Error& error);

 private:
  // routing
  void route();
  void open_tunnel();
  void answer_origin_form();
  bool answer_max_forwards();

  // PURGE (request_purge.cc)
  void purge();
  void on_purged();

  // cache
  void look_up();
  void on_looked_up();
  void consider();
  void consider_elsewhere(cache::ObjectRef object, const cache::Decision& decision);
  bool confirms_elsewhere() const;
  cache::ObjectRef match() const;
  bool is_proven(const cache::ObjectRef& object);
  std::unique_ptr<http::BodySource> read(cache::ObjectRef object, uint64_t first, uint64_t last);
  bool on_gap(const cache::ObjectRef& object, http::ByteRange gap);
  void fetch_through_lock(cache::Forward why);
  bool cover();
  void on_fetch_decided();

  // origin
  void forward();
  void on_interim(const http::ResponseHead& head) override;
  void on_head() override;
  void on_failed(core::Error error) override;
  void on_not_modified();
  bool on_stored_head();
  void serve_freshened(Freshened freshened);
  Asked asked() const;
  void on_partial();
  void fetch_anew();
  bool store(const http::CacheControl& cc);
  bool complete(const std::optional<upstream::Representation>& rest);
  bool is_storable_part(const std::optional<upstream::Representation>& part) const;
  bool answer_from_cover();
  upstream::DownloadRequest download_request(const upstream::Representation& representation);
  void pass_through(core::Slice read, std::optional<cache::ObjectParts> keep = {});
  void switch_protocols();
  void invalidate(const http::Url& target);

  // answers
  void serve(cache::ObjectRef object);
  void serve_condition(const cache::Object& object, uint16_t status);
  void serve_range(cache::ObjectRef object, const http::ByteRange& range, uint64_t length);
  void serve_ranges(cache::ObjectRef object, uint64_t length);
  void append_object_head(std::string& out, const cache::Object& object, uint16_t status);
  void append_age(std::string& out, const cache::Object& object);
  void append_tail(std::string& out, bool close);
  void count_saved(uint64_t bytes);
  enum class Selected : uint8_t { Whole, Range, Ranges, Nothing };
  Selected select_range(const cache::Object& object, uint64_t length);
  std::optional<http::ByteRange> first_lacking(const cache::Object& object);
  void answer_error(const core::Error& error, std::string_view step, std::string_view detail = {}, uint16_t status = 0);
  void answer_only_from_cache(std::string_view reason);
  void refuse(const core::Error& error, std::string_view reason, RejectReason counted);
  void answering(uint16_t status);
  bool closes();
  void finish(uint64_t bytes);

  HttpSession& session_;
  Worker& worker_;
  core::Machine<RequestState> state_{RequestState::New, kRequestEdges};

  http::UrlView url_;            // of session.head().target
  cache::RequestFacts facts_;
  std::string key_;
  cache::EntryRef entry_;
  cache::PendingLookup pending_;
  std::unique_ptr<cache::PurgeWait> purge_;
  cache::Fetch fetch_;           // our place in the fetch of the key
  cache::ObjectRef stored_;      // being validated or completed
  std::unique_ptr<http::BodySource> content_;
  std::unique_ptr<upstream::Exchange> exchange_;

  std::string own_fields_;       // lines for our client alone, which are not stored
  cache::CacheStatus cache_status_;
  CacheResult result_ = CacheResult::Bypass;
  uint16_t status_ = 0;
  bool uses_cache_ = false;
  bool conditional_ = false;     // our own condition is in the request, for stored_
  bool completing_ = false;      // our own Range and If-Range are in the request, to complete stored_
  bool followed_ = false;        // waited for somebody else's fetch
  bool alone_ = false;           // and it failed: waits for no other
  bool anew_ = false;            // what was stored, and the origin confirmed, did not fit: another look was taken
  uint8_t strange_variants_ = 0; // and found what it does not select, so many times
  bool upgrade_ = false;
  bool has_error_ = false;
  core::Error error_;            // for the log
  http::ByteRange range_;        // what select_range found: the first
  std::vector<http::ByteRange> ranges_;  // Selected::Ranges: all
  std::string cover_;            // our own Range is in the request, in place of the client's: the value
  http::ByteRange lacking_;      // completing_: what is asked for
  cache::Epoch epoch_;                // the store's, when that was
  core::UnixTime request_time_ = 0;   // when the request to the origin was sent
  core::UnixTime arrived_ = 0;
  core::TimePoint began_;
};

}  // namespace tributary::proxy
