// How the JSON of route tables is read. Strictly: every object is taken apart through a Reader,
// which knows its JSON path, complains about a member of the wrong type and, at the end, about
// members nobody asked for.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/result.h"
#include "sim/core/units.h"

namespace coalmine::traffic {

class Reader {
 public:
  static Result<Reader> object(const Json& json, std::string path) {
    if (!json.is_object()) return error("{}: is {}, must be an object", path, json.type_name());
    return Reader(json, std::move(path));
  }

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }

  /// The member, or null; it counts as known from now on.
  const Json* take(std::string_view key) {
    known_.emplace_back(key);
    const auto it = json_->find(key);
    return it == json_->end() ? nullptr : &*it;
  }

  Status read(std::string_view key, std::string& out) {
    const Json* value = take(key);
    if (value == nullptr) return {};
    if (!value->is_string()) {
      return error("{}: is {}, must be a string", path_of(key), value->type_name());
    }
    out = value->get<std::string>();
    return {};
  }
  Status read(std::string_view key, std::optional<std::string>& out) {
    if (!json_->contains(key)) {
      known_.emplace_back(key);
      return {};
    }
    out.emplace();
    return read(key, *out);
  }
  Status read(std::string_view key, double& out, double low, double high) {
    const Json* value = take(key);
    if (value == nullptr) return {};
    if (!value->is_number() || value->get<double>() < low || value->get<double>() > high) {
      return error("{}: is {}, allowed is a number from {} to {}", path_of(key),
                   value->dump(-1, ' ', false, Json::error_handler_t::replace), low, high);
    }
    out = value->get<double>();
    return {};
  }
  Status read(std::string_view key, bool& out) {
    const Json* value = take(key);
    if (value == nullptr) return {};
    if (!value->is_boolean()) {
      return error("{}: is {}, must be true or false", path_of(key), value->type_name());
    }
    out = value->get<bool>();
    return {};
  }
  template <typename Int>
  Status read(std::string_view key, Int& out, std::int64_t low, std::uint64_t high) {
    const Json* value = take(key);
    if (value == nullptr) return {};
    // values made in memory may be signed though they are not negative
    const bool negative = value->is_number_integer() && !value->is_number_unsigned() &&
                          value->get<std::int64_t>() < 0;
    const bool fits = value->is_number_integer() &&
                      (negative ? value->get<std::int64_t>() >= low
                                : value->get<std::uint64_t>() <= high &&
                                      (low <= 0 || value->get<std::int64_t>() >= low));
    if (!fits) {
      return error("{}: is {}, allowed is a whole number from {} to {}", path_of(key),
                   value->dump(-1, ' ', false, Json::error_handler_t::replace), low, high);
    }
    out = value->get<Int>();
    return {};
  }
  Status read(std::string_view key, Duration& out) {
    std::string text;
    const bool given = json_->contains(key);
    TRY_STATUS(read(key, text));
    if (!given) return {};
    const auto duration = parse_duration(text);
    if (!duration) return error("{}: {}", path_of(key), duration.error().message);
    out = *duration;
    return {};
  }
  Status read(std::string_view key, std::vector<std::string>& out) {
    return each(key, [&](const Json& item, const std::string& path) -> Status {
      if (!item.is_string()) return error("{}: is {}, must be a string", path, item.type_name());
      out.push_back(item.get<std::string>());
      return {};
    });
  }
  template <typename Enum, std::size_t N>
  Status read(std::string_view key, Enum& out,
              const std::pair<std::string_view, Enum> (&names)[N]) {
    std::string text;
    const bool given = json_->contains(key);
    TRY_STATUS(read(key, text));
    if (!given) return {};
    std::string allowed;
    for (const auto& [name, value] : names) {
      if (name == text) {
        out = value;
        return {};
      }
      allowed += fmt::format("{}\"{}\"", allowed.empty() ? "" : ", ", name);
    }
    return error("{}: is \"{}\", allowed is {}", path_of(key), text, allowed);
  }

  /// Calls `f(item, path)` for every item of an array member; a missing member is an empty one.
  template <typename F>
  Status each(std::string_view key, F&& f) {
    const Json* value = take(key);
    if (value == nullptr) return {};
    if (!value->is_array()) {
      return error("{}: is {}, must be an array", path_of(key), value->type_name());
    }
    for (std::size_t i = 0; i < value->size(); ++i) {
      TRY_STATUS(f((*value)[i], fmt::format("{}[{}]", path_of(key), i)));
    }
    return {};
  }

  Status require(std::string_view key) const {
    if (!json_->contains(key)) return error("{}: is missing", path_of(key));
    return {};
  }

  /// Errors on a member that was never taken.
  Status done() const {
    for (const auto& [key, value] : json_->items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      std::string allowed;
      for (const std::string& name : known_) {
        allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", name);
      }
      return error("{}: is not known, allowed here: {}", path_of(key), allowed);
    }
    return {};
  }

 private:
  Reader(const Json& json, std::string path) : json_(&json), path_(std::move(path)) {}
  const Json* json_;
  std::string path_;
  std::vector<std::string> known_;
};

template <typename Enum, std::size_t N>
std::string name_of(Enum value, const std::pair<std::string_view, Enum> (&names)[N]) {
  for (const auto& [name, candidate] : names) {
    if (candidate == value) return std::string(name);
  }
  return {};
}

}  // namespace coalmine::traffic
