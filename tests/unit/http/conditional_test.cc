#include "http/conditional.h"

#include <gtest/gtest.h>

#include "http/via.h"

namespace tributary::http {
namespace {

constexpr int64_t kNow = 1795000000;
constexpr const char* kEarly = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr const char* kModified = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* kLate = "Sun, 06 Nov 1994 08:49:38 GMT";
constexpr const char* kDate = "Sun, 06 Nov 1994 09:49:37 GMT";

TEST(EntityTag, IsReadStrictly) {  // RFC 9110, 8.8.3
  EXPECT_EQ(parse_etag("\"a\""), (EntityTag{false, "a"}));
  EXPECT_EQ(parse_etag(" W/\"a,b\\\" "), (EntityTag{true, "a,b\\"}));
  EXPECT_EQ(parse_etag("\"\""), (EntityTag{false, ""}));
  EXPECT_EQ(parse_etag("\"\xc3\xa9\""), (EntityTag{false, "\xc3\xa9"}));
  for (const char* bad : {"", "a", "\"", "\"a", "a\"", "w/\"a\"", "W/a", "W/ \"a\"", "\"a\"b",
                          "\"a\"\"b\"", "\"a b\"", "\"a\",\"b\"", "*", "'a'"}) {
    EXPECT_EQ(parse_etag(bad), std::nullopt) << bad;
  }
}

TEST(EntityTag, IsComparedStronglyOrWeakly) {  // the table of RFC 9110, 8.8.3.2
  struct Row {
    EntityTag a, b;
    bool strong, weak;
  };
  const Row rows[] = {
      {{true, "1"}, {true, "1"}, false, true},
      {{true, "1"}, {true, "2"}, false, false},
      {{true, "1"}, {false, "1"}, false, true},
      {{false, "1"}, {false, "1"}, true, true},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(strong_equal(row.a, row.b), row.strong);
    EXPECT_EQ(weak_equal(row.a, row.b), row.weak);
  }
}

EtagListMatch matched(std::initializer_list<const char*> lines, std::optional<EntityTag> tag,
                      Comparison comparison = Comparison::Weak) {
  FieldSection fields;
  for (const char* line : lines) fields.add(FieldName::IfNoneMatch, line);
  return match_etags(fields, FieldName::IfNoneMatch, tag, comparison);
}

TEST(EntityTagList, IsWalkedOverAllLines) {
  const EntityTag tag{false, "x"};
  EXPECT_EQ(matched({}, tag), EtagListMatch::Absent);
  EXPECT_EQ(matched({"*"}, tag), EtagListMatch::Any);
  EXPECT_EQ(matched({"*"}, std::nullopt), EtagListMatch::Any);
  EXPECT_EQ(matched({"\"x\""}, tag), EtagListMatch::Match);
  EXPECT_EQ(matched({"\"a\", W/\"x\""}, tag), EtagListMatch::Match);
  EXPECT_EQ(matched({"\"a\", W/\"x\""}, tag, Comparison::Strong), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({"\"a\"", ", ,\"x\""}, tag), EtagListMatch::Match);
  EXPECT_EQ(matched({"\"a\", \"b\""}, tag), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({"\"x\""}, std::nullopt), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({""}, tag), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({"\"a,\\\", \"x\""}, tag), EtagListMatch::Match);  // a backslash quotes nothing
}

TEST(EntityTagList, EndsAtWhatIsNoEntityTag) {
  const EntityTag tag{false, "x"};
  EXPECT_EQ(matched({"x"}, tag), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({"a, \"x\""}, tag), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({"\"x\"a, \"b\""}, tag), EtagListMatch::Match);
  EXPECT_EQ(matched({"\"a\"b, \"x\""}, tag), EtagListMatch::NoMatch);
  EXPECT_EQ(matched({"\"a, \"x\""}, tag), EtagListMatch::NoMatch);
}

struct Row {
  const char* what;
  Method method;
  std::initializer_list<std::pair<FieldName, const char*>> fields;
  Precondition result;
};

TEST(Preconditions, AreEvaluatedInTheOrderOfRfc9110Section1322) {
  FieldSection stored;
  stored.add(FieldName::ETag, "\"v1\"");
  stored.add(FieldName::LastModified, kModified);
  stored.add(FieldName::Date, kDate);
  const Validators validators = Validators::of(stored, kNow);
  using N = FieldName;
  using P = Precondition;
  const Row rows[] = {
      {"none", Method::Get, {}, P::Proceed},
      {"if-none-match hit", Method::Get, {{N::IfNoneMatch, "\"v1\""}}, P::NotModified},
      {"if-none-match weak hit", Method::Head, {{N::IfNoneMatch, "W/\"v1\""}}, P::NotModified},
      {"if-none-match any", Method::Get, {{N::IfNoneMatch, "*"}}, P::NotModified},
      {"if-none-match miss", Method::Get, {{N::IfNoneMatch, "\"v2\""}}, P::Proceed},
      {"if-none-match put", Method::Put, {{N::IfNoneMatch, "*"}}, P::Failed},
      {"if-none-match wins",
       Method::Get,
       {{N::IfNoneMatch, "\"v2\""}, {N::IfModifiedSince, kLate}},
       P::Proceed},
      {"since same", Method::Get, {{N::IfModifiedSince, kModified}}, P::NotModified},
      {"since later", Method::Get, {{N::IfModifiedSince, kLate}}, P::NotModified},
      {"since earlier", Method::Get, {{N::IfModifiedSince, kEarly}}, P::Proceed},
      {"since junk", Method::Get, {{N::IfModifiedSince, "junk"}}, P::Proceed},
      {"since post", Method::Post, {{N::IfModifiedSince, kLate}}, P::Proceed},
      {"since twice",
       Method::Get,
       {{N::IfModifiedSince, kLate}, {N::IfModifiedSince, kLate}},
       P::Proceed},
      {"if-match hit", Method::Get, {{N::IfMatch, "\"v0\", \"v1\""}}, P::Proceed},
      {"if-match weak", Method::Get, {{N::IfMatch, "W/\"v1\""}}, P::Failed},
      {"if-match miss", Method::Get, {{N::IfMatch, "\"v2\""}}, P::Failed},
      {"if-match any", Method::Put, {{N::IfMatch, "*"}}, P::Proceed},
      {"if-match wins",
       Method::Get,
       {{N::IfMatch, "\"v1\""}, {N::IfUnmodifiedSince, kEarly}},
       P::Proceed},
      {"unmodified same", Method::Get, {{N::IfUnmodifiedSince, kModified}}, P::Proceed},
      {"unmodified earlier", Method::Get, {{N::IfUnmodifiedSince, kEarly}}, P::Failed},
      {"both", Method::Get, {{N::IfMatch, "\"v1\""}, {N::IfNoneMatch, "\"v1\""}}, P::NotModified},
  };
  for (const Row& row : rows) {
    RequestHead request;
    request.method = row.method;
    for (const auto& [name, value] : row.fields) request.fields.add(name, value);
    EXPECT_EQ(evaluate_preconditions(request, validators, kNow), row.result) << row.what;
    EXPECT_EQ(has_preconditions(request.fields), row.fields.size() > 0) << row.what;
  }
}

TEST(Preconditions, TakeDateForAMissingLastModified) {  // RFC 9111, 4.3.2
  FieldSection stored;
  stored.add(FieldName::Date, kModified);
  RequestHead request;
  request.fields.add(FieldName::IfModifiedSince, kModified);
  EXPECT_EQ(evaluate_preconditions(request, Validators::of(stored, kNow), kNow),
            Precondition::NotModified);
}

TEST(Validators, AreStrongOnlyWhenTheyTellEveryVersionApart) {
  const auto of = [](const char* etag, const char* modified, const char* date) {
    FieldSection fields;
    if (etag != nullptr) fields.add(FieldName::ETag, etag);
    if (modified != nullptr) fields.add(FieldName::LastModified, modified);
    if (date != nullptr) fields.add(FieldName::Date, date);
    return Validators::of(fields, kNow).has_strong();
  };
  EXPECT_TRUE(of("\"a\"", nullptr, nullptr));
  EXPECT_FALSE(of("W/\"a\"", nullptr, nullptr));
  EXPECT_TRUE(of("W/\"a\"", kModified, kDate));
  EXPECT_TRUE(of(nullptr, kModified, kDate));
  EXPECT_FALSE(of(nullptr, kModified, kLate));
  EXPECT_FALSE(of(nullptr, kModified, nullptr));
  EXPECT_FALSE(of("junk", nullptr, kDate));
}

TEST(IfRange, NeedsAStrongMatch) {  // RFC 9110, 13.1.5
  FieldSection stored;
  stored.add(FieldName::ETag, "\"v1\"");
  stored.add(FieldName::LastModified, kModified);
  stored.add(FieldName::Date, kDate);
  FieldSection weak;
  weak.add(FieldName::ETag, "W/\"v1\"");
  weak.add(FieldName::LastModified, kModified);
  weak.add(FieldName::Date, kLate);
  const Validators strong_validators = Validators::of(stored, kNow);
  const Validators weak_validators = Validators::of(weak, kNow);
  const auto holds = [](const char* value, const Validators& validators) {
    FieldSection request;
    if (value != nullptr) request.add(FieldName::IfRange, value);
    return if_range_holds(request, validators, kNow);
  };
  EXPECT_TRUE(holds(nullptr, weak_validators));
  EXPECT_TRUE(holds("\"v1\"", strong_validators));
  EXPECT_FALSE(holds("\"v2\"", strong_validators));
  EXPECT_FALSE(holds("W/\"v1\"", strong_validators));
  EXPECT_FALSE(holds("\"v1\"", weak_validators));
  EXPECT_TRUE(holds(kModified, strong_validators));
  EXPECT_FALSE(holds(kLate, strong_validators));
  EXPECT_FALSE(holds(kEarly, strong_validators));
  EXPECT_FALSE(holds(kModified, weak_validators));
  EXPECT_FALSE(holds("junk", strong_validators));
  EXPECT_FALSE(holds("\"v1\", \"v2\"", strong_validators));
}

TEST(Via, IsAppendedAndSeenAgain) {  // RFC 9110, 7.6.3
  FieldSection fields;
  EXPECT_FALSE(via_contains(fields, "tributary"));
  fields.add(FieldName::Via, "1.0 fred, 1.1 p.example.com:8080 (Apache, 1.1 tributary)");
  EXPECT_FALSE(via_contains(fields, "tributary"));
  EXPECT_TRUE(via_contains(fields, "P.example.com:8080"));
  EXPECT_FALSE(via_contains(fields, "1.0"));
  append_via(fields, 1, "tributary");
  EXPECT_TRUE(via_contains(fields, "Tributary"));
  EXPECT_FALSE(via_contains(fields, "tribut"));
  append_via(fields, 0, "other");
  EXPECT_EQ(fields[1].value, "1.1 tributary");
  EXPECT_EQ(fields[2].value, "1.0 other");
}

TEST(Via, WithOddCommentsIsStillReadToTheEnd) {
  for (const char* value : {"1.1 x (a(b)c), 1.1 tributary",
                            "1.1 x (\\), 1.1 y), 1.1\ttributary (z)", "HTTP/1.1 tributary(x)"}) {
    FieldSection fields;
    fields.add(FieldName::Via, value);
    EXPECT_TRUE(via_contains(fields, "tributary")) << value;
  }
  FieldSection open;
  open.add(FieldName::Via, "1.1 x (open, 1.1 tributary");
  EXPECT_FALSE(via_contains(open, "tributary"));
}

TEST(MaxForwards, IsADecimalOrNothing) {
  const auto of = [](const char* value) {
    FieldSection fields;
    fields.add(FieldName::MaxForwards, value);
    return max_forwards(fields);
  };
  EXPECT_EQ(of("0"), 0u);
  EXPECT_EQ(of("10"), 10u);
  EXPECT_EQ(of("-1"), std::nullopt);
  EXPECT_EQ(of("1x"), std::nullopt);
  EXPECT_EQ(max_forwards({}), std::nullopt);
}

}  // namespace
}  // namespace tributary::http
