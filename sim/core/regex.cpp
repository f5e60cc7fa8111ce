// Running an expression's instructions over a text; regex_compiler.cpp makes them.
#include "sim/core/regex.h"

#include <algorithm>
#include <string>

namespace coalmine {

namespace {

/// The code points of a UTF-8 text; a stray byte becomes U+FFFD.
std::u32string code_points(std::string_view utf8) {
  std::u32string result;
  result.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    char32_t value = length <= 1 ? lead : lead & (0x7Fu >> length);
    bool good = length > 0 && i + length <= utf8.size();
    for (std::size_t k = 1; good && k < length; ++k) {
      const auto c = static_cast<unsigned char>(utf8[i + k]);
      good = (c & 0xC0) == 0x80;
      value = value << 6 | (c & 0x3Fu);
    }
    result += good ? value : U'\uFFFD';
    i += good ? length : 1;
  }
  return result;
}

}  // namespace

bool Regex::CharSet::contains(char32_t c) const {
  if (c <= 0xFF) return low[c];
  return std::any_of(beyond.begin(), beyond.end(),
                     [c](const auto& range) { return range.first <= c && c <= range.second; });
}

/// One match of a text: bytes (std::string_view) or code points (std::u32string_view).
template <typename Text>
class Regex::Run {
 public:
  Run(const Regex& regex, Text text, bool ignore_case)
      : regex_(regex), text_(text), ignore_case_(ignore_case) {}

  /// Whether the code at `start` matches the text from `at` on: all of it, or (an assertion)
  /// some beginning of it.
  bool matches(std::uint32_t start, std::size_t at, bool whole) const {
    States now(regex_.program_.size());
    States next(regex_.program_.size());
    bool matched = add(now, start, at, whole);
    for (; !matched && at < text_.size() && !now.list.empty(); ++at) {
      for (const std::uint32_t s : now.list) {
        const Instruction& i = regex_.program_[s];
        if (i.op == Op::Set && takes(regex_.sets_[i.a], unit(text_[at])) &&
            add(next, s + 1, at + 1, whole)) {
          matched = true;
        }
      }
      std::swap(now, next);
      next.clear();
    }
    return matched;
  }

 private:
  /// The states that are alive, each at most once.
  struct States {
    explicit States(std::size_t size) : in(size, false) {}
    void clear() {
      for (const std::uint32_t s : list) in[s] = false;
      list.clear();
    }
    std::vector<bool> in;
    std::vector<std::uint32_t> list;
    std::vector<std::uint32_t> todo;  ///< those whose successors are still to be added
  };

  static char32_t unit(char c) { return static_cast<unsigned char>(c); }
  static char32_t unit(char32_t c) { return c; }

  bool takes(const CharSet& set, char32_t c) const {
    if (set.contains(c)) return true;
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return ignore_case_ && letter && set.contains(c ^ 0x20U);
  }

  /// Adds a state and all that are reached from it without taking a character; true when one
  /// of them is a match. Own stack, no recursion but into an assertion.
  bool add(States& states, std::uint32_t first, std::size_t at, bool whole) const {
    bool matched = false;
    std::vector<std::uint32_t>& todo = states.todo;
    todo.assign(1, first);
    while (!todo.empty()) {
      const std::uint32_t s = todo.back();
      todo.pop_back();
      if (states.in[s]) continue;
      states.in[s] = true;
      states.list.push_back(s);
      const Instruction& i = regex_.program_[s];
      switch (i.op) {
        case Op::Set:
          break;
        case Op::Jump:
          todo.push_back(i.a);
          break;
        case Op::Split:
          todo.push_back(i.b);
          todo.push_back(i.a);
          break;
        case Op::Begin:
          if (at == 0) todo.push_back(s + 1);
          break;
        case Op::End:
          if (at == text_.size()) todo.push_back(s + 1);
          break;
        case Op::Ahead:
        case Op::NotAhead:
          if (matches(i.b, at, false) == (i.op == Op::Ahead)) todo.push_back(i.a);
          break;
        case Op::Match:
          if (!whole || at == text_.size()) matched = true;
          break;
      }
    }
    return matched;
  }

  const Regex& regex_;
  Text text_;
  bool ignore_case_;
};

bool Regex::matches(std::string_view text, bool ignore_case) const {
  if (dialect_ == RegexDialect::Re2) {
    return Run<std::string_view>(*this, text, ignore_case).matches(0, 0, true);
  }
  const std::u32string points = code_points(text);
  return Run<std::u32string_view>(*this, points, ignore_case).matches(0, 0, true);
}

}  // namespace coalmine
