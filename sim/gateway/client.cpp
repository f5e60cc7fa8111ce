// The client's side of an exchange: requests in, answers out.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sim/gateway/desync.h"
#include "sim/gateway/observe.h"
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {
namespace {

// What a client sends that knows, or so it thinks, that HTTP/2 is spoken here (9113 3.4); and what
// tells it to come back with HTTP/1.1: SETTINGS, and GOAWAY with HTTP_1_1_REQUIRED (9113 7).
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\n";
constexpr std::string_view kHttp2Refusal{
    "\0\0\0\x04\0\0\0\0\0"
    "\0\0\x1a\x07\0\0\0\0\0"
    "\0\0\0\0\0\0\0\x0d"
    "only HTTP/1.1 here",
    9 + 9 + 8 + 18};

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::size_t forwarded_for_count(const RequestHead& head) {
  std::size_t count = 0;
  for (const FieldView& field : head.fields) {
    if (field.kind != Field::ForwardedFor) continue;
    count += 1 + static_cast<std::size_t>(std::count(field.value.begin(), field.value.end(), ','));
  }
  return count;
}

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
         method == "DELETE" || method == "TRACE";
}

}  // namespace

// --- the socket, plain or under TLS --------------------------------------------------------------

ssize_t Worker::receive(Client* c) {
  if (c->tls != nullptr) return c->tls->read(scratch_.data(), scratch_.size());
  return recv(c->fd, scratch_.data(), scratch_.size(), 0);
}

