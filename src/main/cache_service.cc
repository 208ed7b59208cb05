#include "main/cache_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "admin/handlers.h"
#include "cache/explain.h"
#include "cache/hash.h"
#include "cache/key.h"

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;
using admin::CacheCommand;
using admin::Response;
using Kind = CacheCommand::Kind;

Response answer(const Json& document, uint16_t status = 200) {
  return {status, "application/json", document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", {}};
}

Json summary(const CacheFacts& facts, const cache::StoreStats& stats) {
  return {{"directory", facts.directory}, {"objects", stats.objects},     {"bytes", stats.bytes},
          {"size_bytes", stats.size},     {"disk_bytes", stats.disk_bytes}, {"memory_bytes", stats.memory_bytes},
          {"pending", stats.pending},     {"fills", stats.fills}};
}

Json times(const cache::StoredMeta& meta, core::UnixTime now) {
  return {{"stored", cache::format_time(meta.response_time)},
          {"age", cache::current_age(meta, now)},
          {"lifetime", meta.lifetime},
          {"ttl", cache::time_to_live(meta, now)}};
}

Json listed(const cache::Inspection::Listed& object, core::UnixTime now) {
  Json json = {{"url", object.key}, {"status", object.meta.status}, {"length", object.length}};
  if (object.present != object.length) json["present"] = object.present;
  if (!object.content_type.empty()) json["content_type"] = object.content_type;
  if (!object.variant.empty()) json["variant"] = cache::explain_variant(object.variant);
  json.update(times(object.meta, now));
  return json;
}

Response list(const CacheCommand& command, cache::Inspection& inspection, const CacheFacts& facts, core::UnixTime now) {
  std::string prefix;
  if (!command.text.empty()) {
    const auto selection = cache::Selection::prefix(command.text, facts.policy.ignore_query);
    if (!selection) return refuse_cache_command(command);
    prefix = selection->text;
  }
  const auto page = inspection.list(prefix, command.limit, command.cursor);
  if (!page) return refuse_cache_command(command);
  Json objects = Json::array();
  for (const cache::Inspection::Listed& object : page->objects) objects.push_back(listed(object, now));
  return answer({{"objects", std::move(objects)}, {"cursor", page->cursor.empty() ? Json() : Json(page->cursor)}});
}

std::string_view name_of(cache::Use use) {
  switch (use) {
    case cache::Use::Fresh: return "hit";
    case cache::Use::StaleRevalidate: return "stale_while_revalidate";
    case cache::Use::StaleAccepted: return "stale";
    case cache::Use::Validate: return "validate";
    case cache::Use::GatewayTimeout: return "gateway_timeout";
  }
  return "validate";
}

std::string_view name_of(cache::Gone gone) {
  switch (gone) {
    case cache::Gone::NotStorable: return "not_storable";
    case cache::Gone::NoRoom: return "no_room";
    case cache::Gone::Purged: return "purged";
    case cache::Gone::Invalidated: return "invalidated";
    case cache::Gone::Evicted: return "evicted";
    case cache::Gone::Corrupt: return "corrupt";
  }
  return "not_storable";
}

Json shown(const cache::Object& object, const CacheFacts& facts, const http::FieldSection& request, uint64_t signature,
           core::UnixTime now) {
  const cache::BodyView& body = object.body();
  std::vector<http::ByteRange> ranges;
  body.present(ranges);
  uint64_t present = 0;
  for (const http::ByteRange& range : ranges) present += range.size();
  if (object.memory_body()) present = object.memory_body()->size();
  http::FieldSection fields;
  object.parse_fields(fields);
  Json json = {{"status", object.meta().status}, {"selected", cache::selects(object, request)}};
  json["use"] = name_of(cache::decide(facts.policy, http::CacheControl::of_request(request), object.meta(), now, signature).use);
  json["length"] = body.length() ? Json(*body.length()) : Json();
  json["present"] = present;
  json["filling"] = body.is_filling();
  if (!object.variant().empty()) json["variant"] = cache::explain_variant(object.variant());
  json.update(times(object.meta(), now));
  Json& all = json["fields"] = Json::array();
  for (const http::Field& field : fields) all.push_back({field.name, field.value});
  json["explanation"] = cache::explain_stored(facts.policy, object, request, now, signature);
  return json;
}

Response show(const CacheCommand& command, cache::Inspection& inspection, const CacheFacts& facts, core::UnixTime now) {
  const auto selection = cache::Selection::url(command.text, facts.policy.ignore_query);
  if (!selection) return refuse_cache_command(command);
  const uint64_t signature = cache::make_key(http::Url::parse(command.text).value(), facts.policy.ignore_query).signature;
  http::FieldSection request;
  for (const auto& [name, value] : command.fields) request.add(name, value);
  const cache::Inspection::Known known = inspection.find(selection->text);
  Json document = {{"url", selection->text}, {"stored", !known.variants.empty()}};
  Json& variants = document["variants"] = Json::array();
  for (const cache::ObjectRef& object : known.variants) variants.push_back(shown(*object, facts, request, signature, now));
  if (!known.variants.empty()) return answer(document);
  if (known.refusal) {
    document["reason"] = known.refusal->gone == cache::Gone::NotStorable ? cache::not_storable_name(known.refusal->reason)
                                                                         : name_of(known.refusal->gone);
  }
  document["explanation"] = cache::explain_absent(known.refusal, now);
  return answer(document, 404);
}

Response check(const CacheCommand& command, cache::Inspection& inspection) {
  const auto checked = inspection.check(command.cursor);
  if (!checked) return refuse_cache_command(command);
  Json damaged = Json::array();
  for (const cache::Inspection::Damage& damage : checked->damaged) {
    damaged.push_back({{"url", damage.key.empty() ? Json() : Json(damage.key)}, {"what", damage.what}});
  }
  return answer({{"objects", checked->objects},
                 {"bytes", checked->bytes},
                 {"damaged", std::move(damaged)},
                 {"cursor", checked->cursor.empty() ? Json() : Json(checked->cursor)}});
}

Json warmed(const Warmed& result) {
  Json json = {{"url", result.url}, {"ok", result.ok}, {"status", result.status}, {"bytes", result.bytes}};
  if (!result.cache_status.empty()) json["cache_status"] = result.cache_status;
  if (!result.error.empty()) json["error"] = result.error;
  return json;
}

// A command on the offload pool.
class Blocking final : public admin::Operation {
 public:
  Blocking(core::Loop& loop, core::OffloadPool& offload, cache::Store& store, const CacheFacts& facts, CacheCommand command,
           admin::Answer answer)
      : answer_(std::move(answer)), again_(loop) {
    const auto done = core::Callback<void()>::to<&Blocking::on_done>(this);
    job_ = offload.submit(
        loop,
        [inspection = cache::Inspection(store), result = result_, command = std::move(command), facts, stats = store.stats()]() mutable {
          *result = run_cache_command(command, inspection, facts, stats);
        },
        done);
    if (job_) return;
    *result_ = admin::problem(503, "The proxy is too busy to look into its cache; try again.");
    again_.schedule(done);
  }

 private:
  void on_done() {
    const admin::Answer answer = std::move(answer_);
    answer(std::move(*result_));  // we may be gone now
  }

  std::shared_ptr<Response> result_ = std::make_shared<Response>();
  admin::Answer answer_;
  core::Job job_;
  core::Deferred again_;
};

class Purging final : public admin::Operation {
 public:
  Purging(core::Loop& loop, cache::Store& store, const CacheFacts& facts, const CacheCommand& command, admin::Answer answer)
      : answer_(std::move(answer)), again_(loop) {
    const auto selection = selection_of(command, facts.policy);
    if (selection && store.purge(*selection, loop, wait_, core::Callback<void()>::to<&Purging::on_purged>(this))) return;
    refused_ = selection ? admin::problem(503, "Too many purges are under way.") : refuse_cache_command(command);
    again_.schedule(core::Callback<void()>::to<&Purging::on_refused>(this));
  }

 private:
  void on_purged() { tell(purge_answer(wait_.result())); }
  void on_refused() { tell(std::move(refused_)); }
  void tell(Response response) {
    const admin::Answer answer = std::move(answer_);
    answer(std::move(response));  // we may be gone now
  }

  admin::Answer answer_;
  Response refused_;
  cache::PurgeWait wait_;
  core::Deferred again_;
};

class Warming final : public admin::Operation {
 public:
  Warming(Warmer& warmer, CacheCommand command, admin::Answer its_answer)
      : batch_(warmer.start(std::move(command.urls), std::move(command.fields),
                            [its_answer = std::move(its_answer)](std::vector<Warmed> results) {
                              Json all = Json::array();
                              for (const Warmed& result : results) all.push_back(warmed(result));
                              its_answer(answer({{"results", std::move(all)}}));
                            })) {}

 private:
  Warmer::BatchPtr batch_;
};

}  // namespace

