#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace coalmine::gateway {

/// A member of the wheel: one lazy timer per connection.
struct TimerNode {
  TimerNode* next = nullptr;
  TimerNode* previous = nullptr;
  std::int64_t deadline_ns = kNone;  ///< when it is really due
  std::int64_t scheduled_tick = -1;  ///< where it hangs; -1: nowhere
  static constexpr std::int64_t kNone = INT64_MAX;
};

/// Deadlines on a ring of slots. Moving a deadline later costs a store: the node is looked at
/// where it hangs and hung up again. Nodes hang at most kHorizon ticks ahead, so a deadline within
/// that time of "now" rarely has to be moved forward.
class TimerWheel {
 public:
  static constexpr std::int64_t kTickNs = 16'000'000;
  static constexpr std::int64_t kSlots = 1024;
  static constexpr std::int64_t kHorizon = 512;  ///< ticks: 8 s

  /// Sets or, with kNone, clears the deadline.
  void set(TimerNode& node, std::int64_t deadline_ns, std::int64_t now_ns) {
    node.deadline_ns = deadline_ns;
    if (deadline_ns == TimerNode::kNone) return;
    const std::int64_t tick = tick_for(deadline_ns, now_ns);
    if (node.scheduled_tick >= 0) {
      if (node.scheduled_tick <= tick) return;
      unlink(node);
    }
    link(node, tick);
  }
  void remove(TimerNode& node) {
    node.deadline_ns = TimerNode::kNone;
    if (node.scheduled_tick >= 0) unlink(node);
  }

  /// Calls `fire(node)` for every node that is due; it may set, remove or destroy it.
  template <typename F>
  void advance(std::int64_t now_ns, F&& fire) {
    const std::int64_t now_tick = now_ns / kTickNs;
    if (at_ == 0 || now_tick - at_ >= kSlots) at_ = now_tick - kSlots + 1;
    for (; at_ <= now_tick; ++at_) {
      // After a long idle wait old slots are also the slots of ticks to come: those nodes stay.
      TimerNode* node = slots_[at_ % kSlots];
      while (node != nullptr) {
        if (node->scheduled_tick > now_tick) {
          node = node->next;
          continue;
        }
        unlink(*node);
        if (node->deadline_ns != TimerNode::kNone) {
          if (node->deadline_ns > now_ns) {
            link(*node, tick_for(node->deadline_ns, now_ns));
          } else {
            node->deadline_ns = TimerNode::kNone;
            fire(*node);
          }
        }
        node = slots_[at_ % kSlots];  // fire() may have changed the slot
      }
    }
  }

  /// Milliseconds to the next slot that holds anything; -1 if none does.
  int wait_ms(std::int64_t now_ns) const {
    const std::int64_t now_tick = now_ns / kTickNs;
    for (std::int64_t ahead = 0; ahead < kSlots; ahead += 64) {
      const std::int64_t word = (now_tick + ahead) / 64 % (kSlots / 64);
      std::uint64_t bits = occupied_[static_cast<std::size_t>(word)];
      const std::int64_t base = (now_tick + ahead) / 64 * 64;
      if (ahead == 0) bits &= ~std::uint64_t{0} << (now_tick % 64);
      if (bits == 0) continue;
      const std::int64_t tick = base + std::countr_zero(bits);
      return static_cast<int>(std::max<std::int64_t>(tick * kTickNs - now_ns, 0) / 1'000'000) + 1;
    }
    return any() ? static_cast<int>(kHorizon * kTickNs / 1'000'000) : -1;
  }

 private:
  static std::int64_t tick_for(std::int64_t deadline_ns, std::int64_t now_ns) {
    const std::int64_t tick = (deadline_ns + kTickNs - 1) / kTickNs;
    const std::int64_t now = now_ns / kTickNs;
    return tick > now + kHorizon ? now + kHorizon : tick <= now ? now + 1 : tick;
  }
  bool any() const {
    for (const std::uint64_t word : occupied_) {
      if (word != 0) return true;
    }
    return false;
  }
  void link(TimerNode& node, std::int64_t tick) {
    const auto slot = static_cast<std::size_t>(tick % kSlots);
    node.scheduled_tick = tick;
    node.previous = nullptr;
    node.next = slots_[slot];
    if (node.next != nullptr) node.next->previous = &node;
    slots_[slot] = &node;
    occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  }
  void unlink(TimerNode& node) {
    const auto slot = static_cast<std::size_t>(node.scheduled_tick % kSlots);
    if (node.previous != nullptr) {
      node.previous->next = node.next;
    } else {
      slots_[slot] = node.next;
      if (node.next == nullptr) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    }
    if (node.next != nullptr) node.next->previous = node.previous;
    node.next = node.previous = nullptr;
    node.scheduled_tick = -1;
  }

  std::int64_t at_ = 0;
  std::array<TimerNode*, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> occupied_{};
};

}  // namespace coalmine::gateway
