#include "sim/net/connection.h"

#include <fmt/format.h>
#include <httplib.h>
#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <optional>

#include "sim/net/framing.h"

namespace coalmine::net {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 << 10;
constexpr Duration kBodyTimeout = std::chrono::seconds{30};   // between two pieces of a body
constexpr Duration kWriteTimeout = std::chrono::seconds{30};  // for a client that does not read
constexpr Duration kStopGrace = std::chrono::seconds{2};      // the same, once stopping
constexpr Duration kFirstRequestGrace = std::chrono::milliseconds{50};
constexpr Duration kLinger = std::chrono::seconds{1};
constexpr std::size_t kLingerBytes = 1 << 20;

/// "Tue, 24 Nov 2026 19:30:04 GMT", remade once per second and thread.
const std::string& http_date() {
  thread_local std::time_t made = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now == made) return text;
  constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm t{};
  gmtime_r(&now, &t);
  text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                     kMonths[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour,
                     t.tm_min, t.tm_sec);
  made = now;
  return text;
}

/// `wait` from now, also when it is kForever.
Steady::time_point after(Duration wait) {
  return Steady::now() + std::min<Duration>(wait, std::chrono::hours{24 * 365});
}

enum class Ready { Yes, TimedOut, Stopping };

/// The socket with its read buffer. All waiting of a connection happens here.
class Wire {
 public:
  Wire(const ServerContext& context, int fd) : context_(context), fd_(fd) {}

  int fd() const { return fd_; }
  bool stopping() const { return context_.stopping.load(std::memory_order_acquire); }
  std::string_view buffered() const { return std::string_view(in_).substr(from_); }
  void consume(std::size_t bytes) {
    from_ += bytes;
    if (from_ == in_.size()) {
      in_.clear();
      from_ = 0;
    }
  }

  /// Waits for `events` until `deadline`. Stopping ends the wait at once if `heed_stop`;
  /// otherwise it shortens it to kStopGrace.
  Ready wait(short events, Steady::time_point deadline, bool heed_stop) const {
    bool watch_stop = true;
    for (;;) {
      std::array<pollfd, 2> fds{pollfd{fd_, events, 0}, pollfd{context_.wake.get(), POLLIN, 0}};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now());
      if (left.count() <= 0) return Ready::TimedOut;
      const int n = ::poll(fds.data(), watch_stop ? 2 : 1,
                           static_cast<int>(std::min<std::int64_t>(left.count(), 3'600'000)));
      if (n < 0 && errno != EINTR) return Ready::TimedOut;
      if (n > 0 && fds[0].revents != 0) return Ready::Yes;
      if (n > 0 && watch_stop && fds[1].revents != 0) {
        if (heed_stop) return Ready::Stopping;
        watch_stop = false;
        deadline = std::min<Steady::time_point>(deadline, Steady::now() + kStopGrace);
      }
    }
  }

  enum class Got { Data, Closed, TimedOut, Stopping };
  /// Appends what arrives to the buffer.
  Got read_more(Steady::time_point deadline, bool heed_stop) {
    for (;;) {
      const std::size_t old = in_.size();
      in_.resize(old + kReadBytes);
      const ssize_t n = ::recv(fd_, in_.data() + old, kReadBytes, 0);
      const int why = errno;
      in_.resize(old + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
      if (n > 0) return Got::Data;
      if (n == 0) return Got::Closed;
      if (why == EINTR) continue;
      if (why != EAGAIN && why != EWOULDBLOCK) return Got::Closed;
      switch (wait(POLLIN, deadline, heed_stop)) {
        case Ready::Yes:
          break;
        case Ready::TimedOut:
          return Got::TimedOut;
        case Ready::Stopping:
          return Got::Stopping;
      }
    }
  }

  /// Sends both pieces, as one packet where they fit. False: the client is gone or does not read.
  bool send(std::string_view head, std::string_view body = {}) {
    std::array<iovec, 2> pieces{iovec{const_cast<char*>(head.data()), head.size()},
                                iovec{const_cast<char*>(body.data()), body.size()}};
    std::size_t first = 0;
    while (first < pieces.size()) {
      if (pieces[first].iov_len == 0) {
        ++first;
        continue;
      }
      msghdr message{};
      message.msg_iov = &pieces[first];
      message.msg_iovlen = pieces.size() - first;
      ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
        if (wait(POLLOUT, Steady::now() + kWriteTimeout, false) != Ready::Yes) return false;
        continue;
      }
      for (std::size_t i = first; i < pieces.size() && sent > 0; ++i) {
        const std::size_t part = std::min(static_cast<std::size_t>(sent), pieces[i].iov_len);
        pieces[i].iov_base = static_cast<char*>(pieces[i].iov_base) + part;
        pieces[i].iov_len -= part;
        sent -= static_cast<ssize_t>(part);
      }
    }
    return true;
  }

  bool client_gone() const {
    pollfd look{fd_, POLLRDHUP, 0};
    return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  /// Returns when the client closes or the server stops.
  void wait_for_end() {
    for (;;) {
      const Got got = read_more(Steady::now() + std::chrono::hours{24}, true);
      if (got != Got::Data) return;
      consume(buffered().size());
    }
  }

  /// Sends the end of our side and reads what is still coming: closing with unread bytes would
  /// send a reset, which can destroy the answer before the client has read it.
  void close_gently() {
    ::shutdown(fd_, SHUT_WR);
    const auto deadline = Steady::now() + kLinger;
    std::size_t seen = 0;
    consume(buffered().size());
    while (seen < kLingerBytes && read_more(deadline, true) == Got::Data) {
      seen += buffered().size();
      consume(buffered().size());
    }
  }

  void close_with_reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

 private:
  const ServerContext& context_;
  int fd_;
  std::string in_;
  std::size_t from_ = 0;
};

