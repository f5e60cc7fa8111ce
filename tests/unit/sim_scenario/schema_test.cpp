// The JSON Schema against the parser: what the parser takes the schema takes too. A small
// validator of the keywords that the schema uses is enough for that.
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "sim/scenario/scenario.h"
#include "tests/support/golden.h"

namespace coalmine::scenario {
namespace {

bool is(const Json& value, const std::string& type) {
  return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
         (type == "string" && value.is_string()) || (type == "number" && value.is_number()) ||
         (type == "integer" && value.is_number_integer()) ||
         (type == "boolean" && value.is_boolean());
}

bool valid(const Json& schema, const Json& value, std::string& why) {
  const auto fail = [&](const std::string& text) {
    why += text + " at " + value.dump() + "\n";
    return false;
  };
  if (schema.contains("oneOf")) {
    int fits = 0;
    for (const Json& one : schema["oneOf"]) {
      std::string ignored;
      fits += valid(one, value, ignored) ? 1 : 0;
    }
    if (fits != 1) return fail("oneOf");
  }
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
    return fail("enum");
  }
  if (schema.contains("type")) {
    const Json& type = schema["type"];
    const bool fits = type.is_array() ? std::any_of(type.begin(), type.end(),
                                                    [&](const Json& one) { return is(value, one); })
                                      : is(value, type);
    if (!fits) return fail(type.dump());
  }
  if (schema.contains("pattern") &&
      !std::regex_search(value.get<std::string>(),
                         std::regex(schema["pattern"].get<std::string>()))) {
    return fail("pattern");
  }
  if (schema.contains("minimum") && value < schema["minimum"]) return fail("minimum");
  if (schema.contains("maximum") && value > schema["maximum"]) return fail("maximum");
  for (const Json& key : schema.value("required", Json::array())) {
    if (!value.contains(key.get<std::string>())) return fail("required " + key.dump());
  }
  if (value.is_array()) {
    if (value.size() < schema.value("minItems", 0u)) return fail("minItems");
    for (const Json& item : value) {
      if (!valid(schema["items"], item, why)) return false;
    }
  }
  if (value.is_object() &&
      (schema.contains("properties") || schema.contains("additionalProperties"))) {
    for (const auto& [key, item] : value.items()) {
      const Json* rule = nullptr;
      if (schema.contains("properties") && schema["properties"].contains(key)) {
        rule = &schema["properties"][key];
      } else if (schema["additionalProperties"].is_object()) {
        rule = &schema["additionalProperties"];
      }
      if (rule == nullptr) return fail("unknown key " + key);
      if (!valid(*rule, item, why)) return false;
    }
  }
  return true;
}

/// YAML as the JSON that an editor's validator sees.
Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json json = Json::object();
    for (const auto& pair : node) json[pair.first.Scalar()] = to_json(pair.second);
    return json;
  }
  if (node.IsSequence()) {
    Json json = Json::array();
    for (const auto& item : node) json.push_back(to_json(item));
    return json;
  }
  if (!node.IsScalar()) return nullptr;
  std::int64_t whole = 0;
  double number = 0;
  if (node.Tag() != "!" && YAML::convert<std::int64_t>::decode(node, whole)) return whole;
  if (node.Tag() != "!" && YAML::convert<double>::decode(node, number)) return number;
  const bool plain_truth = node.Scalar() == "true" || node.Scalar() == "false";
  if (node.Tag() != "!" && plain_truth) return node.Scalar() == "true";
  return node.Scalar();
}

TEST(Schema, AcceptsEveryScenarioOfTheLibrary) {
  const Json schema = scenario_schema();
  for (const auto& entry : std::filesystem::recursive_directory_iterator("scenarios")) {
    if (entry.path().extension() != ".yaml") continue;
    std::string why;
    EXPECT_TRUE(valid(schema, to_json(YAML::LoadFile(entry.path().string())), why))
        << entry.path() << "\n"
        << why;
  }
}

TEST(Schema, RefusesWhatTheParserRefuses) {
  const Json schema = scenario_schema();
  const Json good = to_json(YAML::LoadFile("scenarios/faulty-v2-is-rolled-back.yaml"));
  const auto refused = [&schema](Json value) {
    std::string why;
    return !valid(schema, value, why) && !load_scenario(value.dump(), "x").problems.empty();
  };
  Json bad = good;
  bad["given"]["clok"] = Json::object();
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad.erase("then");
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad["given"]["traffic"]["rate"] = 100;
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad["rollout"]["plan"][0] = {{"weight", "1%"}, {"bake", "1m"}};
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad["then"][0]["outcome"] = "perfect";
  EXPECT_TRUE(refused(bad));
}

}  // namespace
}  // namespace coalmine::scenario
