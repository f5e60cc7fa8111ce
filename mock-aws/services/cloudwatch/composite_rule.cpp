#include "mock-aws/services/cloudwatch/composite_rule.h"

#include <algorithm>

#include "mock-aws/services/cloudwatch/alarm_rule.h"

namespace coalmine::mock {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const StateLookup& state, std::vector<std::string>& children)
      : text_(text), state_(state), children_(children) {}

  Result<bool> whole() {
    TRY(const bool value, either());
    skip();
    if (at_ < text_.size()) return error("unexpected text at position {}", at_ + 1);
    return value;
  }

 private:
  // Both sides are always read: names on a side that decides nothing are checked too.
  Result<bool> either() {
    TRY(bool left, both());
    while (keyword("OR")) {
      TRY(const bool right, both());
      left = left || right;
    }
    return left;
  }
  Result<bool> both() {
    TRY(bool left, single());
    while (keyword("AND")) {
      TRY(const bool right, single());
      left = left && right;
    }
    return left;
  }
  Result<bool> single() {
    if (++depth_ > kMaxRuleDepth) return error("nested deeper than {} levels", kMaxRuleDepth);
    auto value = term();
    --depth_;
    return value;
  }
  Result<bool> term() {
    if (keyword("NOT")) {
      TRY(const bool value, single());
      return !value;
    }
    if (accept('(')) {
      TRY(const bool value, either());
      if (!accept(')')) return error("missing ')' at position {}", at_ + 1);
      return value;
    }
    if (keyword("TRUE")) return true;
    if (keyword("FALSE")) return false;
    for (const auto wanted : {AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData}) {
      if (keyword(to_string(wanted))) return state_of(wanted);
    }
    return error("expected ALARM, OK, INSUFFICIENT_DATA, NOT, TRUE, FALSE or '(' at position {}",
                 at_ + 1);
  }

  Result<bool> state_of(AlarmState wanted) {
    if (!accept('(')) return error("missing '(' at position {}", at_ + 1);
    skip();
    std::string name;
    if (accept('"')) {
      while (at_ < text_.size() && text_[at_] != '"') {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
        name += text_[at_++];
      }
      if (!accept('"')) return error("missing '\"' at position {}", at_ + 1);
    } else {
      while (at_ < text_.size() && text_[at_] != ')') name += text_[at_++];
      while (!name.empty() && name.back() == ' ') name.pop_back();
    }
    if (!accept(')')) return error("missing ')' at position {}", at_ + 1);
    if (const auto arn = name.find(":alarm:"); arn != std::string::npos) name.erase(0, arn + 7);
    if (std::find(children_.begin(), children_.end(), name) == children_.end()) {
      if (children_.size() == kMaxRuleChildren) {
        return error("more than {} alarms", kMaxRuleChildren);
      }
      children_.push_back(name);
    }
    const auto state = state_(name);
    if (!state) return error("alarm {} does not exist", name);
    return *state == wanted;
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
  bool keyword(std::string_view word) {
    skip();
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(word)) return false;
    if (rest.size() > word.size()) {
      const char next = rest[word.size()];
      if ((next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z') || next == '_') return false;
    }
    at_ += word.size();
    return true;
  }

  std::string_view text_;
  const StateLookup& state_;
  std::vector<std::string>& children_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<bool> evaluate_composite(std::string_view rule, const StateLookup& state,
                                std::vector<std::string>* children) {
  std::vector<std::string> unused;
  return Parser(rule, state, children != nullptr ? *children : unused).whole();
}

}  // namespace coalmine::mock
