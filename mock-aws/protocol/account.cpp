#include "mock-aws/protocol/account.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

namespace coalmine::mock {
namespace {

constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kKeyLength = 20;
constexpr std::size_t kAccountDigits = 12;
// The account sits in bits 7 to 46 of the first 48 bits behind the prefix; bit 47 is set in
// keys of this form (seen: ASIAY34FZKBOKMUTVV7A belongs to 609629065308).
constexpr std::uint64_t kNewForm = std::uint64_t{1} << 47;

bool all_digits(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// The account in a key of the newer form.
std::optional<std::string> decode(std::string_view key) {
  if (key.size() != kKeyLength || (key.substr(0, 4) != "AKIA" && key.substr(0, 4) != "ASIA")) {
    return std::nullopt;
  }
  std::uint64_t bits = 0;  // the first 10 characters: 50 bits
  for (std::size_t i = 4; i < kKeyLength; ++i) {
    const auto value = kBase32.find(key[i]);
    if (value == std::string_view::npos) return std::nullopt;
    if (i < 14) bits = bits << 5 | value;
  }
  bits >>= 2;
  if ((bits & kNewForm) == 0) return std::nullopt;
  const std::uint64_t account = (bits & 0x7fffffffff80) >> 7;
  if (account > 999999999999) return std::nullopt;
  return fmt::format("{:012}", account);
}

}  // namespace

std::string account_of_key(std::string_view key) {
  if (key.size() == kAccountDigits && all_digits(key)) return std::string(key);
  return decode(key).value_or(std::string(kDefaultAccount));
}

}  // namespace coalmine::mock
