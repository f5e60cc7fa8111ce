// The facts of one AWS API, typed: operations, shapes, constraints, errors.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/regex.h"
#include "sim/core/result.h"

namespace coalmine::mock {

enum class ShapeType {
  Structure,
  List,
  Map,
  String,
  Blob,
  Boolean,
  Integer,  ///< integer and long
  Float,    ///< float and double
  Timestamp,
};

enum class Location { Body, Uri, QueryString, Header, StatusCode };

struct Shape;

/// A member of a structure, or the element, key or value of a list or map.
struct Member {
  std::string name;       ///< as services see it
  std::string wire_name;  ///< locationName, else the name
  std::string ec2_name;   ///< as EC2 spells it in a form
  Location location = Location::Body;
  const Shape* shape = nullptr;
  bool required = false;
  bool idempotency_token = false;
};

struct Shape {
  std::string name;
  ShapeType type = ShapeType::Structure;
  std::vector<Member> members;  ///< of a structure, sorted by name
  Member key;                   ///< of a map
  Member element;               ///< of a list; the values of a map
  std::vector<std::string> enum_values;
  std::optional<double> min, max;  ///< of the length for strings, blobs, lists and maps
  std::string pattern;
  Regex compiled_pattern;
  bool is_union = false;
  bool is_document = false;  ///< any JSON
  bool flattened = false;
  bool is_exception = false;
  std::string payload;     ///< the member that alone is the body
  std::string error_code;  ///< what query clients see, else empty
  int error_status = 0;    ///< 0: the model does not say
  bool server_fault = false;

  const Member* find(std::string_view member) const;
};

struct Operation {
  std::string name;
  std::string method;
  std::vector<std::string> path;  ///< segments; a label is "{name}"
  int status = 200;
  const Shape* input = nullptr;   ///< null: takes nothing
  const Shape* output = nullptr;  ///< null: answers nothing
  std::string result_wrapper;
};

class ApiModel {
 public:
  /// Errors name what the text lacks. `service` is the name below mock-aws/models.
  static Result<std::unique_ptr<ApiModel>> parse(std::string_view service, std::string_view text);

  const std::string& service() const { return service_; }
  const std::string& protocol() const { return protocol_; }
  const std::string& json_version() const { return json_version_; }
  const std::string& xml_namespace() const { return xml_namespace_; }
  bool query_compatible() const { return query_compatible_; }
  const std::map<std::string, Operation, std::less<>>& operations() const { return operations_; }
  const std::map<std::string, Shape, std::less<>>& shapes() const { return shapes_; }
  const Operation* operation(std::string_view name) const;
  const Shape* shape(std::string_view name) const;

 private:
  std::string service_, protocol_, json_version_, xml_namespace_;
  bool query_compatible_ = false;
  std::map<std::string, Shape, std::less<>> shapes_;
  std::map<std::string, Operation, std::less<>> operations_;
};

/// The service names whose models the program carries, sorted.
const std::vector<std::string_view>& model_names();
/// The model of a service, parsed at the first call (from any thread); null: none carried.
const ApiModel* find_model(std::string_view service);

}  // namespace coalmine::mock
