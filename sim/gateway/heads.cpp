#include "sim/gateway/heads.h"

#include <fmt/format.h>

#include <algorithm>

namespace coalmine::gateway {
namespace {

using traffic::Dialect;

void append_number(std::string& out, std::uint64_t n) {
  char digits[20];
  char* const end = digits + sizeof digits;
  char* from = end;
  do {
    *--from = static_cast<char>('0' + n % 10);
    n /= 10;
  } while (n != 0);
  out.append(from, static_cast<std::size_t>(end - from));
}

// The lowest `digits` of the value.
void put_hex(char* to, std::uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value >>= 4) to[i] = "0123456789abcdef"[value & 15U];
}

void append_hex(std::string& out, std::uint64_t value, int digits) {
  char text[16];
  put_hex(text, value, digits);
  out.append(text, static_cast<std::size_t>(digits));
}

// A version 4 UUID.
void append_uuid(std::string& out, const std::uint64_t (&r)[2]) {
  char text[] = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  put_hex(text, r[0] >> 32, 8);
  put_hex(text + 9, r[0] >> 16, 4);
  put_hex(text + 15, r[0], 3);
  put_hex(text + 19, 8 + (r[1] >> 62), 1);
  put_hex(text + 20, r[1] >> 48, 3);
  put_hex(text + 24, r[1], 12);
  out.append(text, sizeof text - 1);
}

bool has_traceparent(const RequestHead& head) {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const FieldView& field) {
    return traffic::equals_ignoring_case(field.name, "traceparent");
  });
}

// W3C Trace Context 2.2: version, trace id, parent id, flags (sampled). Neither id may be 0.
void append_traceparent(std::string& out, const std::uint64_t (&r)[2]) {
  out += "traceparent: 00-";
  append_hex(out, r[0], 16);
  append_hex(out, r[1] | 1, 16);
  out += '-';
  append_hex(out, (r[0] ^ (r[1] << 1)) | 1, 16);
  out += "-01\r\n";
}

// Copies kept lines; lines that stand side by side in the input are copied as one run.
class Runs {
 public:
  explicit Runs(std::string& out) : out_(out) {}
  ~Runs() { flush(); }
  void keep(std::string_view line) {
    if (run_.data() != nullptr && run_.data() + run_.size() == line.data()) {
      run_ = {run_.data(), run_.size() + line.size()};
      return;
    }
    flush();
    run_ = line;
  }
  void flush() {
    out_ += run_;
    run_ = {};
  }

 private:
  std::string& out_;
  std::string_view run_;
};

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += value;
  out += "\r\n";
}

void append_framing(std::string& out, const Framing& framing) {
  if (framing.kind == BodyKind::Length) {
    out += "content-length: ";
    append_number(out, framing.length);
    out += "\r\n";
  } else if (framing.kind == BodyKind::Chunked) {
    out += "transfer-encoding: chunked\r\n";
  }
}

}  // namespace

void append_upstream_head(std::string& out, const RequestHead& head, const ForwardContext& c) {
  const bool alb = c.dialect == Dialect::Alb;
  out += head.method;
  out += ' ';
  out += c.path;
  if (head.has_query) {
    out += '?';
    out += head.query;
  }
  out += " HTTP/1.1\r\n";
  append_field(out, "host: ", c.host);
  std::string_view forwarded_for;
  bool forwarded_before = false;
  bool has_id = false;
  {
    Runs runs(out);
    for (const FieldView& field : head.fields) {
      switch (field.kind) {
        case Field::Other:
        case Field::Server:
        case Field::Date:
          runs.keep(field.line);
          break;
        case Field::RequestId:
          has_id |= !alb;
          runs.keep(field.line);
          break;
        case Field::AmznTraceId:
          has_id |= alb;
          runs.keep(field.line);
          break;
        case Field::ForwardedFor:
          if (forwarded_before) {  // several lines: all but the last pass as they are
            runs.flush();
            append_field(out, "x-forwarded-for: ", forwarded_for);
          }
          forwarded_before = true;
          forwarded_for = field.value;
          break;
        case Field::ForwardedPort:
          if (!alb) runs.keep(field.line);
          break;
        default:
          break;
      }
    }
  }
  out += "x-forwarded-for: ";
  if (forwarded_before) {
    out += forwarded_for;
    out += alb ? ", " : ",";
  }
  out += c.peer;
  out += c.https ? "\r\nx-forwarded-proto: https\r\n" : "\r\nx-forwarded-proto: http\r\n";
  if (alb) {
    out += "x-forwarded-port: ";
    append_number(out, static_cast<std::uint64_t>(c.listener_port));
    out += "\r\n";
    if (!has_id) {
      out += "x-amzn-trace-id: Root=1-";
      append_hex(out, static_cast<std::uint64_t>(c.epoch_s), 8);
      out += '-';
      append_hex(out, c.random[0], 16);
      append_hex(out, c.random[1], 8);
      out += "\r\n";
    }
  } else {
    if (!has_id) {
      out += "x-request-id: ";
      append_uuid(out, c.random);
      out += "\r\n";
    }
    if (!c.original_path.empty()) append_field(out, "x-envoy-original-path: ", c.original_path);
  }
  if (c.trace && !has_traceparent(head)) append_traceparent(out, c.random);
  append_framing(out, head.framing);
  if (c.upgrade) out += "connection: Upgrade\r\nupgrade: websocket\r\n";
  out += "\r\n";
}

