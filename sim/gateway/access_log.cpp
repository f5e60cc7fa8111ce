#include "sim/gateway/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

namespace coalmine::gateway {
namespace {

// Bytes that are not ASCII are written as if they were Latin-1: whatever a client sent, the line is
// JSON.
void append_text(std::string& out, std::string_view text) {
  if (text.empty()) {
    out += "null";
    return;
  }
  out += '"';
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  for (auto at = text.begin(); at != text.end();) {
    const auto odd = std::find_if_not(at, text.end(), plain);
    out.append(at, odd);
    if (odd == text.end()) break;
    if (*odd == '"' || *odd == '\\') {
      out += '\\';
      out += *odd;
    } else {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(*odd));
    }
    at = odd + 1;
  }
  out += '"';
}

void append_name(std::string& out, std::string_view name) {
  out += ",\"";
  out += name;
  out += "\":";
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  append_name(out, name);
  append_text(out, text);
}

template <typename Number>
void append_number(std::string& out, std::string_view name, Number number) {
  append_name(out, name);
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_time(std::string& out, std::int64_t epoch_us) {
  thread_local std::int64_t second = -1;  // most lines of a second are written in a row
  thread_local std::string text;
  if (epoch_us / 1'000'000 != second) {
    second = epoch_us / 1'000'000;
    const std::time_t time = second;
    std::tm t{};
    gmtime_r(&time, &t);
    text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.", t.tm_year + 1900, t.tm_mon + 1,
                       t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
  }
  out += text;
  const auto ms = static_cast<int>(epoch_us / 1000 % 1000);
  for (const int digit : {ms / 100, ms / 10 % 10, ms % 10}) {
    out += static_cast<char>('0' + digit);
  }
  out += 'Z';
}

std::string flags_of(const LogEntry& e) {
  if (!e.retries_spent) return std::string(e.response_flags.empty() ? "-" : e.response_flags);
  return e.response_flags.empty() ? "URX" : fmt::format("{},URX", e.response_flags);
}

}  // namespace

void append_log_line(std::string& out, const LogEntry& e) {
  out += "{\"start_time\":\"";
  append_time(out, e.start_epoch_us);
  out += '"';
  append_member(out, "method", e.method);
  append_member(out, "path", e.path);
  append_member(out, "protocol", e.protocol);
  append_number(out, "response_code", e.response_code);
  append_member(out, "response_flags", flags_of(e));
  append_number(out, "bytes_received", e.bytes_received);
  append_number(out, "bytes_sent", e.bytes_sent);
  append_number(out, "duration", e.duration_us / 1000);
  if (e.upstream_service_us >= 0) {
    append_number(out, "upstream_service_time", e.upstream_service_us / 1000);
  } else {
    out += ",\"upstream_service_time\":null";
  }
  append_member(out, "x_forwarded_for", e.x_forwarded_for);
  append_member(out, "user_agent", e.user_agent);
  append_member(out, "request_id", e.request_id);
  append_member(out, "authority", e.authority);
  append_member(out, "upstream_host", e.upstream_host);
  append_member(out, "listener", e.listener);
  append_member(out, "route", e.route);
  append_member(out, "target", e.target);
  append_number(out, "attempts", e.attempts);
  append_number(out, "duration_us", e.duration_us);
  append_member(out, "traceparent", e.traceparent);
  append_number(out, "route_table_version", e.route_table_version);
  out += "}\n";
}

int AccessLog::open_file(const std::string& path) {
  if (path == "-") return dup(STDOUT_FILENO);
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

Result<std::shared_ptr<AccessLog>> AccessLog::open(const std::string& path) {
  const int fd = open_file(path);
  if (fd < 0) return error("cannot open the access log {}: {}", path, std::strerror(errno));
  return std::shared_ptr<AccessLog>(new AccessLog(path, fd));
}

AccessLog::AccessLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
  thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  close(fd_);
}

void AccessLog::write(std::string lines) {
  {
    const std::lock_guard lock(mutex_);
    if (queued_ + lines.size() > kMaxQueuedLog) {
      dropped_ += lines.size();
      return;
    }
    queued_ += lines.size();
    queue_.push_back(std::move(lines));
  }
  wake_.notify_all();
}

void AccessLog::flush() {
  std::unique_lock lock(mutex_);
  written_.wait_for(lock, kLogFlushWait, [this] { return queued_ == 0; });
}

void AccessLog::reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  wake_.notify_all();
}

std::uint64_t AccessLog::dropped_bytes() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void AccessLog::put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd_, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const std::lock_guard lock(mutex_);
      dropped_ += text.size();
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void AccessLog::run() {
  for (;;) {
    std::vector<std::string> lines;
    bool again = false;
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !queue_.empty() || reopen_ || stopping_; });
      lines.swap(queue_);
      again = std::exchange(reopen_, false);
      last = stopping_;
    }
    std::size_t written = 0;
    for (const std::string& text : lines) {
      put(text);
      written += text.size();
    }
    if (again) {
      const int fd = open_file(path_);
      if (fd >= 0) {
        close(fd_);
        fd_ = fd;
      }
    }
    const std::lock_guard lock(mutex_);
    queued_ -= written;
    if (queued_ == 0) written_.notify_all();
    if (last && queue_.empty()) return;
  }
}

}  // namespace coalmine::gateway
