#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/result.h"

namespace coalmine::mock {

/// A regular expression as the service models use them, matched over the whole text.
///
/// Own code instead of std::regex, whose matcher recurses per character (a long value ends the
/// process) and backtracks (some of the models' patterns take exponential time). This one steps
/// a set of states over the code points (Thompson 1968; Cox, "Regular Expression Matching Can
/// Be Simple And Fast"): time is linear in the text.
///
/// Knows: literals, ., classes, \d \w \s and their negations, \p{L} \p{N} \p{Z}, \uHHHH, \xHH,
/// groups, |, * + ? {n,m}, ^ $, (?=…) and (?!…). Outside ASCII every code point counts as a
/// letter: the models use \p only to say "text".
class Pattern {
 public:
  Pattern() = default;
  /// Error when the expression uses anything else.
  static Result<Pattern> compile(std::string_view expression);
  /// Whether the whole of `text` (UTF-8) matches.
  bool matches(std::string_view text) const;

 private:
  friend class PatternCompiler;
  enum class Op : std::uint8_t { Set, Split, Jump, Begin, End, Ahead, NotAhead, Match };
  using Ranges = std::vector<std::pair<char32_t, char32_t>>;
  struct Instruction {
    Op op = Op::Match;
    int a = 0;  ///< Set: index of the ranges; Split, Jump: a target; Ahead: where to go on
    int b = 0;  ///< Split: the other target; Ahead: where the assertion begins
  };
  void follow(int pc, std::size_t at, const std::u32string& text, std::vector<int>& states,
              std::vector<char>& seen) const;
  bool run(int start, std::size_t at, const std::u32string& text, bool whole) const;
  bool in_set(int index, char32_t c) const;

  std::vector<Instruction> program_;
  std::vector<Ranges> sets_;
};

/// The code points of a UTF-8 text; a stray byte becomes U+FFFD.
std::u32string code_points(std::string_view utf8);

}  // namespace coalmine::mock
