#include "mock-aws/protocol/api_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/check.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

std::optional<ShapeType> shape_type(std::string_view name) {
  static const std::map<std::string_view, ShapeType> kTypes = {{"structure", ShapeType::Structure},
                                                               {"list", ShapeType::List},
                                                               {"map", ShapeType::Map},
                                                               {"string", ShapeType::String},
                                                               {"character", ShapeType::String},
                                                               {"blob", ShapeType::Blob},
                                                               {"boolean", ShapeType::Boolean},
                                                               {"integer", ShapeType::Integer},
                                                               {"long", ShapeType::Integer},
                                                               {"float", ShapeType::Float},
                                                               {"double", ShapeType::Float},
                                                               {"timestamp", ShapeType::Timestamp}};
  const auto it = kTypes.find(name);
  if (it == kTypes.end()) return std::nullopt;
  return it->second;
}

Location location_of(std::string_view text) {
  if (text == "uri") return Location::Uri;
  if (text == "querystring") return Location::QueryString;
  if (text == "header") return Location::Header;
  if (text == "statusCode") return Location::StatusCode;
  return Location::Body;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') {
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  }
  return text;
}

using Shapes = std::map<std::string, Shape, std::less<>>;

Result<Member> read_member(const std::string& name, const Json& facts, const Shapes& shapes) {
  Member member;
  member.name = name;
  member.wire_name = get_string(facts, "locationName", name);
  // EC2: queryName as it is, else the location name with its first letter raised.
  const Json* query_name = find(facts, "queryName");
  member.ec2_name =
      query_name != nullptr ? query_name->get<std::string>() : capitalised(member.wire_name);
  member.location = location_of(get_string(facts, "location"));
  member.idempotency_token = get_bool(facts, "idempotencyToken");
  const auto shape = shapes.find(get_string(facts, "shape"));
  if (shape == shapes.end()) {
    return error("member {} refers to the missing shape {}", name, get_string(facts, "shape"));
  }
  member.shape = &shape->second;
  return member;
}

void read_error_trait(const Json& facts, Shape& shape) {
  shape.is_exception = get_bool(facts, "exception");
  shape.server_fault = get_bool(facts, "fault");
  if (const Json* trait = find(facts, "error")) {
    shape.error_code = get_string(*trait, "code");
    shape.error_status = static_cast<int>(get_int(*trait, "httpStatusCode"));
    if (shape.error_status >= 500) shape.server_fault = true;
  } else if (shape.server_fault) {
    shape.error_status = 500;
  }
}

Status read_constraints(const Json& facts, Shape& shape) {
  if (const Json* values = find(facts, "enum")) {
    shape.enum_values = values->get<std::vector<std::string>>();
  }
  if (const Json* min = find(facts, "min")) shape.min = min->get<double>();
  if (const Json* max = find(facts, "max")) shape.max = max->get<double>();
  shape.pattern = get_string(facts, "pattern");
  if (!shape.pattern.empty()) {
    TRY(shape.compiled_pattern, Regex::compile(shape.pattern, RegexDialect::Ecma));
  }
  return {};
}

Status read_shape(const Json& facts, const Shapes& shapes, Shape& shape) {
  const auto type = shape_type(get_string(facts, "type"));
  if (!type)
    return error("shape {} has the unknown type {}", shape.name, get_string(facts, "type"));
  shape.type = *type;
  shape.is_union = get_bool(facts, "union");
  shape.is_document = get_bool(facts, "document");
  shape.flattened = get_bool(facts, "flattened");
  shape.payload = get_string(facts, "payload");
  read_error_trait(facts, shape);
  TRY_STATUS(read_constraints(facts, shape));
  if (const Json* members = find(facts, "members")) {
    for (const auto& [name, member_facts] : members->items()) {
      TRY(Member member, read_member(name, member_facts, shapes));
      shape.members.push_back(std::move(member));
    }
  }
  if (const Json* required = find(facts, "required")) {
    for (const Json& name : *required) {
      for (Member& member : shape.members) {
        if (member.name == name.get<std::string>()) member.required = true;
      }
    }
  }
  if (shape.type == ShapeType::List) {
    TRY(shape.element, read_member("member", facts.at("member"), shapes));
  }
  if (shape.type == ShapeType::Map) {
    TRY(shape.key, read_member("key", facts.at("key"), shapes));
    TRY(shape.element, read_member("value", facts.at("value"), shapes));
  }
  return {};
}

Operation read_operation(const std::string& name, const Json& facts, const Shapes& shapes) {
  Operation operation;
  operation.name = name;
  if (const Json* http = find(facts, "http")) {
    operation.method = get_string(*http, "method");
    operation.status = static_cast<int>(get_int(*http, "responseCode", 200));
    const std::string uri = get_string(*http, "requestUri");
    for (std::size_t at = 1; at < uri.size();) {
      const std::size_t end = std::min(uri.find('/', at), uri.size());
      operation.path.push_back(uri.substr(at, end - at));
      at = end + 1;
    }
  }
  const auto shape = [&](const char* side) -> const Shape* {
    const auto it = shapes.find(get_string(facts, side));
    return it == shapes.end() ? nullptr : &it->second;
  };
  operation.input = shape("input");
  operation.output = shape("output");
  operation.result_wrapper = get_string(facts, "resultWrapper");
  return operation;
}

}  // namespace

const Member* Shape::find(std::string_view member) const {
  const auto it =
      std::lower_bound(members.begin(), members.end(), member,
                       [](const Member& m, std::string_view wanted) { return m.name < wanted; });
  return it != members.end() && it->name == member ? &*it : nullptr;
}

Result<std::unique_ptr<ApiModel>> ApiModel::parse(std::string_view service, std::string_view text) {
  TRY(const Json json, parse_json(text, std::string(service) + ".json"));
  const Json* metadata = coalmine::find(json, "metadata");
  const Json* operations = coalmine::find(json, "operations");
  const Json* shapes = coalmine::find(json, "shapes");
  if (metadata == nullptr || operations == nullptr || shapes == nullptr) {
    return error("the model of {} lacks metadata, operations or shapes", service);
  }
  auto model = std::make_unique<ApiModel>();
  model->service_ = service;
  model->protocol_ = get_string(*metadata, "protocol");
  model->json_version_ = get_string(*metadata, "jsonVersion", "1.1");
  model->xml_namespace_ = get_string(*metadata, "xmlNamespace");
  model->query_compatible_ = coalmine::find(*metadata, "awsQueryCompatible") != nullptr;
  for (const auto& [name, facts] : shapes->items()) model->shapes_[name].name = name;
  for (const auto& [name, facts] : shapes->items()) {
    TRY_STATUS(read_shape(facts, model->shapes_, model->shapes_[name]));
  }
  for (const auto& [name, facts] : operations->items()) {
    model->operations_[name] = read_operation(name, facts, model->shapes_);
  }
  return model;
}

const Operation* ApiModel::operation(std::string_view name) const {
  const auto it = operations_.find(name);
  return it == operations_.end() ? nullptr : &it->second;
}

const Shape* ApiModel::shape(std::string_view name) const {
  const auto it = shapes_.find(name);
  return it == shapes_.end() ? nullptr : &it->second;
}

}  // namespace coalmine::mock