ssize_t Worker::transmit(Client* c, std::string_view bytes) {
  if (c->tls != nullptr) return c->tls->write(bytes.data(), bytes.size());
  return send(c->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

// Together, so that they share records and writes. The number of bytes that were taken; -1 for an
// error other than EAGAIN.
ssize_t Worker::transmit_tls(Client* c, std::string_view first, std::string_view second,
                             std::string_view third) {
  tls_out_.assign(first);
  tls_out_ += second;
  tls_out_ += third;
  std::string_view left = tls_out_;
  while (!left.empty()) {
    const ssize_t n = c->tls->write(left.data(), left.size());
    if (n < 0 && errno != EAGAIN) return -1;
    if (n <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  return static_cast<ssize_t>(tls_out_.size() - left.size());
}

void Worker::end_writing(Client* c) {
  if (c->tls != nullptr) c->tls->end_writing();
  shutdown(c->fd, SHUT_WR);
}

// A connection can be used: at once, or after its handshake.
void Worker::begin_serving(Client* c) {
  c->state = Client::State::Head;
  c->timer = Client::Timer::Idle;
  timers_.set(*c, now_ns_ + timeouts_.client_idle.count(), now_ns_);
  if (c->slot->protocol == traffic::Protocol::Tcp) {
    begin_tcp(c);
  } else {
    enter_idle(c);
  }
}

void Worker::handshake(Client* c) {
  if (c->tls == nullptr) {  // the first byte tells TLS (a handshake record) from plain text
    constexpr char kHandshakeRecord = 0x16;
    char first = 0;
    const ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || c->slot->tls == nullptr) {
      drop_client(c);
      return;
    }
    if (first == kHandshakeRecord) c->tls = c->slot->tls->accept(c->fd);
  }
  if (c->tls != nullptr) {
    const auto state = c->tls->handshake();
    if (state == TlsSession::Handshake::Pending) return;
    if (state == TlsSession::Handshake::Failed) {
      ++c->slot->stats->tls_failures;
      drop_client(c);
      return;
    }
    ++c->slot->stats->tls_handshakes;
  }
  begin_serving(c);
  if (!c->dead) client_readable(c);
}

// -------------------------------------------------------------------------------------------------

void Worker::client_event(Client* c, std::uint32_t events) {
  if (c->state == Client::State::Handshake) {
    handshake(c);
    return;
  }
  // Both directions of a tunnel may have ended with bytes still to be read.
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && !c->tunnel)) {
    drop_client(c);
    return;
  }
  if ((events & EPOLLOUT) != 0 && c->out != nullptr) {
    flush_client(c);
    if (c->dead) return;
  }
  if ((events & EPOLLRDHUP) != 0) c->hangup = true;
  // Under TLS reading may have waited for room to write.
  const bool readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0;
  if (readable || c->tls != nullptr) client_readable(c);
}

// Reads until the socket is empty, or until what was read has to be dealt with first.
void Worker::client_readable(Client* c) {
  for (;;) {
    const bool blocked = c->state == Client::State::Waiting || c->out != nullptr ||
                         (c->state == Client::State::Body && pending_request(c) > kMaxPendingBytes);
    if (c->state == Client::State::Tunnel ? tunnel_blocked(c)
                                          : blocked && c->state != Client::State::Linger) {
      c->more = true;
      return;
    }
    const ssize_t n = receive(c);
    if (n < 0 && errno == EAGAIN) {
      c->more = false;
      return;
    }
    if (n == 0 && c->state == Client::State::Tunnel) {
      tunnel_client_ended(c);
      return;
    }
    if (n <= 0) {
      // A client may stop sending once its request is complete and still wants the answer; here
      // it stopped between requests or inside one.
      drop_client(c);
      return;
    }
    const auto size = static_cast<std::size_t>(n);
    if (c->in != nullptr) {
      Buffer* buffer = c->in;
      c->in = nullptr;
      buffer->data.append(scratch_.data(), size);
      process(c, buffer->data.data(), buffer->data.size());
      give_buffer(buffer);
    } else {
      process(c, scratch_.data(), size);
    }
    if (c->dead) return;
    // A short read means that the socket is empty; under TLS it may be the end of a record.
    if (size < scratch_.size() && !c->hangup && c->tls == nullptr) {
      c->more = false;
      return;
    }
  }
}

void Worker::stash(Client* c, std::string_view bytes) {
  if (c->in == nullptr) c->in = take_buffer();
  c->in->data.append(bytes);
}

// Takes bytes apart into requests. What cannot be used yet is stashed: the rest of a head, or
// the next request while one is being served.
void Worker::process(Client* c, char* bytes, std::size_t size) {
  c->processing = true;
  while (size > 0 && !c->dead) {
    std::size_t used = 0;
    if (c->state == Client::State::Linger) {
      c->linger_left -= std::min(c->linger_left, size);
      if (c->linger_left == 0) drop_client(c);
      break;
    }
    if (c->state == Client::State::Tunnel) {
      tunnel_up(c, {bytes, size});
      break;
    }
    if (c->state == Client::State::Waiting ||
        (c->state == Client::State::Head && c->out != nullptr)) {
      stash(c, {bytes, size});
      break;
    }
    if (c->state == Client::State::Body) {
      used = feed_body(c, bytes, size);
    } else {
      leave_idle(c);
      Parsed parsed = parse_request({bytes, size}, c->scan, request_);
      c->isolate = false;
      if (c->slot->dialect == traffic::Dialect::Alb && parsed.length > 0) {
        parsed = judge(c, {bytes, parsed.length}, parsed);
      }
      if (parsed.state == Parsed::State::Incomplete) {
        stash(c, {bytes, size});
        if (c->timer != Client::Timer::Head) {
          c->timer = Client::Timer::Head;
          timers_.set(*c, now_ns_ + timeouts_.head.count(), now_ns_);
        }
        break;
      }
      c->scan = {};
      begin_exchange(c);
      if (parsed.state == Parsed::State::Bad) {
        c->to_head = false;
        if (log_ != nullptr) begin_log_of_nothing(c);
        if (std::string_view{bytes, size}.starts_with(kHttp2Preface)) {
          refuse_http2(c);
        } else {
          refuse(c, parsed.status, parsed.why);
        }
        break;
      }
      used = parsed.length + begin(c, bytes + parsed.length, size - parsed.length);
    }
    bytes += used;
    size -= used;
  }
  c->processing = false;
  if (c->state == Client::State::Head && c->in == nullptr && c->out == nullptr && !c->idle &&
      !c->dead) {
    enter_idle(c);
  }
}

// An ALB's view of a whole head: the parser's verdict stands, unless the mode lets it pass tidied
// or is stricter.
Parsed Worker::judge(Client* c, std::string_view head, Parsed strict) {
  const bool taken = strict.state == Parsed::State::Done;
  Parsed parsed = strict;
  if (!taken || may_deviate(head, request_)) {
    const DesyncVerdict verdict = judge_head(head, tidied_);
    ++c->slot->stats->desync[static_cast<std::size_t>(verdict.tier)];
    const DesyncAction action = desync_action(verdict.tier, c->slot->desync);
    if (action == DesyncAction::Refuse) {
      return {Parsed::State::Bad, head.size(), 400, verdict.reason};
    }
    if (!taken && verdict.tier != DesyncClass::Compliant) {
      HeadScan scan;
      parsed = parse_request(tidied_, scan, request_);
      if (parsed.state != Parsed::State::Done) return strict;
      parsed.length = head.size();
      // HTTP/1.0 with chunks is tidied as 1.1, but its client cannot read chunks
      if (head.substr(0, head.find("\r\n", 2)).find("HTTP/1.0") != std::string_view::npos) {
        request_.minor = 0;
      }
    }
    c->isolate = action == DesyncAction::Isolate;
  }
  if (parsed.state == Parsed::State::Done && c->slot->drop_invalid_headers) {
    std::erase_if(request_.fields, [](const auto& f) { return !is_valid_alb_field(f.name); });
  }
  return parsed;
}

std::size_t Worker::begin(Client* c, char* rest, std::size_t rest_size) {
  const RequestHead& head = request_;
  Slot& slot = *c->slot;
  ++slot.stats->requests;
  if (log_ != nullptr) begin_log(c);
  c->minor = head.minor;
  c->to_head = head.method == "HEAD";
  c->idempotent = is_idempotent(head.method);
  c->keep_alive = head.keep_alive && !draining_ && slot.listener != nullptr && !c->isolate;
  c->body = head.framing;
  c->request_whole = head.framing.kind == BodyKind::None ||
                     (head.framing.kind == BodyKind::Length && head.framing.length == 0);
  c->retries = 0;
  c->tried = nullptr;
  c->response_started = false;
  c->upgrade = head.upgrade == Upgrade::WebSocket;
  if (head.upgrade == Upgrade::Other) {
    refuse(c, 403, "upgrades to other protocols than websocket are not allowed");
    return 0;
  }
  if (c->upgrade && !c->request_whole) {
    refuse(c, 400, "a request for an upgrade must not have a body");
    return 0;
  }
  if (head.method == "TRACE" && slot.dialect == traffic::Dialect::Alb) {
    refuse(c, 405, "TRACE is not allowed");
    return 0;
  }
  if (slot.listener == nullptr) {
    answer(c,
           failure_reply(Failure::ClosedBeforeHead, slot.dialect, "the listener is being removed"),
           !c->request_whole);
    return 0;
  }
  if (slot.dialect == traffic::Dialect::Alb && forwarded_for_count(head) > kMaxForwardedFor) {
    refuse(c, 463, "X-Forwarded-For has more than 30 addresses");  // ALB user guide, HTTP 463
    return 0;
  }
  if (head.host.empty()) request_.host = address_asked(c);
  traffic::RequestView view;
  view.method = head.method;
  view.host = head.host;
  view.path = slot.dialect == traffic::Dialect::Envoy
                  ? traffic::normalize_path(head.path, path_scratch_)
                  : head.path;
  view.query = head.query;
  view.source_ipv4 = c->peer_ipv4;
  views_.clear();
  for (const FieldView& field : head.fields) views_.push_back({field.name, field.value});
  view.headers = views_;
  const traffic::Decision decision =
      traffic::resolve(*slot.listener, view, random_.next(), rewrite_scratch_);
  if (decision.forward != nullptr && c->body.kind == BodyKind::Length &&
      c->body.length > decision.forward->max_body_bytes && decision.forward->max_body_bytes != 0) {
    refuse(c, 413, "the request body is too large");
    return 0;
  }
  if (decision.forward != nullptr) {
    c->forward = decision.forward;
    c->target = decision.target;
    c->plan = plan_.get();
    ++c->plan->users;
    c->plan_target = &c->plan->targets[decision.chosen().id];
    c->idle_ns = decision.chosen().timeouts.idle.count();
    c->active_ns = now_ns_;
    if (c->log != nullptr) name_in_log(c);
  }
  if (decision.forward == nullptr || decision.refusal != traffic::Refusal::None) {
    // A small body that is already here is skipped, so that the connection can live on.
    const bool at_hand = c->body.kind == BodyKind::Length && c->body.length <= rest_size;
    const std::size_t skip = at_hand ? static_cast<std::size_t>(c->body.length) : 0;
    c->request_whole |= at_hand;
    answer(c,
           traffic::local_reply(decision, *slot.listener->listener, view,
                                c->tls != nullptr ? "https" : "http"),
           !c->request_whole);
    return skip;
  }
  forward(c, decision, view.path);
  std::size_t used = 0;
  c->state = c->request_whole ? Client::State::Waiting : Client::State::Body;
  if (!c->request_whole) {
    if (c->body.kind == BodyKind::Chunked) c->chunks = std::make_unique<ChunkDecoder>();
    c->timer = Client::Timer::StreamIdle;
    timers_.set(*c, now_ns_ + body_idle_ns(c), now_ns_);
    if (rest_size > 0) used = feed_body(c, rest, rest_size);
    if (c->dead || c->plan == nullptr) return used;
  } else {
    request_complete(c);
    if (c->forward->mirror != nullptr) mirror(c);
  }
  const bool wants_go_ahead = request_.expects_continue && !c->request_whole && used == 0;
  attempt(c, false);
  if (wants_go_ahead && !c->dead && c->state == Client::State::Body) send_to_client(c, kContinue);
  return used;
}

// Writes the head that goes upstream into the request buffer.
void Worker::forward(Client* c, const traffic::Decision& decision, std::string_view original_path) {
  ForwardContext context;
  context.dialect = c->slot->dialect;
  context.peer = c->peer;
  context.listener_port = c->slot->bound_port;
  context.path = decision.path;
  if (decision.path != original_path) context.original_path = original_path;
  context.host = decision.host.empty() ? request_.host : decision.host;
  context.upgrade = c->upgrade;
  context.https = c->tls != nullptr;
  context.trace = options_.traceparent;
  context.random[0] = random_.next();
  context.random[1] = random_.next();
  context.epoch_s = epoch_s_;
  c->request = take_buffer();
  c->request_sent = 0;
  c->replayable = true;
  append_upstream_head(c->request->data, request_, context);
  if (c->log != nullptr) log_fields(c->request->data, *c->log);
}

std::size_t Worker::pending_request(const Client* c) const {
  return c->request == nullptr ? 0 : c->request->data.size() - c->request_sent;
}

// Passes on a piece of the request body; returns how many bytes belonged to it.
std::size_t Worker::feed_body(Client* c, char* bytes, std::size_t size) {
  c->active_ns = now_ns_;
  if (c->timer == Client::Timer::StreamIdle) {
    timers_.set(*c, now_ns_ + body_idle_ns(c), now_ns_);
  }
  if (c->body.kind == BodyKind::Length) {
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(c->body.length, size));
    c->body.length -= take;
    c->received += take;
    if (c->body.length == 0) request_complete(c);
    emit_body(c, {}, {bytes, take}, {});
    if (c->request_whole && c->forward->mirror != nullptr) mirror(c);
    return take;
  }
  const ChunkDecoder::Step step = c->chunks->decode(bytes, size);
  c->received += step.payload;
  const std::uint64_t limit = c->forward->max_body_bytes;
  const bool too_large = limit != 0 && c->received > limit;
  if (c->chunks->bad() || too_large) {
    if (c->response_started) {
      abort_response(c, "DPE");
    } else {
      refuse(c, too_large ? 413 : 400,
             too_large ? "the request body is too large" : "bad chunked body");
    }
    return size;
  }
  std::string first;
  if (step.payload > 0) append_chunk_size(first, step.payload);
  std::string last = step.payload > 0 ? "\r\n" : "";
  if (c->chunks->done()) {
    last += "0\r\n" + c->chunks->trailers() + "\r\n";
    request_complete(c);
  }
  emit_body(c, first, {bytes, step.payload}, last);
  if (c->request_whole && c->forward->mirror != nullptr) mirror(c);
  return step.consumed;
}

