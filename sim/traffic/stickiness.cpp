#include "sim/traffic/stickiness.h"

#include <fmt/format.h>

#include <charconv>

#include "sim/core/random.h"

namespace coalmine::traffic {
namespace {

constexpr std::size_t kHashDigits = 16;

template <typename Number>
std::optional<Number> hex(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Value of the sticky cookie in a Cookie field; empty: none.
std::string_view find_cookie(std::string_view field) {
  while (!field.empty()) {
    const std::size_t end = field.find(';');
    std::string_view pair = field.substr(0, end);
    field = end == std::string_view::npos ? std::string_view{} : field.substr(end + 1);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = pair.substr(0, equals);
    if (name == kStickyCookie || name == kStickyCookieCors) return pair.substr(equals + 1);
  }
  return {};
}

}  // namespace

std::string sticky_value(std::string_view target, std::int64_t expires_s) {
  return fmt::format("{:0{}x}{:x}", stable_hash(target), kHashDigits, expires_s);
}

std::optional<std::size_t> sticky_target(std::span<const HeaderView> headers,
                                         std::span<const Target> targets, std::int64_t now_s) {
  std::string_view value;
  for (const HeaderView& header : headers) {
    if (!equals_ignoring_case(header.name, "cookie")) continue;
    value = find_cookie(header.value);
    if (!value.empty()) break;
  }
  if (value.size() <= kHashDigits) return std::nullopt;
  const auto hash = hex<std::uint64_t>(value.substr(0, kHashDigits));
  const auto expires_s = hex<std::int64_t>(value.substr(kHashDigits));
  if (!hash || !expires_s || *expires_s <= now_s) return std::nullopt;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (stable_hash(targets[i].name) == *hash) return i;
  }
  return std::nullopt;
}

void append_sticky_cookies(std::string& out, std::string_view value, std::string_view expires) {
  fmt::format_to(std::back_inserter(out),
                 "set-cookie: {0}={1}; Expires={2}; Path=/\r\n"
                 "set-cookie: {3}={1}; Expires={2}; Path=/; SameSite=None; Secure\r\n",
                 kStickyCookie, value, expires, kStickyCookieCors);
}

}  // namespace coalmine::traffic
