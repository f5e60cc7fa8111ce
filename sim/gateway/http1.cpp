#include "sim/gateway/http1.h"

#include <algorithm>
#include <cstring>

#include "sim/traffic/request.h"

namespace coalmine::gateway {
namespace {

using traffic::equals_ignoring_case;

constexpr std::size_t kNothing = std::string_view::npos;

// Looks for the empty line that ends a head, line by line; a line feed without its carriage
// return is found as soon as it arrives.
Parsed find_head_end(std::string_view bytes, HeadScan& scan, std::size_t first_line_max) {
  for (;;) {
    const char* from = bytes.data() + scan.line + scan.seen;
    const std::size_t rest = bytes.size() - scan.line - scan.seen;
    const auto* lf = rest == 0 ? nullptr : static_cast<const char*>(std::memchr(from, '\n', rest));
    if (lf == nullptr) {
      scan.seen += rest;
      if (scan.line == 0 && scan.seen > first_line_max) return bad(414, "request line too long");
      if (bytes.size() > kMaxHeadBytes || scan.seen > kMaxFieldBytes) {
        return bad(431, "header fields too large");
      }
      return {};
    }
    const auto at = static_cast<std::size_t>(lf - bytes.data());
    if (at == scan.line || bytes[at - 1] != '\r')
      return bad(400, "line feed without carriage return");
    const std::size_t line = scan.line;
    const std::size_t size = at + 1 - line;
    if (line == 0 && size > first_line_max) return bad(414, "request line too long");
    if (size > kMaxFieldBytes || at + 1 > kMaxHeadBytes) return bad(431, "header fields too large");
    scan.line = at + 1;
    scan.seen = 0;
    if (size == 2) return {Parsed::State::Done, at + 1, 0, ""};
  }
}

template <typename F>
void each_token(std::string_view list, F&& f) {
  for (;;) {
    const std::size_t comma = list.find(',');
    f(trimmed(list.substr(0, comma)));
    if (comma == kNothing) return;
    list.remove_prefix(comma + 1);
  }
}

// What the Upgrade fields ask for. Envoy compares the whole value, so a list is another protocol.
Upgrade requested_upgrade(const std::vector<FieldView>& fields) {
  Upgrade out = Upgrade::None;
  for (const FieldView& field : fields) {
    if (field.kind != Field::Upgrade || equals_ignoring_case(field.value, "h2c")) continue;
    const bool only = out == Upgrade::None && equals_ignoring_case(field.value, "websocket");
    out = only ? Upgrade::WebSocket : Upgrade::Other;
  }
  return out;
}

// Connection's options: persistence, upgrades, and names of further hop-by-hop fields, which must
// not be ones that everybody on the way relies on.
Parsed apply_connection(std::vector<FieldView>& fields, int minor, bool& keep_alive,
                        Upgrade& upgrade) {
  keep_alive = minor >= 1;
  upgrade = Upgrade::None;
  bool close = false;
  for (const FieldView& field : fields) {
    if (field.kind != Field::Connection) continue;
    bool forbidden = false;
    each_token(field.value, [&](std::string_view token) {
      if (equals_ignoring_case(token, "close")) {
        close = true;
      } else if (equals_ignoring_case(token, "keep-alive")) {
        keep_alive = true;
      } else if (equals_ignoring_case(token, "upgrade")) {
        if (minor >= 1) upgrade = requested_upgrade(fields);  // not to be heard in 1.0 (9110 7.8)
      } else {
        for (FieldView& other : fields) {
          if (!equals_ignoring_case(other.name, token)) continue;
          switch (other.kind) {
            case Field::Host:
            case Field::ContentLength:
            case Field::TransferEncoding:
            case Field::ForwardedFor:
            case Field::ForwardedProto:
            case Field::ForwardedPort:
            case Field::RequestId:
            case Field::AmznTraceId:
              forbidden = true;
              break;
            case Field::Other:
            case Field::Expect:
              other.kind = Field::HopByHop;
              break;
            default:
              break;
          }
        }
        const Field kind = kind_of(token);
        forbidden |=
            kind == Field::Host || kind == Field::ContentLength || kind == Field::TransferEncoding;
      }
    });
    if (forbidden) return bad(400, "Connection names a framing or routing header");
  }
  if (close) keep_alive = false;
  return {Parsed::State::Done};
}

bool parse_length(std::string_view text, std::uint64_t& out) {
  if (text.empty() || text.size() > 19) return false;
  out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    out = out * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return out <= 0x7fffffffffffffffU;
}

// Transfer-Encoding: only "chunked" is understood.
Parsed check_coding(std::string_view value) {
  if (equals_ignoring_case(value, "chunked")) return {Parsed::State::Done};
  int chunked = 0;
  bool last = false;
  bool odd = false;
  each_token(value, [&](std::string_view token) {
    last = equals_ignoring_case(token, "chunked");
    chunked += last ? 1 : 0;
    odd |= token.empty() || !all_of_class(token, kToken);
  });
  if (odd || chunked != 1 || !last)
    return bad(400, "Transfer-Encoding that does not end in one chunked");
  return bad(501, "Transfer-Encoding other than chunked");
}

// Content-Length and Transfer-Encoding together say where the body ends, or it is refused.
Parsed find_framing(const std::vector<FieldView>& fields, int minor, Framing& framing) {
  const FieldView* length = nullptr;
  const FieldView* coding = nullptr;
  for (const FieldView& field : fields) {
    if (field.kind == Field::ContentLength) {
      if (length != nullptr) return bad(400, "Content-Length given twice");
      length = &field;
    } else if (field.kind == Field::TransferEncoding) {
      if (coding != nullptr) return bad(400, "Transfer-Encoding given twice");
      coding = &field;
    }
  }
  framing = {};
  if (coding != nullptr) {
    if (length != nullptr) return bad(400, "Content-Length beside Transfer-Encoding");
    if (minor == 0) return bad(400, "Transfer-Encoding in HTTP/1.0");
    if (const Parsed p = check_coding(coding->value); p.state == Parsed::State::Bad) return p;
    framing.kind = BodyKind::Chunked;
  } else if (length != nullptr) {
    if (!parse_length(length->value, framing.length)) return bad(400, "bad Content-Length");
    framing.kind = BodyKind::Length;
  }
  return {Parsed::State::Done};
}

bool valid_host(std::string_view host) {
  if (host.empty() || !all_of_class(host, kHostByte)) return false;
  const std::string_view name = traffic::without_port(host);
  if (name.empty()) return false;
  if (name.size() == host.size())
    return host.back() != ':' && (host[0] == '[' || host.find(':') == kNothing);
  const std::string_view port = host.substr(name.size() + 1);
  if (name[0] != '[' && name.find(':') != kNothing) return false;
  return port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Parsed read_version(std::string_view text, int& minor) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.' || text[5] < '0' ||
      text[5] > '9' || text[7] < '0' || text[7] > '9') {
    return bad(400, "bad HTTP version");
  }
  if (text[5] != '1') return bad(505, "HTTP version is not 1.x");
  minor = text[7] == '0' ? 0 : 1;
  return {Parsed::State::Done};
}

Parsed read_target(std::string_view target, RequestHead& head) {
  if (target.starts_with('/')) {
    // origin-form
  } else if (target == "*") {
    if (head.method != "OPTIONS") return bad(400, "target * is only for OPTIONS");
    head.path = target;
    return {Parsed::State::Done};
  } else if (head.method == "CONNECT") {
    return bad(405, "CONNECT is not allowed");
  } else {
    const std::size_t colon = target.find("://");
    const std::string_view scheme = target.substr(0, colon == kNothing ? 0 : colon);
    if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https")) {
      return bad(400, "bad request target");
    }
    target.remove_prefix(colon + 3);
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    head.host = target.substr(0, end);
    if (!valid_host(head.host)) return bad(400, "bad authority in the request target");
    target.remove_prefix(end);
    if (target.empty() || target.front() == '?') {
      head.path = "/";
      head.has_query = !target.empty();
      head.query = head.has_query ? target.substr(1) : std::string_view{};
      return {Parsed::State::Done};
    }
  }
  if (head.method == "CONNECT") return bad(405, "CONNECT is not allowed");
  const std::size_t question = target.find('?');
  head.path = target.substr(0, question);
  head.has_query = question != kNothing;
  head.query = head.has_query ? target.substr(question + 1) : std::string_view{};
  return {Parsed::State::Done};
}

