#include "sim/net/framing.h"

#include <algorithm>

namespace coalmine::net {
namespace {

tl::unexpected<FramingError> refuse(int status, std::string message) {
  return tl::unexpected<FramingError>(FramingError{status, std::move(message)});
}

bool is_token_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_byte);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `use` for every comma-separated element, trimmed.
template <typename Use>
void for_each_element(std::string_view list, Use use) {
  for (;;) {
    const std::size_t comma = list.find(',');
    use(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::optional<FramingError> check_target(const Request& request) {
  if (request.target.size() > kMaxTargetBytes) {
    return FramingError{414,
                        fmt::format("the request target is longer than {} bytes", kMaxTargetBytes)};
  }
  if (request.target.empty() || std::any_of(request.target.begin(), request.target.end(),
                                            [](char c) { return is_control(c) || c == '#'; })) {
    return FramingError{400, "the request target is empty or holds a control byte or '#'"};
  }
  if (request.method == "CONNECT") return FramingError{405, "CONNECT is not served here"};
  if (request.target == "*" && request.method == "OPTIONS") return std::nullopt;
  if (request.target.front() != '/') {
    return FramingError{400, "the request target must begin with '/'"};
  }
  return std::nullopt;
}

/// "http://host/path" becomes "/path"; its host wins over the Host field (RFC 9112 3.2.2).
std::string take_authority(std::string& target) {
  constexpr std::string_view kScheme = "http://";
  if (target.size() <= kScheme.size() || !same_name(target.substr(0, kScheme.size()), kScheme)) {
    return "";
  }
  const std::size_t end = target.find_first_of("/?", kScheme.size());
  std::string authority = target.substr(kScheme.size(), end - kScheme.size());
  std::string rest = end == std::string::npos ? "/" : target.substr(end);
  if (rest.front() == '?') rest.insert(0, "/");
  target = std::move(rest);
  return authority;
}

tl::expected<Head, FramingError> parse_request_line(std::string_view line) {
  Head head;
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last ||
      line.substr(first + 1, last - first - 1).find(' ') != std::string_view::npos) {
    return refuse(400, "the request line must be METHOD TARGET VERSION, one space apart");
  }
  head.request.method = line.substr(0, first);
  head.request.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head.request.method)) return refuse(400, "the method is not a token");
  const std::string_view version = line.substr(last + 1);
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return refuse(400, "the request line must end in HTTP/1.1 or HTTP/1.0");
  }
  if (version[5] != '1') return refuse(505, "only HTTP/1.1 and HTTP/1.0 are served");
  head.minor_version = version[7] == '0' ? 0 : 1;
  head.keep_alive = head.minor_version == 1;
  return head;
}

std::optional<FramingError> add_field(std::string_view line, Headers& headers) {
  if (line.front() == ' ' || line.front() == '\t') {
    return FramingError{400, "folded header lines are not accepted"};
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return FramingError{400, "a header line must be NAME: VALUE, the name a token"};
  }
  const std::string_view value = trim(line.substr(colon + 1));
  if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; })) {
    return FramingError{400, "a header value holds a control byte"};
  }
  headers.add(std::string(line.substr(0, colon)), std::string(value));
  return std::nullopt;
}

std::optional<FramingError> read_length(std::string_view value, Head& head) {
  constexpr std::uint64_t kMax = (std::uint64_t{1} << 63) - 1;
  std::uint64_t length = 0;
  if (value.empty() || value.size() > 19 || !std::all_of(value.begin(), value.end(), is_digit)) {
    return FramingError{400, "Content-Length must be one decimal number"};
  }
  for (const char c : value) length = length * 10 + static_cast<std::uint64_t>(c - '0');
  if (length > kMax) return FramingError{400, "Content-Length is above 2^63-1"};
  head.content_length = length;
  return std::nullopt;
}

