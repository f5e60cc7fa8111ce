// The format as tables: a Rule knows how to read one kind of value and what its JSON Schema is,
// so the parser and the schema that editors use cannot drift apart. Only for sim/scenario's
// own .cpp files.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/units.h"
#include "sim/scenario/yaml.h"

namespace coalmine::scenario {

/// Collects every problem of one file.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  Place place(const YamlNode& node) const { return {file_, node.line, node.column}; }

  template <typename... Args>
  bool problem(const YamlNode& at, fmt::format_string<Args...> text, Args&&... args) {
    return problem(place(at), fmt::format(text, std::forward<Args>(args)...));
  }
  bool problem(Place at, std::string message) {
    problems_.push_back(Error{std::move(message), ErrorKind::Invalid, std::move(at)});
    return false;
  }
  const std::vector<Error>& problems() const { return problems_; }
  std::vector<Error> take() { return std::move(problems_); }

 private:
  std::string file_;
  std::vector<Error> problems_;
};

/// Reads a value of type T; false when it reported a problem.
template <typename T>
struct Rule {
  Json schema;
  std::function<bool(const YamlNode&, Reader&, T&)> read;
};

/// The word nearest to `word` among `allowed`, if near enough to be a slip of the hand.
std::string suggestion(const std::string& word, const std::vector<std::string>& allowed);
bool has_key(const YamlNode& map, std::string_view key);
/// "a, b, c"
std::string join(const std::vector<std::string>& words);
/// Reports an unknown word with a suggestion and the whole list of allowed ones.
bool unknown_word(Reader& reader, const YamlNode& at, std::string_view what,
                  const std::vector<std::string>& allowed);

// --- scalars -----------------------------------------------------------------------------------

Rule<std::string> text_rule(std::string doc, std::size_t max_length = 200);
/// [A-Za-z0-9._-], as AWS names go.
Rule<std::string> name_rule(std::string doc);
Rule<std::string> path_rule(std::string doc);
/// "NAME:VALUE"
Rule<std::string> header_rule(std::string doc);
/// "64KB", in powers of 1024: 1B to 1GB
Rule<std::uint64_t> size_rule(std::string doc);
Rule<Duration> duration_rule(std::string doc, Duration low, Duration high);
Rule<Percent> percent_rule(std::string doc, double low, double high);
Rule<Rate> rate_rule(std::string doc, double low, double high);
Rule<std::int64_t> integer_rule(std::string doc, std::int64_t low, std::int64_t high);
/// A plain decimal within (low, high), bounds excluded.
Rule<double> open_number_rule(std::string doc, double low, double high);
/// "p50", "p99", "p99.9" -> 0.5, 0.99, 0.999
Rule<double> quantile_rule(std::string doc);

template <typename E>
Rule<E> word_rule(std::string doc, std::vector<std::pair<std::string, E>> words) {
  Json schema = {{"description", std::move(doc)}, {"enum", Json::array()}};
  std::vector<std::string> names;
  for (const auto& [name, value] : words) {
    schema["enum"].push_back(name);
    names.push_back(name);
  }
  return {std::move(schema), [words, names](const YamlNode& node, Reader& reader, E& out) {
            if (node.kind != YamlNode::Kind::Scalar) {
              return reader.problem(node, "expected one of {}, found {}", join(names),
                                    describe(node));
            }
            for (const auto& [name, value] : words) {
              if (name == node.text) {
                out = value;
                return true;
              }
            }
            return unknown_word(reader, node, "word", names);
          }};
}

// --- containers --------------------------------------------------------------------------------

template <typename T>
Rule<std::vector<T>> list_rule(std::string doc, Rule<T> item, std::size_t low, std::size_t high) {
  Json schema = {{"description", std::move(doc)},
                 {"type", "array"},
                 {"items", item.schema},
                 {"minItems", low},
                 {"maxItems", high}};
  return {std::move(schema), [item = std::move(item.read), low, high](
                                 const YamlNode& node, Reader& reader, std::vector<T>& out) {
            if (node.kind != YamlNode::Kind::Sequence) {
              return reader.problem(node, "expected a list, found {}", describe(node));
            }
            if (node.items.size() < low || node.items.size() > high) {
              reader.problem(node, "the list has {} entries, allowed are {} to {}",
                             node.items.size(), low, high);
            }
            bool good = true;
            for (const YamlNode& one : node.items) {
              T value{};
              if (item(one, reader, value)) {
                out.push_back(std::move(value));
              } else {
                good = false;
              }
            }
            return good;
          }};
}

/// A map from names to values, in the file's order.
template <typename T>
Rule<std::vector<std::pair<std::string, T>>> named_rule(std::string doc, Rule<T> value,
                                                        std::size_t low, std::size_t high) {
  Json schema = {{"description", std::move(doc)},
                 {"type", "object"},
                 {"propertyNames", {{"pattern", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}}},
                 {"additionalProperties", value.schema},
                 {"minProperties", low},
                 {"maxProperties", high}};
  const Rule<std::string> key_rule = name_rule("");
  return {std::move(schema),
          [value = std::move(value.read), key = key_rule.read, low, high](
              const YamlNode& node, Reader& reader, std::vector<std::pair<std::string, T>>& out) {
            if (node.kind != YamlNode::Kind::Map) {
              return reader.problem(node, "expected a map of names, found {}", describe(node));
            }
            if (node.pairs.size() < low || node.pairs.size() > high) {
              reader.problem(node, "the map has {} names, allowed are {} to {}", node.pairs.size(),
                             low, high);
            }
            bool good = true;
            for (const auto& [name, one] : node.pairs) {
              std::pair<std::string, T> entry;
              bool fine = key(name, reader, entry.first);
              for (const auto& [seen, ignored] : out) {
                if (fine && seen == entry.first) {
                  fine = reader.problem(name, "\"{}\" is given twice", seen);
                }
              }
              fine = value(one, reader, entry.second) && fine;
              if (fine) out.push_back(std::move(entry));
              good = good && fine;
            }
            return good;
          }};
}

