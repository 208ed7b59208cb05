// What the admin API takes of the cache's commands, and what it refuses, in words (hostile input included).
#include "admin/cache_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/handlers.h"

namespace tributary::admin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Kind = CacheCommand::Kind;
using By = CacheCommand::By;

class CacheRoutes : public ::testing::Test {
 protected:
  std::variant<CacheCommand, Response> get(std::string_view target) {
    Request request;
    request.method = "GET";
    request.target = target;
    return parse_cache_command(request);
  }
  std::variant<CacheCommand, Response> post(std::string_view target, std::string_view content,
                                            std::string_view type = "application/json") {
    Request request;
    request.method = "POST";
    request.target = target;
    request.content_type = type;
    request.content = content;
    return parse_cache_command(request);
  }
  static CacheCommand command(std::variant<CacheCommand, Response> parsed) {
    const Response* refused = std::get_if<Response>(&parsed);
    EXPECT_FALSE(refused) << (refused ? refused->content : "");
    return refused ? CacheCommand() : std::get<CacheCommand>(std::move(parsed));
  }
  static uint16_t status(const std::variant<CacheCommand, Response>& parsed) {
    const Response* refused = std::get_if<Response>(&parsed);
    return refused ? refused->status : 0;
  }
};

TEST_F(CacheRoutes, ReadsTheListsParameters) {
  EXPECT_EQ(command(get("/api/v1/cache")).kind, Kind::Summary);
  const CacheCommand list = command(get("/api/v1/cache/objects?prefix=http%3A%2F%2Fa%2F%3Fb&limit=7&cursor=00-1"));
  EXPECT_EQ(list.kind, Kind::List);
  EXPECT_EQ(list.text, "http://a/?b");
  EXPECT_EQ(list.limit, 7u);
  EXPECT_EQ(list.cursor, "00-1");
  for (const char* query : {"limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=99999999999999999999", "other=1",
                            "prefix=%zz", "prefix=%2", "=", "limit"}) {
    EXPECT_EQ(status(get(std::string("/api/v1/cache/objects?") + query)), 400) << query;
  }
  EXPECT_EQ(status(get("/api/v1/cache/objects?cursor=" + std::string(1000, 'a'))), 400);
  EXPECT_EQ(status(get("/api/v1/cache?x=1")), 400);
}

TEST_F(CacheRoutes, ReadsAnObjectsUrlAndTheRequestsFields) {
  const CacheCommand show =
      command(get("/api/v1/cache/objects/http%3A%2F%2Fa%2F%3Fq?header=Accept-Encoding%3A%20gzip&header=X:y"));
  EXPECT_EQ(show.kind, Kind::Show);
  EXPECT_EQ(show.text, "http://a/?q");
  EXPECT_THAT(show.fields, ElementsAre(Pair("Accept-Encoding", "gzip"), Pair("X", "y")));
  EXPECT_EQ(command(get("/api/v1/cache/objects/http://a/b")).text, "http://a/b");  // slashes need no escape
  for (const char* query : {"header=none", "header=:x", "header=a%0d%0ab:c", "header=a:b%0d%0ac", "x=1"}) {
    EXPECT_EQ(status(get(std::string("/api/v1/cache/objects/http%3A%2F%2Fa%2F?") + query)), 400) << query;
  }
  std::string many = "/api/v1/cache/objects/http://a/?";
  for (size_t i = 0; i <= CacheCommand::kMostFields; ++i) many += "header=a:b&";
  EXPECT_EQ(status(get(many)), 400);
}

