// Page tokens that all services hand out: opaque to clients, yet nothing is stored for them.
//
// A token encodes the last key of the page, not an index: what is created or deleted between
// two calls then neither repeats nor hides an item. A check sum tells a forged token apart.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/random.h"

namespace coalmine::mock {

/// Hexadecimal key, then 16 digits of its hash.
inline std::string encode_page_token(std::string_view last_key) {
  std::string token;
  for (const char c : last_key) token += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return token + fmt::format("{:016x}", stable_hash(last_key));
}

/// The key in a token; nullopt if encode_page_token() did not make it.
inline std::optional<std::string> decode_page_token(std::string_view token) {
  constexpr std::size_t kHashDigits = 16;
  if (token.size() < kHashDigits || token.size() % 2 != 0) return std::nullopt;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  std::string key;
  for (std::size_t i = 0; i + kHashDigits < token.size(); i += 2) {
    const int high = digit(token[i]), low = digit(token[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key += static_cast<char>(high * 16 + low);
  }
  if (encode_page_token(key) != token) return std::nullopt;
  return key;
}

/// One page of `items`, which are sorted by `key_of(item)`: at most `limit` after the key in
/// `token` (empty: from the start). `next` is empty on the last page. nullopt: a bad token.
template <typename T>
struct Page {
  std::vector<T> items;
  std::string next;
};
template <typename T, typename KeyOf>
std::optional<Page<T>> take_page(const std::vector<T>& items, std::string_view token,
                                 std::size_t limit, const KeyOf& key_of) {
  auto first = items.begin();
  if (!token.empty()) {
    const auto after = decode_page_token(token);
    if (!after) return std::nullopt;
    first = std::find_if(items.begin(), items.end(),
                         [&](const T& item) { return key_of(item) > *after; });
  }
  Page<T> page;
  const auto rest = static_cast<std::size_t>(items.end() - first);
  const auto last = first + static_cast<std::ptrdiff_t>(std::min(rest, limit));
  page.items.assign(first, last);
  if (last != items.end() && !page.items.empty()) {
    page.next = encode_page_token(key_of(page.items.back()));
  }
  return page;
}

}  // namespace coalmine::mock
