#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/core/json.h"
#include "sim/core/time.h"

namespace coalmine::mock::cloudmap {

using Attributes = std::map<std::string, std::string>;

struct Namespace {
  std::string id, arn, name, type, description, creator, operation_id;
  Json properties;
  TimePoint created_at;
  bool ready = false;  ///< created when its operation has succeeded
  Attributes tags;
};

struct Instance {
  std::string id, creator;
  Attributes attributes;
  std::string custom_health = "HEALTHY";  ///< counts with a custom health check only
  std::string next_health;                ///< empty: no change under way
  TimePoint next_health_at = kNever;
};

struct DiscoveryService {
  std::string id, arn, name, namespace_id, description, creator, type;
  Json dns_config;           ///< null: none
  Json health_check;         ///< null: none
  Json custom_health_check;  ///< null: none
  TimePoint created_at;
  std::map<std::string, Instance> instances;
  std::int64_t revision = 1;  ///< rises when instances come and go, not with their health
  Attributes tags;
};

struct Operation {
  std::string id, type;
  std::map<std::string, std::string> targets;  ///< "NAMESPACE", "SERVICE", "INSTANCE" -> id
  std::string creator;
  Json change;                     ///< what finish() applies
  std::string status = "PENDING";  ///< then SUCCESS or FAIL
  std::string error_code, error_message;
  TimePoint created_at, updated_at, due_at;
};

struct Store {
  std::map<std::string, Namespace> namespaces;       ///< by id
  std::map<std::string, DiscoveryService> services;  ///< by id
  std::vector<Operation> operations;                 ///< in the order they were made
};

/// The members of one tag list: [{"Key","Value"}] -> map.
inline Attributes tags_from(const Json& list) {
  Attributes tags;
  for (const Json& tag : list) tags[get_string(tag, "Key")] = get_string(tag, "Value");
  return tags;
}

/// Whether `value` passes every filter called `name`: EQ (default), IN, BEGINS_WITH; BETWEEN
/// compares as numbers.
bool passes(const Json& input, std::string_view name, const std::string& value);

}  // namespace coalmine::mock::cloudmap
