#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/core/result.h"

namespace coalmine::traffic {

inline constexpr std::size_t kMaxRegexProgram = 4096;  ///< instructions, counted repeats unrolled
inline constexpr int kMaxRegexRepeat = 1000;           ///< RE2's limit too
inline constexpr int kMaxRegexDepth = 100;             ///< nested groups

/// A regular expression that must match the whole text, as Envoy's `safe_regex` does.
///
/// The common part of RE2's syntax, on bytes: literals . [] () (?:) | * + ? {n,m} ^ $ \d \w \s
/// \D \W \S and escapes; lazy quantifiers are read and change nothing. Time is linear in the
/// text (a set of states is stepped, Thompson 1968), so no request can make it run long or deep,
/// which std::regex does not promise.
class Regex {
 public:
  /// Errors say what is wrong and at which character.
  static Result<Regex> compile(std::string_view pattern);
  bool matches(std::string_view text, bool ignore_case = false) const;

 private:
  friend class RegexCompiler;
  enum class Op : std::uint8_t { Bytes, Split, Jump, Start, End, Match };
  struct Instruction {
    Op op;
    std::uint32_t a = 0;  ///< Bytes: index of the set; Split and Jump: next
    std::uint32_t b = 0;  ///< Split: the other next
  };
  std::vector<Instruction> program_;
  std::vector<std::bitset<256>> sets_;
};

}  // namespace coalmine::traffic
