#include "upstream/quota.h"

#include <algorithm>
#include <cassert>

namespace tributary::upstream {

// --- Place, Member, Ticket ---

void Quota::Place::reset() {
  if (quota_) std::exchange(quota_, nullptr)->release(*host_);
}

Quota::Member::Member(core::Loop& loop, Quota& quota, core::Callback<void()> on_demand)
    : loop_(loop),
      quota_(quota),
      on_demand_(on_demand),
      waker_(loop, core::Callback<void()>::to<&Member::on_wake>(this)),
      handle_(waker_.handle()) {
  std::lock_guard lock(quota_.mutex_);
  std::vector<Member*>& members = quota_.members_;
  const auto free = std::find(members.begin(), members.end(), nullptr);
  number_ = static_cast<size_t>(free - members.begin());
  if (free == members.end()) members.push_back(nullptr);
  members[number_] = this;
}

Quota::Member::~Member() {
  std::lock_guard lock(quota_.mutex_);
  assert(granted_.empty());
  quota_.members_[number_] = nullptr;
}

void Quota::Member::on_wake() {
  if (demand_.exchange(false)) on_demand_();
  for (;;) {
    core::Callback<void()> granted;
    {
      std::lock_guard lock(quota_.mutex_);
      if (granted_.empty()) return;
      granted = granted_.front()->granted_;
      granted_.pop_front();  // its place stays in it until it is taken, or it dies
    }
    granted();
  }
}

void Quota::Ticket::wait(const Origin& origin, core::Callback<void()> granted) {
  Quota& quota = member_.quota_;
  Woken woken;
  {
    std::lock_guard lock(quota.mutex_);
    assert(state_ == State::Out);
    granted_ = granted;
    state_ = State::Queued;
    number_ = ++quota.last_number_;
    since_ = member_.loop_.now();
    host_ = &quota.host(origin);
    if (host_->queues.size() <= member_.number_) host_->queues.resize(member_.number_ + 1);
    host_->queues[member_.number_].push_back(this);
    ++host_->waiting;
    quota.waiting_.fetch_add(1);  // before the idle counts are read, see Member::set_idle
    quota.relist(*host_);
    quota.grant(woken);
    if (state_ == State::Queued) quota.ask_for_idle(woken);
  }
  for (const core::RemoteWaker::Handle& handle : woken) handle.wake();
}

Quota::Place Quota::Ticket::take() {
  std::lock_guard lock(member_.quota_.mutex_);
  assert(state_ == State::Granted);
  state_ = State::Out;
  return std::move(place_);
}

void Quota::Ticket::cancel() {
  Quota& quota = member_.quota_;
  Woken woken;
  {
    std::lock_guard lock(quota.mutex_);
    if (state_ == State::Queued) {
      Host& host = *host_;
      quota.unqueue(*this);
      quota.relist(host);
      quota.forget_if_unused(host);
    } else if (state_ == State::Granted) {
      std::erase(member_.granted_, this);
      place_.quota_ = nullptr;
      quota.give_back(*host_, woken);
    }
    state_ = State::Out;
  }
  for (const core::RemoteWaker::Handle& handle : woken) handle.wake();
}

// --- Quota ---

Quota::~Quota() {
  assert(total_ == 0 && waiting_ == 0);
}

Quota::Place Quota::try_acquire(const Origin& origin) {
  std::lock_guard lock(mutex_);
  if (total_ >= limits_.total) return {};
  Host& at = host(origin);
  if (at.in_use >= limits_.per_host) return {};
  // With room here and in total nobody waits for this origin: places are handed on at once.
  assert(at.waiting == 0);
  ++at.in_use;
  ++total_;
  return Place(this, &at);
}

Quota::Idle Quota::settle_idle(Member& member, const Place& place, Ticket** to) {
  if (waiting_.load() == 0) return Idle::Keep;
  std::lock_guard lock(mutex_);
  Host& host = *place.host_;
  Ticket* oldest = first(host);
  if (!ready_.empty()) {
    Ticket* other = first(*ready_.begin()->second);
    if (!oldest || other->number_ < oldest->number_) oldest = other;
  }
  if (!oldest) return Idle::Keep;
  if (member.number_ < host.queues.size() && !host.queues[member.number_].empty()) {
    Ticket& own = *host.queues[member.number_].front();
    if (&own == oldest || member.loop_.now() - oldest->since_ < kPatience) {
      unqueue(own);
      own.state_ = Ticket::State::Out;
      relist(host);
      *to = &own;
      return Idle::HandOver;
    }
  }
  return Idle::Close;
}

unsigned Quota::in_use() const {
  std::lock_guard lock(mutex_);
  return total_;
}

unsigned Quota::in_use(const Origin& origin) const {
  std::lock_guard lock(mutex_);
  const auto found = hosts_.find(origin);
  return found == hosts_.end() ? 0 : found->second->in_use;
}

// --- under the mutex ---

Quota::Host& Quota::host(const Origin& origin) {
  std::unique_ptr<Host>& slot = hosts_[origin];
  if (!slot) {
    slot = std::make_unique<Host>();
    slot->origin = origin;
  }
  return *slot;
}

Quota::Ticket* Quota::first(const Host& host) const {
  Ticket* oldest = nullptr;
  for (const Queue& queue : host.queues) {
    if (!queue.empty() && (!oldest || queue.front()->number_ < oldest->number_)) oldest = queue.front();
  }
  return oldest;
}

void Quota::unqueue(Ticket& ticket) {
  Queue& queue = ticket.host_->queues[ticket.member_.number_];
  queue.erase(std::find(queue.begin(), queue.end(), &ticket));
  --ticket.host_->waiting;
  waiting_.fetch_sub(1);
}

void Quota::relist(Host& host) {
  if (host.listed != 0) ready_.erase({host.listed, &host});
  host.listed = host.waiting > 0 && host.in_use < limits_.per_host ? first(host)->number_ : 0;
  if (host.listed != 0) ready_.insert({host.listed, &host});
}

void Quota::grant(Woken& woken) {
  while (total_ < limits_.total && !ready_.empty()) {
    Host& host = *ready_.begin()->second;
    Ticket& ticket = *first(host);
    unqueue(ticket);
    ++host.in_use;
    ++total_;
    relist(host);
    ticket.state_ = Ticket::State::Granted;
    ticket.place_ = Place(this, &host);
    ticket.member_.granted_.push_back(&ticket);
    woken.push_back(ticket.member_.handle_);
  }
}

void Quota::give_back(Host& host, Woken& woken) {
  --host.in_use;
  --total_;
  relist(host);
  grant(woken);
  forget_if_unused(host);
}

void Quota::release(Host& host) {
  Woken woken;
  {
    std::lock_guard lock(mutex_);
    give_back(host, woken);
  }
  for (const core::RemoteWaker::Handle& handle : woken) handle.wake();
}

void Quota::forget_if_unused(Host& host) {
  if (host.in_use == 0 && host.waiting == 0) hosts_.erase(Origin(host.origin));
}

void Quota::ask_for_idle(Woken& woken) {
  for (Member* member : members_) {
    if (!member || member->idle_.load() == 0) continue;
    member->demand_.store(true);
    woken.push_back(member->handle_);
  }
}

// --- DownloadLimits ---

void DownloadLimits::Slot::reset() {
  DownloadLimits* limits = std::exchange(limits_, nullptr);
  if (!limits) return;
  std::lock_guard lock(limits->mutex_);
  if (!count_) {
    --limits->downloads_;
  } else if (--count_->second == 0) {
    limits->fetches_.erase(Origin(count_->first));
  }
}

DownloadLimits::Slot DownloadLimits::try_download() {
  std::lock_guard lock(mutex_);
  if (downloads_ >= max_downloads_) return {};
  ++downloads_;
  return Slot(this, nullptr);
}

DownloadLimits::Slot DownloadLimits::try_fetch(const Origin& origin) {
  std::lock_guard lock(mutex_);
  const auto at = fetches_.try_emplace(origin, 0).first;
  if (at->second >= max_fetches_per_host_) {
    if (at->second == 0) fetches_.erase(at);
    return {};
  }
  ++at->second;
  return Slot(this, &*at);
}

}  // namespace tributary::upstream
