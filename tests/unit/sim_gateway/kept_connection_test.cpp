// What becomes of a request whose kept connection to the server ends.
#include "sim/gateway/gateway.h"
#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

constexpr const char* kPost = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

/// Answers the first request of every connection and ends it when it has read the second: with a
/// reset, or as a process does that dies.
Upstream::Serve breaks_at_second(bool with_reset) {
  return [with_reset](Socket& socket) {
    if (read_request(socket).empty()) return;
    socket.write(ok("first"));
    if (read_request(socket).empty()) return;
    if (with_reset) socket.abort();
  };
}

struct Reused {
  int status = 0;
  TargetStats stats;
};
/// What becomes of a request on a kept connection.
Reused second_request(Upstream& upstream, const char* request, const Json& more = Json::object(),
                      WorkerTimeouts timeouts = {}) {
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {upstream.port()}}}, 1, more), 1, timeouts);
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(request);
  EXPECT_EQ(read_answer(socket).status, 200);
  socket.write(request);
  const int status = read_answer(socket).status;
  return {status, gateway->stats().targets.at({":0", "r", "v1"})};
}

TEST(KeptConnection, ShowsThatAVersionBreaksConnections) {  // Envoy resends nothing but by policy
  for (const bool with_reset : {false, true}) {
    Upstream upstream(breaks_at_second(with_reset));
    for (const char* request : {kGet, kPost}) {
      const Reused seen = second_request(upstream, request);
      EXPECT_EQ(seen.status, 503) << request << with_reset;
      EXPECT_EQ(seen.stats.attempts, 2U);
      EXPECT_EQ(seen.stats.resets, 1U);
      EXPECT_EQ(seen.stats.resends, 0U);
    }
  }
}

TEST(KeptConnection, APolicyForResetsAppliesToKeptConnectionsToo) {
  Upstream upstream(breaks_at_second(true));
  const Json retry = {{"retry", {{"on", {"reset"}}, {"max_retries", 2}}}};
  const Reused seen = second_request(upstream, kPost, retry);
  EXPECT_EQ(seen.status, 200);
  EXPECT_EQ(seen.stats.retries, 1U);
  EXPECT_EQ(seen.stats.resends, 0U);
}

TEST(KeptConnection, ResendsWhatMayHaveMetTheEndOfAServersPatience) {  // RFC 9112 9.3.1
  WorkerTimeouts timeouts;
  timeouts.patience = Duration{};
  for (const bool with_reset : {false, true}) {
    Upstream upstream(breaks_at_second(with_reset));
    const Reused get = second_request(upstream, kGet, Json::object(), timeouts);
    EXPECT_EQ(get.status, 200) << with_reset;
    EXPECT_EQ(get.stats.resends, 1U);
    EXPECT_EQ(get.stats.retries + get.stats.resets, 0U);
    EXPECT_EQ(second_request(upstream, kPost, Json::object(), timeouts).status, 503)
        << "not idempotent: may have been done";
  }
}

// The server closes as the next request is under way: it is sent again if the server's TCP refused
// it, whatever its method. (If it came just before, the server's end is a reset, and its failure.)
TEST(KeptConnection, ResendsWhatAClosedConnectionRefused) {
  Upstream upstream([](Socket& socket) {
    if (!read_request(socket).empty()) socket.write(ok("first"));
  });
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const auto stats = [&] { return gateway->stats().targets.at({":0", "r", "v1"}); };
  for (const std::string request : {kGet, kPost}) {
    const TargetStats before = stats();
    std::uint64_t good = 0, bad = 0;
    EXPECT_TRUE(eventually([&] {
      Socket socket = Socket::connect_to(port_of(*gateway));
      socket.write(request + request + request + request);
      for (int i = 0; i < 4; ++i) ++(read_answer(socket).status == 200 ? good : bad);
      return stats().resends > before.resends;
    })) << request;
    const TargetStats now = stats();
    EXPECT_EQ(now.codes[2] - before.codes[2], good);
    EXPECT_EQ(now.resets - before.resets, bad);
    EXPECT_EQ(now.attempts - before.attempts, good + bad + now.resends - before.resends);
  }
}

}  // namespace
}  // namespace coalmine::gateway::test