/// What cpp-httplib sees of a request: a head it cannot misread, and where the answer goes.
class AnswerStream : public httplib::Stream {
 public:
  enum class Mode {
    Whole,     // head and body in one packet
    Pieces,    // a stream: everything at once
    Nothing,   // reset or hang
    HalfBody,  // truncate
  };

  AnswerStream(Wire& wire, bool head_only)
      : wire_(wire), unread_(head_only ? "HEAD / HTTP/1.1\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n") {}

  void set(Mode mode, bool body_follows) {
    mode_ = mode;
    body_follows_ = body_follows;
  }
  bool failed() const { return failed_; }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return !failed_; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t n = std::min(size, unread_.size());
    std::memcpy(to, unread_.data(), n);
    unread_.remove_prefix(n);
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* data, std::size_t size) override {
    if (mode_ == Mode::Nothing) return static_cast<ssize_t>(size);
    if (body_follows_ && head_.empty()) {
      head_.assign(data, size);
      return static_cast<ssize_t>(size);
    }
    const std::string_view piece(data, mode_ == Mode::HalfBody ? size / 2 : size);
    const bool sent = wire_.send(head_, piece);
    head_.clear();
    body_follows_ = false;
    failed_ = failed_ || !sent;
    return sent ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { nowhere(ip, port); }
  void get_local_ip_and_port(std::string& ip, int& port) const override { nowhere(ip, port); }
  // The library refuses descriptors from FD_SETSIZE on; we poll, so it need not know ours.
  socket_t socket() const override { return 0; }

 private:
  static void nowhere(std::string& ip, int& port) {
    ip.clear();
    port = 0;
  }

  Wire& wire_;
  std::string_view unread_;
  std::string head_;
  Mode mode_ = Mode::Whole;
  bool body_follows_ = false;
  bool failed_ = false;
};

