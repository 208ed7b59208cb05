#include "http/digest_fields.h"

#include <gtest/gtest.h>

namespace tributary::http {
namespace {

// RFC 9530, B.1 and B.9: {"hello": "world"}\n
constexpr std::string_view kSha256 = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=";
constexpr std::string_view kSha256Hex = "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38";
constexpr std::string_view kSha512 =
    "YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==";
constexpr std::string_view kMd5 = "HUXZLQLMuI/KZ5KDcJPcOA==";    // RFC 3230, 4.3.2
constexpr std::string_view kSha1 = "thvDyvhfIqlvFe+A9MYgxAfm1q5=";

FieldSection section(std::string_view name, std::initializer_list<std::string> values) {
  FieldSection fields;
  for (const std::string& value : values) fields.add(name, value);
  return fields;
}

std::string listed(const std::vector<Digest>& digests) {
  std::string out;
  for (const Digest& digest : digests) {
    EXPECT_EQ(digest.bytes.size(), hash_size(digest.algorithm));
    out += std::string(out.empty() ? "" : " ") + std::string(hash_name(digest.algorithm));
  }
  return out;
}

std::string bytes(std::string_view base64) { return ":" + std::string(base64) + ":"; }

TEST(DigestFields, ReprDigestIsADictionaryOfByteSequences) {  // RFC 9530, 3
  const auto of = [](std::initializer_list<std::string> values) {
    return listed(digests_of(section("Repr-Digest", values), FieldName::ReprDigest));
  };
  EXPECT_EQ(of({}), "");
  EXPECT_EQ(of({"sha-256=" + bytes(kSha256)}), "sha-256");
  EXPECT_EQ(of({"sha-512=" + bytes(kSha512) + ",\tsha-256=" + bytes(kSha256)}), "sha-512 sha-256");
  EXPECT_EQ(of({"sha-512=" + bytes(kSha512), "sha-256=" + bytes(kSha256)}), "sha-512 sha-256");
  EXPECT_EQ(of({"md5=" + bytes(kMd5) + ", sha=" + bytes(kSha1)}), "md5 sha-1");
  EXPECT_EQ(of({"unixsum=:MzAxMzc=:, adler=:A6cGRQ==:, sha-256=" + bytes(kSha256) + ";x=1"}), "sha-256");
  // The wrong size or type says nothing; what is no dictionary says nothing at all.
  EXPECT_EQ(of({"sha-512=" + bytes(kSha256) + ", sha-256=\"x\", md5"}), "");
  EXPECT_EQ(of({"sha-256=" + bytes(kSha256) + ", "}), "");
  EXPECT_EQ(of({"sha-256=" + bytes(kSha256), "&"}), "");
  EXPECT_EQ(of({"&", "sha-256=" + bytes(kSha256)}), "");
  EXPECT_EQ(of({"SHA-256=" + bytes(kSha256)}), "");  // keys are lower case
  EXPECT_EQ(of({"sha-256=" + std::string(kSha256)}), "");
  EXPECT_EQ(listed(digests_of(section("Content-Digest", {"sha-256=" + bytes(kSha256)}), FieldName::ContentDigest)), "sha-256");
  EXPECT_EQ(digests_of(section("Repr-Digest", {"sha-256=" + bytes(kSha256)}), FieldName::ReprDigest)[0].hex(), kSha256Hex);
}

TEST(DigestFields, TheOldDigestFieldIsReadWhereReprDigestSaysNothing) {  // RFC 3230, 4.3.2
  const auto of = [](std::initializer_list<std::string> values) {
    return listed(representation_digests(section("Digest", values)));
  };
  EXPECT_EQ(of({"MD5=" + std::string(kMd5) + ",SHA=" + std::string(kSha1) + ",unixsum=30637"}), "md5 sha-1");
  EXPECT_EQ(of({"sha-256=" + std::string(kSha256) + " , ,SHA-512 = " + std::string(kSha512)}), "sha-256 sha-512");
  EXPECT_EQ(of({"id-sha-256=" + std::string(kSha256)}), "");  // of the content without its coding
  EXPECT_EQ(of({"sha-256=", "sha-256", "=", "md5=!" + std::string(kMd5)}), "");
  FieldSection both = section("Digest", {"MD5=" + std::string(kMd5)});
  both.add("Repr-Digest", "sha-256=" + bytes(kSha256));
  EXPECT_EQ(listed(representation_digests(both)), "sha-256");
}

TEST(DigestFields, TheStrongestIsTaken) {
  EXPECT_EQ(strongest({}), nullptr);
  const auto digests = representation_digests(section(
      "Digest", {"MD5=" + std::string(kMd5) + ",sha-512=" + std::string(kSha512) + ",sha-256=" + std::string(kSha256)}));
  ASSERT_EQ(digests.size(), 3u);
  EXPECT_EQ(strongest(digests), &digests[1]);
}

TEST(Checksum, IsAlgorithmAndValueInAnyUsualSpelling) {
  std::string why;
  for (const std::string name : {"sha-256", "SHA-256", "sha256", "Sha256"}) {
    for (const std::string_view value : {kSha256Hex, kSha256}) {
      const auto digest = parse_checksum(" " + name + " = " + std::string(value), why);
      ASSERT_TRUE(digest) << why;
      EXPECT_EQ(digest->algorithm, HashAlgorithm::Sha256);
      EXPECT_EQ(digest->hex(), kSha256Hex);
    }
  }
  EXPECT_EQ(parse_checksum("md5=1D45D92D02CCB88FCA6792837093DC38", why)->hex(), "1d45d92d02ccb88fca6792837093dc38");
  EXPECT_EQ(parse_checksum("sha1=" + std::string(40, 'a'), why)->algorithm, HashAlgorithm::Sha1);
  EXPECT_EQ(parse_checksum("sha-224=" + std::string(56, 'a'), why)->algorithm, HashAlgorithm::Sha224);
  EXPECT_EQ(parse_checksum("sha-384=" + std::string(96, 'a'), why)->algorithm, HashAlgorithm::Sha384);
  EXPECT_EQ(parse_checksum("sha-512=" + std::string(128, 'a'), why)->algorithm, HashAlgorithm::Sha512);
}

TEST(Checksum, MistakesAreNamed) {
  const std::pair<std::string, std::string_view> rows[] = {
      {"", "ALGORITHM=VALUE"},
      {"sha-256", "ALGORITHM=VALUE"},
      {std::string(kSha256Hex), "ALGORITHM=VALUE"},
      {"crc32=12345678", "\"crc32\"; there are md5 sha-1 sha-224 sha-256 sha-384 sha-512"},
      {"=abc", "\"\"; there are"},
      {"sha-256=abc", "64 hexadecimal digits (or 44 characters of base64), this has 3"},
      {"sha-256=" + std::string(63, 'a') + "g", "this has 64"},
      {"sha-512=" + std::string(kSha256Hex), "128 hexadecimal digits"},
      {"md5=", "this has 0"},
  };
  for (const auto& [text, expected] : rows) {
    std::string why;
    EXPECT_EQ(parse_checksum(text, why), std::nullopt) << text;
    EXPECT_NE(why.find(expected), std::string::npos) << why;
  }
}

}  // namespace
}  // namespace tributary::http
