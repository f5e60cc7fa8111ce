// Copies of requests, sent to a target whose answers are thrown away.
//
// A copy is an exchange like any other, through the same connections and limits as Envoy's, but
// with a client that has no socket. It is made when the request is whole and at hand, and started
// at the end of the turn, so it delays no user's request, and none fails by it.
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {
namespace {

// Envoy: "Host: www.example.com:80" becomes "www.example.com-shadow:80".
constexpr std::string_view kHostField = "host: ";  // as append_upstream_head() writes it, first
constexpr std::string_view kShadow = "-shadow";

void append_shadow_request(std::string& out, std::string_view request) {
  const std::size_t line = request.find("\r\n") + 2;
  const std::size_t from = line + kHostField.size();
  const std::string_view host = request.substr(from, request.find("\r\n", from) - from);
  const std::size_t name_end = from + traffic::without_port(host).size();
  out.append(request.substr(0, name_end));
  out.append(kShadow);
  out.append(request.substr(name_end));
}

}  // namespace

// The request is complete. What of it was kept must be all of it, or no copy can be made.
void Worker::mirror(Client* c) {
  const traffic::ForwardIndex& shadow = *c->forward->mirror;
  if (traffic::scale_draw(random_.next(), 1'000'000) >= c->forward->mirror_ppm || c->upgrade) {
    return;
  }
  PlanTarget& target = c->plan->targets[shadow.targets.front().id];
  if (!c->replayable || c->request->data.size() > kMaxReplayBytes ||
      mirrored_count_ >= kMaxMirrored) {
    ++target.stats->uncopied;
    return;
  }
  auto* copy = new Client;
  copy->mirrored = true;
  copy->state = Client::State::Waiting;
  copy->slot = c->slot;
  copy->begun_ns = now_ns_;
  copy->to_head = c->to_head;
  copy->forward = &shadow;
  copy->plan = c->plan;
  ++copy->plan->users;
  copy->plan_target = &target;
  copy->request = take_buffer();
  append_shadow_request(copy->request->data, c->request->data);
  copy->next_client = clients_;
  if (clients_ != nullptr) clients_->previous_client = copy;
  clients_ = copy;
  ++mirrored_count_;
  mirrored_.push_back(copy);
}

void Worker::start_mirrored() {
  if (mirrored_.empty()) return;
  for (Client* copy : mirrored_) {
    if (copy->dead) continue;
    const traffic::TargetIndex& target = copy->forward->targets.front();
    copy->begun_ns = copy->active_ns = now_ns_;
    copy->idle_ns = target.timeouts.idle.count();
    request_complete(copy);
    attempt(copy, false);
  }
  mirrored_.clear();
}

}  // namespace coalmine::gateway
