#include "sim/lab/load_generator.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <optional>
#include <thread>
#include <unordered_map>

#include "sim/lab/cookie_jar.h"

namespace coalmine::lab {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using SteadyTime = std::chrono::steady_clock::time_point;
using ErrorCode = boost::system::error_code;

struct Arrival {
  Duration due{};
  Duration sent{};
  std::size_t path = 0;
  std::uint64_t user = 0;
};

/// A sample of a request that arrived so.
LoadSample sample_of(const Arrival& arrival) {
  LoadSample sample;
  sample.due = arrival.due;
  sample.sent = arrival.sent;
  sample.path = arrival.path;
  sample.user = arrival.user;
  return sample;
}

/// The path's own header and the user's cookies; of cookies a request has one field only
/// (RFC 6265, 5.4).
std::string fields_of(const LoadPath& path, const std::string& cookies) {
  const auto line = [](const std::string& field) { return field.empty() ? "" : field + "\r\n"; };
  if (cookies.empty()) return line(path.header);
  const std::string_view name = std::string_view(path.header).substr(0, path.header.find(':'));
  if (boost::beast::iequals(name, "cookie")) return line(path.header + "; " + cookies);
  return line(path.header) + line("Cookie: " + cookies);
}

/// Every request in flight takes a descriptor: the soft limit is often 1,024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class Generator;

/// One keep-alive connection: carries one request at a time.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& io, Generator& owner) : socket_(io), timer_(io), owner_(owner) {}

  void carry(const Arrival& arrival);
  bool usable() const { return fresh_ || socket_.is_open(); }

 private:
  void connect();
  void send();
  void read();
  void on_bytes(std::size_t n);
  void fail(bool timed_out);
  void finish();
  void close() {
    ErrorCode ignored;
    socket_.close(ignored);
    fresh_ = true;
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  Generator& owner_;
  Arrival arrival_;
  bool fresh_ = true;       ///< not connected yet
  bool reused_ = false;     ///< this request goes out on a connection that has served before
  std::uint64_t turn_ = 0;  ///< tells late callbacks from those of the present request
  std::string request_;
  std::array<char, 16384> chunk_{};
  boost::beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  friend class Generator;
};

class Generator : public LoadGenerator {
 public:
  Generator(const LoadOptions& options, std::function<void(const LoadSample&)> on_sample)
      : options_(options),
        on_sample_(std::move(on_sample)),
        random_(options.seed),
        users_(Random(options.seed).split("users")),
        endpoint_(asio::ip::make_address(options.host), static_cast<std::uint16_t>(options.port)),
        timer_(io_),
        start_(std::chrono::steady_clock::now()) {
    next_ = after(Duration{});
    schedule();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Generator() override { stop(); }

  void stop() override {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      stopping_ = true;
      timer_.cancel();
    });
    thread_.join();
  }

  Duration since_start() const { return std::chrono::steady_clock::now() - start_; }

  void done(const std::shared_ptr<Connection>& connection, const LoadSample& sample) {
    on_sample_(sample);
    if (!waiting_.empty()) {
      const Arrival next = waiting_.front();
      waiting_.pop_front();
      connection->carry(next);
      return;
    }
    idle_.push_back(connection);
    if (stopping_) drop_idle();
  }

  std::string cookies_of(std::uint64_t user) const {
    const auto jar = jars_.find(user);
    return jar == jars_.end() ? std::string() : jar->second.field();
  }
  void keep_cookies(std::uint64_t user, const http::fields& answer) {
    if (!options_.cookies) return;
    const auto [begin, end] = answer.equal_range(http::field::set_cookie);
    for (auto it = begin; it != end; ++it) jars_[user].keep(it->value());
  }

  const LoadOptions& options() const { return options_; }
  const tcp::endpoint& endpoint() const { return endpoint_; }

