// The access log: one JSON object a line, with the fields of Envoy's default format.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sim/core/result.h"
#include "sim/core/time.h"

namespace coalmine::gateway {

inline constexpr Duration kLogFlushWait = std::chrono::seconds{5};
inline constexpr std::size_t kMaxQueuedLog = 16 << 20;  ///< bytes a slow disk may be behind

/// What is told of one request. Texts that are empty become null.
struct LogEntry {
  std::int64_t start_epoch_us = 0;
  std::string method, path, protocol;
  int response_code = 0;
  std::string_view response_flags;
  bool retries_spent = false;                        ///< adds the flag URX
  std::uint64_t bytes_received = 0, bytes_sent = 0;  ///< of the bodies
  std::int64_t duration_us = 0;
  std::int64_t upstream_service_us = -1;  ///< until the response head; -1: there was none
  std::string x_forwarded_for, user_agent, request_id, authority, upstream_host;
  // beyond Envoy's
  std::string listener, route, target, traceparent;
  int attempts = 0;
  std::uint64_t route_table_version = 0;
};

/// Appends the entry as a line.
void append_log_line(std::string& out, const LogEntry& entry);

/// A file that lines are appended to, by a thread of its own: a slow disk delays nobody. What
/// cannot be kept in memory meanwhile is dropped and counted.
class AccessLog {
 public:
  /// "-" is standard output. The error names the file.
  static Result<std::shared_ptr<AccessLog>> open(const std::string& path);
  /// Writes what is left.
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Whole lines; from any thread.
  void write(std::string lines);
  /// Waits until what was handed over so far is written, but not for a disk that is stuck.
  void flush();
  /// Opens the file by its name again, after somebody moved it away.
  void reopen();
  const std::string& path() const { return path_; }
  std::uint64_t dropped_bytes() const;

 private:
  AccessLog(std::string path, int fd);
  void run();
  static int open_file(const std::string& path);
  void put(std::string_view text);

  const std::string path_;
  int fd_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable written_;
  std::vector<std::string> queue_;
  std::size_t queued_ = 0;
  std::uint64_t dropped_ = 0;
  bool reopen_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace coalmine::gateway
