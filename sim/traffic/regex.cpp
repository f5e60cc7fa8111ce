#include "sim/traffic/regex.h"

#include <optional>
#include <utility>

namespace coalmine::traffic {

// Parses by recursive descent and emits code as it goes. A fragment is a run of instructions
// that is entered at its start and left by falling off its end, so fragments concatenate.
class RegexCompiler {
 public:
  explicit RegexCompiler(std::string_view pattern) : text_(pattern) {}

  Result<Regex> compile() {
    TRY_STATUS(alternation(0));
    if (at_ < text_.size()) return fail("')' without '('");
    emit({Regex::Op::Match});
    return std::move(out_);
  }

 private:
  using Op = Regex::Op;
  using Bytes = std::bitset<256>;
  using Code = std::vector<Regex::Instruction>;

  tl::unexpected<Error> fail(std::string_view what) const {
    return error("regex \"{}\": {} at character {}", text_, what, at_ + 1);
  }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return text_[at_]; }
  std::uint32_t here() const { return static_cast<std::uint32_t>(out_.program_.size()); }
  void emit(Regex::Instruction i) { out_.program_.push_back(i); }
  Status room() const {
    if (out_.program_.size() > kMaxRegexProgram) return fail("the expression is too large");
    return {};
  }

  // Moves the code from `start` on behind a new instruction at `start`; its inner jumps shift.
  void insert(std::uint32_t start, Regex::Instruction i) {
    auto& program = out_.program_;
    program.insert(program.begin() + start, i);
    for (std::uint32_t k = start + 1; k < program.size(); ++k) shift(program[k], start, 1);
  }
  static void shift(Regex::Instruction& i, std::uint32_t from, std::uint32_t by) {
    if (i.op == Op::Split || i.op == Op::Jump) {
      if (i.a >= from) i.a += by;
      if (i.op == Op::Split && i.b >= from) i.b += by;
    }
  }
  Status alternation(int depth) {
    if (depth > kMaxRegexDepth) return fail("groups are nested too deeply");
    const std::uint32_t start = here();
    TRY_STATUS(sequence(depth));
    if (!more() || peek() != '|') return {};
    ++at_;
    insert(start, {Op::Split, start + 1, 0});
    const std::uint32_t jump = here();
    emit({Op::Jump});
    out_.program_[start].b = here();
    TRY_STATUS(alternation(depth + 1));
    out_.program_[jump].a = here();
    return room();
  }

  Status sequence(int depth) {
    while (more() && peek() != '|' && peek() != ')') {
      const std::uint32_t start = here();
      TRY_STATUS(atom(depth));
      TRY_STATUS(quantifiers(start));
    }
    return {};
  }

