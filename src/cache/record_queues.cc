#include "cache/record_queues.h"

#include <algorithm>
#include <string>
#include <utility>

#include "cache/tags.h"

namespace tributary::cache {

uint64_t index_cost(const Record& record, size_t size) {
  constexpr uint64_t kKeysEntry = 64;  // its place in `keys`, half-full pages included
  constexpr uint64_t kTagCost = 100;   // an entry of `tags`
  const uint64_t tags = record.flags & Record::kTagged ? tag_hashes(record.fields).size() * kTagCost : 0;
  // LMDB puts what does not fit twice into a page into pages of its own.
  return kKeysEntry + tags + (size > 2000 ? (size + 16 + 4095) / 4096 * 4096 : size + 24);
}

std::optional<Eviction::Front> RecordQueues::front(unsigned queue) {
  std::optional<Item>& item = fronts_[queue];
  if (!item) item = read_front(queue);
  if (!item) return std::nullopt;
  return Eviction::Front{.key = item->name.key, .bytes = item->bytes, .due = item->due};
}

std::optional<RecordQueues::Item> RecordQueues::read_front(unsigned queue) {
  while (status_.ok()) {
    const auto id = txn_.first(record_queue(kind_, queue));
    if (!id) break;
    const auto bytes = txn_.record(*id);
    Record record;
    if (bytes && Record::decode(*bytes, record)) {
      return Item{.id = *id,
                  .name = {hash_key(record.key), hash_variant(record.variant)},
                  .body_id = record.body_id,
                  .due = record.due,
                  .bytes = room_of(record, bytes->size())};
    }
    // Nobody can find it any more: its key is not known. The slots it names stay taken until the index is made anew. Where it
    // stands, and not by its id, which a damaged index need not find again.
    corrupt_.add();
    status_ = txn_.erase_first(record_queue(kind_, queue));
  }
  return std::nullopt;
}

bool RecordQueues::requeue(unsigned queue, Eviction::Place to) {
  const Item item = take(queue);
  const auto bytes = txn_.record(item.id);
  if (!bytes) return false;
  const std::string copy(*bytes);  // the append may move the page it lies in
  const RecordId id = record_id(record_queue(kind_, to.queue), next_id_++);
  const auto place = txn_.append(id, copy.size());
  if (!place) {
    status_ = place.error();
    return false;
  }
  std::copy(copy.begin(), copy.end(), *place);
  Record::change(*place, copy.size(), to.due, number_of(item.id) < verify_below_);
  status_ = txn_.erase(item.id);
  if (status_.ok()) status_ = txn_.put_key(item.name, id);
  return status_.ok();
}

RecordQueues::Item RecordQueues::take(unsigned queue) {
  return *std::exchange(fronts_[queue], std::nullopt);
}

}  // namespace tributary::cache
