// What a kept connection that ended tells of the request that was just written to it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coalmine::gateway {

/// How far a request came whose connection ended before a byte of its answer.
enum class Reach : std::uint8_t {
  Unknown,         ///< the peer may have read it
  Unacknowledged,  ///< the peer's TCP had taken nothing of it when it ended its side
  Refused,         ///< and it answered what came with a reset: nobody will ever read it
};

/// To be asked once the peer's end (FIN) was read on `fd`, of the last `sent` bytes written to it.
///
/// An end acknowledges all that came before it. What reaches a socket that is closed is refused
/// with a reset and never acknowledged (RFC 9293 3.10.7.4), so acknowledged bytes lay in the buffer
/// of a process that still held the socket when they came. A connection that ends by a reset alone
/// tells nothing: a reset's acknowledgement is not looked at, and earlier ones may be delayed.
Reach reach_of(int fd, std::size_t sent);

}  // namespace coalmine::gateway
