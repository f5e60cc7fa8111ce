#include "mock-aws/services/logs/filter_pattern.h"

#include <algorithm>

namespace coalmine::mock {

Result<FilterPattern> parse_filter_pattern(std::string_view text) {
  FilterPattern pattern;
  std::size_t at = 0;
  for (;;) {
    while (at < text.size() && text[at] == ' ') ++at;
    if (at == text.size()) return pattern;
    const char first = text[at];
    if (first == '{' || first == '[' || first == '%') {
      return error("filter patterns that begin with '{}' are not implemented; use terms", first);
    }
    std::vector<std::string>* into = &pattern.all;
    if (first == '?' || first == '-') {
      into = first == '?' ? &pattern.any : &pattern.none;
      ++at;
    }
    std::string term;
    if (at < text.size() && text[at] == '"') {
      const std::size_t end = text.find('"', at + 1);
      if (end == std::string_view::npos) return error("the quote at position {} is open", at + 1);
      term = text.substr(at + 1, end - at - 1);
      at = end + 1;
    } else {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      term = text.substr(at, end - at);
      at = end;
    }
    if (!term.empty()) into->push_back(std::move(term));
  }
}

bool matches(const FilterPattern& pattern, std::string_view message) {
  const auto has = [&](const std::string& term) {
    return message.find(term) != std::string_view::npos;
  };
  return std::all_of(pattern.all.begin(), pattern.all.end(), has) &&
         std::none_of(pattern.none.begin(), pattern.none.end(), has) &&
         (pattern.any.empty() || std::any_of(pattern.any.begin(), pattern.any.end(), has));
}

}  // namespace coalmine::mock
