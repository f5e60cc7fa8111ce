#include <algorithm>
#include <cctype>

#include "sim/rollout/importers/argo_metrics.h"

namespace coalmine::importers {
namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string trimmed(std::string text) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), space));
  while (!text.empty() && space(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

std::vector<std::string> split(const std::string& text, const std::string& by) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (std::size_t next; (next = text.find(by, at)) != std::string::npos; at = next + by.size()) {
    parts.push_back(trimmed(text.substr(at, next - at)));
  }
  parts.push_back(trimmed(text.substr(at)));
  return parts;
}

/// The value itself: result, result[0], default(result[0], 0), asFloat(result).
bool is_result(std::string text) {
  text.erase(std::remove_if(text.begin(), text.end(),
                            [](unsigned char c) { return std::isspace(c) != 0; }),
             text.end());
  return text == "result" || text == "result[0]" || text == "asFloat(result)" ||
         text == "asFloat(result[0])" || text == "asInt(result)" || text == "asInt(result[0])";
}

/// One comparison with a number, either way round, put into `condition`.
bool add_comparison(const std::string& text, Condition& condition) {
  for (const char* op : {">=", "<=", ">", "<"}) {
    const auto at = text.find(op);
    if (at == std::string::npos) continue;
    const std::string sign = op;
    std::string left = trimmed(text.substr(0, at));
    std::string right = trimmed(text.substr(at + sign.size()));
    bool greater = sign[0] == '>';
    if (!is_result(left)) {
      std::swap(left, right);
      greater = !greater;
    }
    const auto bound = read_number(right);
    if (!is_result(left) || !bound) return false;
    const bool itself = sign.size() == 2;
    auto& slot = greater ? condition.above : condition.below;
    if (slot) return false;
    slot = bound;
    (greater ? condition.above_itself : condition.below_itself) = itself;
    return true;
  }
  return false;
}

bool is_no_data(std::string text) {
  text.erase(std::remove_if(text.begin(), text.end(),
                            [](unsigned char c) { return std::isspace(c) != 0; }),
             text.end());
  return text == "len(result)==0" || text == "isNaN(result[0])" || text == "isNaN(result)" ||
         text == "result==nil" || text == "isNil(result)";
}

}  // namespace

std::string fill_in(std::string text, const Arguments& arguments) {
  for (const auto& [name, value] : arguments) {
    for (const std::string& mark : {"{{args." + name + "}}", "{{ args." + name + " }}"}) {
      for (std::size_t at; (at = text.find(mark)) != std::string::npos;) {
        text.replace(at, mark.size(), value);
        if (contains(value, mark)) break;
      }
    }
  }
  return text;
}

std::optional<Condition> parse_condition(std::string text) {
  text = trimmed(std::move(text));
  Condition condition;
  bool compared = false;
  for (const std::string& part : split(text, "||")) {
    if (is_no_data(part)) {
      condition.no_data_is_true = true;
      continue;
    }
    if (compared) return std::nullopt;  // "either low or high" is no range
    for (const std::string& one : split(part, "&&")) {
      if (one.starts_with('!') && is_no_data(one.substr(1))) continue;
      if (one == "len(result) > 0") continue;
      if (!add_comparison(one, condition)) return std::nullopt;
    }
    compared = true;
  }
  if (!compared) return std::nullopt;
  return condition;
}

std::optional<QueryMeaning> meaning_of(const std::string& query) {
  QueryMeaning meaning;
  // The range: the last bracket that holds a duration.
  for (std::size_t at = 0; (at = query.find('[', at)) != std::string::npos; ++at) {
    const auto end = query.find_first_of("]:", at);
    if (end == std::string::npos) break;
    if (const auto window = parse_duration(query.substr(at + 1, end - at - 1))) {
      meaning.window = *window;
    }
  }
  if (const auto at = query.find("histogram_quantile("); at != std::string::npos) {
    const auto begin = at + std::string_view("histogram_quantile(").size();
    const auto quantile = read_number(trimmed(query.substr(begin, query.find(',', begin) - begin)));
    if (!quantile || !(*quantile > 0 && *quantile < 1)) return std::nullopt;
    meaning.signal = rollout::Signal::Latency;
    meaning.quantile = *quantile;
    const bool millis = contains(query, "milliseconds") || contains(query, "_ms_");
    meaning.seconds = millis && !contains(query, "/ 1000") && !contains(query, "/1000") ? 0.001 : 1;
    if (!millis && contains(query, "* 1000")) meaning.seconds = 0.001;
    return meaning;
  }
  if (!contains(query, "/")) return std::nullopt;  // a share is a quotient
  const bool not_failed = contains(query, "!~\"5") || contains(query, "!~\"(5") ||
                          contains(query, "!~\"^5") || contains(query, "=~\"2") ||
                          contains(query, "!~'5") || contains(query, "=~\"(2");
  const bool failed = contains(query, "=~\"5") || contains(query, "=~\"^5") ||
                      contains(query, "=~'5") || contains(query, "=~\"(5") ||
                      contains(query, "status=\"5") || contains(query, "code=\"5");
  if (not_failed == failed) return std::nullopt;
  meaning.success = not_failed;
  if (contains(query, "* 100") || contains(query, "*100") || contains(query, "100 *")) {
    meaning.whole = 100;
  }
  return meaning;
}

}  // namespace coalmine::importers