class Connection : private httplib::Server {
 public:
  Connection(const ServerContext& context, int fd, std::string peer)
      : context_(context), wire_(context, fd), peer_(std::move(peer)) {
    svr_sock_ = fd;  // streams of the library end when it is invalid
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      answer(response);
      return HandlerResponse::Handled;
    });
    set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      finish_headers(response.headers, response.status);
    });
  }

  void serve() {
    while (read_head() && serve_one()) {
      served_any_ = true;
    }
  }

 private:
  // --- reading -------------------------------------------------------------------------------

  /// Waits for the next head. False: the connection is over (an error has been answered).
  bool read_head() {
    std::size_t resume = 0;
    bool idle = wire_.buffered().empty();
    auto deadline = after(idle ? context_.options.idle_timeout : context_.options.header_timeout);
    for (;;) {
      if (!skip_empty_lines()) {
        if (const auto end = find_head_end(wire_.buffered(), resume); !end) {
          return refuse(end.error());
        } else if (*end > 0) {
          auto head = parse_head(wire_.buffered().substr(0, *end));
          if (!head) return refuse(head.error());
          wire_.consume(*end);
          head_ = *std::move(head);
          return true;
        }
        if (idle) {
          idle = false;
          deadline = after(context_.options.header_timeout);
        }
      }
      Wire::Got got = wire_.read_more(deadline, idle);
      if (got == Wire::Got::Stopping) got = last_chance();
      if (got == Wire::Got::TimedOut && !idle) return refuse({408, "the request head is late"});
      if (got != Wire::Got::Data) return false;
    }
  }

  /// A request that has arrived when the server stops is still answered; a connection that has
  /// not asked anything yet gets a moment to do so.
  Wire::Got last_chance() {
    const Duration grace = served_any_ ? Duration{} : kFirstRequestGrace;
    const auto got = wire_.read_more(Steady::now() + grace, false);
    return got == Wire::Got::TimedOut ? Wire::Got::Stopping : got;
  }

  /// Empty lines before a request are ignored (RFC 9112 2.2). True if nothing else is there.
  bool skip_empty_lines() {
    while (wire_.buffered().substr(0, 2) == "\r\n") wire_.consume(2);
    return wire_.buffered().empty();
  }

  bool refuse(const FramingError& wrong) {
    if (wire_.send(refusal(wrong.status, wrong.message))) wire_.close_gently();
    return false;
  }

  /// Reads the body into `head_.request`; an error is what to answer instead.
  std::optional<FramingError> read_body() {
    const std::size_t limit = context_.options.max_body_bytes;
    if (head_.content_length > limit) return too_large(limit);
    if (head_.expects_continue && wire_.buffered().empty() &&
        !wire_.send("HTTP/1.1 100 Continue\r\n\r\n")) {
      return FramingError{400, "the client left"};
    }
    return head_.chunked ? read_chunks(limit) : read_counted();
  }

  static FramingError too_large(std::size_t limit) {
    return {413, fmt::format("the body is longer than {} bytes", limit)};
  }

  std::optional<FramingError> read_counted() {
    std::string& body = head_.request.body;
    const auto length = static_cast<std::size_t>(head_.content_length);
    body.reserve(length);
    while (body.size() < length) {
      if (wire_.buffered().empty()) {
        if (auto wrong = read_body_bytes()) return wrong;
      }
      const std::string_view piece = wire_.buffered().substr(0, length - body.size());
      body += piece;
      wire_.consume(piece.size());
    }
    return std::nullopt;
  }

  std::optional<FramingError> read_chunks(std::size_t limit) {
    std::string& body = head_.request.body;
    ChunkedDecoder decoder;
    for (;;) {
      const std::string_view before = wire_.buffered();
      std::string_view input = before;
      std::string_view piece;
      const ChunkedDecoder::Step step = decoder.next(input, piece);
      if (step == ChunkedDecoder::Step::Data) {
        if (body.size() + piece.size() > limit) return too_large(limit);
        body += piece;
      }
      wire_.consume(before.size() - input.size());
      if (step == ChunkedDecoder::Step::Done) return std::nullopt;
      if (step == ChunkedDecoder::Step::Malformed) {
        return FramingError{400, "the chunked body is malformed"};
      }
      if (step == ChunkedDecoder::Step::NeedMore) {
        if (auto wrong = read_body_bytes()) return wrong;
      }
    }
  }

  std::optional<FramingError> read_body_bytes() {
    switch (wire_.read_more(Steady::now() + kBodyTimeout, false)) {
      case Wire::Got::Data:
        return std::nullopt;
      case Wire::Got::TimedOut:
        return FramingError{408, "the body is late"};
      default:
        return FramingError{400, "the body ends before its announced length"};
    }
  }

  // --- answering -----------------------------------------------------------------------------

  /// Serves the request in `head_`. False: the connection is over.
  bool serve_one() {
    head_.request.peer = peer_;
    head_only_ = head_.request.method == "HEAD";
    keep_ = head_.keep_alive;
    misbehaviour_ = Misbehaviour::None;
    AnswerStream stream(wire_, head_only_);
    stream_ = &stream;
    bool ignored = false;
    const bool written = process_request(stream, false, ignored, nullptr);
    stream_ = nullptr;
    switch (misbehaviour_) {
      case Misbehaviour::None:
        break;
      case Misbehaviour::Reset:
        wire_.close_with_reset();
        return false;
      case Misbehaviour::Hang:
        wire_.wait_for_end();
        return false;
      case Misbehaviour::Truncate:
        ::shutdown(wire_.fd(), SHUT_WR);
        return false;
    }
    if (!written || stream.failed()) return false;
    if (!keep_) wire_.close_gently();
    return keep_;
  }

  /// Called by the library in the middle of process_request().
  void answer(httplib::Response& out) {
    Response response;
    if (auto wrong = head_.has_body() ? read_body() : std::nullopt) {
      keep_ = false;
      response = text_response(wrong->status, wrong->message + "\n");
    } else {
      response = call_handler();
    }
    fill(std::move(response), out);
  }

  Response call_handler() {
    try {
      return context_.handler(head_.request);
    } catch (const std::exception& e) {
      return text_response(500, fmt::format("internal error: {}\n", e.what()));
    } catch (...) {
      return text_response(500, "internal error\n");
    }
  }

  void fill(Response response, httplib::Response& out) {
    misbehaviour_ = response.misbehaviour;
    if (wire_.stopping()) keep_ = false;
    out.status = response.status;
    own_length_.clear();
    std::string type;
    for (const auto& [name, value] : response.headers) {
      if (same_name(name, "Content-Length")) {
        own_length_ = value;
      } else if (same_name(name, "Connection")) {
        if (same_name(value, "close")) keep_ = false;
      } else if (same_name(name, "Content-Type") && response.stream) {
        type = value;
      } else if (!same_name(name, "Transfer-Encoding")) {
        out.set_header(name, value);
      }
    }
    if (response.stream) {
      stream_->set(quiet() ? AnswerStream::Mode::Nothing : AnswerStream::Mode::Pieces, false);
      fill_stream(std::move(response.stream), type.empty() ? "text/plain" : type, out);
      return;
    }
    out.body = std::move(response.body);
    stream_->set(quiet()                                   ? AnswerStream::Mode::Nothing
                 : misbehaviour_ == Misbehaviour::Truncate ? AnswerStream::Mode::HalfBody
                                                           : AnswerStream::Mode::Whole,
                 !out.body.empty() && !head_only_);
  }

  bool quiet() const {
    return misbehaviour_ == Misbehaviour::Reset || misbehaviour_ == Misbehaviour::Hang;
  }

  /// Adapts BodyWriter to the library's sink.
  class SinkWriter : public BodyWriter {
   public:
    SinkWriter(httplib::DataSink& sink, const Wire& wire) : sink_(sink), wire_(wire) {}
    bool write(std::string_view piece) override {
      if (wire_.stopping()) return false;
      if (piece.empty()) return !wire_.client_gone();
      return sink_.write(piece.data(), piece.size());
    }

   private:
    httplib::DataSink& sink_;
    const Wire& wire_;
  };

  void fill_stream(std::function<void(BodyWriter&)> produce, const std::string& type,
                   httplib::Response& out) {
    auto provider = [this, produce = std::move(produce)](std::size_t, httplib::DataSink& sink) {
      if (quiet()) return false;
      SinkWriter writer(sink, wire_);
      try {
        produce(writer);
      } catch (...) {
        return false;  // the client sees a body without an end
      }
      sink.done();
      return true;
    };
    if (head_.minor_version == 0) {
      keep_ = false;  // HTTP/1.0 knows no chunks: the end of the connection ends the body
      out.set_content_provider(type, std::move(provider));
    } else {
      out.set_chunked_content_provider(type, std::move(provider));
    }
  }

  /// The last word on the head, after the library has added its fields.
  void finish_headers(httplib::Headers& headers, int status) {
    headers.erase("Keep-Alive");
    headers.erase("Accept-Ranges");
    if (!keep_) {
      headers.emplace("Connection", "close");
    } else if (head_.minor_version == 0) {
      headers.emplace("Connection", "keep-alive");
    }
    if (headers.find("Date") == headers.end()) headers.emplace("Date", http_date());
    if (status == 204 || status == 304 || status < 200) headers.erase("Content-Length");
    if (head_only_ && !own_length_.empty()) {
      headers.erase("Content-Length");
      headers.emplace("Content-Length", own_length_);
    }
  }

  const ServerContext& context_;
  Wire wire_;
  std::string peer_;
  bool served_any_ = false;
  // The request being served:
  Head head_;
  AnswerStream* stream_ = nullptr;
  bool head_only_ = false;
  bool keep_ = true;
  Misbehaviour misbehaviour_ = Misbehaviour::None;
  std::string own_length_;  // of a HEAD answer, which has no body to count
};

}  // namespace

void serve_connection(const ServerContext& context, Fd socket, std::string peer) {
  Connection connection(context, socket.get(), std::move(peer));
  connection.serve();
}

std::string refusal(int status, std::string_view message) {
  const char* reason = status == 400   ? "Bad Request"
                       : status == 405 ? "Method Not Allowed"
                       : status == 408 ? "Request Timeout"
                       : status == 414 ? "URI Too Long"
                       : status == 417 ? "Expectation Failed"
                       : status == 431 ? "Request Header Fields Too Large"
                       : status == 501 ? "Not Implemented"
                       : status == 503 ? "Service Unavailable"
                       : status == 505 ? "HTTP Version Not Supported"
                                       : "Error";
  return fmt::format(
      "HTTP/1.1 {} {}\r\nConnection: close\r\nContent-Type: text/plain\r\nDate: {}\r\n"
      "Content-Length: {}\r\n\r\n{}\n",
      status, reason, http_date(), message.size() + 1, message);
}

}  // namespace coalmine::net