  Status quantifiers(std::uint32_t start) {
    bool quantified = false;
    while (more()) {
      int low = 0;
      int high = -1;  // no limit
      if (peek() == '*') {
        ++at_;
      } else if (peek() == '+') {
        low = 1;
        ++at_;
      } else if (peek() == '?') {
        high = 1;
        ++at_;
      } else if (peek() == '{') {
        const auto counts = braces();
        if (!counts) return {};  // a literal brace, as in RE2
        low = counts->first;
        high = counts->second;
        if (low > kMaxRegexRepeat || high > kMaxRegexRepeat || (high >= 0 && high < low)) {
          return fail("bad repeat count, allowed is {0,1000}");
        }
      } else {
        return {};
      }
      if (quantified) return fail("a quantifier behind a quantifier");
      quantified = true;
      if (more() && peek() == '?') ++at_;  // lazy: the same set of texts
      TRY_STATUS(repeat(start, low, high));
    }
    return {};
  }

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
    const Code once(out_.program_.begin() + start, out_.program_.end());
    const std::size_t copies = static_cast<std::size_t>(std::max(low, high)) + 1;
    if ((once.size() + 2) * copies > kMaxRegexProgram) return fail("the expression is too large");
    out_.program_.resize(start);
    const auto add_once = [&] {
      Code code = once;
      const std::uint32_t to = here();
      for (auto& i : code) {
        if (i.op == Op::Split || i.op == Op::Jump) {
          i.a += to - start;
          if (i.op == Op::Split) i.b += to - start;
        }
        emit(i);
      }
    };
    for (int n = 0; n < low; ++n) add_once();
    if (high < 0) {
      const std::uint32_t loop = here();
      emit({Op::Split, loop + 1, 0});
      add_once();
      emit({Op::Jump, loop});
      out_.program_[loop].b = here();
    } else {
      std::vector<std::uint32_t> exits;
      for (int n = low; n < high; ++n) {
        exits.push_back(here());
        emit({Op::Split, here() + 1, 0});
        add_once();
      }
      for (const std::uint32_t exit : exits) out_.program_[exit].b = here();
    }
    return room();
  }

  Status atom(int depth) {
    const char c = text_[at_++];
    Bytes set;
    switch (c) {
      case '(': {
        if (text_.substr(at_, 2) == "?:") {
          at_ += 2;
        } else if (more() && peek() == '?') {
          return fail("'(?' is only allowed as '(?:'");
        }
        TRY_STATUS(alternation(depth + 1));
        if (!more()) return fail("missing ')'");
        ++at_;
        return {};
      }
      case '[': {
        TRY(set, brackets());
        break;
      }
      case '.':
        set.set();
        set.reset('\n');
        break;
      case '^':
        emit({Op::Start});
        return room();
      case '$':
        emit({Op::End});
        return room();
      case '*':
      case '+':
      case '?':
        --at_;
        return fail("nothing to repeat");
      case '\\': {
        TRY(set, escape());
        break;
      }
      default:
        set.set(static_cast<unsigned char>(c));
    }
    emit({Op::Bytes, static_cast<std::uint32_t>(out_.sets_.size())});
    out_.sets_.push_back(set);
    return room();
  }

  Result<Bytes> escape() {
    if (!more()) return fail("'\\' at the end");
    const char c = text_[at_++];
    Bytes set;
    const auto range = [&](char low, char high) {
      for (int b = low; b <= high; ++b) set.set(static_cast<std::size_t>(b));
    };
    switch (c) {
      case 'd':
      case 'D':
        range('0', '9');
        break;
      case 'w':
      case 'W':
        range('0', '9');
        range('A', 'Z');
        range('a', 'z');
        set.set('_');
        break;
      case 's':
      case 'S':
        for (const char b : {' ', '\t', '\n', '\r', '\f'}) set.set(static_cast<std::size_t>(b));
        break;
      case 't':
        set.set('\t');
        break;
      case 'n':
        set.set('\n');
        break;
      case 'r':
        set.set('\r');
        break;
      default:
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
          return fail("unknown escape");
        }
        set.set(static_cast<unsigned char>(c));
    }
    if (c == 'D' || c == 'W' || c == 'S') set.flip();
    return set;
  }

  Result<Bytes> brackets() {
    Bytes set;
    bool invert = false;
    if (more() && peek() == '^') {
      invert = true;
      ++at_;
    }
    for (bool first = true; more() && (first || peek() != ']'); first = false) {
      if (text_.substr(at_, 2) == "[:") return fail("named classes are not supported");
      TRY(const Bytes low, bracket_member());
      if (low.count() == 1 && at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        ++at_;
        TRY(const Bytes high, bracket_member());
        const std::size_t from = low._Find_first();
        const std::size_t to = high._Find_first();
        if (high.count() != 1 || to < from) return fail("bad range in []");
        for (std::size_t b = from; b <= to; ++b) set.set(b);
      } else {
        set |= low;
      }
    }
    if (!more()) return fail("missing ']'");
    ++at_;
    return invert ? set.flip() : set;
  }

  Result<Bytes> bracket_member() {
    if (!more()) return fail("missing ']'");
    const char c = text_[at_++];
    if (c == '\\') return escape();
    Bytes set;
    set.set(static_cast<unsigned char>(c));
    return set;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Regex out_;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  return RegexCompiler(pattern).compile();
}

namespace {

// The states that are alive, each at most once.
struct StateSet {
  explicit StateSet(std::size_t size) : in(size, false) { list.reserve(size); }
  void clear() {
    for (const std::uint32_t s : list) in[s] = false;
    list.clear();
  }
  std::vector<bool> in;
  std::vector<std::uint32_t> list;
};

}  // namespace

bool Regex::matches(std::string_view text, bool ignore_case) const {
  StateSet now(program_.size());
  StateSet next(program_.size());
  std::vector<std::uint32_t> todo;
  bool matched = false;
  // Adds a state and all that are reached from it without reading a byte.
  const auto add = [&](StateSet& set, std::uint32_t first, std::size_t at) {
    todo.assign(1, first);
    while (!todo.empty()) {
      const std::uint32_t s = todo.back();
      todo.pop_back();
      if (set.in[s]) continue;
      set.in[s] = true;
      set.list.push_back(s);
      const Instruction& i = program_[s];
      if (i.op == Op::Jump) todo.push_back(i.a);
      if (i.op == Op::Split) {
        todo.push_back(i.b);
        todo.push_back(i.a);
      }
      if (i.op == Op::Start && at == 0) todo.push_back(s + 1);
      if (i.op == Op::End && at == text.size()) todo.push_back(s + 1);
      if (i.op == Op::Match && at == text.size()) matched = true;
    }
  };
  add(now, 0, 0);
  for (std::size_t at = 0; at < text.size() && !now.list.empty(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    for (const std::uint32_t s : now.list) {
      const Instruction& i = program_[s];
      if (i.op != Op::Bytes) continue;
      const auto& set = sets_[i.a];
      if (set[byte] || (ignore_case && letter && set[byte ^ 0x20U])) add(next, s + 1, at + 1);
    }
    std::swap(now, next);
    next.clear();
  }
  return matched;
}

}  // namespace coalmine::traffic
