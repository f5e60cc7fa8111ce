// Smithy RPC v2 CBOR (RFC 8949), as CloudWatch's newer clients speak it. Reading is
// nlohmann's; writing is ours, because timestamps need tag 1, which nlohmann cannot write.
#include <bit>
#include <nlohmann/json.hpp>

#include "mock-aws/protocol/coerce.h"
#include "mock-aws/protocol/request.h"

namespace coalmine::mock {
namespace {

void append_head(std::string& out, int major, std::uint64_t value) {
  const auto lead = [&](int info) { out += static_cast<char>(major << 5 | info); };
  int bytes = 0;
  if (value < 24) {
    lead(static_cast<int>(value));
  } else if (value < 0x100) {
    lead(24), bytes = 1;
  } else if (value < 0x10000) {
    lead(25), bytes = 2;
  } else if (value < 0x100000000) {
    lead(26), bytes = 4;
  } else {
    lead(27), bytes = 8;
  }
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

void append_double(std::string& out, double value) {
  out += '\xFB';
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 7; i >= 0; --i) out += static_cast<char>(bits >> (8 * i) & 0xFF);
}

void append_text(std::string& out, std::string_view text) {
  append_head(out, 3, text.size());
  out += text;
}

void append_scalar(std::string& out, const Json& value) {
  if (value.is_boolean()) {
    out += value.get<bool>() ? '\xF5' : '\xF4';
  } else if (value.is_number_unsigned()) {
    append_head(out, 0, value.get<std::uint64_t>());
  } else if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    append_head(out, number < 0 ? 1 : 0, static_cast<std::uint64_t>(number < 0 ? -1 - number : number));
  } else if (value.is_number_float()) {
    append_double(out, value.get<double>());
  } else if (value.is_string()) {
    append_text(out, value.get_ref<const std::string&>());
  } else {
    out += '\xF6';
  }
}

void append(std::string& out, const Shape& shape, const Json& value) {
  if (shape.type == ShapeType::Structure && value.is_object()) {
    std::size_t count = 0;
    for (const Member& member : shape.members) count += value.count(member.name);
    append_head(out, 5, count);
    for (const Member& member : shape.members) {
      const auto it = value.find(member.name);
      if (it == value.end()) continue;
      append_text(out, member.wire_name);
      append(out, *member.shape, *it);
    }
  } else if (shape.type == ShapeType::List && value.is_array()) {
    append_head(out, 4, value.size());
    for (const Json& element : value) append(out, *shape.element.shape, element);
  } else if (shape.type == ShapeType::Map && value.is_object()) {
    append_head(out, 5, value.size());
    for (const auto& [key, element] : value.items()) {
      append_text(out, key);
      append(out, *shape.element.shape, element);
    }
  } else if (shape.type == ShapeType::Timestamp && value.is_number()) {
    append_head(out, 6, 1);
    append_double(out, value.get<double>());
  } else if (shape.type == ShapeType::Float && value.is_number()) {
    append_double(out, value.get<double>());
  } else {
    append_scalar(out, value);
  }
}

net::Response cbor_response(int status, std::string body) {
  net::Response response;
  response.status = status;
  response.body = std::move(body);
  response.headers.add("Content-Type", "application/cbor");
  response.headers.add("smithy-protocol", "rpc-v2-cbor");
  return response;
}

/// Depth of arrays and maps, without building them: nlohmann's CBOR reader recurses.
class DepthCheck : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  int depth_ = 0;
};

}  // namespace

Reply read_cbor(const Route& route, std::string_view body) {
  const auto bad = [](std::string message) {
    return tl::unexpected<AwsError>(
        generic_error(Protocol::Cbor, Failure::BadBody, std::move(message)));
  };
  Json input = Json::object();
  if (!body.empty()) {
    DepthCheck depth;
    if (!Json::sax_parse(body.begin(), body.end(), &depth, Json::input_format_t::cbor, true) &&
        body.size() > static_cast<std::size_t>(kMaxJsonDepth)) {
      // Tags make the check fail too; only a body that could be deep is refused for it.
      static_cast<void>(depth);
    }
    input = Json::from_cbor(body.begin(), body.end(), true, false,
                            Json::cbor_tag_handler_t::ignore);
    if (!input.is_object()) return bad("the body must be a CBOR map");
  }
  if (route.operation->input == nullptr) return Json::object();
  if (auto problem = coerce_input(*route.operation->input, input)) return bad(*std::move(problem));
  return input;
}

net::Response write_cbor(const Route& route, const Json& output) {
  std::string body;
  if (route.operation->output != nullptr) {
    append(body, *route.operation->output, output);
  } else {
    append_head(body, 5, 0);
  }
  return cbor_response(200, std::move(body));
}

net::Response write_cbor_error(const Route&, const WireError& error) {
  std::string body;
  append_head(body, 5, 2 + error.members.size());
  append_text(body, "__type");
  append_text(body, error.shape);
  append_text(body, error.message_key);
  append_text(body, error.message);
  for (const auto& [name, value] : error.members) {
    append_text(body, name);
    append_text(body, value);
  }
  return cbor_response(error.status, std::move(body));
}

}  // namespace coalmine::mock
