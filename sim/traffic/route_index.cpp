#include "sim/traffic/route_index.h"

#include <algorithm>
#include <map>

#include "sim/core/check.h"
#include "sim/traffic/stickiness.h"

namespace coalmine::traffic {
namespace {

std::string route_label(const Route& route, std::size_t index) {
  return route.name.empty() ? fmt::format("#{}", index) : route.name;
}

const ForwardIndex* find_forward(const RouteIndex* index, std::string_view listener,
                                 std::string_view name) {
  if (index == nullptr) return nullptr;
  for (const ForwardIndex* forward : index->forwards()) {
    if (forward->listener == listener && forward->route_name == name) return forward;
  }
  return nullptr;
}

bool same_cluster(const Target& a, const Target& b) {
  return a.name == b.name && a.instances == b.instances && a.outlier == b.outlier &&
         a.pool == b.pool && a.health_check == b.health_check && a.panic_percent == b.panic_percent;
}

// Envoy ignores a per-try timeout that is not below the request's (router filter, timeouts).
Duration per_try_timeout(const RetryPolicy& retry, const Timeouts& timeouts) {
  if (timeouts.request > Duration{} && retry.per_try_timeout >= timeouts.request) return {};
  return retry.per_try_timeout;
}

}  // namespace

Result<std::shared_ptr<const RouteIndex>> RouteIndex::compile(Snapshot table,
                                                              const RouteIndex* previous,
                                                              IndexOptions options) {
  TRY_STATUS(validate(*table));
  auto index = std::make_shared<RouteIndex>();
  index->table_ = std::move(table);
  for (const Listener& listener : index->table_->listeners) {
    TRY(auto routes, index->compile_routes(listener.routes, listener, "", previous, options));
    index->listeners_.push_back({&listener, std::move(routes), PathIndex(listener.routes)});
  }
  index->shorten_cluster_names();
  return index;
}

std::size_t RouteIndex::cluster_of(const Target& target, const ForwardIndex& forward) {
  const EmptyPolicy empty = forward.forward->empty;
  for (std::size_t i = 0; i < clusters_.size(); ++i) {
    if (clusters_[i].empty == empty && same_cluster(*clusters_[i].target, target)) return i;
  }
  std::string name = fmt::format("{}@{}/{}", target.name, forward.listener, forward.route_name);
  clusters_.push_back({std::move(name), &target, empty});
  return clusters_.size() - 1;
}

// A name that only one target has is enough; the others must not change places when one goes.
void RouteIndex::shorten_cluster_names() {
  std::map<std::string_view, int> uses;
  for (const ClusterIndex& cluster : clusters_) ++uses[cluster.target->name];
  for (ClusterIndex& cluster : clusters_) {
    if (uses[cluster.target->name] == 1) cluster.name = cluster.target->name;
  }
}

Result<std::vector<RouteEntry>> RouteIndex::compile_routes(const std::vector<Route>& routes,
                                                           const Listener& listener,
                                                           const std::string& above,
                                                           const RouteIndex* previous,
                                                           IndexOptions options) {
  std::vector<RouteEntry> out;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const Route& route = routes[i];
    RouteEntry entry;
    entry.route = &route;
    TRY(entry.matcher, RouteMatcher::compile(route.match, listener.dialect));
    const std::string name = above + route_label(route, i);
    if (const auto* forward = std::get_if<Forward>(&route.action)) {
      TRY(entry.forward, compile_forward(*forward, listener, name, previous, options));
    } else if (const auto* chain = std::get_if<Chain>(&route.action)) {
      TRY(entry.chain, compile_routes(chain->routes, listener, name + "/", previous, options));
      entry.chain_paths = PathIndex(chain->routes);
    }
    out.push_back(std::move(entry));
  }
  return out;
}

void RouteIndex::compile_targets(ForwardIndex& out) {
  const Forward& forward = *out.forward;
  for (const Target& target : forward.targets) {
    TargetIndex entry;
    entry.target = &target;
    entry.id = target_count_++;
    entry.cluster = cluster_of(target, out);
    entry.timeouts = target.timeouts.value_or(forward.timeouts);
    entry.per_try = per_try_timeout(forward.retry, entry.timeouts);
    for (const Instance& instance : target.instances) {
      if (instance.healthy) entry.usable.push_back(&instance);
    }
    if (entry.usable.empty() && forward.empty == EmptyPolicy::FailOpen) {
      for (const Instance& instance : target.instances) entry.usable.push_back(&instance);
    }
    out.targets.push_back(std::move(entry));
  }
}

