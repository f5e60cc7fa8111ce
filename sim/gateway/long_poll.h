#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sim/core/result.h"

namespace coalmine::gateway {

struct PollAnswer {
  int status = 0;
  std::string body;
};

/// GET requests that may hang for half a minute and can be given up at once from another thread.
class LongPoll {
 public:
  /// `origin` is http://IPV4[:PORT] or http://localhost[:PORT].
  static Result<std::unique_ptr<LongPoll>> open(std::string_view origin);
  ~LongPoll();
  LongPoll(const LongPoll&) = delete;
  LongPoll& operator=(const LongPoll&) = delete;

  /// Errors (Environment): no connection, no answer in time, or interrupted.
  Result<PollAnswer> get(const std::string& target);
  /// Ends a running get() and every later one.
  void interrupt();

 private:
  LongPoll(std::string host, int port, int wake);
  Result<int> connect_now();
  Status wait_for(int fd, short events, int timeout_ms) const;

  std::string host_;
  int port_;
  int wake_;
  std::string origin_;
};

}  // namespace coalmine::gateway
