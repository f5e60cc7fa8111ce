#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/random.h"

namespace coalmine::engine {

/// Distinct users whose request the canary served, of all traffic and by segment.
///
/// Every request comes from one of all users, each as likely as any other, whatever its segment: a
/// user sends requests of every segment in proportion to its share, and may be in the counts of
/// several. So each count is at most `all`, and `all` is at most their sum with that of the unnamed
/// rest of the traffic.
struct UsersMet {
  std::uint64_t all = 0;
  std::vector<std::uint64_t> by_segment;  ///< by index in Traffic::segments
};

/// Draws them for so many requests by segment. Given these, the users of two segments are drawn
/// independently of one another, so each segment's number is distinct_users(), and a segment's
/// users are any so many of all: what they have in common with those of the segments before is
/// common_users().
UsersMet meet_users(std::span<const std::uint64_t> requests, std::uint64_t users, Random& random);

/// How many of `users` equally busy users have sent at least one of `requests` requests: the
/// occupancy problem (Johnson & Kotz, "Urn Models", 1977, 3.1). Up to kUsersOneByOne requests each
/// is drawn. Above, with l = requests / users: where fewer than 64 repeats or users left are
/// expected, their number as a Poisson or binomial one; else a normal number of the right mean
/// users (1 - (1 - 1/users)^requests) and variance users e^-l (1 - (1 + l) e^-l).
std::uint64_t distinct_users(std::uint64_t requests, std::uint64_t users, Random& random);

/// How many users are in both of two random sets of `a` and of `b` of them: hypergeometric. Where
/// the smaller set, or what it leaves out, has up to kUsersOneByOne each is drawn. Else, where
/// fewer than 64 are expected, a binomial number (off by under 1%, for so few of so many can hardly
/// be drawn twice), or a normal one of the right mean and variance.
std::uint64_t common_users(std::uint64_t a, std::uint64_t b, std::uint64_t users, Random& random);

inline constexpr std::uint64_t kUsersOneByOne = 10'000;

}  // namespace coalmine::engine
