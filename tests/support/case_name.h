// Names for rows of parametrised tests that have none of their own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coalmine::test {

/// A test name made from a row's text: letters and digits stay, the rest becomes underscores;
/// the row's number goes first, so names differ. "?x ?y" in row 7 is "7_x_y".
inline std::string case_name(std::size_t row, std::string_view text) {
  constexpr std::size_t kMaxLength = 40;
  std::string name = std::to_string(row);
  bool gap = true;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain && gap) name += '_';
    if (plain) name += c;
    gap = !plain;
    if (name.size() >= kMaxLength) break;
  }
  return name;
}

}  // namespace coalmine::test
