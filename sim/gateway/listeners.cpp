// Listeners, and who is let in: connections taken, refused for want of room, or asked to leave.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "sim/core/check.h"
#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {
namespace {

constexpr int kAcceptsPerTurn = 64;  // so that a flood of connections does not starve requests

}  // namespace

// Follows the table: new listeners are opened, those it does not name any more closed.
void Worker::adopt_listeners(const WorkerUpdate& update) {
  for (const ListenSocket& socket : update.sockets) {
    auto& slot = slots_[socket.port];
    if (!slot) slot = std::make_unique<Slot>();
    slot->port = socket.port;
    slot->bound_port = socket.bound_port;
    slot->fd = socket.fd;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = slot.get();
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, slot->fd, &event) == 0);
  }
  for (auto& [port, slot] : slots_) {
    slot->listener = update.index->listener(port);
    if (slot->listener != nullptr) {
      const auto& listener = *slot->listener->listener;
      slot->dialect = listener.dialect;
      slot->protocol = listener.protocol;
      const auto found = update.tls.find(port);
      slot->tls = found == update.tls.end() ? nullptr : found->second;
      slot->tls_permissive = listener.tls && listener.tls->permissive;
      slot->desync = listener.desync;
      slot->drop_invalid_headers = listener.drop_invalid_headers;
      name_slot(*slot, listener.name.empty() ? fmt::format(":{}", slot->port) : listener.name);
    } else if (slot->fd >= 0) {
      close_listener(*slot);
    }
  }
}

// The counts of a listener go by its name; its open connections follow it to a new one.
void Worker::name_slot(Slot& slot, const std::string& name) {
  if (slot.stats != nullptr && slot.name == name) return;
  ListenerStats* before = slot.stats;
  slot.name = name;
  slot.stats = &counts_.listeners[name];
  slot.untargeted = stats_for({name, "", ""});
  slot.untargeted_key = &target_stats_.find({name, "", ""})->first;
  if (before == nullptr) return;
  slot.stats->connections_active += std::exchange(before->connections_active, 0);
  slot.stats->upgrades_active += std::exchange(before->upgrades_active, 0);
}

// Clients that are already queued are still served; idle ones are asked to leave.
void Worker::close_listener(Slot& slot) {
  accept_clients(slot);
  close(slot.fd);
  slot.fd = -1;
  Client* next = nullptr;
  for (Client* c = clients_; c != nullptr; c = next) {
    next = c->next_client;
    if (c->slot == &slot) close_idle(c);
  }
}

void Worker::close_idle(Client* c) {
  if (c->state == Client::State::Handshake || c->idle) {
    drop_client(c);
  } else {
    c->keep_alive = false;
  }
}

bool Worker::make_room() {
  Client* oldest = oldest_idle_;
  if (oldest == nullptr) return false;
  ++oldest->slot->stats->connections_shed;
  drop_client(oldest);
  return true;
}

// The client is told, if it is easily done; its request, if it sent one, is not looked at.
void Worker::refuse_connection(Client* c) {
  ++c->slot->stats->connections_refused;
  const bool plain_http = c->slot->tls == nullptr && c->slot->protocol == traffic::Protocol::Http;
  if (!plain_http || refusing_ >= kMaxRefusing) {
    drop_client(c);
    return;
  }
  ++refusing_;
  c->refused = true;
  std::string text;
  append_local_reply(
      text,
      failure_reply(Failure::NoRoom, c->slot->dialect,
                    fmt::format("all {} client connections are busy", options_.max_clients)),
      c->slot->dialect, false, true, date());
  send_to_client(c, text);
  if (!c->dead) linger(c);
}

void Worker::begin_drain() {
  draining_ = true;
  for (auto& [port, slot] : slots_) {
    if (slot->fd >= 0) close_listener(*slot);
  }
}

bool Worker::drained() const {
  return client_count_ == 0;
}

void Worker::accept_clients(Slot& slot) {
  for (int i = 0; i < kAcceptsPerTurn && slot.fd >= 0; ++i) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    const int fd = accept4(slot.fd, reinterpret_cast<sockaddr*>(&address), &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if ((errno == EMFILE || errno == ENFILE) && spare_fd_ >= 0) {
        // Out of descriptors: take the connection with the spare one and close it, or the
        // listener would stay readable and the loop would spin.
        close(spare_fd_);
        const int refused = accept4(slot.fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (refused >= 0) close(refused);
        spare_fd_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
      }
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const bool full = client_count_ >= options_.max_clients && !make_room();
    auto* c = new Client;
    c->fd = fd;
    c->slot = &slot;
    c->peer_ipv4 = ntohl(address.sin_addr.s_addr);
    inet_ntop(AF_INET, &address.sin_addr, c->peer, sizeof c->peer);
    c->next_client = clients_;
    if (clients_ != nullptr) clients_->previous_client = c;
    clients_ = c;
    ++client_count_;
    ++slot.stats->connections_total;
    ++slot.stats->connections_active;
    add_to_epoll(c);
    if (full) {
      refuse_connection(c);
    } else if (slot.tls != nullptr) {
      c->state = Client::State::Handshake;
      c->timer = Client::Timer::Head;
      timers_.set(*c, now_ns_ + timeouts_.head.count(), now_ns_);
      if (!slot.tls_permissive) c->tls = slot.tls->accept(fd);
    } else {
      begin_serving(c);
    }
  }
}

}  // namespace coalmine::gateway
