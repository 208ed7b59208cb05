#include "core/secret.h"

#include <gtest/gtest.h>

#include <array>
#include <new>

namespace tributary::core {
namespace {

// Short enough to lie in the object itself, where it can be looked for.
constexpr std::string_view kCanary = "canary-4711";

// Storage for an object whose bytes are looked at after its end.
struct Grave {
  alignas(Secret) std::array<unsigned char, sizeof(Secret)> bytes{};
  Secret* bury(Secret secret) { return new (bytes.data()) Secret(std::move(secret)); }
  bool holds(std::string_view text) const {
    // Volatile: to the compiler there is nothing in the storage of an object that has ended.
    const volatile unsigned char* here = bytes.data();
    std::string copy;
    for (size_t i = 0; i < bytes.size(); ++i) copy += static_cast<char>(here[i]);
    return copy.find(text) != std::string::npos;
  }
};

TEST(Secret, IsWipedWhenItGoes) {  // S3-4.8
  Grave grave;
  Secret* secret = grave.bury(Secret(kCanary));
  EXPECT_EQ(secret->view(), kCanary);
  EXPECT_TRUE(grave.holds(kCanary));
  secret->~Secret();
  EXPECT_FALSE(grave.holds(kCanary));
}

TEST(Secret, IsWipedWhereItWasMovedFrom) {
  Grave grave;
  Secret* secret = grave.bury(Secret(kCanary));
  Secret moved(std::move(*secret));
  EXPECT_EQ(moved.view(), kCanary);
  EXPECT_TRUE(secret->empty());
  EXPECT_FALSE(grave.holds(kCanary));
  *secret = std::move(moved);
  EXPECT_EQ(secret->view(), kCanary);
  *secret = Secret("other");
  EXPECT_EQ(secret->view(), "other");
  EXPECT_FALSE(grave.holds(kCanary.substr(5)));
  secret->~Secret();
}

TEST(Secret, IsWipedWhereItOutgrew) {
  Grave grave;
  Secret* secret = grave.bury(Secret(kCanary));
  secret->append(std::string(100, 'x'));
  EXPECT_EQ(secret->view().substr(0, kCanary.size()), kCanary);
  EXPECT_EQ(secret->view().substr(kCanary.size()), std::string(100, 'x'));
  EXPECT_FALSE(grave.holds(kCanary.substr(8))) << "the bytes of the short form stay behind";
  secret->~Secret();
}

}  // namespace
}  // namespace tributary::core
