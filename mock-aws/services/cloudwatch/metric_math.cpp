#include "mock-aws/services/cloudwatch/metric_math.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace coalmine::mock {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<double> apply(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "/") return b == 0 ? std::nullopt : std::optional(a / b);
  if (op == "<") return a < b;
  if (op == ">") return a > b;
  if (op == "<=") return a <= b;
  if (op == ">=") return a >= b;
  if (op == "==") return a == b;
  if (op == "!=") return a != b;
  if (op == "AND") return a != 0 && b != 0;
  if (op == "OR") return a != 0 || b != 0;
  return std::nullopt;
}

std::optional<double> at(const MathValue& value, TimePoint t) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  const Series& series = std::get<Series>(value);
  const auto found = std::lower_bound(series.begin(), series.end(), t,
                                      [](const auto& p, TimePoint when) { return p.first < when; });
  if (found == series.end() || found->first != t) return std::nullopt;
  return found->second;
}

MathValue combine(std::string_view op, const MathValue& a, const MathValue& b) {
  const auto* left = std::get_if<Series>(&a);
  const auto* right = std::get_if<Series>(&b);
  if (left == nullptr && right == nullptr) {
    const auto value = apply(op, std::get<double>(a), std::get<double>(b));
    if (value) return *value;
    return Series{};
  }
  Series out;
  for (const auto& [t, unused] : left != nullptr ? *left : *right) {
    static_cast<void>(unused);
    const auto x = at(a, t), y = at(b, t);
    if (!x || !y) continue;
    if (const auto value = apply(op, *x, *y)) out.emplace_back(t, *value);
  }
  return out;
}

template <typename F>
MathValue mapped(const MathValue& value, F f) {
  if (const auto* number = std::get_if<double>(&value)) return f(*number);
  Series out;
  for (const auto& [t, v] : std::get<Series>(value)) out.emplace_back(t, f(v));
  return out;
}

MathValue choose(const MathValue& condition, const MathValue& yes, const MathValue& no) {
  if (const auto* number = std::get_if<double>(&condition)) return *number != 0 ? yes : no;
  Series out;
  for (const auto& [t, v] : std::get<Series>(condition)) {
    if (const auto value = at(v != 0 ? yes : no, t)) out.emplace_back(t, *value);
  }
  return out;
}

MathValue fill(const MathValue& value, std::optional<double> with,
               const std::vector<TimePoint>& grid) {
  if (std::holds_alternative<double>(value)) return value;
  Series out;
  std::optional<double> last;
  for (const TimePoint t : grid) {
    if (const auto here = at(value, t)) {
      last = here;
      out.emplace_back(t, *here);
    } else if (const auto filler = with ? with : last) {
      out.emplace_back(t, *filler);
    }
  }
  return out;
}

std::optional<MathValue> fold_series(std::string_view name, const MathValue& value) {
  const auto* series = std::get_if<Series>(&value);
  if (series == nullptr) return value;
  if (series->empty()) return MathValue{Series{}};
  double result = series->front().second;
  for (auto it = series->begin() + 1; it != series->end(); ++it) {
    if (name == "MIN") {
      result = std::min(result, it->second);
    } else if (name == "MAX") {
      result = std::max(result, it->second);
    } else {
      result += it->second;
    }
  }
  if (name == "AVG") result /= static_cast<double>(series->size());
  return MathValue{result};
}

/// Recursive descent: OR < AND < comparison < sum < product < unary < primary.
class Parser {
 public:
  Parser(std::string_view text, const MathContext& context) : text_(text), context_(context) {}

  Result<MathValue> whole() {
    TRY(MathValue value, level(0));
    skip();
    if (at_ < text_.size()) return unexpected();
    return value;
  }

 private:
  static constexpr int kUnary = 5;

  Result<MathValue> level(int depth_of_rule) {
    if (depth_of_rule == kUnary) return unary();
    TRY(MathValue left, level(depth_of_rule + 1));
    for (;;) {
      const std::string op = operator_of(depth_of_rule);
      if (op.empty()) return left;
      TRY(const MathValue right, level(depth_of_rule + 1));
      left = combine(op, left, right);
    }
  }

