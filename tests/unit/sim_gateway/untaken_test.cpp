#include "sim/gateway/untaken.h"

#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

constexpr std::string_view kRequest = "a request";

struct Pair {
  Socket us;
  Socket peer;
};

/// A connection of ours to a peer; `used`: it has carried a request already.
Pair connected(bool used) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  Socket us = Socket::connect_to(ntohs(address.sin_port));
  Socket peer(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  close(listener);
  if (used) {
    EXPECT_TRUE(us.write("first"));
    EXPECT_TRUE(peer.read_until("first"));
    EXPECT_TRUE(peer.write("answer"));
    EXPECT_TRUE(us.read_until("answer"));
    us.buffer.clear();
    peer.buffer.clear();
  }
  return {std::move(us), std::move(peer)};
}

struct ReachCase {
  const char* name;
  std::function<void(Pair&)> happens;
  Reach want;
};

class ReachOf : public testing::TestWithParam<ReachCase> {};

TEST_P(ReachOf, TellsWhatThePeersTcpTook) {
  for (const bool used : {false, true}) {
    Pair pair = connected(used);
    GetParam().happens(pair);
    EXPECT_EQ(pair.us.read_all(), "");
    ASSERT_TRUE(pair.us.ended && !pair.us.reset);
    // The refusal may come a moment after the end.
    EXPECT_TRUE(eventually([&] {
      return reach_of(pair.us.fd(), kRequest.size()) == GetParam().want;
    })) << used;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Peers, ReachOf,
    testing::Values(ReachCase{"HadClosed",
                              [](Pair& p) {
                                p.peer.shut();
                                p.us.write(kRequest);
                              },
                              Reach::Refused},
                    ReachCase{"HadEndedBothDirections",
                              [](Pair& p) {
                                shutdown(p.peer.fd(), SHUT_RDWR);
                                p.us.write(kRequest);
                              },
                              Reach::Refused},
                    ReachCase{"ClosedHavingReadIt",
                              [](Pair& p) {
                                p.us.write(kRequest);
                                EXPECT_TRUE(p.peer.read_until(kRequest));
                                p.peer.shut();
                              },
                              Reach::Unknown},
                    ReachCase{"ClosedHavingReadAPartOfIt",
                              [](Pair& p) {
                                p.us.write(kRequest.substr(0, 3));
                                EXPECT_TRUE(p.peer.read_until(kRequest.substr(0, 3)));
                                p.peer.shut();
                                p.us.write(kRequest.substr(3));
                              },
                              Reach::Unknown},
                    ReachCase{"StillListensThoughItHasEnded",
                              [](Pair& p) {
                                p.peer.end_writing();
                                p.us.write(kRequest);
                                EXPECT_TRUE(p.peer.read_until(kRequest));
                              },
                              Reach::Unknown}),  // once it is acknowledged, which may take a moment
    [](const auto& info) { return std::string(info.param.name); });

TEST(ReachOf, OfWhatWasNotEvenWritten) {
  Pair pair = connected(true);
  EXPECT_EQ(reach_of(pair.us.fd(), 0), Reach::Refused);
}

TEST(ReachOf, IsUnknownOfWhatIsNoTcpSocket) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  Socket a(fds[0]), b(fds[1]);
  EXPECT_EQ(reach_of(a.fd(), 1), Reach::Unknown);
}

}  // namespace
}  // namespace coalmine::gateway::test