/// A map with fixed keys that fills a struct.
template <typename T>
class ObjectRule {
 public:
  explicit ObjectRule(std::string doc) : doc_(std::move(doc)) {}

  template <typename V>
  ObjectRule& required(std::string key, Rule<V> rule, V T::*member) {
    return add(std::move(key), true, std::move(rule),
               [member](T& object, V&& value) { object.*member = std::move(value); });
  }
  template <typename V>
  ObjectRule& optional(std::string key, Rule<V> rule, V T::*member) {
    return add(std::move(key), false, std::move(rule),
               [member](T& object, V&& value) { object.*member = std::move(value); });
  }
  template <typename V>
  ObjectRule& optional(std::string key, Rule<V> rule, std::optional<V> T::*member) {
    return add(std::move(key), false, std::move(rule),
               [member](T& object, V&& value) { object.*member = std::move(value); });
  }
  /// Any other way to store the value; `store(object, value)`.
  template <typename V, typename Store>
  ObjectRule& add(std::string key, bool required, Rule<V> rule, Store store) {
    fields_.push_back({key, required, rule.schema,
                       [read = std::move(rule.read), store = std::move(store)](
                           const YamlNode& node, Reader& reader, T& object) {
                         V value{};
                         if (!read(node, reader, value)) return false;
                         store(object, std::move(value));
                         return true;
                       }});
    return *this;
  }
  /// Of these keys exactly one must be there (they were added as not required).
  ObjectRule& exactly_one_of(std::vector<std::string> keys) {
    choice_ = std::move(keys);
    return *this;
  }
  /// A closer look once all keys were read: reports problems, may read the node again.
  ObjectRule& then(std::function<bool(const YamlNode&, Reader&, T&)> check) {
    then_ = std::move(check);
    return *this;
  }

  Rule<T> rule() const {
    return {schema(), [self = std::make_shared<ObjectRule>(*this)](const YamlNode& node,
                                                                   Reader& reader, T& out) {
              return self->read(node, reader, out);
            }};
  }

 private:
  struct Field {
    std::string key;
    bool required;
    Json schema;
    std::function<bool(const YamlNode&, Reader&, T&)> read;
  };

  Json schema() const {
    Json json = {{"description", doc_}, {"type", "object"}, {"additionalProperties", false}};
    json["properties"] = Json::object();
    for (const Field& field : fields_) {
      json["properties"][field.key] = field.schema;
      if (field.required) json["required"].push_back(field.key);
    }
    for (const std::string& key : choice_) json["oneOf"].push_back({{"required", {key}}});
    return json;
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const Field& field : fields_) keys.push_back(field.key);
    return keys;
  }

  bool read(const YamlNode& node, Reader& reader, T& out) const {
    if (node.kind != YamlNode::Kind::Map) {
      return reader.problem(node, "expected a map with the keys {}, found {}", join(keys()),
                            describe(node));
    }
    bool good = true;
    std::vector<std::string> seen;
    for (const auto& [key, value] : node.pairs) {
      if (std::find(seen.begin(), seen.end(), key.text) != seen.end()) {
        good = reader.problem(key, "\"{}\" is given twice", key.text);
        continue;
      }
      seen.push_back(key.text);
      const auto field = std::find_if(fields_.begin(), fields_.end(),
                                      [&key = key](const Field& f) { return f.key == key.text; });
      if (field == fields_.end()) {
        good = unknown_word(reader, key, "key", keys());
      } else if (!field->read(value, reader, out)) {
        good = false;
      }
    }
    good = check_presence(node, reader, seen) && good;
    if (then_ && good) good = then_(node, reader, out);
    return good;
  }

  bool check_presence(const YamlNode& node, Reader& reader,
                      const std::vector<std::string>& seen) const {
    const auto has = [&seen](const std::string& key) {
      return std::find(seen.begin(), seen.end(), key) != seen.end();
    };
    bool good = true;
    for (const Field& field : fields_) {
      if (field.required && !has(field.key)) {
        good = reader.problem(node, "the key \"{}\" is missing", field.key);
      }
    }
    const auto given = std::count_if(choice_.begin(), choice_.end(), has);
    if (!choice_.empty() && given != 1) {
      good = reader.problem(node, "exactly one of the keys {} must be given, found {}",
                            join(choice_), given);
    }
    return good;
  }

  std::string doc_;
  std::vector<Field> fields_;
  std::vector<std::string> choice_;
  std::function<bool(const YamlNode&, Reader&, T&)> then_;
};

/// Several rules for one value, told apart by the node's kind.
template <typename T>
Rule<T> scalar_or_map(Rule<T> scalar, Rule<T> map) {
  Json schema = {{"oneOf", {scalar.schema, map.schema}}};
  return {std::move(schema), [scalar = std::move(scalar.read), map = std::move(map.read)](
                                 const YamlNode& node, Reader& reader, T& out) {
            return node.kind == YamlNode::Kind::Map ? map(node, reader, out)
                                                    : scalar(node, reader, out);
          }};
}

/// The same value, converted.
template <typename To, typename From, typename Convert>
Rule<To> converted(Rule<From> rule, Convert convert) {
  return {std::move(rule.schema),
          [read = std::move(rule.read), convert](const YamlNode& node, Reader& reader, To& out) {
            From value{};
            if (!read(node, reader, value)) return false;
            out = convert(std::move(value));
            return true;
          }};
}

}  // namespace coalmine::scenario
