// Transfer: one URL becomes one FILE. Loop-affine.
//
//   request ─► redirects ─► FILE.part is opened ─► Download fills it ─► FILE
//      ▲                                              │
//      └──── later, for what lacks, under If-Range ◄──┘   whatever failed and may be over in a while
//
// Every try begins at the URL that the user gave: a redirect's target may be signed and expire, so it is asked for anew,
// and what came before is kept when the validator is the same. What cannot be resumed is fetched from its beginning; of
// two versions nothing is ever joined.
//
// Several sources (Target::mirrors, and Link: rel=duplicate where a digest of at least SHA-256 is known): the first that
// answers says what the file is, the others bring pieces of it (upstream/download.h). When the whole is not what the digest says,
// what the others brought is fetched again from the first; if that does not help, everything from the next one alone.
//
// When it is over, `done` runs once, on a stack of its own; report() has what came of it. Destroying a running Transfer leaves
// FILE.part as the last state file says; stop() leaves it with all that came.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "core/fsm.h"
#include "core/loop.h"
#include "core/offload.h"
#include "fetch/exit_status.h"
#include "fetch/part_file.h"
#include "fetch/proxy_choice.h"
#include "fetch/redirects.h"
#include "fetch/request_head.h"
#include "fetch/settings.h"
#include "cache/range_set.h"
#include "fetch/visitor.h"
#include "upstream/client.h"
#include "upstream/download.h"

namespace tributary::fetch {

enum class TransferState : uint8_t {
  Idle,
  Finding,      // -c: is there a FILE.part of this URL?
  Requesting,   // until the head of an answer is there
  Opening,      // FILE.part is being opened, the answer waits
  Restarting,   // what FILE.part held is of another version, or there was nothing: it begins anew
  Downloading,
  Waiting,      // for the next try
  Committing,   // FILE.part becomes FILE
  Leaving,      // FILE.part is saved, or removed when it is of no use
  Over,
};

inline constexpr core::Edge<TransferState> kTransferEdges[] = {
    {TransferState::Idle, TransferState::Finding},
    {TransferState::Idle, TransferState::Requesting},
    {TransferState::Idle, TransferState::Leaving},
    {TransferState::Finding, TransferState::Requesting},
    {TransferState::Finding, TransferState::Committing},
    {TransferState::Finding, TransferState::Leaving},
    {TransferState::Requesting, TransferState::Requesting},
    {TransferState::Requesting, TransferState::Opening},
    {TransferState::Requesting, TransferState::Restarting},
    {TransferState::Requesting, TransferState::Downloading},
    {TransferState::Requesting, TransferState::Waiting},
    {TransferState::Requesting, TransferState::Leaving},
    {TransferState::Opening, TransferState::Requesting},
    {TransferState::Opening, TransferState::Restarting},
    {TransferState::Opening, TransferState::Downloading},
    {TransferState::Opening, TransferState::Committing},
    {TransferState::Opening, TransferState::Leaving},
    {TransferState::Restarting, TransferState::Downloading},
    {TransferState::Restarting, TransferState::Leaving},
    {TransferState::Downloading, TransferState::Requesting},
    {TransferState::Downloading, TransferState::Waiting},
    {TransferState::Downloading, TransferState::Committing},
    {TransferState::Downloading, TransferState::Leaving},
    {TransferState::Waiting, TransferState::Requesting},
    {TransferState::Waiting, TransferState::Leaving},
    {TransferState::Committing, TransferState::Requesting},
    {TransferState::Committing, TransferState::Leaving},
    {TransferState::Committing, TransferState::Over},
    {TransferState::Leaving, TransferState::Over},
};

class Transfer;

// What happens to a transfer, for whoever shows it. Called from inside the transfer: not to destroy it.
class TransferObserver {
 public:
  enum class Event : uint8_t {
    Redirected,  // text: where to
    Named,       // text: FILE
    Resumed,     // text: FILE
    Restarted,   // text: why what was there is of no use
    Retrying,    // text: why, and when
    Response,    // text: the status line and fields, for -v
  };
  virtual void on_event(const Transfer& transfer, Event event, const std::string& text) = 0;

 protected:
  ~TransferObserver() = default;
};

// What all transfers of a run use; everything outlives them.
struct TransferContext {
  core::Loop& loop;
  core::OffloadPool& offload;
  upstream::Client& client;
  const upstream::AccelerateSettings& accelerate;
  const Settings& settings;
  TransferObserver& observer;
  RateLimit& rate;  // of all transfers together
  Visitor& visitor;
  ProxyChoice& proxies;
};

class Transfer final : private upstream::ExchangeHandler, private upstream::TrailMaker {
 public:
  // `number` tells transfers of a run apart, from 1.
  Transfer(const TransferContext& context, Target target, uint64_t number, core::Callback<void()> done);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void start();
  // Ends it soon, with FILE.part in order; `done` runs.
  void stop();