  std::string operator_of(int rule) {
    skip();
    const std::string_view rest = text_.substr(at_);
    const auto take = [&](std::string_view token, const char* op) {
      at_ += token.size();
      return std::string(op);
    };
    switch (rule) {
      case 0:
        if (rest.starts_with("||")) return take("||", "OR");
        return keyword(rest, "OR") ? take("OR", "OR") : "";
      case 1:
        if (rest.starts_with("&&")) return take("&&", "AND");
        return keyword(rest, "AND") ? take("AND", "AND") : "";
      case 2:
        for (const char* op : {"<=", ">=", "==", "!=", "<", ">"}) {
          if (rest.starts_with(op)) return take(op, op);
        }
        return "";
      case 3:
        for (const char* op : {"+", "-"}) {
          if (rest.starts_with(op)) return take(op, op);
        }
        return "";
      default:
        for (const char* op : {"*", "/"}) {
          if (rest.starts_with(op)) return take(op, op);
        }
        return "";
    }
  }

  static bool keyword(std::string_view rest, std::string_view word) {
    return rest.starts_with(word) &&
           (rest.size() == word.size() ||
            !(is_letter(rest[word.size()]) || is_digit(rest[word.size()])));
  }

  Result<MathValue> unary() {
    skip();
    if (++depth_ > kMaxExpressionDepth) {
      return error("nested deeper than {} levels", kMaxExpressionDepth);
    }
    Result<MathValue> value = accept('-') ? negated() : primary();
    --depth_;
    return value;
  }

  Result<MathValue> negated() {
    TRY(const MathValue value, unary());
    return mapped(value, [](double v) { return -v; });
  }

  Result<MathValue> primary() {
    skip();
    if (at_ >= text_.size()) return error("unexpected end at position {}", at_ + 1);
    if (accept('(')) {
      TRY(MathValue value, level(0));
      if (!accept(')')) return error("missing ')' at position {}", at_ + 1);
      return value;
    }
    if (is_digit(text_[at_]) || text_[at_] == '.') return number();
    if (is_letter(text_[at_])) return name();
    return unexpected();
  }

  Result<MathValue> number() {
    double value = 0;
    const auto [end, code] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (code != std::errc{}) return unexpected();
    at_ = static_cast<std::size_t>(end - text_.data());
    return MathValue{value};
  }

  std::string word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  Result<MathValue> name() {
    const std::string id = word();
    if (!accept('(')) return context_.lookup(id);
    return call(id);
  }

  Result<MathValue> call(const std::string& function) {
    if (function == "FILL") return call_fill();
    const bool fold =
        function == "SUM" || function == "AVG" || function == "MIN" || function == "MAX";
    const bool map = function == "ABS" || function == "CEIL" || function == "FLOOR";
    if (function != "IF" && !fold && !map) {
      return error(
          "function {} is not implemented; there are IF, FILL, ABS, CEIL, FLOOR, SUM, AVG, MIN and "
          "MAX",
          function);
    }
    std::vector<MathValue> arguments;
    do {
      TRY(MathValue value, level(0));
      arguments.push_back(std::move(value));
    } while (accept(','));
    if (!accept(')')) return error("missing ')' at position {}", at_ + 1);
    if (function == "IF") {
      if (arguments.size() == 2) arguments.emplace_back(Series{});
      if (arguments.size() != 3)
        return error("IF takes 2 or 3 arguments, not {}", arguments.size());
      return choose(arguments[0], arguments[1], arguments[2]);
    }
    if (arguments.size() != 1) {
      return error("{} takes 1 argument here, not {}", function, arguments.size());
    }
    if (fold) return *fold_series(function, arguments[0]);
    return mapped(arguments[0], [&](double v) {
      return function == "ABS" ? std::fabs(v) : function == "CEIL" ? std::ceil(v) : std::floor(v);
    });
  }

  Result<MathValue> call_fill() {
    TRY(const MathValue value, level(0));
    if (!accept(',')) return error("FILL takes 2 arguments");
    skip();
    std::optional<double> with;
    if (keyword(text_.substr(at_), "REPEAT")) {
      word();
    } else {
      TRY(const MathValue filler, level(0));
      const auto* plain = std::get_if<double>(&filler);
      if (plain == nullptr) return error("FILL's second argument is a number or REPEAT here");
      with = *plain;
    }
    if (!accept(')')) return error("missing ')' at position {}", at_ + 1);
    return fill(value, with, context_.grid);
  }

  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) {
      ++at_;
    }
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  tl::unexpected<Error> unexpected() const {
    return error("unexpected '{}' at position {}", text_[at_], at_ + 1);
  }

  std::string_view text_;
  const MathContext& context_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<MathValue> evaluate_math(std::string_view expression, const MathContext& context) {
  return Parser(expression, context).whole();
}

}  // namespace coalmine::mock