TEST_F(CacheRoutes, APurgeSaysExactlyOneThing) {
  const CacheCommand by_tag = command(post("/api/v1/cache/purge", R"({"tag": "red"})", "Application/JSON; charset=utf-8"));
  EXPECT_EQ(by_tag.kind, Kind::Purge);
  EXPECT_EQ(by_tag.by, By::Tag);
  EXPECT_EQ(by_tag.text, "red");
  EXPECT_EQ(command(post("/api/v1/cache/purge", R"({"all": true})")).by, By::All);
  EXPECT_EQ(command(post("/api/v1/cache/purge", R"({"url": "http://a/"})")).by, By::Url);
  EXPECT_EQ(command(post("/api/v1/cache/purge", R"({"prefix": "http://a/"})")).by, By::Prefix);
  for (const char* content :
       {"", "x", "[]", "null", "true", "1", "\"all\"", "{}", R"({"all": false})", R"({"all": 1})", R"({"all": "true"})",
        R"({"url": 1})", R"({"url": ""})", R"({"url": null})", R"({"url": ["a"]})", R"({"url": "a", "tag": "b"})",
        R"({"URL": "a"})", R"({"all": true} trailing)", R"({"all": true)", "{\"tag\": \"\xff\"}", R"({"tag": "\ud800"})"}) {
    EXPECT_EQ(status(post("/api/v1/cache/purge", content)), 400) << content;
  }
  EXPECT_EQ(status(post("/api/v1/cache/purge", R"({"url": ")" + std::string(20'000, 'a') + "\"}")), 400);
}

TEST_F(CacheRoutes, ReadsAWarmListWithinItsBounds) {
  const CacheCommand warm = command(post("/api/v1/cache/warm", R"({"urls": ["http://a/", "http://b/"], "headers": {"X": "y"}})"));
  EXPECT_EQ(warm.kind, Kind::Warm);
  EXPECT_THAT(warm.urls, ElementsAre("http://a/", "http://b/"));
  EXPECT_THAT(warm.fields, ElementsAre(Pair("X", "y")));
  for (const char* content :
       {R"({"urls": []})", R"({"urls": "http://a/"})", R"({"urls": [1]})", R"({"urls": [["a"]]})", R"({"urls": {"a": 1}})",
        R"({"headers": {}})", R"({"urls": ["a"], "more": 1})", R"({"urls": ["a"], "headers": {"a b": "c"}})",
        R"({"urls": ["a"], "headers": {"a": "b\r\nc: d"}})", R"({"urls": ["a"], "headers": {"a": 1}})",
        R"({"urls": ["a"], "headers": []})"}) {
    EXPECT_EQ(status(post("/api/v1/cache/warm", content)), 400) << content;
  }
  std::string many = R"({"urls": [)";
  for (size_t i = 0; i <= CacheCommand::kMostUrls; ++i) many += i ? ",\"a\"" : "\"a\"";
  EXPECT_EQ(status(post("/api/v1/cache/warm", many + "]}")), 400);
}

TEST_F(CacheRoutes, ReadsACursorForVerify) {
  EXPECT_EQ(command(post("/api/v1/cache/verify", "{}")).kind, Kind::Verify);
  EXPECT_EQ(command(post("/api/v1/cache/verify", R"({"cursor": "c"})")).cursor, "c");
  EXPECT_EQ(status(post("/api/v1/cache/verify", R"({"cursor": 1})")), 400);
}

TEST_F(CacheRoutes, RefusesTowersBeforeAParserBuildsThem) {
  for (const char* open : {"[", "{\"a\":", "[{\"a\":["}) {
    std::string tower;
    while (tower.size() < 1'000'000) tower += open;
    const auto parsed = post("/api/v1/cache/purge", tower);
    ASSERT_EQ(status(parsed), 400);
    EXPECT_THAT(std::get<Response>(parsed).content, HasSubstr("nested too deeply"));
  }
  EXPECT_EQ(command(post("/api/v1/cache/purge", R"({"tag": "[[[[[[[[[[[[\"[[[["})")).text, "[[[[[[[[[[[[\"[[[[");
}

TEST_F(CacheRoutes, WantsJsonByNameSoThatNoFormOfAPageCanSayIt) {
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data"}) {
    EXPECT_EQ(status(post("/api/v1/cache/purge", R"({"all": true})", type)), 415) << type;
  }
}

TEST_F(CacheRoutes, SaysWhichMethodsThereAre) {
  Request request;
  request.method = "DELETE";
  for (const auto& [target, allow] : {std::pair("/api/v1/cache/purge", "POST"), std::pair("/api/v1/cache", "GET, HEAD"),
                                      std::pair("/api/v1/cache/objects/x", "GET, HEAD")}) {
    request.target = target;
    const auto parsed = parse_cache_command(request);
    ASSERT_EQ(status(parsed), 405);
    EXPECT_EQ(std::get<Response>(parsed).allow, allow);
  }
  EXPECT_TRUE(takes_content("POST", "/api/v1/cache/purge?x"));
  EXPECT_FALSE(takes_content("PUT", "/api/v1/cache/purge"));
  EXPECT_FALSE(takes_content("POST", "/api/v1/cache"));
  EXPECT_FALSE(is_cache_path("/api/v1/cacheobjects"));
  EXPECT_FALSE(is_cache_path("/api/v1/cache/objects/"));
}

}  // namespace
}  // namespace tributary::admin