  struct Report {
    ExitStatus status = ExitStatus::Generic;
    std::string problem;  // empty: it went well
    std::string path;     // of FILE; empty: there is none
    uint64_t length = 0;
    uint64_t fetched = 0;  // bytes that came over the network in this run
    bool was_there = false;  // -c: nothing had to be done
    bool is_stopped = false;
    bool can_continue = false;  // FILE.part is there for -c
    core::Duration duration{};
  };
  const Report& report() const { return report_; }
  bool is_told() const { return is_told_; }  // `done` has run

  // For progress.
  TransferState state() const { return state_.get(); }
  uint64_t number() const { return number_; }
  const std::string& url() const { return target_.url; }
  const std::string& name() const { return name_; }      // of FILE, once it is known
  std::optional<uint64_t> length() const;
  uint64_t bytes() const;                                 // that are there
  unsigned connections() const;
  const cache::RangeSet* present() const;                 // null: nothing is

 private:
  using Done = core::Callback<void()>;

  void request();
  void send();
  void on_head() override;
  void on_failed(core::Error error) override;
  void follow_redirect();
  void on_challenge();
  void dress(http::RequestHead& head);
  void on_status();
  void on_representation();
  void open_part(bool only_find);
  void on_opened();
  void on_found();
  void restart(const char* why);
  void on_restarted(core::Result<void> result);
  void expect_digests();
  std::vector<http::Digest> known_digests() const;
  void note_duplicates();
  bool change_source(const std::string& why, bool for_good);
  bool mend();
  std::unique_ptr<upstream::Trail> make_trail(size_t source) override;
  void download();
  void on_downloaded();
  void on_part_failed();
  void on_disk_failure();
  void commit();
  void on_committed(core::Result<void> result);
  void try_again(ExitStatus status, std::string problem, core::Duration at_least = {});
  void leave(ExitStatus status, std::string problem);
  void on_left(core::Result<void> result);
  void on_over();
  void forget_response();
  void tell(TransferObserver::Event event, const std::string& text) { context_.observer.on_event(*this, event, text); }
  std::string wished_path() const;
  Visitor::Visit visit() const { return {redirects_->current(), is_at_origin(), own_login_.get()}; }
  bool is_users(const http::Url& source) const { return source.origin() == users_url_.origin(); }
  // What the user gave for the origin of the URL may be sent.
  bool is_at_origin() const { return is_users(url_) && redirects_->is_at_origin(); }
  std::string describe(const core::Error& error) const;

  const TransferContext context_;
  const Target target_;
  const uint64_t number_;
  const Done done_;
  core::Machine<TransferState> state_{TransferState::Idle, kTransferEdges};
  Report report_;
  bool is_told_ = false;
  core::TimePoint started_;
  std::string name_;

  std::unique_ptr<Authenticator> own_login_;        // null: the URL has none
  http::Url users_url_;             // of the target; that of FILE.part
  std::vector<http::Url> sources_;  // the first is the one that is asked what the file is
  bool takes_others_ = true;        // further sources bring pieces
  cache::RangeSet from_others_;     // that they brought
  http::Url url_;                   // sources_[0]
  std::optional<Redirects> redirects_;              // of this try
  std::optional<Continuation> continuation_;        // of the request that is under way
  http::RequestHead head_;                          // of that request
  upstream::Origin origin_;
  std::unique_ptr<upstream::Exchange> exchange_;
  std::optional<upstream::Representation> representation_;  // of its answer
  int challenges_ = 0;         // of this try
  bool takes_pieces_ = true;   // pieces that are there may be asked to be completed
  bool is_wrong_ = false;      // what came, by its hashes
  bool has_answered_ = false;  // the server did, in any try

  std::vector<http::Digest> digests_;  // of the representation, by its server
  std::string file_name_;  // chosen for the answer
  RateLimit rate_;
  PartFile part_;
  std::unique_ptr<upstream::Download> download_;  // writes into part_, so it goes first
  uint64_t fetched_before_ = 0;  // bytes, in earlier tries of this run
  uint64_t most_ = 0;            // bytes that were ever there: more is progress
  size_t changes_ = 0;         // of the first source, since the last wait
  unsigned attempt_ = 0;         // in a row without progress
  core::Timer timer_;
  core::Deferred again_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace tributary::fetch
