// Where a source of a download is asked. Who knows URLs and redirects (fetch/) says so; upstream/download.h asks.
//
// A trail begins at the URL that stays and moves along redirects. Where a redirect led may be signed and expire; then a new
// trail is made, for the pieces that still need it, and nothing begins anew. Loop-affine.
#pragma once

#include <cstddef>
#include <memory>

#include "http/message.h"
#include "upstream/origin.h"

namespace tributary::upstream {

class Trail {
 public:
  virtual ~Trail() = default;
  virtual Origin origin() const = 0;
  // A GET for the whole, made for now (credentials, cookies).
  virtual http::RequestHead head() const = 0;
  // Moves along; false: this redirect is not followed.
  virtual bool follow(const http::ResponseHead& redirect) = 0;
  virtual bool is_redirected() const = 0;
};

class TrailMaker {
 public:
  // `source`: 0 is the one the download was begun with. Never null.
  virtual std::unique_ptr<Trail> make_trail(size_t source) = 0;

 protected:
  ~TrailMaker() = default;
};

}  // namespace tributary::upstream
