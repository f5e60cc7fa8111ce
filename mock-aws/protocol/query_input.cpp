// The query protocols: from form fields to members.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/coerce.h"
#include "mock-aws/protocol/request.h"

namespace coalmine::mock {
namespace {

/// Deepest field name ("A.member.1.B…" counts every part) and most fields in one form.
constexpr std::size_t kMaxNameParts = 40;
constexpr std::size_t kMaxFields = 20000;

/// The form as a tree: "Filter.1.Value.1=x" hangs below Filter, 1, Value, 1.
struct Node {
  std::optional<std::string> text;
  std::map<std::string, Node> children;
};

/// Index of a list entry; 0: not a number from 1.
std::size_t index_of(const std::string& name) {
  std::size_t value = 0;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), value);
  return failed == std::errc() && end == name.data() + name.size() ? value : 0;
}

bool may_be_empty(const Shape& shape) {
  return shape.type == ShapeType::Structure && !shape.is_union &&
         std::none_of(shape.members.begin(), shape.members.end(),
                      [](const Member& member) { return member.required; });
}

class FormReader {
 public:
  explicit FormReader(bool ec2) : ec2_(ec2) {}

  /// The members that the form names; sets problem() when a value does not fit.
  Json structure(const Shape& shape, const Node& node, const std::string& path) {
    Json result = Json::object();
    for (const Member& member : shape.members) {
      const std::string& name = ec2_ ? member.ec2_name : member.wire_name;
      const auto it = node.children.find(name);
      if (it == node.children.end()) {
        // A form cannot say "a structure without members".
        if (member.required && may_be_empty(*member.shape)) result[member.name] = Json::object();
        continue;
      }
      result[member.name] = value(*member.shape, it->second, path + name);
    }
    return result;
  }
  const std::string& problem() const { return problem_; }

 private:
  Json value(const Shape& shape, const Node& node, const std::string& path) {
    switch (shape.type) {
      case ShapeType::Structure:
        return structure(shape, node, path + ".");
      case ShapeType::List:
        return list(shape, node, path);
      case ShapeType::Map:
        return map(shape, node, path);
      default:
        return scalar(shape, node, path);
    }
  }

  Json scalar(const Shape& shape, const Node& node, const std::string& path) {
    if (!node.text) {
      problem_ = fmt::format("{} must be a single value", path);
      return Json();
    }
    auto result = scalar_from_text(shape, *node.text);
    if (!result) {
      problem_ = fmt::format("'{}' is not a valid value for {}", *node.text, path);
      return Json();
    }
    return *std::move(result);
  }

  /// The numbered children in order, whatever the gaps.
  static std::map<std::size_t, const Node*> numbered(const Node& node) {
    std::map<std::size_t, const Node*> entries;
    for (const auto& [name, child] : node.children) {
      if (const std::size_t index = index_of(name); index > 0) entries[index] = &child;
    }
    return entries;
  }

  /// "Name.member.1" (the model may call the part otherwise) or flat "Name.1"; "Name=" is [].
  Json list(const Shape& shape, const Node& node, const std::string& path) {
    const Node* parent = &node;
    const std::string part = shape.element.wire_name;
    if (const auto it = node.children.find(part); it != node.children.end()) parent = &it->second;
    Json result = Json::array();
    for (const auto& [index, child] : numbered(*parent)) {
      result.push_back(value(*shape.element.shape, *child, fmt::format("{}.{}", path, index)));
    }
    return result;
  }

  Json map(const Shape& shape, const Node& node, const std::string& path) {
    const Node* parent = &node;
    if (const auto it = node.children.find("entry"); it != node.children.end()) {
      parent = &it->second;
    }
    Json result = Json::object();
    for (const auto& [index, child] : numbered(*parent)) {
      const auto key = child->children.find(shape.key.wire_name);
      const auto element = child->children.find(shape.element.wire_name);
      if (key == child->children.end() || element == child->children.end() || !key->second.text) {
        problem_ = fmt::format("{}.{} must have a key and a value", path, index);
        return Json();
      }
      result[*key->second.text] = value(*shape.element.shape, element->second, path);
    }
    return result;
  }

  bool ec2_;
  std::string problem_;
};

bool insert(Node& root, const std::string& name, const std::string& text) {
  Node* node = &root;
  std::size_t parts = 0;
  for (std::size_t at = 0; at <= name.size();) {
    if (++parts > kMaxNameParts) return false;
    const std::size_t end = std::min(name.find('.', at), name.size());
    node = &node->children[name.substr(at, end - at)];
    at = end + 1;
  }
  node->text = text;
  return true;
}

}  // namespace

Reply read_query(const Route& route, const net::Request& request, std::string_view body) {
  const auto fields = net::parse_query(route.body_is_form ? body : request.query());
  const auto bad = [&](std::string message) {
    return tl::unexpected<AwsError>(
        generic_error(route.protocol, Failure::BadBody, std::move(message)));
  };
  if (fields.size() > kMaxFields) return bad(fmt::format("more than {} fields", kMaxFields));
  if (route.operation->input == nullptr) return Json::object();
  Node root;
  for (const auto& [name, text] : fields) {
    if (!insert(root, name, text)) return bad("field name is nested too deeply");
  }
  FormReader reader(route.protocol == Protocol::Ec2);
  Json input = reader.structure(*route.operation->input, root, "");
  if (!reader.problem().empty()) {
    return tl::unexpected<AwsError>(
        AwsError{route.protocol == Protocol::Ec2 ? "InvalidParameterValue" : "MalformedInput",
                 reader.problem(),
                 400,
                 {}});
  }
  return input;
}

}  // namespace coalmine::mock
