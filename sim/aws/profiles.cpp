#include "sim/aws/profiles.h"

namespace coalmine::aws {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// A value ends at a comment that a blank precedes.
std::string_view without_comment(std::string_view value) {
  for (const std::string_view mark : {" #", " ;", "\t#", "\t;"}) {
    value = value.substr(0, value.find(mark));
  }
  return trim(value);
}

}  // namespace

Result<Profiles> parse_profiles(std::string_view text, std::string_view source) {
  Profiles profiles;
  std::map<std::string, std::string>* section = nullptr;
  int line_number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view raw = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const Place place{std::string(source), ++line_number, 0};
    const std::string_view line = trim(raw);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (raw[0] == ' ' || raw[0] == '\t') continue;  // belongs to the setting above
    if (line[0] == '[') {
      const std::size_t close = line.find(']');
      if (close == std::string_view::npos) return error(place, "a section without its ]");
      std::string_view name = trim(line.substr(1, close - 1));
      if (name.starts_with("profile ")) name = trim(name.substr(8));
      if (name.empty()) return error(place, "a section without a name");
      section = &profiles[std::string(name)];
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      return error(place, "neither a [section] nor a KEY = VALUE");
    }
    if (section == nullptr) return error(place, "a setting before the first [section]");
    (*section)[std::string(trim(line.substr(0, equals)))] =
        std::string(without_comment(line.substr(equals + 1)));
  }
  return profiles;
}

}  // namespace coalmine::aws
