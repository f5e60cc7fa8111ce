// The expression -> instructions; regex.cpp runs them.
#include <algorithm>
#include <optional>

#include "sim/core/regex.h"

namespace coalmine {

namespace {

constexpr char32_t kLastCodePoint = 0x10FFFF;
using Ranges = std::vector<std::pair<char32_t, char32_t>>;

struct Limits {
  std::size_t program;  ///< instructions
  int repeat;           ///< the largest count in {n,m}
};
constexpr Limits kRe2Limits = {4096, 1000};
constexpr Limits kEcmaLimits = {100'000, 2000};

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

bool is_single(const Ranges& ranges) {
  return ranges.size() == 1 && ranges[0].first == ranges[0].second;
}

Ranges one(char c) {
  const auto unit = static_cast<unsigned char>(c);
  return {{unit, unit}};
}

/// \d \w \s and their negations; nothing for another letter.
std::optional<Ranges> named_class(char name, RegexDialect dialect) {
  switch (name) {
    case 'd':
      return Ranges{{'0', '9'}};
    case 'w':
      return Ranges{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    case 's':  // RE2 leaves the vertical tab out
      if (dialect == RegexDialect::Ecma) return Ranges{{'\t', '\r'}, {' ', ' '}};
      return Ranges{{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
    case 'D':
    case 'W':
    case 'S':
      return negated(*named_class(static_cast<char>(name - 'A' + 'a'), dialect));
    default:
      return std::nullopt;
  }
}

/// What \p{NAME} stands for, roughly: see RegexDialect::Ecma.
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

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

// Parses by recursive descent and emits code as it goes. A fragment is a run of instructions
// that is entered at its start and left by falling off its end, so fragments concatenate.
class RegexCompiler {
 public:
  RegexCompiler(std::string_view pattern, RegexDialect dialect) : text_(pattern) {
    out_.dialect_ = dialect;
    out_.program_.clear();
  }

  Result<Regex> compile() {
    TRY_STATUS(alternatives(0));
    if (more()) return fail("')' without '('");
    emit({Op::Match});
    return std::move(out_);
  }

 private:
  using Op = Regex::Op;
  using Instruction = Regex::Instruction;
  using Code = std::vector<Instruction>;

  tl::unexpected<Error> fail(std::string_view what) const {
    return error("regex \"{}\": {} at character {}", text_, what, at_ + 1);
  }
  bool ecma() const { return out_.dialect_ == RegexDialect::Ecma; }
  Limits limits() const { return ecma() ? kEcmaLimits : kRe2Limits; }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return text_[at_]; }
  bool take(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  std::uint32_t here() const { return static_cast<std::uint32_t>(out_.program_.size()); }
  std::uint32_t emit(Instruction i) {
    out_.program_.push_back(i);
    return here() - 1;
  }
  Status emit_set(const Ranges& ranges) {
    Regex::CharSet set;
    for (const auto& [low, high] : ranges) {
      for (char32_t c = low; c <= std::min<char32_t>(high, 0xFF); ++c) set.low.set(c);
      if (high > 0xFF) set.beyond.emplace_back(std::max<char32_t>(low, 0x100), high);
    }
    out_.sets_.push_back(std::move(set));
    emit({Op::Set, static_cast<std::uint32_t>(out_.sets_.size() - 1)});
    return room();
  }
  Status room() const {
    if (out_.program_.size() > limits().program) return fail("the expression is too large");
    return {};
  }

  /// Takes the code from `start` on out again.
  Code cut(std::uint32_t start) {
    Code code(out_.program_.begin() + start, out_.program_.end());
    out_.program_.resize(start);
    return code;
  }
  /// Appends code that was cut from `start`; its jumps move along.
  void paste(const Code& code, std::uint32_t start) {
    const std::uint32_t by = here() - start;
    for (Instruction i : code) {
      if (i.op == Op::Split || i.op == Op::Jump || i.op == Op::Ahead || i.op == Op::NotAhead) {
        i.a += by;
        i.b += by;
      }
      emit(i);
    }
  }

  Status alternatives(int depth) {
    if (depth > kMaxRegexDepth) return fail("groups are nested too deeply");
    const std::uint32_t start = here();
    TRY_STATUS(sequence(depth));
    while (take("|")) {
      const Code left = cut(start);
      const std::uint32_t split = emit({Op::Split, start + 1});
      paste(left, start);
      const std::uint32_t jump = emit({Op::Jump});
      out_.program_[split].b = here();
      TRY_STATUS(sequence(depth));  // the right side reaches to the next bar
      out_.program_[jump].a = here();
      TRY_STATUS(room());
    }
    return {};
  }

  Status sequence(int depth) {
    while (more() && peek() != '|' && peek() != ')') {
      const std::uint32_t start = here();
      TRY_STATUS(atom(depth));
      TRY_STATUS(quantifier(start));
    }
    return {};
  }

  Status quantifier(std::uint32_t start) {
    if (!more()) return {};
    int low = 0;
    int high = -1;  // no limit
    if (take("+")) {
      low = 1;
    } else if (take("?")) {
      high = 1;
    } else if (peek() == '{') {
      const auto counts = braces();
      if (!counts && ecma()) return fail("bad repeat count");
      if (!counts) return {};  // a literal brace, as in RE2
      low = counts->first;
      high = counts->second;
      if (low > limits().repeat || high > limits().repeat || (high >= 0 && high < low)) {
        return fail(ecma() ? "bad repeat count, allowed is {0,2000}"
                           : "bad repeat count, allowed is {0,1000}");
      }
    } else if (!take("*")) {
      return {};
    }
    take("?");  // lazy: the same set of texts
    if (more() &&
        (peek() == '*' || peek() == '+' || peek() == '?' || (peek() == '{' && braces()))) {
      return fail("a quantifier behind a quantifier");
    }
    return repeat(start, low, high);
  }

  /// {n}, {n,} (second: -1) or {n,m}; nothing, and nothing taken, where it is not that.
  std::optional<std::pair<int, int>> braces() {
    std::size_t i = at_ + 1;
    const auto number = [&]() -> std::optional<int> {
      int n = 0;
      const std::size_t first = i;
      for (; i < text_.size() && text_[i] >= '0' && text_[i] <= '9'; ++i) {
        n = std::min(n * 10 + (text_[i] - '0'), 1'000'000);
      }
      return i == first ? std::nullopt : std::optional(n);
    };
    const auto low = number();
    if (!low) return std::nullopt;
    int high = *low;
    if (i < text_.size() && text_[i] == ',') {
      ++i;
      high = number().value_or(-1);
    }
    if (i >= text_.size() || text_[i] != '}') return std::nullopt;
    at_ = i + 1;
    return std::pair(*low, high);
  }

  Status repeat(std::uint32_t start, int low, int high) {
    const Code once = cut(start);
    const std::size_t copies = static_cast<std::size_t>(std::max(low, high)) + 1;
    if ((once.size() + 2) * copies > limits().program) return fail("the expression is too large");
    for (int n = 0; n < low; ++n) paste(once, start);
    if (high < 0) {
      const std::uint32_t loop = emit({Op::Split, here() + 1});
      paste(once, start);
      emit({Op::Jump, loop});
      out_.program_[loop].b = here();
    }
    std::vector<std::uint32_t> exits;
    for (int n = low; n < high; ++n) {
      exits.push_back(emit({Op::Split, here() + 1}));
      paste(once, start);
    }
    for (const std::uint32_t exit : exits) out_.program_[exit].b = here();
    return room();
  }

  Status atom(int depth) {
    if (take("(")) return group(depth);
    if (take("[")) return brackets();
    if (take("^")) return emit({Op::Begin}), room();
    if (take("$")) return emit({Op::End}), room();
    if (take(".")) {
      return emit_set(ecma() ? negated({{'\n', '\n'}, {'\r', '\r'}}) : negated({{'\n', '\n'}}));
    }
    if (peek() == '*' || peek() == '+' || peek() == '?') return fail("nothing to repeat");
    TRY(const Ranges ranges, character());
    return emit_set(ranges);
  }

  Status group(int depth) {
    if (ecma() && take("?=")) return assertion(Op::Ahead, depth);
    if (ecma() && take("?!")) return assertion(Op::NotAhead, depth);
    if (!take("?:") && more() && peek() == '?') {
      return fail(ecma() ? "'(?' is only allowed as '(?:', '(?=' and '(?!'"
                         : "'(?' is only allowed as '(?:'");
    }
    TRY_STATUS(alternatives(depth + 1));
    if (!take(")")) return fail("missing ')'");
    return {};
  }

  Status assertion(Op op, int depth) {
    const std::uint32_t ahead = emit({op, 0, here() + 1});
    TRY_STATUS(alternatives(depth + 1));
    if (!take(")")) return fail("missing ')'");
    emit({Op::Match});
    out_.program_[ahead].a = here();
    return room();
  }

  /// One character or escape, as ranges.
  Result<Ranges> character() {
    const char c = text_[at_++];
    return c == '\\' ? escape() : Result<Ranges>(one(c));
  }

  Result<Ranges> escape() {
    if (!more()) return fail("'\\' at the end");
    const char c = text_[at_++];
    if (c == 't') return one('\t');
    if (c == 'n') return one('\n');
    if (c == 'r') return one('\r');
    if (const auto ranges = named_class(c, out_.dialect_)) return *ranges;
    if (ecma() && c == 'u') return hex(4);
    if (ecma() && c == 'x') return hex(2);
    if (ecma() && c == 'p') return property();
    if (is_alphanumeric(c)) return fail("unknown escape");
    return one(c);
  }

  Result<Ranges> hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = more() ? hex_value(peek()) : -1;
      if (digit < 0) return fail("bad hex escape");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return Ranges{{value, value}};
  }

  Result<Ranges> property() {
    const auto end = text_.find('}', at_);
    if (!take("{") || end == std::string_view::npos) return fail("bad \\p");
    const auto ranges = property_class(text_.substr(at_, end - at_));
    if (!ranges) return fail("unknown \\p class");
    at_ = end + 1;
    return *ranges;
  }

  Status brackets() {
    const bool negate = take("^");
    Ranges all;
    // RE2 takes a ] in the first place for itself, ECMAScript for the end.
    for (bool first = !ecma(); more() && (first || peek() != ']'); first = false) {
      if (!ecma() && text_.substr(at_, 2) == "[:") return fail("named classes are not supported");
      TRY(const Ranges low, character());
      if (is_single(low) && at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        const std::size_t hyphen = at_++;
        TRY(const Ranges high, character());
        if (is_single(high) && high[0].first >= low[0].first) {
          all.emplace_back(low[0].first, high[0].first);
          continue;
        }
        if (!ecma()) return fail("bad range in []");
        at_ = hyphen;  // "9-\w" and the like: the hyphen is itself
      }
      all.insert(all.end(), low.begin(), low.end());
    }
    if (!take("]")) return fail("missing ']'");
    return emit_set(negate ? negated(std::move(all)) : all);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Regex out_;
};

Result<Regex> Regex::compile(std::string_view pattern, RegexDialect dialect) {
  return RegexCompiler(pattern, dialect).compile();
}

}  // namespace coalmine