void append_downstream_head(std::string& out, const ResponseHead& head, Dialect dialect,
                            BodyKind body, bool close, std::int64_t service_ms,
                            std::string_view date) {
  const bool alb = dialect == Dialect::Alb;
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(head.status));
  out += ' ';
  out += head.reason;
  out += "\r\n";
  bool has_date = false;
  {
    Runs runs(out);
    for (const FieldView& field : head.fields) {
      switch (field.kind) {
        case Field::TransferEncoding:
        case Field::Connection:
        case Field::HopByHop:
        case Field::Upgrade:
          break;
        case Field::Server:
          if (alb) runs.keep(field.line);
          break;
        case Field::Date:
          has_date = true;
          runs.keep(field.line);
          break;
        case Field::ContentLength:  // of HEAD and 304 too
          if (head.status >= 200 && head.status != 204) runs.keep(field.line);
          break;
        default:
          runs.keep(field.line);
      }
    }
  }
  if (!has_date && head.status >= 200) append_field(out, "date: ", date);
  if (!alb && head.status >= 200) {
    out += "server: envoy\r\nx-envoy-upstream-service-time: ";
    append_number(out, static_cast<std::uint64_t>(service_ms));
    out += "\r\n";
  }
  if (body == BodyKind::Chunked) out += "transfer-encoding: chunked\r\n";
  if (close && head.status >= 200) out += "connection: close\r\n";
  if (head.status == 101) out += "connection: Upgrade\r\nupgrade: websocket\r\n";
  out += "\r\n";
}

void append_local_reply(std::string& out, const traffic::LocalReply& reply, Dialect dialect,
                        bool to_head, bool close, std::string_view date) {
  std::string reason = reply.reason;  // may quote the request: keep it one safe line
  for (char& c : reason) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
  }
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", reply.status,
                 reason_phrase(reply.status));
  if (!reply.location.empty()) append_field(out, "location: ", reply.location);
  if (reply.status != 204 && reply.status != 304) {
    fmt::format_to(std::back_inserter(out), "content-length: {}\r\n", reply.body.size());
  }
  if (!reply.body.empty()) append_field(out, "content-type: ", reply.content_type);
  if (reply.overloaded) out += "x-envoy-overloaded: true\r\n";
  if (!reason.empty()) append_field(out, "x-coalmine-reason: ", reason);
  append_field(out, "date: ", date);
  out += dialect == Dialect::Alb ? "server: awselb/2.0\r\n" : "server: envoy\r\n";
  if (close) out += "connection: close\r\n";
  out += "\r\n";
  if (!to_head && reply.status != 204 && reply.status != 304) out += reply.body;
}

namespace {

traffic::LocalReply reply_of(int status, Dialect dialect, std::string_view envoy_text,
                             std::string_view flag, std::string reason) {
  traffic::LocalReply out;
  out.status = status;
  out.reason = std::move(reason);
  out.flag = flag;
  if (dialect == Dialect::Alb) {
    out.content_type = "text/html";
    out.body = fmt::format(
        "<html>\r\n<head><title>{0} {1}</title></head>\r\n<body>\r\n<center><h1>{0} {1}</h1>"
        "</center>\r\n</body>\r\n</html>\r\n",
        status, reason_phrase(status));
  } else if (!envoy_text.empty()) {
    out.content_type = "text/plain";
    out.body = envoy_text;
  }
  return out;
}

}  // namespace

traffic::LocalReply failure_reply(Failure failure, Dialect dialect, std::string reason) {
  const bool alb = dialect == Dialect::Alb;
  constexpr std::string_view kReset =
      "upstream connect error or disconnect/reset before headers. reset reason: ";
  const auto text = [&](std::string_view why) { return std::string(kReset) + std::string(why); };
  switch (failure) {
    case Failure::ConnectFailure:
      return reply_of(alb ? 502 : 503, dialect, text("connection failure"), "UF",
                      std::move(reason));
    case Failure::ConnectTimeout:
      return reply_of(alb ? 504 : 503, dialect, text("connection failure"), "UF",
                      std::move(reason));
    case Failure::ClosedBeforeHead:
      return reply_of(alb ? 502 : 503, dialect, text("connection termination"), "UC",
                      std::move(reason));
    case Failure::Protocol:
      return reply_of(502, dialect, text("protocol error"), "UPE", std::move(reason));
    case Failure::RequestTimeout:
      return reply_of(504, dialect, "upstream request timeout", "UT", std::move(reason));
    case Failure::StreamIdle:
      return reply_of(504, dialect, "stream timeout", "SI", std::move(reason));
    case Failure::NoHost:
      return reply_of(503, dialect, "no healthy upstream", "UH", std::move(reason));
    case Failure::NoRoom:
      return reply_of(503, dialect, "no room for another connection", "", std::move(reason));
    case Failure::Overflow: {
      auto out = reply_of(503, dialect, text("overflow"), "UO", std::move(reason));
      out.overloaded = !alb;
      return out;
    }
  }
  return {};
}

traffic::LocalReply refusal_reply(int status, Dialect dialect, std::string reason) {
  if (dialect == Dialect::Alb && status == 431) status = 400;
  return reply_of(status, dialect, reason_phrase(status), "DPE", std::move(reason));
}

std::string http_date(std::int64_t epoch_s) {
  // civil date from days: Howard Hinnant, chrono-compatible low-level date algorithms
  const std::int64_t days = epoch_s / 86400;
  const std::int64_t second = epoch_s % 86400;
  const std::int64_t z = days + 719468;
  const std::int64_t era = z / 146097;
  const std::int64_t doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const std::int64_t day = doy - (153 * mp + 2) / 5 + 1;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const std::int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  static constexpr const char* kDays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[days % 7], day,
                     kMonths[month - 1], year, second / 3600, second / 60 % 60, second % 60);
}

}  // namespace coalmine::gateway
