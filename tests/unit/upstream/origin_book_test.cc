#include "upstream/origin_book.h"

#include <gtest/gtest.h>

#include "upstream/route.h"

namespace tributary::upstream {
namespace {

Origin origin(const std::string& host) { return {http::Scheme::Http, 80, host, 0, nullptr}; }

TEST(OriginBook, RemembersWhatPaidOverARestart) {
  OriginBook before;
  before.note(origin("a.example"), 16);
  before.note({http::Scheme::Https, 8443, "::1", 0, nullptr}, 4);
  before.note(origin("a.example"), 8);
  OriginBook after;
  EXPECT_EQ(after.read(before.text()), 0u);
  EXPECT_EQ(after.useful(origin("a.example")), 8u);
  EXPECT_EQ(after.useful({http::Scheme::Https, 8443, "::1", 0, nullptr}), 4u);
  EXPECT_EQ(after.useful({http::Scheme::Http, 8443, "::1", 0, nullptr}), 0u);
  EXPECT_EQ(after.text(), before.text());
}

TEST(OriginBook, KeepsNothingOfOneFetchNorOfOtherTlsSettings) {
  OriginBook book;
  book.note(origin("one.example"), 1);
  book.note({http::Scheme::Https, 443, "other.example", 7, nullptr}, 9);
  EXPECT_EQ(book.text(), "");
}

TEST(OriginBook, LeavesOutLinesThatAreNone) {
  OriginBook book;
  EXPECT_EQ(book.read("4 http://good.example:80\n"
                      "http://no.number:80\n"
                      "0 http://zero.example:80\n"
                      "999 http://too.many:80\n"
                      "99999999999999999999 http://overflow.example\n"
                      "4http://no.blank:80\n"
                      "4 not a url\n"
                      "\n"
                      "5 http://no.end.of.line:81"),
            7u);
  EXPECT_EQ(book.text(), "4 http://good.example:80\n5 http://no.end.of.line:81\n");
}

TEST(OriginBook, IsBoundedAndForgetsWhatWasLongestNotNoted) {
  OriginBook book;
  book.note(origin("first.example"), 2);
  book.note(origin("second.example"), 2);
  for (size_t i = 0; i < OriginBook::kMost - 2; ++i) book.note(origin("h" + std::to_string(i)), 3);
  book.note(origin("first.example"), 2);
  book.note(origin("new.example"), 2);
  EXPECT_EQ(book.useful(origin("first.example")), 2u);
  EXPECT_EQ(book.useful(origin("second.example")), 0u);
  EXPECT_EQ(book.useful(origin("new.example")), 2u);
}

TEST(OriginBook, SaysWhetherThereIsAnythingNew) {
  OriginBook book;
  const uint64_t before = book.edition();
  book.note(origin("a.example"), 2);
  uint64_t now = 0;
  book.text(&now);
  EXPECT_NE(now, before);
  book.note(origin("a.example"), 2);
  EXPECT_EQ(book.edition(), now);
}

}  // namespace
}  // namespace tributary::upstream