void Worker::request_complete(Client* c) {
  c->request_whole = true;
  c->state = Client::State::Waiting;
  c->chunks.reset();
  const Duration timeout = c->forward->targets[c->target].timeouts.request;
  c->request_deadline_ns = timeout > Duration{} ? now_ns_ + timeout.count() : TimerNode::kNone;
  c->timer = Client::Timer::Request;
  arm_request_timer(c);
}

void Worker::arm_request_timer(Client* c) {
  std::int64_t deadline_ns = c->request_deadline_ns;
  if (c->idle_ns > 0) deadline_ns = std::min(deadline_ns, c->active_ns + c->idle_ns);
  if (deadline_ns == TimerNode::kNone) {
    timers_.remove(*c);
  } else {
    timers_.set(*c, deadline_ns, now_ns_);
  }
}

// How long a sender may leave its request body unfinished without sending any of it.
std::int64_t Worker::body_idle_ns(const Client* c) const {
  return c->idle_ns > 0 ? c->idle_ns : timeouts_.stream_idle.count();
}

void Worker::emit_body(Client* c, std::string_view first, std::string_view payload,
                       std::string_view last) {
  std::string& data = c->request->data;
  if (c->replayable && data.size() + payload.size() > kMaxReplayBytes && c->request_sent > 0) {
    c->replayable = false;
  }
  if (!c->replayable) {
    data.erase(0, c->request_sent);
    c->request_sent = 0;
  }
  data += first;
  data += payload;
  data += last;
  if (c->up != nullptr && !c->up->connecting) flush_request(c);
}