 private:
  /// The arrival after the one at `t`: a unit of expected requests later, drawn or exact.
  Duration after(Duration t) {
    double units = options_.poisson ? random_.exponential() : 1;
    const std::vector<LoadStep>& steps = options_.steps;
    while (step_ + 1 < steps.size()) {
      const double in_step = to_seconds(steps[step_ + 1].from - t) * steps[step_].rate_per_s;
      if (units < in_step) break;
      units -= in_step;
      t = steps[++step_].from;
    }
    const double rate = steps[step_].rate_per_s;
    return rate > 0 ? t + from_seconds(units / rate) : kForever;
  }

  void schedule() {
    if (stopping_ || next_ >= options_.length || made_ >= options_.max_requests) {
      stopping_ = true;
      drop_idle();
      return;
    }
    timer_.expires_at(start_ + next_);
    timer_.async_wait([this](const ErrorCode&) {
      const Duration now = since_start();
      while (!stopping_ && next_ <= now && next_ < options_.length &&
             made_ < options_.max_requests) {
        arrive({next_, next_, choose_path(), users_.below(options_.users)});
        ++made_;
        next_ = after(next_);
      }
      schedule();
    });
  }

  std::size_t choose_path() {
    double u = random_.uniform();
    for (std::size_t i = 0; i + 1 < options_.paths.size(); ++i) {
      if (u < options_.paths[i].share) return i;
      u -= options_.paths[i].share;
    }
    return options_.paths.size() - 1;
  }

  void arrive(const Arrival& arrival) {
    if (!idle_.empty()) {
      // The one that was used last: its connection is the least likely to be timed out.
      const auto connection = std::move(idle_.back());
      idle_.pop_back();
      connection->carry(arrival);
    } else if (connections_ < kMaxLoadConnections) {
      ++connections_;
      std::make_shared<Connection>(io_, *this)->carry(arrival);
    } else if (waiting_.size() < kMaxLoadWaiting) {
      waiting_.push_back(arrival);
    } else {
      on_sample_(sample_of(arrival));
    }
  }

  /// Idle connections keep nothing running: the loop ends when the last answer is in.
  void drop_idle() { idle_.clear(); }

  LoadOptions options_;
  std::function<void(const LoadSample&)> on_sample_;
  Random random_, users_;
  std::unordered_map<std::uint64_t, CookieJar> jars_;  ///< by user
  asio::io_context io_;
  tcp::endpoint endpoint_;
  asio::steady_timer timer_;
  SteadyTime start_;
  Duration next_{};
  std::size_t step_ = 0;  ///< of the rate, at next_
  std::uint64_t made_ = 0;
  bool stopping_ = false;
  std::size_t connections_ = 0;
  std::vector<std::shared_ptr<Connection>> idle_;
  std::deque<Arrival> waiting_;
  std::thread thread_;
};

void Connection::carry(const Arrival& arrival) {
  arrival_ = arrival;
  reused_ = !fresh_;
  ++turn_;
  const LoadPath& path = owner_.options().paths[arrival.path];
  request_ = fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: coalmine-load\r\n{}\r\n",
                         path.path, owner_.options().host, owner_.options().port,
                         fields_of(path, owner_.cookies_of(arrival.user)));
  timer_.expires_after(owner_.options().timeout);
  timer_.async_wait([self = shared_from_this(), turn = turn_](const ErrorCode& error) {
    if (!error && turn == self->turn_) self->fail(true);
  });
  fresh_ ? connect() : send();
}

void Connection::connect() {
  parser_.reset();
  buffer_.clear();
  socket_.async_connect(owner_.endpoint(),
                        [self = shared_from_this(), turn = turn_](const ErrorCode& error) {
                          if (turn != self->turn_) return;
                          if (error) return self->fail(false);
                          ErrorCode ignored;
                          self->socket_.set_option(tcp::no_delay(true), ignored);
                          self->fresh_ = false;
                          self->send();
                        });
}

void Connection::send() {
  arrival_.sent = owner_.since_start();
  parser_.emplace();
  parser_->body_limit(16 << 20);
  asio::async_write(socket_, asio::buffer(request_),
                    [self = shared_from_this(), turn = turn_](const ErrorCode& error, std::size_t) {
                      if (turn != self->turn_) return;
                      error ? self->fail(false) : self->read();
                    });
}

