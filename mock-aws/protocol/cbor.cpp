// Smithy RPC v2 CBOR (RFC 8949), as CloudWatch's newer clients speak it.
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

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
    append_head(out, number < 0 ? 1 : 0,
                static_cast<std::uint64_t>(number < 0 ? -1 - number : number));
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

/// Reads one item after another; own code because nlohmann's reader knows no tag 1 and recurses
/// without a limit. Tags are skipped: an epoch time is its number.
class CborReader {
 public:
  explicit CborReader(std::string_view bytes) : bytes_(bytes) {}

  /// The one item that the bytes hold; nullopt: damaged, nested too deeply or followed by more.
  std::optional<Json> whole() {
    auto value = item(0);
    return at_ == bytes_.size() ? value : std::nullopt;
  }

 private:
  using Item = std::optional<Json>;

  bool at_break() const { return at_ < bytes_.size() && bytes_[at_] == '\xFF'; }

  std::optional<std::uint64_t> number(std::size_t length) {
    if (length > bytes_.size() - at_) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < length; ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes_[at_++]);
    }
    return value;
  }

  /// The count, length or value of a head; info 24 to 27 say in how many bytes it follows.
  std::optional<std::uint64_t> argument(int info) {
    if (info < 24) return static_cast<std::uint64_t>(info);
    if (info > 27) return std::nullopt;
    return number(std::size_t{1} << (info - 24));
  }

  Item item(int depth) {
    if (depth > kMaxJsonDepth || at_ >= bytes_.size()) return std::nullopt;
    const auto lead = static_cast<unsigned char>(bytes_[at_++]);
    const int major = lead >> 5, info = lead & 31;
    switch (major) {
      case 0:
      case 1:
        return integer(major == 1, info);
      case 2:
      case 3:
        return text(major, info);
      case 4:
        return array(info, depth);
      case 5:
        return map(info, depth);
      case 6:
        return argument(info) ? item(depth + 1) : std::nullopt;
      default:
        return simple(info);
    }
  }

  Item integer(bool negative, int info) {
    const auto value = argument(info);
    if (!value || (negative && *value > std::uint64_t{1} << 62)) return std::nullopt;
    if (negative) return Json(-1 - static_cast<std::int64_t>(*value));
    return Json(*value);
  }

  Item text(int major, int info) {
    std::string joined;
    if (info != 31) {
      const auto length = argument(info);
      if (!length || *length > bytes_.size() - at_) return std::nullopt;
      joined = bytes_.substr(at_, *length);
      at_ += *length;
    } else {
      while (!at_break()) {
        if (at_ >= bytes_.size() || static_cast<unsigned char>(bytes_[at_]) >> 5 != major) {
          return std::nullopt;
        }
        const int part = static_cast<unsigned char>(bytes_[at_++]) & 31;
        const auto length = argument(part);
        if (!length || *length > bytes_.size() - at_) return std::nullopt;
        joined += bytes_.substr(at_, *length);
        at_ += *length;
      }
      ++at_;
    }
    if (major == 3) return Json(std::move(joined));
    return Json::binary(std::vector<std::uint8_t>(joined.begin(), joined.end()));
  }

  /// Whether another entry comes; eats the break of an indefinite container.
  std::optional<bool> more(int info, std::uint64_t& left) {
    if (info != 31) return left-- > 0;
    if (at_ >= bytes_.size()) return std::nullopt;
    if (!at_break()) return true;
    ++at_;
    return false;
  }

  Item array(int info, int depth) {
    std::optional<std::uint64_t> left = info == 31 ? 0 : argument(info);
    if (!left) return std::nullopt;
    Json result = Json::array();
    while (true) {
      const auto next = more(info, *left);
      if (!next) return std::nullopt;
      if (!*next) return result;
      auto element = item(depth + 1);
      if (!element) return std::nullopt;
      result.push_back(*std::move(element));
    }
  }

  Item map(int info, int depth) {
    std::optional<std::uint64_t> left = info == 31 ? 0 : argument(info);
    if (!left) return std::nullopt;
    Json result = Json::object();
    while (true) {
      const auto next = more(info, *left);
      if (!next) return std::nullopt;
      if (!*next) return result;
      const auto key = item(depth + 1);
      if (!key || !key->is_string()) return std::nullopt;
      auto element = item(depth + 1);
      if (!element) return std::nullopt;
      result[key->get<std::string>()] = *std::move(element);
    }
  }

  Item simple(int info) {
    if (info == 20 || info == 21) return Json(info == 21);
    if (info == 22 || info == 23) return Json(nullptr);
    if (info < 25 || info > 27) return std::nullopt;
    const auto bits = number(std::size_t{1} << (info - 24));
    if (!bits) return std::nullopt;
    if (info == 25) return Json(half(static_cast<std::uint32_t>(*bits)));
    if (info == 26) {
      return Json(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(*bits))));
    }
    return Json(std::bit_cast<double>(*bits));
  }

  /// RFC 8949, appendix D.
  static double half(std::uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const auto fraction = static_cast<double>(bits & 1023);
    double value = 0;
    if (exponent == 0) {
      value = std::ldexp(fraction, -24);
    } else if (exponent != 31) {
      value = std::ldexp(fraction + 1024, exponent - 25);
    } else {
      value = fraction == 0 ? HUGE_VAL : NAN;
    }
    return (bits & 0x8000) != 0 ? -value : value;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Reply read_cbor(const Route& route, std::string_view body) {
  const auto bad = [](std::string message) {
    return tl::unexpected<AwsError>(
        generic_error(Protocol::Cbor, Failure::BadBody, std::move(message)));
  };
  Json input = Json::object();
  if (!body.empty()) {
    auto parsed = CborReader(body).whole();
    if (!parsed) return bad("the body is not valid CBOR or nested too deeply");
    input = *std::move(parsed);
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
