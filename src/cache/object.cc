#include "cache/object.h"

#include "cache/pieces.h"
#include "core/heap_cost.h"

namespace tributary::cache {

Object::Object(ObjectParts parts, std::shared_ptr<Body> body) : parts_(std::move(parts)), body_(std::move(body)) {}
Object::~Object() = default;

const BodyView& Object::body() const { return *body_; }

const core::Slice* Object::memory_body() const { return body_->memory_content(); }

void Object::parse_fields(http::FieldSection& out) const {
  out.clear();
  std::string_view rest = parts_.fields.view();
  while (!rest.empty()) {
    const size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) out.add(line.substr(0, colon), line.substr(colon + 1));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 2);
  }
}

size_t Object::memory_cost() const {
  return core::heap_cost(sizeof(*this) + core::kSharedCost) + core::heap_cost(parts_.key) +
         core::heap_cost(parts_.variant) + core::heap_cost(parts_.etag) +
         core::heap_cost(sizeof(core::Block) + parts_.fields.size()) + body_->memory_cost();
}

size_t Entry::memory_cost() const {
  size_t cost = core::heap_cost(sizeof(*this) + core::kSharedCost) + core::heap_cost(variants.capacity() * sizeof(ObjectRef));
  for (const ObjectRef& object : variants) cost += object->memory_cost();
  return cost;
}

}  // namespace tributary::cache
