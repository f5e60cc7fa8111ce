#include "mock-aws/protocol/coerce.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/timestamp.h"

namespace coalmine::mock {
namespace {

using Problem = std::optional<std::string>;

const char* token_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "NULL_VALUE";
    case Json::value_t::object:
      return "START_OBJECT";
    case Json::value_t::array:
      return "START_ARRAY";
    case Json::value_t::string:
      return "STRING_VALUE";
    case Json::value_t::boolean:
      return value.get<bool>() ? "TRUE_VALUE" : "FALSE_VALUE";
    case Json::value_t::number_float:
      return "DECIMAL_VALUE";
    default:
      return "NUMBER_VALUE";
  }
}

const char* type_name(ShapeType type) {
  switch (type) {
    case ShapeType::Structure:
      return "a structure";
    case ShapeType::List:
      return "a list";
    case ShapeType::Map:
      return "a map";
    case ShapeType::String:
      return "a String";
    case ShapeType::Blob:
      return "a Blob";
    case ShapeType::Boolean:
      return "a Boolean";
    case ShapeType::Integer:
      return "an Integer";
    case ShapeType::Float:
      return "a Double";
    case ShapeType::Timestamp:
      return "a Timestamp";
  }
  return "a value";
}

/// Where a value stands; written out only when something is wrong with it.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  std::size_t element = 0;  ///< of a list, from 1; 0: a member or a map's value
};

std::string to_string(const Path& path) {
  if (path.parent == nullptr) return "";
  std::string text = to_string(*path.parent);
  if (!text.empty()) text += '.';
  return text +
         (path.element > 0 ? fmt::format("{}.member", path.element) : std::string(path.name));
}

std::string wrong(const Shape& shape, const Json& value, const Path& path) {
  return fmt::format("{} can not be converted to {}{}", token_name(value), type_name(shape.type),
                     path.parent == nullptr ? "" : " at '" + to_string(path) + "'");
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

Problem coerce(const Shape& shape, Json& value, const Path& path);

Problem coerce_structure(const Shape& shape, Json& value, const Path& path) {
  Json result = Json::object();
  for (const Member& member : shape.members) {
    auto it = value.find(member.wire_name);
    if (it == value.end()) it = value.find(member.name);
    if (it == value.end() || it->is_null()) continue;
    if (auto problem = coerce(*member.shape, *it, {&path, member.name})) return problem;
    result[member.name] = std::move(*it);
  }
  value = std::move(result);
  return std::nullopt;
}

Problem coerce_integer(const Shape& shape, Json& value, const Path& path) {
  if (value.is_number_integer()) return std::nullopt;
  if (!value.is_number()) return wrong(shape, value, path);
  const double number = value.get<double>();
  if (number != std::floor(number) || std::fabs(number) > 9e15) return wrong(shape, value, path);
  value = static_cast<std::int64_t>(number);
  return std::nullopt;
}

Problem coerce_timestamp(const Shape& shape, Json& value, const Path& path) {
  if (value.is_number()) return std::nullopt;
  if (value.is_string()) {
    if (const auto seconds = parse_timestamp(value.get_ref<const std::string&>())) {
      value = *seconds;
      return std::nullopt;
    }
  }
  return wrong(shape, value, path);
}

Problem coerce(const Shape& shape, Json& value, const Path& path) {
  if (shape.is_document) return std::nullopt;
  switch (shape.type) {
    case ShapeType::Structure:
      if (!value.is_object()) return wrong(shape, value, path);
      return coerce_structure(shape, value, path);
    case ShapeType::List:
      if (!value.is_array()) return wrong(shape, value, path);
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (auto problem = coerce(*shape.element.shape, value[i], {&path, {}, i + 1}))
          return problem;
      }
      return std::nullopt;
    case ShapeType::Map:
      if (!value.is_object()) return wrong(shape, value, path);
      for (auto& [key, element] : value.items()) {
        if (auto problem = coerce(*shape.element.shape, element, {&path, key})) return problem;
      }
      return std::nullopt;
    case ShapeType::String:
      return value.is_string() ? std::nullopt : Problem(wrong(shape, value, path));
    case ShapeType::Blob:
      if (value.is_binary()) value = base64(value.get_binary());
      return value.is_string() ? std::nullopt : Problem(wrong(shape, value, path));
    case ShapeType::Boolean:
      return value.is_boolean() ? std::nullopt : Problem(wrong(shape, value, path));
    case ShapeType::Integer:
      return coerce_integer(shape, value, path);
    case ShapeType::Float:
      return value.is_number() ? std::nullopt : Problem(wrong(shape, value, path));
    case ShapeType::Timestamp:
      return coerce_timestamp(shape, value, path);
  }
  return std::nullopt;
}

template <typename Number>
std::optional<Json> number_from(const std::string& text) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Json(value);
}

}  // namespace

std::optional<std::string> coerce_input(const Shape& shape, Json& value) {
  return coerce(shape, value, {});
}

Json shape_output(const Shape& shape, const Json& value) {
  if (shape.is_document) return value;
  if (shape.type == ShapeType::Structure && value.is_object()) {
    Json result = Json::object();
    for (const Member& member : shape.members) {
      const auto it = value.find(member.name);
      if (it != value.end() && !it->is_null()) {
        result[member.wire_name] = shape_output(*member.shape, *it);
      }
    }
    return result;
  }
  if (shape.type == ShapeType::List && value.is_array()) {
    Json result = Json::array();
    for (const Json& element : value) result.push_back(shape_output(*shape.element.shape, element));
    return result;
  }
  if (shape.type == ShapeType::Map && value.is_object()) {
    Json result = Json::object();
    for (const auto& [key, element] : value.items()) {
      result[key] = shape_output(*shape.element.shape, element);
    }
    return result;
  }
  if (shape.type == ShapeType::Timestamp && value.is_number_float()) {
    return std::round(value.get<double>() * 1000) / 1000;
  }
  return value;
}

std::optional<Json> scalar_from_text(const Shape& shape, const std::string& text) {
  switch (shape.type) {
    case ShapeType::String:
    case ShapeType::Blob:
      return Json(text);
    case ShapeType::Boolean:
      if (text == "true" || text == "True") return Json(true);
      if (text == "false" || text == "False") return Json(false);
      return std::nullopt;
    case ShapeType::Integer:
      return number_from<std::int64_t>(text);
    case ShapeType::Float:
      return number_from<double>(text);
    case ShapeType::Timestamp:
      if (const auto seconds = parse_timestamp(text)) return Json(*seconds);
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace coalmine::mock
