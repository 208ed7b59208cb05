#include "proxy/content.h"

#include <utility>

namespace tributary::proxy {
namespace {

class Prepended final : public http::BodySource {
 public:
  Prepended(core::Slice first, std::unique_ptr<http::BodySource> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override {
    if (first_.empty()) return rest_->read(part, at_most);
    part = http::BodyPart();
    part.bytes = first_.sub(0, at_most);
    first_.remove_prefix(part.bytes.size());
    return http::BodyRead::Part;
  }
  void set_ready(core::Callback<void()> ready) override { rest_->set_ready(ready); }
  std::optional<uint64_t> remaining() const override {
    const std::optional<uint64_t> rest = rest_->remaining();
    return rest ? std::optional(*rest + first_.size()) : std::nullopt;
  }
  const http::FieldSection* trailers() const override { return rest_->trailers(); }
  core::Error error() const override { return rest_->error(); }

 private:
  core::Slice first_;
  std::unique_ptr<http::BodySource> rest_;
};

}  // namespace

std::unique_ptr<http::BodySource> prepend(core::Slice first, std::unique_ptr<http::BodySource> rest) {
  if (first.empty()) return rest;
  return std::make_unique<Prepended>(std::move(first), std::move(rest));
}

}  // namespace tributary::proxy
