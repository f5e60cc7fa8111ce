// A request's body: taken from the client as it comes, kept for a second attempt as long as it is
// small, sent on; and the time that the whole request has.
#include <algorithm>

#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {

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

}  // namespace coalmine::gateway
