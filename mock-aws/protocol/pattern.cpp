#include "mock-aws/protocol/pattern.h"

#include <algorithm>
#include <memory>
#include <optional>

namespace coalmine::mock {

namespace {
constexpr char32_t kLastCodePoint = 0x10FFFF;
constexpr int kMaxRepeat = 2000;
constexpr int kMaxInstructions = 100000;
using Ranges = std::vector<std::pair<char32_t, char32_t>>;

Ranges negated(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges result;
  char32_t next = 0;
  for (const auto& [low, high] : ranges) {
    if (low > next) result.emplace_back(next, low - 1);
    next = std::max<char32_t>(next, high + 1);
  }
  if (next <= kLastCodePoint) result.emplace_back(next, kLastCodePoint);
  return result;
}

std::optional<Ranges> named_class(char name) {
  const Ranges digits = {{'0', '9'}};
  const Ranges word = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  const Ranges space = {{'\t', '\r'}, {' ', ' '}};
  switch (name) {
    case 'd':
      return digits;
    case 'D':
      return negated(digits);
    case 'w':
      return word;
    case 'W':
      return negated(word);
    case 's':
      return space;
    case 'S':
      return negated(space);
    default:
      return std::nullopt;
  }
}

std::optional<Ranges> property_class(std::string_view name) {
  if (name == "L") return Ranges{{'A', 'Z'}, {'a', 'z'}, {0x80, kLastCodePoint}};
  if (name == "N") return Ranges{{'0', '9'}, {0x80, kLastCodePoint}};
  if (name == "Z") return Ranges{{' ', ' '}, {0xA0, 0xA0}, {0x2000, 0x200A}, {0x3000, 0x3000}};
  return std::nullopt;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

/// Recursive descent over the expression; emits instructions as it goes.
class PatternCompiler {
 public:
  explicit PatternCompiler(std::string_view text) : text_(text) {}

  Result<Pattern> compile() {
    TRY_STATUS(alternatives());
    if (at_ < text_.size()) return error("unexpected '{}' in pattern {}", text_[at_], text_);
    emit(Pattern::Op::Match);
    return std::move(out_);
  }

 private:
  using Op = Pattern::Op;
  using Code = std::vector<Pattern::Instruction>;

  int here() const { return static_cast<int>(out_.program_.size()); }
  int emit(Op op, int a = 0, int b = 0) {
    out_.program_.push_back({op, a, b});
    return here() - 1;
  }
  bool more() const { return at_ < text_.size(); }
  bool take(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  /// Takes the code from `start` on out again, with its jumps relative to `start`.
  Code cut(int start) {
    Code code(out_.program_.begin() + start, out_.program_.end());
    out_.program_.resize(static_cast<std::size_t>(start));
    for (auto& i : code) shift(i, -start);
    return code;
  }
  static void shift(Pattern::Instruction& i, int by) {
    if (i.op == Op::Split || i.op == Op::Jump || i.op == Op::Ahead || i.op == Op::NotAhead) {
      i.a += by;
      i.b += by;
    }
  }
  void paste(const Code& code) {
    const int base = here();
    for (auto i : code) {
      shift(i, base);
      out_.program_.push_back(i);
    }
  }

  Status alternatives() {
    if (++depth_ > 50) return error("pattern {} is nested too deeply", text_);
    const int start = here();
    TRY_STATUS(sequence());
    while (take("|")) {
      const Code left = cut(start);
      const int split = emit(Op::Split);
      out_.program_[static_cast<std::size_t>(split)].a = here();
      paste(left);
      const int jump = emit(Op::Jump);
      out_.program_[static_cast<std::size_t>(split)].b = here();
      // The right side is everything up to the next bar.
      TRY_STATUS(sequence());
      out_.program_[static_cast<std::size_t>(jump)].a = here();
    }
    --depth_;
    return {};
  }

  Status sequence() {
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      const int start = here();
      TRY_STATUS(atom());
      TRY_STATUS(quantifier(start));
    }
    return {};
  }

  Status quantifier(int start) {
    int low = 1, high = 1;  // high < 0: no end
    if (take("*")) {
      low = 0, high = -1;
    } else if (take("+")) {
      low = 1, high = -1;
    } else if (take("?")) {
      low = 0;
    } else if (take("{")) {
      TRY_STATUS(counts(low, high));
    } else {
      return {};
    }
    const Code code = cut(start);
    for (int i = 0; i < low; ++i) paste(code);
    if (high < 0) {
      const int split = emit(Op::Split);
      out_.program_[static_cast<std::size_t>(split)].a = here();
      paste(code);
      emit(Op::Jump, split);
      out_.program_[static_cast<std::size_t>(split)].b = here();
    }
    std::vector<int> splits;
    for (int i = low; i < high; ++i) {
      splits.push_back(emit(Op::Split));
      out_.program_[static_cast<std::size_t>(splits.back())].a = here();
      paste(code);
    }
    for (const int split : splits) out_.program_[static_cast<std::size_t>(split)].b = here();
    if (here() > kMaxInstructions) return error("pattern {} is too large", text_);
    return {};
  }

  Status counts(int& low, int& high) {
    const auto number = [this] {
      int value = -1;
      while (more() && text_[at_] >= '0' && text_[at_] <= '9' && value <= kMaxRepeat) {
        value = std::max(value, 0) * 10 + (text_[at_++] - '0');
      }
      return value;
    };
    low = number();
    high = low;
    if (take(",")) high = number();
    if (low < 0 || low > kMaxRepeat || high > kMaxRepeat || !take("}")) {
      return error("bad repeat count in pattern {}", text_);
    }
    return {};
  }

  Status atom() {
    if (take("^")) {
      emit(Op::Begin);
    } else if (take("$")) {
      emit(Op::End);
    } else if (take("(?=")) {
      return assertion(Op::Ahead);
    } else if (take("(?!")) {
      return assertion(Op::NotAhead);
    } else if (take("(?:") || take("(")) {
      TRY_STATUS(alternatives());
      if (!take(")")) return error("missing ) in pattern {}", text_);
    } else if (take("[")) {
      return char_class();
    } else if (take(".")) {
      set(negated({{'\n', '\n'}, {'\r', '\r'}}));
    } else {
      TRY(Ranges ranges, character());
      set(std::move(ranges));
    }
    return {};
  }

  Status assertion(Op op) {
    const int ahead = emit(op);
    const int begin = here();
    TRY_STATUS(alternatives());
    if (!take(")")) return error("missing ) in pattern {}", text_);
    emit(Op::Match);
    out_.program_[static_cast<std::size_t>(ahead)].a = here();
    out_.program_[static_cast<std::size_t>(ahead)].b = begin;
    return {};
  }

  void set(Ranges ranges) {
    out_.sets_.push_back(std::move(ranges));
    emit(Op::Set, static_cast<int>(out_.sets_.size()) - 1);
  }

  Result<Ranges> hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = more() ? hex_value(text_[at_]) : -1;
      if (digit < 0) return error("bad hex escape in pattern {}", text_);
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    return Ranges{{value, value}};
  }

  /// One character or escape, as ranges.
  Result<Ranges> character() {
    if (!take("\\")) {
      const auto c = static_cast<unsigned char>(text_[at_++]);
      return Ranges{{c, c}};
    }
    if (!more()) return error("pattern {} ends with a backslash", text_);
    const char c = text_[at_++];
    if (c == 'u') return hex(4);
    if (c == 'x') return hex(2);
    if (c == 't') return Ranges{{'\t', '\t'}};
    if (c == 'n') return Ranges{{'\n', '\n'}};
    if (c == 'r') return Ranges{{'\r', '\r'}};
    if (c == 'p') {
      const auto end = text_.find('}', at_);
      if (!take("{") || end == std::string_view::npos) return error("bad \\p in {}", text_);
      const auto ranges = property_class(text_.substr(at_, end - at_));
      at_ = end + 1;
      if (!ranges) return error("unknown \\p class in pattern {}", text_);
      return *ranges;
    }
    if (const auto ranges = named_class(c)) return *ranges;
    const auto literal = static_cast<unsigned char>(c);
    return Ranges{{literal, literal}};
  }

  static bool single(const Ranges& r) { return r.size() == 1 && r[0].first == r[0].second; }

  Status char_class() {
    const bool negate = take("^");
    Ranges all;
    while (more() && text_[at_] != ']') {
      TRY(Ranges low, character());
      if (single(low) && at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        const std::size_t back = at_++;
        TRY(const Ranges high, character());
        if (single(high) && high[0].first >= low[0].first) {
          all.emplace_back(low[0].first, high[0].first);
          continue;
        }
        at_ = back;  // "9-\w" and the like: the hyphen is itself
      }
      all.insert(all.end(), low.begin(), low.end());
    }
    if (!take("]")) return error("missing ] in pattern {}", text_);
    set(negate ? negated(std::move(all)) : std::move(all));
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  Pattern out_;
};

Result<Pattern> Pattern::compile(std::string_view expression) {
  return PatternCompiler(expression).compile();
}

bool Pattern::in_set(int index, char32_t c) const {
  const Ranges& ranges = sets_[static_cast<std::size_t>(index)];
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const auto& range) { return range.first <= c && c <= range.second; });
}

/// Adds the states reachable from `start` without taking a character; own stack, no recursion.
void Pattern::follow(int start, std::size_t at, const std::u32string& text,
                     std::vector<int>& states, std::vector<char>& seen) const {
  std::vector<int> todo = {start};
  while (!todo.empty()) {
    const int pc = todo.back();
    todo.pop_back();
    char& visited = seen[static_cast<std::size_t>(pc)];
    if (visited != 0) continue;
    visited = 1;
    const Instruction& i = program_[static_cast<std::size_t>(pc)];
    switch (i.op) {
      case Op::Jump:
        todo.push_back(i.a);
        break;
      case Op::Split:
        todo.push_back(i.b);
        todo.push_back(i.a);
        break;
      case Op::Begin:
        if (at == 0) todo.push_back(pc + 1);
        break;
      case Op::End:
        if (at == text.size()) todo.push_back(pc + 1);
        break;
      case Op::Ahead:
      case Op::NotAhead:
        if (run(i.b, at, text, false) == (i.op == Op::Ahead)) todo.push_back(i.a);
        break;
      default:
        states.push_back(pc);
    }
  }
}

bool Pattern::run(int start, std::size_t at, const std::u32string& text, bool whole) const {
  std::vector<int> states, next;
  std::vector<char> seen(program_.size(), 0);
  follow(start, at, text, states, seen);
  for (;; ++at) {
    for (const int pc : states) {
      if (program_[static_cast<std::size_t>(pc)].op == Op::Match && (!whole || at == text.size())) {
        return true;
      }
    }
    if (at == text.size() || states.empty()) return false;
    next.clear();
    std::fill(seen.begin(), seen.end(), 0);
    for (const int pc : states) {
      const Instruction& i = program_[static_cast<std::size_t>(pc)];
      if (i.op == Op::Set && in_set(i.a, text[at])) follow(pc + 1, at + 1, text, next, seen);
    }
    states.swap(next);
  }
}

bool Pattern::matches(std::string_view text) const {
  return program_.empty() || run(0, 0, code_points(text), true);
}

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

}  // namespace coalmine::mock