Response run_cache_command(const CacheCommand& command, cache::Inspection& inspection, const CacheFacts& facts,
                           const cache::StoreStats& stats) {
  const core::UnixTime now = cache::now_in_seconds();
  switch (command.kind) {
    case Kind::Summary:
      return answer(summary(facts, stats));
    case Kind::List:
      return list(command, inspection, facts, now);
    case Kind::Show:
      return show(command, inspection, facts, now);
    case Kind::Verify:
      return check(command, inspection);
    case Kind::Purge:
    case Kind::Warm:
      break;
  }
  return admin::problem(500, "This command does not run here.");
}

std::optional<cache::Selection> selection_of(const CacheCommand& command, const cache::PolicySettings& policy) {
  switch (command.by) {
    case CacheCommand::By::Url:
      return cache::Selection::url(command.text, policy.ignore_query);
    case CacheCommand::By::Prefix:
      return cache::Selection::prefix(command.text, policy.ignore_query);
    case CacheCommand::By::Tag:
      return cache::Selection::tag(command.text);
    case CacheCommand::By::All:
      return cache::Selection::all();
  }
  return std::nullopt;
}

Response purge_answer(const cache::Purged& purged) {
  if (!purged.durable) {
    return admin::problem(503, "What was to be purged is not served any more, but the disk refuses to forget it: a restart may bring it back.");
  }
  return answer({{"objects", purged.objects}});
}

Response refuse_cache_command(const CacheCommand& command) {
  if (!command.cursor.empty()) return admin::problem(400, "The cursor is none that this API gave out, or the prefix is no URL.");
  if (command.kind == Kind::Purge && command.by == CacheCommand::By::Tag) {
    return admin::problem(400, "A tag has no commas and no blanks.");
  }
  return admin::problem(400, "Not an http or https URL, or too long a one.");
}

CacheService::CacheService(core::Loop& loop, core::OffloadPool& offload, cache::Store& store, CacheFacts facts,
                           Warmer::Connect connect)
    : loop_(loop), offload_(offload), store_(store), facts_(std::move(facts)), warmer_(loop, std::move(connect)) {}

std::unique_ptr<admin::Operation> CacheService::start(CacheCommand command, admin::Answer answer) {
  if (command.kind == Kind::Purge) return std::make_unique<Purging>(loop_, store_, facts_, command, std::move(answer));
  if (command.kind == Kind::Warm) return std::make_unique<Warming>(warmer_, std::move(command), std::move(answer));
  return std::make_unique<Blocking>(loop_, offload_, store_, facts_, std::move(command), std::move(answer));
}

}  // namespace tributary
