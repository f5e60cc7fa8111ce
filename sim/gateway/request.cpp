// A request: its head read, judged, routed and rewritten, and the answers that the gateway gives
// by itself.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

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

// Looks for a request's head at the front of the bytes and begins its request. How many of them
// were used; 0: the head is not whole yet, or the connection is not to be read on.
std::size_t Worker::take_head(Client* c, char* bytes, std::size_t size) {
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
    return 0;
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
    return 0;
  }
  return parsed.length + begin(c, bytes + parsed.length, size - parsed.length);
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

// What is refused whatever the routes say; true if it was.
bool Worker::refused_unrouted(Client* c) {
  if (request_.upgrade == Upgrade::Other) {
    refuse(c, 403, "upgrades to other protocols than websocket are not allowed");
    return true;
  }
  if (c->upgrade && !c->request_whole) {
    refuse(c, 400, "a request for an upgrade must not have a body");
    return true;
  }
  if (request_.method == "TRACE" && c->slot->dialect == traffic::Dialect::Alb) {
    refuse(c, 405, "TRACE is not allowed");
    return true;
  }
  if (c->slot->listener == nullptr) {
    answer(
        c,
        failure_reply(Failure::ClosedBeforeHead, c->slot->dialect, "the listener is being removed"),
        !c->request_whole);
    return true;
  }
  if (c->slot->dialect == traffic::Dialect::Alb &&
      forwarded_for_count(request_) > kMaxForwardedFor) {
    refuse(c, 463, "X-Forwarded-For has more than 30 addresses");  // ALB user guide, HTTP 463
    return true;
  }
  return false;
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
  if (refused_unrouted(c)) return 0;
  if (head.host.empty()) request_.host = address_asked(c);
  traffic::RequestView view;
  view.method = head.method;
  view.host = head.host;
  view.path = slot.dialect == traffic::Dialect::Envoy
                  ? traffic::normalize_path(head.path, path_scratch_)
                  : head.path;
  view.query = head.query;
  view.source_ipv4 = c->peer_ipv4;
  view.now_s = epoch_s_;
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
    c->first_met = !decision.kept && decision.forward->forward->stickiness.duration > Duration{};
    c->plan = plan_.get();
    ++c->plan->users;
    c->plan_target = &c->plan->targets[decision.chosen().id];
    c->idle_ns = decision.chosen().timeouts.idle.count();
    c->active_ns = now_ns_;
    if (c->log != nullptr) name_in_log(c);
  }
  if (decision.forward == nullptr || decision.refusal != traffic::Refusal::None) {
    return answer_decision(c, decision, view, rest_size);
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

// Answers what is not forwarded; returns how much of the bytes behind the head was used.
std::size_t Worker::answer_decision(Client* c, const traffic::Decision& decision,
                                    const traffic::RequestView& view, std::size_t rest_size) {
  // A small body that is already here is skipped, so that the connection can live on.
  const bool at_hand = c->body.kind == BodyKind::Length && c->body.length <= rest_size;
  const std::size_t skip = at_hand ? static_cast<std::size_t>(c->body.length) : 0;
  c->request_whole |= at_hand;
  answer(c,
         traffic::local_reply(decision, *c->slot->listener->listener, view,
                              c->tls != nullptr ? "https" : "http"),
         !c->request_whole);
  return skip;
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

void Worker::record(Client* c, int status) {
  TargetStats& stats = stats_of(c);
  if (status > 0) stats.latency.add(Duration(now_ns_ - c->begun_ns));
  count(c, stats, status);
}

void Worker::count(Client* c, TargetStats& stats, int status) {
  ++stats.requests;
  ++stats.codes[static_cast<std::size_t>(status / 100 < 6 ? status / 100 : 0)];
  stats.bytes_received += c->received;
  stats.bytes_sent += c->sent;
  if (observed_ && !c->mirrored) observe(c, status);
}

// A target's time to answer has none in it that no instance took, and an ALB's is only of answers
// that instances began (TargetResponseTime).
void Worker::count_own_answer(Client* c, const traffic::LocalReply& reply) {
  if (c->plan_target == nullptr) return record(c, reply.status);
  TargetStats& stats = *c->plan_target->stats;
  ++stats.own_answers[reply.status];
  const bool unserved = reply.flag == "UH";
  if (unserved) ++stats.unserved;
  if (unserved || dialect_of(c) == traffic::Dialect::Alb) {
    count(c, stats, reply.status);
  } else {
    record(c, reply.status);
  }
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
  count_own_answer(c, reply);
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

}  // namespace coalmine::gateway
