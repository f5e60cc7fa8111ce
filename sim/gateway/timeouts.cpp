// What happens when somebody took too long.
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {

// An attempt: the connection was not made, or the per-try timeout is over.
void Worker::upstream_timed_out(Upstream* u) {
  Client* c = u->client;
  if (c == nullptr) return;
  if (c->tunnel) {  // a tcp connection that could not be made in time
    ++c->tunnel->stats->timeouts;
    ++u->host->stats.timeouts;
    tcp_failed(c, *u->host);
    return;
  }
  const std::string where =
      fmt::format("{} (target {})", u->host->name, c->forward->targets[c->target].target->name);
  ++c->plan_target->stats->timeouts;
  ++u->host->stats.timeouts;
  attempt_ended(*u->host, 0, 0);
  const bool connecting = u->connecting;
  if (connecting) ++u->host->stats.connect_failures;
  drop_upstream(u);
  if (connecting) {
    ++c->plan_target->stats->connect_failures;
    attempt_failed(c, Failure::ConnectTimeout, "connect timeout to " + where);
  } else {
    attempt_failed(c, Failure::RequestTimeout,
                   "no answer within the per-try timeout from " + where);
  }
}

void Worker::client_timed_out(Client* c) {
  switch (c->timer) {
    case Client::Timer::Idle:
    case Client::Timer::Linger:
    case Client::Timer::Tunnel:
      drop_client(c);
      break;
    case Client::Timer::Head:
      if (c->state == Client::State::Handshake) {
        ++c->slot->stats->tls_failures;
        drop_client(c);
        break;
      }
      begin_exchange(c);
      if (log_ != nullptr) begin_log_of_nothing(c);
      refuse(c, 408, "the request head did not come in time");
      break;
    case Client::Timer::StreamIdle:
      stream_idle(c);
      break;
    case Client::Timer::Retry:
      if (now_ns_ < c->request_deadline_ns) {
        c->timer = Client::Timer::Request;
        arm_request_timer(c);
        attempt(c, false);
        break;
      }
      [[fallthrough]];
    case Client::Timer::Request:
      if (now_ns_ >= c->request_deadline_ns) {
        request_timed_out(c);
      } else if (now_ns_ < c->active_ns + c->idle_ns) {
        arm_request_timer(c);  // there was something to hear since
      } else {
        stream_idle(c);
      }
      break;
  }
}

// Neither side was heard for too long. Envoy's "stream timeout": 408 while the request is not
// complete, else 504.
void Worker::stream_idle(Client* c) {
  if (c->response_started) {
    abort_response(c, "SI");
    return;
  }
  const traffic::TargetIndex& target = c->forward->targets[c->target];
  const Duration limit{c->request_whole ? c->idle_ns : body_idle_ns(c)};
  traffic::LocalReply reply = failure_reply(
      Failure::StreamIdle, dialect_of(c),
      c->request_whole
          ? fmt::format("nothing from target {} for {}", target.target->name, to_string(limit))
          : fmt::format("nothing of the request body for {}", to_string(limit)));
  if (!c->request_whole) reply.status = 408;
  answer(c, reply, !c->request_whole);
}

void Worker::request_timed_out(Client* c) {
  if (c->response_started) {
    abort_response(c, "UT");
    return;
  }
  ++c->plan_target->stats->timeouts;
  if (c->up != nullptr) {
    ++c->up->host->stats.timeouts;
    attempt_ended(*c->up->host, 0, 0);
  }
  const traffic::TargetIndex& target = c->forward->targets[c->target];
  answer(c,
         failure_reply(Failure::RequestTimeout, dialect_of(c),
                       fmt::format("target {} did not answer within {}", target.target->name,
                                   to_string(target.timeouts.request))),
         !c->request_whole);
}

}  // namespace coalmine::gateway
