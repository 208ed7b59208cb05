#include "proxy/refresh.h"

#include <string>
#include <utility>

#include "cache/revalidation.h"
#include "cache/store.h"
#include "proxy/fetch_table.h"
#include "proxy/heads.h"
#include "proxy/storing.h"
#include "proxy/worker.h"
#include "upstream/exchange.h"

namespace tributary::proxy {

using http::FieldName;

class RefreshTable::Task final : private upstream::ExchangeHandler {
 public:
  Task(RefreshTable& table, const http::RequestHead& request, const http::UrlView& url, const cache::RequestFacts& facts,
       std::string_view key, cache::ObjectRef object)
      : table_(table), worker_(table.worker_), request_(request), facts_(facts), key_(key), object_(std::move(object)) {
    // Ours is a GET of the whole, whatever part or condition the client asked with.
    request_.method = http::Method::Get;
    request_.fields.remove(FieldName::CacheControl);
    request_.fields.remove(FieldName::Pragma);
    facts_.method = http::Method::Get;
    facts_.cc = {};
    facts_.has_range = false;
    origin_ = origin_of(url);
    head_ = request_for_origin(request_, url, false, worker_.settings().pseudonym);
    http::FieldSection stored;
    object_->parse_fields(stored);
    conditional_ = cache::make_conditional(stored, head_.fields);
  }

  // False: somebody else is at it.
  bool start() {
    const cache::FetchRole role = worker_.cache().begin_fetch(key_, fetch_, {});
    if (role != cache::FetchRole::Leader) return false;
    epoch_ = worker_.cache().store().epoch();
    sent_ = worker_.loop().unix_now();
    exchange_ = worker_.upstream().start(
        {.origin = origin_, .head = head_, .body = nullptr, .filter = worker_.access().address_filter()}, *this);
    return true;
  }

  bool is_over() const { return over_; }

 private:
  void on_interim(const http::ResponseHead&) override {}

  void on_head() override {
    http::ResponseHead& response = exchange_->head();
    if (response.status == 304 && conditional_) {
      freshen(response.fields);
    } else if (cache::is_stale_if_error_status(response.status) || is_about_signature(response.status)) {
      put_off();
    } else {
      replace(response);
    }
    finish();
  }

  void on_failed(core::Error) override {
    put_off();
    finish();
  }

  void put_off() { object_->put_off_refresh(worker_.loop().now() + kPauseAfterFailure); }

  // The location has expired, perhaps, and that is no news of what other signatures lead to as well.
  bool is_about_signature(uint16_t status) const { return facts_.signature != 0 && status != 200; }

  Asked asked() const {
    return {worker_.policy(), facts_, request_.fields, key_, epoch_, sent_, worker_.loop().unix_now()};
  }

  void freshen(http::FieldSection& update) {
    std::optional<Freshened> freshened = freshen_stored(asked(), *object_, update);
    if (freshened && freshened->keep == Freshened::Keep::Store) {
      worker_.cache().refresh(object_, std::move(freshened->parts), &fetch_);
    } else if (!freshened || freshened->keep == Freshened::Keep::Drop) {
      worker_.cache().remove(object_);
    }
  }

  void replace(http::ResponseHead& response) {
    clean_response(response, worker_.date(), worker_.settings().pseudonym);
    const http::CacheControl cc = cache::response_directives(worker_.policy(), response.fields);
    cache::ObjectParts parts;
    const bool may_store = response.status != 206 && parts_to_store(asked(), response, cc, parts);
    const http::BodyFraming framing = exchange_->framing();
    std::optional<uint64_t> length;
    if (framing.kind == http::BodyKind::Length) length = framing.length;
    if (framing.kind == http::BodyKind::None) length = 0;
    if (may_store && length == 0) {
      if (worker_.cache().store_whole(std::move(parts), {}, &fetch_)) return;
    } else if (may_store) {
      if (auto fill = worker_.cache().start_fill(std::move(parts), length, &fetch_)) {
        worker_.fetches().add(std::move(fill), std::move(exchange_));
        return;
      }
    }
    worker_.cache().remove(object_);
    fetch_.decline();
  }

  // The exchange's callback is on the stack: it goes with the task, later.
  void finish() {
    over_ = true;
    fetch_.reset();
    table_.ended();
  }

  RefreshTable& table_;
  Worker& worker_;
  http::RequestHead request_;
  http::RequestHead head_;  // as it goes to the origin
  upstream::Origin origin_;
  cache::RequestFacts facts_;
  std::string key_;
  cache::ObjectRef object_;
  cache::Fetch fetch_;
  std::unique_ptr<upstream::Exchange> exchange_;
  cache::Epoch epoch_;
  core::UnixTime sent_ = 0;
  bool conditional_ = false;
  bool over_ = false;
};

RefreshTable::RefreshTable(Worker& worker) : worker_(worker), reaper_(worker.loop()) {}

RefreshTable::~RefreshTable() = default;

void RefreshTable::start(const http::RequestHead& request, const http::UrlView& url, const cache::RequestFacts& facts,
                         std::string_view key, cache::ObjectRef object) {
  if (tasks_.size() >= kMaxAtOnce || worker_.loop().now() < object->refresh_due()) return;
  auto task = std::make_unique<Task>(*this, request, url, facts, key, std::move(object));
  if (task->start()) tasks_.push_back(std::move(task));
}

void RefreshTable::ended() { reaper_.schedule(core::Callback<void()>::to<&RefreshTable::reap>(this)); }

void RefreshTable::reap() {
  std::erase_if(tasks_, [](const std::unique_ptr<Task>& task) { return task->is_over(); });
}

}  // namespace tributary::proxy
