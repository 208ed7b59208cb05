// Tags: what a response says it is about, so that an operator can purge by subject: Cache-Tag, Surrogate-Key and xkey.
//
// The field's inventors part tags by commas or by blanks, and none allows either inside a tag: all of them part here. Case
// is folded, as one of them asks for and the others allow by accident: purging too much costs a fetch, purging too little
// shows what should be gone. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cache/hash.h"

namespace tributary::cache {

// The tags that the index keeps of one response; whoever names more is found through kManyTags.
constexpr size_t kMaxTags = 256;

std::string fold_tag(std::string_view tag);
// Whether `fields` (wire form, as Object::fields) name `tag`, which is folded.
bool has_tag(std::string_view fields, std::string_view tag);

Hash128 hash_tag(std::string_view folded);
// Stands in the index for "this one names more tags than are kept".
Hash128 many_tags();
bool has_any_tag(std::string_view fields);
// What the index keeps for a response with these fields: distinct, at most kMaxTags + 1.
std::vector<Hash128> tag_hashes(std::string_view fields);

}  // namespace tributary::cache
