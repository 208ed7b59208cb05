// A damaged or hostile index file (V-14): whatever stands in it, no wrong byte is served. The victim is this program itself,
// started anew with the one test HostileIndexVictim.DISABLED_Uses, for LMDB believes its file and may fall over it: once.
// TRIBUTARY_ROUNDS says how many indices.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "unit/cache/store_fixture.h"

extern char** environ;

namespace tributary::cache {
namespace {

constexpr int kObjects = 60;
size_t size_of(int i) {
  constexpr size_t kSizes[] = {300, 5'000, 40'000, 300'000};
  return kSizes[i % 4];
}
std::string key_of(int i) { return "http://a/" + std::to_string(i); }

class HostileIndexVictim : public StoreTest {};

// Everything that a proxy does with its store; ends with a failure when a byte is wrong.
TEST_F(HostileIndexVictim, DISABLED_Uses) {
  const char* where = std::getenv("TRIBUTARY_TEST_DIRECTORY");
  if (!where) GTEST_SKIP();
  ::alarm(60);  // one that never comes to an end is as bad
  settings.directory = where;
  open();
  int found = 0;
  for (int i = 0; i < kObjects; ++i) {
    const EntryRef entry = find(key_of(i));
    if (!entry) continue;
    bool failed = false;
    const std::string bytes = read_all(entry->variants.front(), &failed);
    ASSERT_TRUE(failed || bytes == content_of(size_of(i), i)) << i;
    if (!failed) ++found;
  }
  for (int i = 0; i < 20; ++i) put(key_of(i + 30), content_of(size_of(i + 30), i + 30));
  cache->invalidate(key_of(1));
  store->flush();
  for (int i = 30; i < 50; ++i) {
    const EntryRef entry = find(key_of(i));
    if (!entry) continue;
    bool failed = false;
    const std::string bytes = read_all(entry->variants.front(), &failed);
    ASSERT_TRUE(failed || bytes == content_of(size_of(i), i)) << i;
  }
  std::printf("found %d\n", found);
}

class HostileIndex : public StoreTest {
 protected:
  // How the victim ended: its wait status.
  int use(const std::string& path) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    const std::string where = "TRIBUTARY_TEST_DIRECTORY=" + path, temporary = "TMPDIR=" + path;  // what it leaves goes with it
    std::vector<char*> environment = {const_cast<char*>(where.c_str()), const_cast<char*>(temporary.c_str())};
    for (char** each = environ; *each; ++each) environment.push_back(*each);
    environment.push_back(nullptr);
    const char* arguments[] = {program.c_str(), "--gtest_filter=HostileIndexVictim.DISABLED_Uses", "--gtest_brief=1",
                               "--gtest_also_run_disabled_tests", nullptr};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, (path + "-out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&quiet, 1, 2);
    pid_t child = 0;
    EXPECT_EQ(::posix_spawn(&child, program.c_str(), &quiet, nullptr, const_cast<char**>(arguments), environment.data()), 0);
    posix_spawn_file_actions_destroy(&quiet);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
};

TEST_F(HostileIndex, BytesTurnedInTheIndexShowNoWrongContent) {
  open();
  for (int i = 0; i < kObjects; ++i) ASSERT_TRUE(put(key_of(i), content_of(size_of(i), i)));
  close();
  const char* rounds = std::getenv("TRIBUTARY_ROUNDS");
  const int most = rounds ? std::atoi(rounds) : 25;
  int fell = 0;
  for (int round = 0; round < most; ++round) {
    std::mt19937 random(static_cast<unsigned>(round));
    const std::string copy = directory.path + "-copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(directory.path, copy);
    {
      const int file = ::open((copy + "/data.mdb").c_str(), O_RDWR | O_CLOEXEC);
      const auto size = static_cast<unsigned>(std::filesystem::file_size(copy + "/data.mdb"));
      for (unsigned long n = 1 + random() % 40; n > 0; --n) {
        const char byte = static_cast<char>(random());
        ASSERT_EQ(::pwrite(file, &byte, 1, static_cast<off_t>(random() % size)), 1);
      }
      ::close(file);
    }
    const int status = use(copy);
    if (status != 0) {
      // Once, and never again: the next start knows, and begins anew. A sanitizer makes an exit of the signal.
      ++fell;
      EXPECT_TRUE(std::filesystem::exists(copy + "/damaged")) << "round " << round << ", status " << status;
      EXPECT_EQ(use(copy), 0) << "round " << round << ", status " << status;
      EXPECT_FALSE(std::filesystem::exists(copy + "/damaged"));
    }
    std::filesystem::remove_all(copy);
    std::filesystem::remove(copy + "-out");
  }
  std::printf("%d of %d victims fell over their index\n", fell, most);
}

}  // namespace
}  // namespace tributary::cache