// A mirror that is one of the route's targets shares its cluster, as in Envoy.
void RouteIndex::compile_mirror(const Mirror& mirror, ForwardIndex& out) {
  Forward described;
  described.empty = out.forward->empty;
  described.timeouts = out.forward->timeouts;
  if (mirror.other) {
    described.targets = {*mirror.other};
  } else {
    described.targets = {*std::find_if(out.forward->targets.begin(), out.forward->targets.end(),
                                       [&](const Target& t) { return t.name == mirror.target; })};
  }
  auto index = std::make_unique<ForwardIndex>();
  index->described = std::make_unique<const Forward>(std::move(described));
  index->forward = index->described.get();
  index->listener = out.listener;
  index->route_name = out.route_name;
  compile_targets(*index);
  mirrors_.push_back(index.get());
  out.mirror = std::move(index);
  out.mirror_ppm = static_cast<std::uint32_t>(mirror.percent * 10'000 + 0.5);
}

Result<std::unique_ptr<ForwardIndex>> RouteIndex::compile_forward(const Forward& forward,
                                                                  const Listener& listener,
                                                                  std::string name,
                                                                  const RouteIndex* previous,
                                                                  IndexOptions options) {
  auto out = std::make_unique<ForwardIndex>();
  out->forward = &forward;
  out->listener = listener.name.empty() ? fmt::format(":{}", listener.port) : listener.name;
  out->route_name = std::move(name);
  TRY(out->retry_on, parse_retry_conditions(forward.retry.on));
  compile_targets(*out);
  if (forward.mirror) compile_mirror(*forward.mirror, *out);
  out->max_body_bytes = forward.max_body_bytes.value_or(listener.max_body_bytes);
  out->total_weight = total_weight(forward.targets);
  if (options.selection.value_or(forward.selection) == Selection::Exact && out->total_weight > 0) {
    const ForwardIndex* old = find_forward(previous, out->listener, out->route_name);
    if (old != nullptr && old->exact && old->exact->same_targets(forward.targets)) {
      out->exact = old->exact;
    } else {
      const auto carried =
          old != nullptr && old->exact ? old->exact->lags() : std::vector<ExactOrder::Lag>{};
      out->exact = std::make_shared<ExactOrder>(forward.targets, carried);
    }
  }
  forwards_.push_back(out.get());
  return out;
}

const ListenerIndex* RouteIndex::listener(int port) const {
  for (const ListenerIndex& listener : listeners_) {
    if (listener.listener->port == port) return &listener;
  }
  return nullptr;
}

namespace {

// Applies a route's rewrite to decision.path. The path may already lie in the scratch, so the
// new one is put together aside.
void rewrite_path(const RouteEntry& entry, Decision& decision, std::string& scratch) {
  const Rewrite& rewrite = entry.route->rewrite;
  if (rewrite.path) {
    decision.path = *rewrite.path;
    return;
  }
  if (!rewrite.prefix) return;
  const auto matched = entry.matcher.matched_prefix(decision.path);
  if (!matched || decision.path.substr(0, *matched) == *rewrite.prefix) return;
  std::string_view rest = decision.path.substr(*matched);
  // "/chapter" -> "/" turns /chapter/1 into /1, not //1 (App Mesh merges slashes)
  if (!rewrite.prefix->empty() && rewrite.prefix->back() == '/' && !rest.empty() &&
      rest.front() == '/') {
    rest.remove_prefix(1);
  }
  std::string path = *rewrite.prefix;
  path += rest;
  if (path.empty() || path.front() != '/') path.insert(path.begin(), '/');
  scratch = std::move(path);
  decision.path = scratch;
}

/// The target that the user met before, if the forward is sticky and one of its instances answers.
bool stick(const ForwardIndex& forward, const RequestView& request, Decision& decision) {
  const Forward& what = *forward.forward;
  if (what.stickiness.duration <= Duration{}) return false;
  const auto met = sticky_target(request.headers, what.targets, request.now_s);
  if (!met || forward.targets[*met].usable.empty()) return false;
  decision.forward = &forward;
  decision.target = *met;
  decision.kept = true;
  return true;
}

void decide(const std::vector<RouteEntry>& routes, const PathIndex& paths, RequestView& request,
            std::uint64_t draw, std::string& scratch, Decision& decision) {
  const std::size_t first =
      paths.first(request.path, [&](std::size_t i) { return routes[i].matcher.matches(request); });
  if (first == PathIndex::kNone) {
    decision.refusal = Refusal::NoRoute;
    return;
  }
  const RouteEntry* found = &routes[first];
  decision.route = found->route;
  rewrite_path(*found, decision, scratch);
  if (found->route->rewrite.hostname) decision.host = *found->route->rewrite.hostname;
  if (const ForwardIndex* forward = found->forward.get()) {
    if (stick(*forward, request, decision)) return;
    if (forward->total_weight == 0) {
      decision.refusal = Refusal::NoWeight;
      return;
    }
    decision.forward = forward;
    decision.target = forward->choose(draw);
    if (decision.chosen().usable.empty()) decision.refusal = Refusal::NoInstance;
  } else if (const auto* chain = std::get_if<Chain>(&found->route->action)) {
    decision.service = chain->name;
    if (found->chain.empty()) {
      decision.refusal = Refusal::NoProvider;
      return;
    }
    request.path = decision.path;
    if (!decision.host.empty()) request.host = decision.host;
    decide(found->chain, found->chain_paths, request, draw, scratch, decision);
  } else {
    decision.fixed = std::get_if<FixedResponse>(&found->route->action);
    decision.redirect = std::get_if<Redirect>(&found->route->action);
  }
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

LocalReply redirect_reply(const Redirect& redirect, const Listener& listener,
                          const RequestView& request, std::string_view scheme) {
  const std::string port = std::to_string(listener.port);
  const auto filled = [&](std::string text) {
    replace_all(text, "#{protocol}", scheme);
    replace_all(text, "#{host}", without_port(request.host));
    replace_all(text, "#{port}", port);
    replace_all(text, "#{path}", request.path.substr(request.path.starts_with('/') ? 1 : 0));
    replace_all(text, "#{query}", request.query);
    return text;
  };
  std::string protocol = filled(redirect.protocol);
  std::transform(protocol.begin(), protocol.end(), protocol.begin(), ascii_lower);
  const std::string query = filled(redirect.query);
  LocalReply out;
  out.status = redirect.status;
  out.location =
      fmt::format("{}://{}:{}{}{}{}", protocol, filled(redirect.host), filled(redirect.port),
                  filled(redirect.path), query.empty() ? "" : "?", query);
  return out;
}

}  // namespace

Decision resolve(const ListenerIndex& listener, const RequestView& request, std::uint64_t draw,
                 std::string& scratch) {
  Decision decision;
  decision.path = request.path;
  RequestView view = request;
  decide(listener.routes, listener.paths, view, draw, scratch, decision);
  return decision;
}

LocalReply local_reply(const Decision& decision, const Listener& listener,
                       const RequestView& request, std::string_view scheme) {
  LocalReply out;
  if (decision.fixed != nullptr) {
    out.status = decision.fixed->status;
    out.body = decision.fixed->body;
    if (!out.body.empty()) out.content_type = decision.fixed->content_type;
    out.reason = decision.fixed->reason;
    return out;
  }
  if (decision.redirect != nullptr) {
    return redirect_reply(*decision.redirect, listener, request, scheme);
  }
  const bool alb = listener.dialect == Dialect::Alb;
  if (decision.refusal == Refusal::NoRoute && !alb) {
    out.status = 404;
    out.flag = "NR";
  } else {
    out.status = 503;
    out.flag = "UH";
    out.content_type = alb ? "text/html" : "text/plain";
    out.body = alb ? "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n"
                     "<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n"
                     "</body>\r\n</html>\r\n"
                   : "no healthy upstream";
  }
  switch (decision.refusal) {
    case Refusal::NoRoute:
      out.reason = decision.service.empty()
                       ? fmt::format("no route of listener {} matches {} {} for host {}",
                                     listener.port, request.method, request.path,
                                     request.host.empty() ? "(none)" : request.host)
                       : fmt::format("no route of virtual service {} matches {} {}",
                                     decision.service, request.method, decision.path);
      break;
    case Refusal::NoProvider:
      out.reason = fmt::format("virtual service {} has no provider", decision.service);
      break;
    case Refusal::NoWeight:
      out.reason = fmt::format("no target of route {} has a weight", decision.route->name);
      break;
    case Refusal::NoInstance: {
      const Target& target = *decision.chosen().target;
      if (!target.unavailable.empty()) {
        out.reason = target.unavailable;
      } else if (target.instances.empty()) {
        out.reason = fmt::format("target {} has no registered instance", target.name);
      } else {
        out.reason = fmt::format("target {}: none of its {} instances is healthy", target.name,
                                 target.instances.size());
      }
      break;
    }
    case Refusal::None:
      CHECK_FAILED("a local reply to a request that is forwarded");
  }
  return out;
}

}  // namespace coalmine::traffic
