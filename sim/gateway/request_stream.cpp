#include "sim/gateway/request_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "sim/core/json.h"

namespace coalmine::gateway {

RequestRing::Batch RequestRing::drain() {
  Batch out;
  if (ring_.empty()) {
    ring_.resize(kRequestRing);
    return out;
  }
  const std::uint64_t oldest = count_ > ring_.size() ? count_ - ring_.size() : 0;
  out.lost = oldest > drained_ ? oldest - drained_ : 0;
  for (std::uint64_t i = std::max(oldest, drained_); i < count_; ++i) {
    out.results.push_back(ring_[i % ring_.size()]);
  }
  drained_ = count_;
  return out;
}

void RequestStream::add(RequestRing::Batch batch) {
  next_ += batch.lost;
  for (const RequestResult& result : batch.results) kept_.push_back({next_++, result});
  while (kept_.size() > kRequestsKept) kept_.pop_front();
}

std::string RequestStream::read(std::uint64_t from) const {
  if (from > next_) from = 0;  // numbered by a gateway that is no more
  const auto begin =
      std::lower_bound(kept_.begin(), kept_.end(), from,
                       [](const Numbered& n, std::uint64_t f) { return n.number < f; });
  const auto count =
      std::min<std::size_t>(static_cast<std::size_t>(kept_.end() - begin), kRequestsAtOnce);
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  const std::uint64_t next = end == kept_.end() ? next_ : end->number;
  std::string out =
      fmt::format("{{\"from\":{},\"next\":{},\"lost\":{}}}\n", from, next, next - from - count);
  for (auto it = begin; it != end; ++it) {
    const RequestResult& r = it->result;
    fmt::format_to(std::back_inserter(out),
                   "{{\"n\":{},\"time\":{}.{:06},\"listener\":{},\"route\":{},\"target\":{},"
                   "\"status\":{},\"latency_us\":{},\"attempts\":{},\"flags\":\"{}\","
                   "\"table\":{}}}\n",
                   it->number, r.end_epoch_us / 1'000'000, r.end_epoch_us % 1'000'000,
                   dump_json(r.key->listener), dump_json(r.key->route), dump_json(r.key->target),
                   r.status, r.latency_us, r.attempts, r.flag, r.route_table_version);
  }
  return out;
}

}  // namespace coalmine::gateway
