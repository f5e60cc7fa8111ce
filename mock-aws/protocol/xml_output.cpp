// The query protocols: from members to XML.
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/request.h"
#include "mock-aws/protocol/timestamp.h"

namespace coalmine::mock {
namespace {

/// Escapes what XML needs; control characters that XML 1.0 cannot hold become '?'.
void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\r':
        out += "&#xD;";
        break;
      case '\n':
        out += "&#xA;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '?' : c;
    }
  }
}

class XmlWriter {
 public:
  explicit XmlWriter(bool ec2) : ec2_(ec2) {}

  void open(std::string_view name) { out_.append("<").append(name).append(">"); }
  void close(std::string_view name) { out_.append("</").append(name).append(">"); }
  void leaf(std::string_view name, std::string_view text) {
    open(name);
    append_escaped(out_, text);
    close(name);
  }
  void raw(std::string_view text) { out_ += text; }
  std::string take() { return std::move(out_); }

  void members(const Shape& shape, const Json& value) {
    for (const Member& member : shape.members) {
      const auto it = value.find(member.name);
      if (it != value.end() && !it->is_null()) element(member.wire_name, *member.shape, *it);
    }
  }

 private:
  void element(const std::string& name, const Shape& shape, const Json& value) {
    if (shape.type == ShapeType::List && shape.flattened) {
      for (const Json& entry : value) element(name, *shape.element.shape, entry);
      return;
    }
    open(name);
    content(shape, value);
    close(name);
  }

  void content(const Shape& shape, const Json& value) {
    switch (shape.type) {
      case ShapeType::Structure:
        members(shape, value);
        break;
      case ShapeType::List:
        for (const Json& entry : value) {
          element(list_item(shape), *shape.element.shape, entry);
        }
        break;
      case ShapeType::Map:
        for (const auto& [key, entry] : value.items()) {
          open("entry");
          leaf(shape.key.wire_name, key);
          element(shape.element.wire_name, *shape.element.shape, entry);
          close("entry");
        }
        break;
      case ShapeType::Timestamp:
        append_escaped(out_, value.is_number() ? format_timestamp(value.get<double>(), ec2_)
                                               : get_text(value));
        break;
      case ShapeType::Integer:
        out_ +=
            value.is_number_float() ? fmt::to_string(value.get<std::int64_t>()) : get_text(value);
        break;
      default:
        append_escaped(out_, get_text(value));
    }
  }

  std::string list_item(const Shape& shape) const {
    const std::string& name = shape.element.wire_name;
    return ec2_ && name == "member" ? "item" : name;
  }

  static std::string get_text(const Json& value) {
    return value.is_string() ? value.get<std::string>() : dump_json(value);
  }

  bool ec2_;
  std::string out_;
};

net::Response xml_response(int status, std::string body) {
  net::Response response;
  response.status = status;
  response.body = std::move(body);
  response.headers.add("Content-Type", "text/xml");
  return response;
}

std::string head(std::string_view element, const Route& route) {
  if (route.model == nullptr || route.model->xml_namespace().empty()) {
    return fmt::format("<{}>", element);
  }
  return fmt::format("<{} xmlns=\"{}\">", element, route.model->xml_namespace());
}

constexpr std::string_view kXmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

}  // namespace

net::Response write_xml(const Route& route, const Json& output, const std::string& request_id) {
  const bool ec2 = route.protocol == Protocol::Ec2;
  const Operation& operation = *route.operation;
  const std::string root = operation.name + "Response";
  XmlWriter xml(ec2);
  if (ec2) xml.raw(kXmlHead);
  xml.raw(head(root, route));
  if (ec2) {
    xml.leaf("requestId", request_id);
    if (operation.output != nullptr) xml.members(*operation.output, output);
  } else {
    const std::string result =
        operation.result_wrapper.empty() ? operation.name + "Result" : operation.result_wrapper;
    xml.open(result);
    if (operation.output != nullptr) xml.members(*operation.output, output);
    xml.close(result);
    xml.open("ResponseMetadata");
    xml.leaf("RequestId", request_id);
    xml.close("ResponseMetadata");
  }
  xml.close(root);
  return xml_response(200, xml.take());
}

net::Response write_xml_error(const Route& route, const WireError& error,
                              const std::string& request_id) {
  XmlWriter xml(route.protocol == Protocol::Ec2);
  if (route.protocol == Protocol::Ec2) {
    xml.raw(kXmlHead);
    xml.raw("<Response><Errors><Error>");
    xml.leaf("Code", error.code);
    xml.leaf("Message", error.message);
    xml.raw("</Error></Errors>");
    xml.leaf("RequestID", request_id);
    xml.close("Response");
  } else {
    xml.raw(head("ErrorResponse", route));
    xml.open("Error");
    xml.leaf("Type", error.server_fault ? "Receiver" : "Sender");
    xml.leaf("Code", error.code);
    xml.leaf("Message", error.message);
    for (const auto& [name, value] : error.members) xml.leaf(name, value);
    xml.close("Error");
    xml.leaf("RequestId", request_id);
    xml.close("ErrorResponse");
  }
  return xml_response(error.status, xml.take());
}

}  // namespace coalmine::mock
