#include "sim/core/json.h"

#include <nlohmann/json.hpp>

#include "sim/core/result.h"

namespace coalmine {
namespace {

Place place_of(std::string_view text, std::size_t byte, std::string_view source) {
  Place place{std::string(source), 1, 1};
  for (std::size_t i = 0; i + 1 < byte && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++place.line;
      place.column = 1;
    } else {
      ++place.column;
    }
  }
  return place;
}

/// Whether brackets are nested deeper than kMaxJsonDepth. One look over the bytes costs a tenth of
/// what the parser's own callback would.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

std::string to_string(const Error& error) {
  if (!error.place) return fmt::format("error: {}", error.message);
  const Place& p = *error.place;
  if (p.line == 0) return fmt::format("{}: error: {}", p.file, error.message);
  if (p.column == 0) return fmt::format("{}:{}: error: {}", p.file, p.line, error.message);
  return fmt::format("{}:{}:{}: error: {}", p.file, p.line, p.column, error.message);
}

Result<Json> parse_json(std::string_view text, std::string_view source) {
  if (too_deep(text)) return error("JSON is nested deeper than {} levels", kMaxJsonDepth);
  try {
    Json value = Json::parse(text.begin(), text.end());
    return value;
  } catch (const Json::parse_error& e) {
    // The library's text repeats its own position; ours is line and column.
    std::string_view what = e.what();
    if (const auto colon = what.rfind(": "); colon != std::string_view::npos) {
      what.remove_prefix(colon + 2);
    }
    return error(place_of(text, e.byte, source), "not valid JSON: {}", what);
  } catch (const Json::exception& e) {
    return error("not valid JSON: {}", e.what());
  }
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

const Json* find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(std::string(key));
  return it == object.end() ? nullptr : &*it;
}

std::string get_string(const Json& object, std::string_view key, std::string_view fallback) {
  const Json* value = find(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string(fallback);
}

std::int64_t get_int(const Json& object, std::string_view key, std::int64_t fallback) {
  const Json* value = find(object, key);
  return value != nullptr && value->is_number() ? value->get<std::int64_t>() : fallback;
}

double get_number(const Json& object, std::string_view key, double fallback) {
  const Json* value = find(object, key);
  return value != nullptr && value->is_number() ? value->get<double>() : fallback;
}

bool get_bool(const Json& object, std::string_view key, bool fallback) {
  const Json* value = find(object, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : fallback;
}

}  // namespace coalmine
