#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/result.h"

namespace coalmine {

inline constexpr int kMaxRegexDepth = 100;  ///< nested groups

/// Whose regular expressions these are.
enum class RegexDialect {
  /// The common part of RE2's syntax, on bytes, as Envoy's `safe_regex` takes it: at most 4,096
  /// instructions once counted repeats are unrolled, at most 1,000 repeats (RE2's limit too).
  Re2,
  /// ECMAScript's as AWS's API models use it, on the code points of UTF-8: also \p{L} \p{N}
  /// \p{Z}, \uHHHH, \xHH, (?=…) and (?!…). Outside ASCII every code point counts as a letter:
  /// the models use \p only to say "text". At most 100,000 instructions and 2,000 repeats.
  Ecma,
};

/// A regular expression that must match the whole text.
///
/// Both dialects know literals . [] () (?:) | * + ? {n,m} ^ $ \d \w \s \D \W \S and escapes; lazy
/// quantifiers are read and change nothing. Time is linear in the text (a set of states is
/// stepped: Thompson 1968; Cox, "Regular Expression Matching Can Be Simple And Fast"), so no
/// request can make it run long or deep. std::regex recurses per character and backtracks: a
/// long value ends the process, and some of the models' patterns take exponential time. (Only a
/// repeated assertion costs more: it looks ahead anew at every place. RE2's dialect has none.)
/// A default-constructed one is the empty expression.
class Regex {
 public:
  /// Errors say what is wrong and at which character.
  static Result<Regex> compile(std::string_view pattern, RegexDialect dialect = RegexDialect::Re2);
  /// `ignore_case` is about ASCII letters. A stray byte counts as U+FFFD (Ecma).
  bool matches(std::string_view text, bool ignore_case = false) const;

 private:
  friend class RegexCompiler;
  template <typename Text>
  class Run;

  /// Begin and End stand for ^ and $; Ahead and NotAhead look ahead.
  enum class Op : std::uint8_t { Set, Split, Jump, Begin, End, Ahead, NotAhead, Match };
  struct Instruction {
    Op op = Op::Match;
    std::uint32_t a = 0;  ///< Set: its index; Split, Jump: next; Ahead: where to go on
    std::uint32_t b = 0;  ///< Split: the other next; Ahead: where the assertion begins
  };
  struct CharSet {
    std::bitset<256> low;                               ///< the bytes, or U+0000 to U+00FF
    std::vector<std::pair<char32_t, char32_t>> beyond;  ///< ranges of what lies above
    bool contains(char32_t c) const;
  };

  RegexDialect dialect_ = RegexDialect::Re2;
  std::vector<Instruction> program_ = {Instruction{}};
  std::vector<CharSet> sets_;
};

}  // namespace coalmine