void Worker::record(Client* c, int status) {
  TargetStats* stats = c->plan_target != nullptr ? c->plan_target->stats : c->slot->untargeted;
  ++stats->requests;
  ++stats->codes[static_cast<std::size_t>(status / 100 < 6 ? status / 100 : 0)];
  if (status > 0) stats->latency.add(Duration(now_ns_ - c->begun_ns));
  stats->bytes_received += c->received;
  stats->bytes_sent += c->sent;
  if (observed_ && !c->mirrored) observe(c, status);
}

// The host of an HTTP/1.0 request that names none: where it was sent to.
const std::string& Worker::address_asked(const Client* c) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(c->fd, reinterpret_cast<sockaddr*>(&address), &size);
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  address_asked_ = fmt::format("{}:{}", text, ntohs(address.sin_port));
  return address_asked_;
}

void Worker::begin_exchange(Client* c) {
  c->begun_ns = now_ns_;
  c->head_ns = 0;
  c->received = 0;
  c->sent = 0;
  c->flag = {};
}

// Gives an answer of our own. If the body was not read whole, the connection cannot be used on.
void Worker::answer(Client* c, const traffic::LocalReply& reply, bool body_unread) {
  if (c->up != nullptr) drop_upstream(c->up);
  if (c->mirrored) {
    record(c, reply.status);
    leave_plan(c);
    drop_client(c);
    return;
  }
  if (!reply.flag.empty()) count_reply(reply.flag);
  c->flag = reply.flag;
  if (!c->to_head) c->sent = reply.body.size();
  if (body_unread) c->keep_alive = false;
  c->request_whole = !body_unread;
  record(c, reply.status);
  std::string text;
  append_local_reply(text, reply, c->slot->dialect, c->to_head, !c->keep_alive, date());
  send_to_client(c, text);
  if (!c->dead) client_done(c);
}