Parsed read_request_line(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == kNothing || first == last) return bad(400, "bad request line");
  head.method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (head.method.empty() || !all_of_class(head.method, kToken)) return bad(400, "bad method");
  if (target.empty() || !all_of_class(target, kTarget)) return bad(400, "bad request target");
  if (const Parsed p = read_version(line.substr(last + 1), head.minor);
      p.state == Parsed::State::Bad) {
    return p;
  }
  if (target.size() > kMaxUriBytes) return bad(414, "URI too long");
  head.host = {};
  return read_target(target, head);
}

Parsed read_request_fields(RequestHead& head) {
  const FieldView* host = nullptr;
  head.expects_continue = false;
  for (const FieldView& field : head.fields) {
    if (field.kind == Field::Host) {
      if (host != nullptr) return bad(400, "Host given twice");
      host = &field;
    } else if (field.kind == Field::Expect) {
      if (!equals_ignoring_case(field.value, "100-continue"))
        return bad(417, "unknown expectation");
      head.expects_continue = head.minor >= 1;
    }
  }
  if (host == nullptr && head.minor >= 1) return bad(400, "Host is missing");
  if (host != nullptr && !valid_host(host->value)) return bad(400, "bad Host");
  if (host != nullptr && head.host.empty()) head.host = host->value;
  return {Parsed::State::Done};
}

}  // namespace

