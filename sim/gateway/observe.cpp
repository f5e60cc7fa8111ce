// What is told of single requests: the access log and the stream of results.
#include "sim/gateway/observe.h"

#include <algorithm>

#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {

void log_fields(std::string_view head, LogEntry& entry) {
  head.remove_prefix(std::min(head.find("\r\n") + 2, head.size()));
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size() - 2);
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    const std::size_t colon = line.find(':');
    if (line.empty()) return;
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    if (name.size() != 11 && name.size() != 12 && name.size() != 15) continue;
    const std::size_t from = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
    const std::string_view value = line.substr(from);
    const auto is = [&](std::string_view other) {
      return traffic::equals_ignoring_case(name, other);
    };
    if (is("x-forwarded-for")) {
      entry.x_forwarded_for = value;
    } else if (is("x-request-id") || (is("x-amzn-trace-id") && entry.request_id.empty())) {
      entry.request_id = value;
    } else if (is("traceparent")) {
      entry.traceparent = value;
    }
  }
}

void Worker::begin_log(Client* c) {
  c->log.reset();
  if (options_.access_log_ppm < 1'000'000 &&
      traffic::scale_draw(random_.next(), 1'000'000) >= options_.access_log_ppm) {
    return;
  }
  c->log = std::make_unique<LogEntry>();
  LogEntry& entry = *c->log;
  entry.method = request_.method;
  entry.path = request_.path;
  if (request_.has_query) {
    entry.path += '?';
    entry.path += request_.query;
  }
  entry.protocol = request_.minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
  entry.authority = request_.host;
  entry.listener = c->slot->name;
  for (const FieldView& field : request_.fields) {
    if (traffic::equals_ignoring_case(field.name, "user-agent")) entry.user_agent = field.value;
    if (field.kind == Field::ForwardedFor) entry.x_forwarded_for = field.value;
    if (field.kind == Field::RequestId) entry.request_id = field.value;
  }
}

// A head that could not be read, or did not come.
void Worker::begin_log_of_nothing(Client* c) {
  request_.method = request_.path = request_.host = {};
  request_.has_query = false;
  request_.fields.clear();
  begin_log(c);
  if (c->log != nullptr) c->log->protocol.clear();
}

void Worker::name_in_log(Client* c) {
  const StatsKey& key = *c->plan_target->key;
  c->log->route = key.route;
  c->log->target = key.target;
  c->log->route_table_version = c->plan->index->table().version;
}

void Worker::observe(Client* c, int status) {
  if (ring_.on()) {
    RequestResult result;
    result.end_epoch_us = epoch_ns_ / 1000;
    result.key = c->plan_target != nullptr ? c->plan_target->key : c->slot->untargeted_key;
    result.latency_us = static_cast<std::uint64_t>((now_ns_ - c->begun_ns) / 1000);
    result.route_table_version = counts_.version;
    if (c->plan != nullptr) result.route_table_version = c->plan->index->table().version;
    result.status = static_cast<std::uint16_t>(status);
    result.attempts = static_cast<std::uint16_t>(c->plan_target != nullptr ? c->retries + 1 : 0);
    result.flag = c->flag;
    ring_.push(result);
  }
  if (log_ == nullptr || c->tunnel) return;  // a tunnel is logged when it ends
  if (c->log != nullptr) finish_log(c, status);
}

void Worker::finish_log(Client* c, int status) {
  LogEntry& entry = *c->log;
  entry.start_epoch_us = (epoch_ns_ - (now_ns_ - c->begun_ns)) / 1000;
  entry.response_code = status;
  entry.response_flags = c->flag;
  entry.bytes_received = c->received;
  entry.bytes_sent = c->sent;
  entry.duration_us = (now_ns_ - c->begun_ns) / 1000;
  if (c->head_ns != 0) entry.upstream_service_us = (c->head_ns - c->begun_ns) / 1000;
  entry.attempts = entry.target.empty() ? 0 : c->retries + 1;
  append_log_line(log_lines_, entry);
  c->log.reset();
}

void Worker::flush_log() {
  if (log_ != nullptr && !log_lines_.empty()) log_->write(std::move(log_lines_));
  log_lines_.clear();
  log_flushed_ns_ = now_ns_;
}

}  // namespace coalmine::gateway
