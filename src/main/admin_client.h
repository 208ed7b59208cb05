// AdminClient: asks the admin listener of a running proxy, for commands that look at it or change it. A loop of the command's
// own, as many requests at a time as it likes. Loop-affine.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "admin/operation.h"
#include "core/loop.h"
#include "http/h1.h"
#include "net/address.h"
#include "net/stream.h"

namespace tributary {

struct AdminRequest {
  std::string method = "GET";
  std::string target;   // origin-form
  std::string content;  // JSON; sent with POST
};

// One request on a connection of its own. Destroying it closes that, and so cancels what the proxy does for it.
class AdminExchange {
 public:
  enum class Outcome : uint8_t {
    Answered,  // response()
    Absent,    // nobody listens there
    Failed,    // why()
  };
  static constexpr core::Duration kConnect = std::chrono::seconds(5);

  // Run the loop until is_over(). `patience`: how long an answer may take.
  AdminExchange(core::Loop& loop, const net::SocketAddress& address, const AdminRequest& request, core::Duration patience);
  AdminExchange(const AdminExchange&) = delete;
  AdminExchange& operator=(const AdminExchange&) = delete;

  bool is_over() const { return over_; }
  Outcome outcome() const { return outcome_; }
  const admin::Response& response() const { return response_; }
  const std::string& why() const { return why_; }

 private:
  void on_ready(core::Interest ready);
  void on_deadline() { end(Outcome::Failed, "it did not answer in time"); }
  void receive();
  void end(Outcome outcome, std::string why = {});

  core::Loop& loop_;
  const core::Duration patience_;
  std::string output_;
  bool connected_ = false;
  bool over_ = false;
  Outcome outcome_ = Outcome::Failed;
  std::string why_;
  admin::Response response_;
  http::H1Parser parser_{http::H1Parser::Kind::Response};
  core::Timer deadline_;
  std::unique_ptr<net::TcpStream> stream_;
};

// A segment of a path, or a value of a query (RFC 3986 2.1).
std::string percent_encode(std::string_view text);

}  // namespace tributary