std::optional<FramingError> read_coding(std::string_view value, Head& head) {
  int chunked = 0;
  int others = 0;
  bool chunked_last = false;
  bool known = true;
  for_each_element(value, [&](std::string_view coding) {
    chunked_last = same_name(coding, "chunked");
    chunked += chunked_last ? 1 : 0;
    others += chunked_last ? 0 : 1;
    known = known && (chunked_last || same_name(coding, "gzip") || same_name(coding, "x-gzip") ||
                      same_name(coding, "deflate") || same_name(coding, "compress"));
  });
  if (chunked != 1 || !chunked_last || !known) {
    return FramingError{400, "Transfer-Encoding must end in chunked, once"};
  }
  if (others > 0) return FramingError{501, "only Transfer-Encoding: chunked is served"};
  head.chunked = true;
  return std::nullopt;
}

std::optional<FramingError> read_connection(std::string_view value, Head& head) {
  bool bad = false;
  for_each_element(value, [&](std::string_view option) {
    if (same_name(option, "close")) head.keep_alive = false;
    if (same_name(option, "keep-alive") && head.minor_version == 0) head.keep_alive = true;
    bad = bad || same_name(option, "host") || same_name(option, "content-length") ||
          same_name(option, "transfer-encoding");
  });
  if (bad) return FramingError{400, "Connection must not name Host or a framing field"};
  return std::nullopt;
}

std::optional<FramingError> check_host(std::string_view value) {
  const auto allowed = [](char c) {
    return is_token_byte(c) || std::string_view(":[]()=,;").find(c) != std::string_view::npos;
  };
  if (!std::all_of(value.begin(), value.end(), allowed)) {
    return FramingError{400, "Host is not HOST[:PORT]"};
  }
  return std::nullopt;
}

