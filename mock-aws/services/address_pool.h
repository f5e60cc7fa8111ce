#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>

#include <fmt/format.h>

namespace coalmine::mock {

/// Hands out addresses of the loopback network, one per task or load balancer, as awsvpc hands
/// out ENIs. Pure: it only counts; whether somebody else uses an address is the shell's care.
///
/// Addresses whose last byte is 0 or 255 are left out. Fresh addresses come first, in rising
/// order; then released ones, the oldest release first, so that a client which still knows a
/// dead task's address meets nobody there for as long as possible.
class AddressPool {
 public:
  /// `first` 127.A.B.C as a number (0x7f010001 = 127.1.0.1); `last` inclusive.
  explicit AddressPool(std::uint32_t first = 0x7f010001, std::uint32_t last = 0x7f01fffe)
      : next_(first), last_(last) {}

  /// nullopt: all addresses are taken.
  std::optional<std::string> acquire() {
    while (next_ <= last_ && !usable(next_)) ++next_;
    if (next_ <= last_) return take(next_++);
    if (free_.empty()) return std::nullopt;
    const std::uint32_t oldest = free_.front();
    free_.pop_front();
    return take(oldest);
  }

  /// Addresses that are not taken are ignored, so a release may be repeated.
  void release(const std::string& address) {
    const auto number = parse(address);
    if (number && taken_.erase(*number) > 0) free_.push_back(*number);
  }

  std::size_t in_use() const { return taken_.size(); }

 private:
  static bool usable(std::uint32_t n) { return (n & 0xff) != 0 && (n & 0xff) != 0xff; }
  std::string take(std::uint32_t n) {
    taken_.insert(n);
    return fmt::format("{}.{}.{}.{}", n >> 24, (n >> 16) & 0xff, (n >> 8) & 0xff, n & 0xff);
  }
  static std::optional<std::uint32_t> parse(const std::string& text) {
    std::uint32_t number = 0, byte = 0;
    for (const char c : text) {
      if (c == '.') {
        number = number << 8 | byte;
        byte = 0;
      } else if (c >= '0' && c <= '9') {
        byte = byte * 10 + static_cast<std::uint32_t>(c - '0');
      } else {
        return std::nullopt;
      }
    }
    return number << 8 | (byte & 0xff);
  }

  std::uint32_t next_, last_;
  std::deque<std::uint32_t> free_;
  std::set<std::uint32_t> taken_;
};

}  // namespace coalmine::mock