void Connection::read() {
  socket_.async_read_some(asio::buffer(chunk_), [self = shared_from_this(), turn = turn_](
                                                    const ErrorCode& error, std::size_t n) {
    if (turn != self->turn_) return;
    if (!error) return self->on_bytes(n);
    ErrorCode ended;
    if (error == asio::error::eof && self->parser_->got_some()) self->parser_->put_eof(ended);
    const bool whole = self->parser_->is_done() && !ended;
    whole ? self->finish() : self->fail(false);
  });
}

void Connection::on_bytes(std::size_t n) {
  asio::buffer_copy(buffer_.prepare(n), asio::buffer(chunk_, n));
  buffer_.commit(n);
  parser_->eager(true);
  ErrorCode error;
  const std::size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  if (error && error != http::error::need_more) return fail(false);
  parser_->is_done() ? finish() : read();
}

void Connection::fail(bool timed_out) {
  const bool untouched = !parser_ || !parser_->got_some();
  close();
  // An idle connection may end at any time; a GET that got no byte goes out once more.
  if (reused_ && untouched && !timed_out) {
    reused_ = false;
    ++turn_;
    timer_.expires_after(owner_.options().timeout);
    timer_.async_wait([self = shared_from_this(), turn = turn_](const ErrorCode& error) {
      if (!error && turn == self->turn_) self->fail(true);
    });
    return connect();
  }
  LoadSample sample = sample_of(arrival_);
  sample.latency = owner_.since_start() - arrival_.due;
  sample.timed_out = timed_out;
  if (parser_ && parser_->is_header_done()) {
    owner_.keep_cookies(arrival_.user, parser_->get());
    sample.truncated = true;
    sample.version = std::string(parser_->get()["X-Served-Version"]);
    sample.service = std::string(parser_->get()["X-Served-By"]);
  }
  ++turn_;
  timer_.cancel();
  parser_.reset();
  owner_.done(shared_from_this(), sample);
}

void Connection::finish() {
  const auto& response = parser_->get();
  owner_.keep_cookies(arrival_.user, response);
  LoadSample sample = sample_of(arrival_);
  sample.latency = owner_.since_start() - arrival_.due;
  sample.status = static_cast<int>(response.result_int());
  sample.version = std::string(response["X-Served-Version"]);
  sample.service = std::string(response["X-Served-By"]);
  sample.reason = std::string(response["X-Coalmine-Reason"]);
  // The sample app's answers name the version in their body; its wrong ones do not.
  sample.wrong = sample.status == 200 && !sample.version.empty() &&
                 response.body().find(sample.version) == std::string::npos;
  if (!response.keep_alive()) close();
  ++turn_;
  timer_.cancel();
  parser_.reset();
  owner_.done(shared_from_this(), sample);
}

}  // namespace

Result<std::unique_ptr<LoadGenerator>> LoadGenerator::start(
    const LoadOptions& options, std::function<void(const LoadSample&)> on_sample) {
  ErrorCode failed;
  const auto address = asio::ip::make_address(options.host, failed);
  if (failed || !address.is_loopback()) {
    return error("load goes to loopback addresses only, not to \"{}\"", options.host);
  }
  if (options.steps.empty() || options.steps.front().from != Duration{}) {
    return error("the load has no rate at its start");
  }
  for (const LoadStep& step : options.steps) {
    if (!(step.rate_per_s >= 0 && step.rate_per_s <= kMaxLoadPerS)) {
      return error("the load would be {} requests per second, allowed are up to {}",
                   step.rate_per_s, kMaxLoadPerS);
    }
  }
  if (options.max_requests > kMaxLoadRequests) {
    return error("the load would be {} requests, allowed are up to {}", options.max_requests,
                 kMaxLoadRequests);
  }
  if (options.users == 0 || (options.cookies && options.users > kMaxLoadUsers)) {
    return error("the load comes from {} users, allowed with cookies are 1 to {}", options.users,
                 kMaxLoadUsers);
  }
  raise_descriptor_limit();
  return std::make_unique<Generator>(options, std::move(on_sample));
}

}  // namespace coalmine::lab