/// Reads what the fields say about framing into `head`.
std::optional<FramingError> interpret(Head& head) {
  int lengths = 0;
  int codings = 0;
  int hosts = 0;
  for (const auto& [name, value] : head.request.headers) {
    std::optional<FramingError> wrong;
    if (same_name(name, "Content-Length")) {
      ++lengths;
      wrong = read_length(value, head);
    } else if (same_name(name, "Transfer-Encoding")) {
      ++codings;
      wrong = read_coding(value, head);
    } else if (same_name(name, "Connection")) {
      wrong = read_connection(value, head);
    } else if (same_name(name, "Host")) {
      ++hosts;
      wrong = check_host(value);
    } else if (same_name(name, "Expect")) {
      if (!same_name(value, "100-continue")) wrong = FramingError{417, "unknown expectation"};
      head.expects_continue = true;
    } else if (same_name(name, "Content_Length") || same_name(name, "Transfer_Encoding")) {
      wrong = FramingError{400, "a field that looks like a framing field"};
    }
    if (wrong) return wrong;
  }
  if (lengths > 1) return FramingError{400, "Content-Length is repeated"};
  if (codings > 1) return FramingError{400, "Transfer-Encoding is repeated"};
  if (lengths + codings > 1) return FramingError{400, "both Content-Length and Transfer-Encoding"};
  if (codings > 0 && head.minor_version == 0) {
    return FramingError{400, "Transfer-Encoding in an HTTP/1.0 request"};
  }
  if (hosts > 1 || (hosts == 0 && head.minor_version == 1)) {
    return FramingError{400, "an HTTP/1.1 request needs exactly one Host"};
  }
  head.expects_continue = head.expects_continue && head.minor_version == 1 && head.has_body();
  return std::nullopt;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

tl::expected<std::size_t, FramingError> find_head_end(std::string_view buffer,
                                                      std::size_t& resume) {
  for (;;) {
    const std::size_t lf = buffer.find('\n', resume);
    if (std::min(lf, buffer.size()) >= kMaxHeadBytes) {
      return refuse(431, fmt::format("the request head is longer than {} bytes", kMaxHeadBytes));
    }
    if (lf == std::string_view::npos) {
      resume = buffer.size();
      return 0;
    }
    if (lf == 0 || buffer[lf - 1] != '\r') return refuse(400, "a line ends in a bare line feed");
    resume = lf + 1;
    if (lf >= 3 && buffer[lf - 2] == '\n') return lf + 1;
  }
}

tl::expected<Head, FramingError> parse_head(std::string_view text) {
  std::size_t end = text.find("\r\n");
  tl::expected<Head, FramingError> head = parse_request_line(text.substr(0, end));
  if (!head) return head;
  text.remove_prefix(end + 2);
  std::string authority = take_authority(head->request.target);
  if (auto wrong = check_target(head->request)) return tl::unexpected(*wrong);
  std::size_t fields = 0;
  while ((end = text.find("\r\n")) != 0) {
    if (end == std::string_view::npos) return refuse(400, "the head has no end");
    if (++fields > kMaxHeaderFields) {
      return refuse(431, fmt::format("more than {} header fields", kMaxHeaderFields));
    }
    if (auto wrong = add_field(text.substr(0, end), head->request.headers)) {
      return tl::unexpected(*wrong);
    }
    text.remove_prefix(end + 2);
  }
  if (auto wrong = interpret(*head)) return tl::unexpected(*wrong);
  if (!authority.empty()) {
    if (auto wrong = check_host(authority)) return tl::unexpected(*wrong);
    head->request.headers.set("Host", std::move(authority));
  }
  return head;
}

ChunkedDecoder::Step ChunkedDecoder::malformed() {
  failed_ = true;
  return Step::Malformed;
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view& input, std::string_view& piece) {
  constexpr int kMaxDigits = 16;
  if (failed_) return Step::Malformed;
  while (!input.empty()) {
    const char c = input.front();
    if (state_ == State::Data) {
      piece =
          input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
      input.remove_prefix(piece.size());
      left_ -= piece.size();
      if (left_ == 0) state_ = State::DataCr;
      return Step::Data;
    }
    input.remove_prefix(1);
    switch (state_) {
      case State::SizeStart:
        left_ = 0;
        digits_ = 0;
        line_bytes_ = 0;
        state_ = State::Size;
        [[fallthrough]];
      case State::Size:
        if (++line_bytes_ > kMaxChunkLineBytes) return malformed();
        if (const int value = hex_value(c); value >= 0) {
          if (++digits_ > kMaxDigits || (left_ >> 59) != 0) return malformed();
          left_ = left_ * 16 + static_cast<std::uint64_t>(value);
        } else if (digits_ == 0) {
          return malformed();
        } else if (c == '\r') {
          state_ = State::SizeLf;
        } else if (c == ';') {
          state_ = State::Extension;
        } else {
          return malformed();
        }
        break;
      case State::Extension:
        if (++line_bytes_ > kMaxChunkLineBytes) return malformed();
        if (c == '\r') {
          state_ = State::SizeLf;
        } else if (is_control(c) && c != '\t') {
          return malformed();
        }
        break;
      case State::SizeLf:
        if (c != '\n') return malformed();
        state_ = left_ > 0 ? State::Data : State::Trailer;
        line_bytes_ = 0;
        break;
      case State::DataCr:
        if (c != '\r') return malformed();
        state_ = State::DataLf;
        break;
      case State::DataLf:
        if (c != '\n') return malformed();
        state_ = State::SizeStart;
        break;
      case State::Trailer:
        if (++trailer_bytes_ > kMaxTrailerBytes || c == '\n') return malformed();
        if (c == '\r') {
          state_ = State::LastLf;
        } else {
          ++line_bytes_;
        }
        break;
      case State::LastLf:
        if (c != '\n') return malformed();
        if (line_bytes_ == 0) return Step::Done;
        line_bytes_ = 0;
        state_ = State::Trailer;
        break;
      case State::Data:
        break;  // handled above
    }
  }
  return Step::NeedMore;
}

}  // namespace coalmine::net