void Worker::refuse(Client* c, int status, const char* why) {
  ++c->slot->stats->malformed;
  c->keep_alive = false;
  answer(c, refusal_reply(status, c->slot->dialect, why), true);
}

void Worker::refuse_http2(Client* c) {
  ++c->slot->stats->malformed;
  ++c->slot->stats->http2_refused;
  count_reply("DPE");
  c->flag = "DPE";
  c->keep_alive = false;
  c->request_whole = false;
  record(c, 505);
  send_to_client(c, kHttp2Refusal);
  if (!c->dead) client_done(c);
}

void Worker::send_to_client(Client* c, std::string_view first, std::string_view second,
                            std::string_view third) {
  if (c->mirrored) return;
  std::size_t sent = 0;
  if (c->out == nullptr) {
    iovec parts[3];
    std::size_t count = 0;
    for (const std::string_view part : {first, second, third}) {
      if (!part.empty()) parts[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    if (count == 0) return;
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const ssize_t n = c->tls != nullptr ? transmit_tls(c, first, second, third)
                      : count == 1 ? send(c->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                   : sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
      drop_client(c);
      return;
    }
    sent = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (sent == first.size() + second.size() + third.size()) return;
    c->out = take_buffer();
    c->out_sent = 0;
  }
  for (std::string_view part : {first, second, third}) {
    const std::size_t skip = std::min(sent, part.size());
    sent -= skip;
    c->out->data.append(part.substr(skip));
  }
}

void Worker::flush_client(Client* c) {
  const std::string& data = c->out->data;
  while (c->out_sent < data.size()) {
    const ssize_t n = transmit(c, std::string_view(data).substr(c->out_sent));
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      drop_client(c);
      return;
    }
    c->out_sent += static_cast<std::size_t>(n);
    c->active_ns = now_ns_;
  }
  give_buffer(c->out);
  if (c->state == Client::State::Tunnel) {
    tunnel_flushed_down(c);
  } else if (c->state == Client::State::Linger) {
    linger(c);
  } else if (c->up != nullptr && c->up->more) {
    c->up->more = false;
    upstream_readable(c->up);
  } else if (c->state == Client::State::Head && !c->idle) {
    client_done(c);
  } else if (c->more) {
    client_readable(c);
  }
}

// Ends the connection so that the last answer arrives: closing with unread bytes would reset it.
void Worker::linger(Client* c) {
  const bool first = c->state != Client::State::Linger;
  c->state = Client::State::Linger;
  c->timer = Client::Timer::Linger;
  if (first) c->linger_left = kMaxLingerBytes;
  if (c->out != nullptr) {
    timers_.set(*c, now_ns_ + timeouts_.stream_idle.count(), now_ns_);
    return;
  }
  end_writing(c);
  timers_.set(*c, now_ns_ + timeouts_.linger.count(), now_ns_);
  if (!c->processing) client_readable(c);
}

void Worker::leave_plan(Client* c) {
  if (c->plan == nullptr) return;
  if (c->waits_for != nullptr) stop_waiting(c);
  if (c->retrying) --c->plan_target->cluster->retries;
  c->retrying = false;
  c->plan_target = nullptr;
  c->forward = nullptr;
  Plan* plan = c->plan;
  c->plan = nullptr;
  release(plan);
}

// The request is over, answered or not: the connection goes on to the next, or ends.
void Worker::client_done(Client* c) {
  leave_plan(c);
  if (c->mirrored) {
    drop_client(c);
    return;
  }
  give_buffer(c->request);
  c->chunks.reset();
  if (!c->request_whole || !c->keep_alive) {
    const bool clean = c->request_whole && c->in == nullptr && !c->more && c->out == nullptr;
    if (clean && !c->processing) {
      drop_client(c);
    } else {
      give_buffer(c->in);
      linger(c);
    }
    return;
  }
  c->state = Client::State::Head;
  c->timer = Client::Timer::Idle;
  timers_.set(*c, now_ns_ + timeouts_.client_idle.count(), now_ns_);
  if (c->processing || c->out != nullptr) return;
  enter_idle(c);
  take_up(c);
}

// Goes on with what the client has sent meanwhile.
void Worker::take_up(Client* c) {
  if (c->in != nullptr) {
    Buffer* buffer = c->in;
    c->in = nullptr;
    process(c, buffer->data.data(), buffer->data.size());
    give_buffer(buffer);
    if (c->dead) return;
  }
  if (c->more) client_readable(c);
}

void Worker::drop_client(Client* c) {
  if (c->dead) return;
  if (c->plan != nullptr) {
    if (c->flag.empty()) c->flag = "DC";  // nothing else ended it: the client left
    record(c, 0);
    if (!c->mirrored) count_reply(c->flag);
  }
  leave_idle(c);
  if (c->refused) --refusing_;
  if (c->tunnel) end_tunnel(c);
  if (c->tls != nullptr) c->tls->end_writing();
  if (c->up != nullptr) drop_upstream(c->up);
  leave_plan(c);
  give_buffer(c->in);
  give_buffer(c->out);
  give_buffer(c->request);
  if (c->previous_client != nullptr) {
    c->previous_client->next_client = c->next_client;
  } else {
    clients_ = c->next_client;
  }
  if (c->next_client != nullptr) c->next_client->previous_client = c->previous_client;
  if (c->mirrored) {
    --mirrored_count_;
  } else {
    --client_count_;
    --c->slot->stats->connections_active;
  }
  bury(c);
}

}  // namespace coalmine::gateway
