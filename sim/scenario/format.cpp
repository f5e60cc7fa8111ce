#include "sim/scenario/format.h"

#include <charconv>

namespace coalmine::scenario {
namespace {

/// Edits (insert, delete, replace, swap of neighbours) between two words.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

bool want_scalar(const YamlNode& node, Reader& reader, std::string_view what) {
  if (node.kind == YamlNode::Kind::Scalar) return true;
  return reader.problem(node, "expected {}, found {}", what, describe(node));
}

Json string_schema(std::string doc, const char* pattern) {
  return {{"description", std::move(doc)}, {"type", "string"}, {"pattern", pattern}};
}

bool is_name(const std::string& text) {
  if (text.empty() || text.size() > 64) return false;
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return word(text[0]) && std::all_of(text.begin(), text.end(), [&word](char c) {
           return word(c) || c == '.' || c == '_' || c == '-';
         });
}

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (ec != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::string suggestion(const std::string& word, const std::vector<std::string>& allowed) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  if (word.size() > 64) return best;
  for (const std::string& candidate : allowed) {
    const std::size_t d = distance(word, candidate);
    if (d < best_distance && d < candidate.size()) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

bool has_key(const YamlNode& map, std::string_view key) {
  return std::any_of(map.pairs.begin(), map.pairs.end(),
                     [key](const auto& pair) { return pair.key.text == key; });
}

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

bool unknown_word(Reader& reader, const YamlNode& at, std::string_view what,
                  const std::vector<std::string>& allowed) {
  const std::string near = suggestion(at.text, allowed);
  const std::string hint = near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
  return reader.problem(at, "unknown {} \"{}\"{} (allowed: {})", what, at.text, hint,
                        join(allowed));
}

Rule<std::string> text_rule(std::string doc, std::size_t max_length) {
  // Whatever a plain YAML scalar looks like, it is text here: 5 and true need no quotes.
  Json schema = {{"description", std::move(doc)},
                 {"type", {"string", "number", "boolean"}},
                 {"minLength", 1},
                 {"maxLength", max_length}};
  return {std::move(schema), [max_length](const YamlNode& node, Reader& reader, std::string& out) {
            if (!want_scalar(node, reader, "text")) return false;
            if (node.text.empty() || node.text.size() > max_length) {
              return reader.problem(node, "the text has {} bytes, allowed are 1 to {}",
                                    node.text.size(), max_length);
            }
            out = node.text;
            return true;
          }};
}

Rule<std::string> name_rule(std::string doc) {
  return {string_schema(std::move(doc), "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
          [](const YamlNode& node, Reader& reader, std::string& out) {
            if (!want_scalar(node, reader, "a name")) return false;
            if (!is_name(node.text)) {
              return reader.problem(node,
                                    "\"{}\" is not a name; allowed are 1 to 64 letters, digits, "
                                    "'.', '_' and '-', the first a letter or digit",
                                    node.text);
            }
            out = node.text;
            return true;
          }};
}

Rule<std::string> path_rule(std::string doc) {
  return {string_schema(std::move(doc), "^/[!-~]{0,254}$"),
          [](const YamlNode& node, Reader& reader, std::string& out) {
            if (!want_scalar(node, reader, "a path")) return false;
            const bool plain = std::all_of(node.text.begin(), node.text.end(),
                                           [](char c) { return c > ' ' && c <= '~'; });
            if (node.text.empty() || node.text[0] != '/' || node.text.size() > 255 || !plain) {
              return reader.problem(
                  node, "\"{}\" is not a path; it begins with / and has no blanks", node.text);
            }
            out = node.text;
            return true;
          }};
}

Rule<std::string> header_rule(std::string doc) {
  return {string_schema(std::move(doc), "^[A-Za-z0-9-]{1,64}: ?[!-~]{1,255}$"),
          [](const YamlNode& node, Reader& reader, std::string& out) {
            if (!want_scalar(node, reader, "a header such as X-User:beta")) return false;
            const std::size_t colon = node.text.find(':');
            const std::string name = node.text.substr(0, colon);
            std::string value = colon == std::string::npos ? "" : node.text.substr(colon + 1);
            if (!value.empty() && value[0] == ' ') value.erase(0, 1);
            const auto token = [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-';
            };
            const auto visible = [](char c) { return c > ' ' && c <= '~'; };
            if (name.empty() || name.size() > 64 || value.empty() || value.size() > 255 ||
                !std::all_of(name.begin(), name.end(), token) ||
                !std::all_of(value.begin(), value.end(), visible)) {
              return reader.problem(node, "\"{}\" is not a header; write NAME:VALUE without blanks",
                                    node.text);
            }
            out = name + ":" + value;
            return true;
          }};
}

Rule<std::uint64_t> size_rule(std::string doc) {
  return {string_schema(doc + " (1B to 1GB)", "^[0-9]+(B|KB|MB|GB)$"),
          [](const YamlNode& node, Reader& reader, std::uint64_t& out) {
            if (!want_scalar(node, reader, "a size such as 64KB")) return false;
            constexpr std::uint64_t kMost = std::uint64_t{1} << 30;
            std::uint64_t value = 0;
            const char* end = node.text.data() + node.text.size();
            const auto [stop, ec] = std::from_chars(node.text.data(), end, value);
            const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
            const int shift = unit == "B" ? 0 : unit == "KB" ? 10 : unit == "MB" ? 20 : 30;
            const bool known = shift < 30 || unit == "GB";
            if (ec != std::errc{} || !known || value == 0 || value > (kMost >> shift)) {
              return reader.problem(node, "\"{}\" is not a size; write 1B to 1GB, as in 64KB",
                                    node.text);
            }
            out = value << shift;
            return true;
          }};
}

Rule<Duration> duration_rule(std::string doc, Duration low, Duration high) {
  const std::string range = fmt::format("{} to {}", to_string(low), to_string(high));
  return {string_schema(doc + " (" + range + ")", "^([0-9]*\\.?[0-9]+(d|h|m|s|ms|us|ns))+$"),
          [low, high, range](const YamlNode& node, Reader& reader, Duration& out) {
            if (!want_scalar(node, reader, "a duration such as 10m")) return false;
            const Result<Duration> value = parse_duration(node.text);
            if (!value) return reader.problem(node, "{}", value.error().message);
            if (*value < low || *value > high) {
              return reader.problem(node, "{} is out of range, allowed is {}", node.text, range);
            }
            out = *value;
            return true;
          }};
}

Rule<Percent> percent_rule(std::string doc, double low, double high) {
  const std::string range = fmt::format("{}% to {}%", low, high);
  return {string_schema(doc + " (" + range + ")", "^-?[0-9]*\\.?[0-9]+%$"),
          [low, high, range](const YamlNode& node, Reader& reader, Percent& out) {
            if (!want_scalar(node, reader, "a share such as 1%")) return false;
            const Result<Percent> value = parse_percent(node.text);
            if (!value) return reader.problem(node, "{}", value.error().message);
            if (!(value->value >= low && value->value <= high)) {
              return reader.problem(node, "{} is out of range, allowed is {}", node.text, range);
            }
            out = *value;
            return true;
          }};
}

Rule<Rate> rate_rule(std::string doc, double low, double high) {
  const std::string range = fmt::format("{}/s to {}/s", low, high);
  return {string_schema(doc + " (" + range + ")", "^[0-9]*\\.?[0-9]+/(s|m|h)$"),
          [low, high, range](const YamlNode& node, Reader& reader, Rate& out) {
            if (!want_scalar(node, reader, "a rate such as 100/s")) return false;
            const Result<Rate> value = parse_rate(node.text);
            if (!value) return reader.problem(node, "{}", value.error().message);
            if (!(value->per_s >= low && value->per_s <= high)) {
              return reader.problem(node, "{} is out of range, allowed is {}", node.text, range);
            }
            out = *value;
            return true;
          }};
}

Rule<std::int64_t> integer_rule(std::string doc, std::int64_t low, std::int64_t high) {
  Json schema = {
      {"description", std::move(doc)}, {"type", "integer"}, {"minimum", low}, {"maximum", high}};
  return {std::move(schema), [low, high](const YamlNode& node, Reader& reader, std::int64_t& out) {
            if (!want_scalar(node, reader, "a whole number")) return false;
            const auto value = node.quoted ? Result<long long>(error("quoted"))
                                           : parse_integer(node.text, "the number", low, high);
            if (!value) {
              return reader.problem(
                  node, "{}{}{} is not allowed here; a whole number from {} to {} is",
                  node.quoted ? "\"" : "", node.text, node.quoted ? "\"" : "", low, high);
            }
            out = *value;
            return true;
          }};
}

Rule<double> open_number_rule(std::string doc, double low, double high) {
  Json schema = {{"description", std::move(doc)},
                 {"type", "number"},
                 {"exclusiveMinimum", low},
                 {"exclusiveMaximum", high}};
  return {std::move(schema), [low, high](const YamlNode& node, Reader& reader, double& out) {
            if (!want_scalar(node, reader, "a number")) return false;
            const std::optional<double> value = parse_number(node.text);
            if (!value || node.quoted || !(*value > low && *value < high)) {
              return reader.problem(node, "{} is not allowed here; a number between {} and {} is",
                                    node.text, low, high);
            }
            out = *value;
            return true;
          }};
}

Rule<double> quantile_rule(std::string doc) {
  return {string_schema(std::move(doc), "^p[0-9]{1,2}(\\.[0-9]+)?$"),
          [](const YamlNode& node, Reader& reader, double& out) {
            if (!want_scalar(node, reader, "a quantile such as p99")) return false;
            const std::optional<double> value = node.text.size() > 1 && node.text[0] == 'p'
                                                    ? parse_number(node.text.substr(1))
                                                    : std::nullopt;
            if (!value || !(*value > 0 && *value < 100)) {
              return reader.problem(node, "\"{}\" is not a quantile; write p50, p99 or p99.9",
                                    node.text);
            }
            out = *value / 100;
            return true;
          }};
}

}  // namespace coalmine::scenario