Parsed parse_request(std::string_view bytes, HeadScan& scan, RequestHead& head) {
  std::size_t skipped = 0;
  if (bytes.starts_with("\r\n")) {  // one empty line before a request is ignored (9112 2.2)
    skipped = 2;
    bytes.remove_prefix(2);
  } else if (bytes == "\r") {
    return {};
  }
  constexpr std::size_t kOtherThanUri = 64;  // method and version
  const Parsed end = find_head_end(bytes, scan, kMaxUriBytes + kOtherThanUri);
  if (end.state != Parsed::State::Done) return end;
  if (end.length == 2) return bad(400, "empty request line");
  const std::size_t line_end = bytes.find('\n');
  const std::string_view rest = bytes.substr(line_end + 1, end.length - line_end - 1);
  Parsed p = read_request_line(bytes.substr(0, line_end - 1), head);
  if (p.state == Parsed::State::Done) p = split_fields(rest, head.fields);
  if (p.state == Parsed::State::Done) p = find_framing(head.fields, head.minor, head.framing);
  if (p.state == Parsed::State::Done)
    p = apply_connection(head.fields, head.minor, head.keep_alive, head.upgrade);
  if (p.state == Parsed::State::Done) p = read_request_fields(head);
  p.length = end.length + skipped;
  return p;
}

Parsed parse_response(std::string_view bytes, HeadScan& scan, bool to_head, ResponseHead& head) {
  const auto as_502 = [](Parsed p) {
    if (p.state == Parsed::State::Bad) p.status = 502;
    return p;
  };
  const Parsed end = find_head_end(bytes, scan, kMaxUriBytes);
  if (end.state != Parsed::State::Done) return as_502(end);
  const std::size_t line_end = bytes.find('\n');
  const std::string_view line = bytes.substr(0, line_end - 1);
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
    return bad(502, "bad status line");
  }
  Parsed p = read_version(line.substr(0, 8), head.minor);
  if (p.state == Parsed::State::Bad) return as_502(p);
  head.status = 0;
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return bad(502, "bad status line");
    head.status = head.status * 10 + (c - '0');
  }
  if (head.status < 100) return bad(502, "bad status line");
  head.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
  if (!all_of_class(head.reason, kValue) && !head.reason.empty())
    return bad(502, "bad status line");
  p = split_fields(bytes.substr(line_end + 1, end.length - line_end - 1), head.fields);
  if (p.state == Parsed::State::Done) p = find_framing(head.fields, head.minor, head.framing);
  if (p.state == Parsed::State::Done)
    p = apply_connection(head.fields, head.minor, head.keep_alive, head.upgrade);
  if (p.state == Parsed::State::Bad) return as_502(p);
  const bool bodiless = head.status < 200 || head.status == 204;
  if (bodiless && head.framing.kind == BodyKind::Chunked) {
    return bad(502, "Transfer-Encoding on a response without body");
  }
  if (bodiless || head.status == 304 || to_head) {
    head.framing = {};
  } else if (head.framing.kind == BodyKind::None) {
    head.framing.kind = BodyKind::UntilClose;
    head.keep_alive = false;
  }
  return {Parsed::State::Done, end.length, 0, ""};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace coalmine::gateway
