// A client's connection: its socket, plain or under TLS; what comes in, what goes out, its end.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "sim/gateway/worker_types.h"

namespace coalmine::gateway {

// --- the socket, plain or under TLS --------------------------------------------------------------

ssize_t Worker::receive(Client* c) {
  if (c->tls != nullptr) return c->tls->read(scratch_.data(), scratch_.size());
  return recv(c->fd, scratch_.data(), scratch_.size(), 0);
}

ssize_t Worker::transmit(Client* c, std::string_view bytes) {
  if (c->tls != nullptr) return c->tls->write(bytes.data(), bytes.size());
  return send(c->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

// Together, so that they share records and writes. The number of bytes that were taken; -1 for an
// error other than EAGAIN.
ssize_t Worker::transmit_tls(Client* c, std::string_view first, std::string_view second,
                             std::string_view third) {
  tls_out_.assign(first);
  tls_out_ += second;
  tls_out_ += third;
  std::string_view left = tls_out_;
  while (!left.empty()) {
    const ssize_t n = c->tls->write(left.data(), left.size());
    if (n < 0 && errno != EAGAIN) return -1;
    if (n <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  return static_cast<ssize_t>(tls_out_.size() - left.size());
}

void Worker::end_writing(Client* c) {
  if (c->tls != nullptr) c->tls->end_writing();
  shutdown(c->fd, SHUT_WR);
}

// A connection can be used: at once, or after its handshake.
void Worker::begin_serving(Client* c) {
  c->state = Client::State::Head;
  c->timer = Client::Timer::Idle;
  timers_.set(*c, now_ns_ + timeouts_.client_idle.count(), now_ns_);
  if (c->slot->protocol == traffic::Protocol::Tcp) {
    begin_tcp(c);
  } else {
    enter_idle(c);
  }
}

void Worker::handshake(Client* c) {
  if (c->tls == nullptr) {  // the first byte tells TLS (a handshake record) from plain text
    constexpr char kHandshakeRecord = 0x16;
    char first = 0;
    const ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || c->slot->tls == nullptr) {
      drop_client(c);
      return;
    }
    if (first == kHandshakeRecord) c->tls = c->slot->tls->accept(c->fd);
  }
  if (c->tls != nullptr) {
    const auto state = c->tls->handshake();
    if (state == TlsSession::Handshake::Pending) return;
    if (state == TlsSession::Handshake::Failed) {
      ++c->slot->stats->tls_failures;
      drop_client(c);
      return;
    }
    ++c->slot->stats->tls_handshakes;
  }
  begin_serving(c);
  if (!c->dead) client_readable(c);
}

// -------------------------------------------------------------------------------------------------

void Worker::client_event(Client* c, std::uint32_t events) {
  if (c->state == Client::State::Handshake) {
    handshake(c);
    return;
  }
  // Both directions of a tunnel may have ended with bytes still to be read.
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && !c->tunnel)) {
    drop_client(c);
    return;
  }
  if ((events & EPOLLOUT) != 0 && c->out != nullptr) {
    flush_client(c);
    if (c->dead) return;
  }
  if ((events & EPOLLRDHUP) != 0) c->hangup = true;
  // Under TLS reading may have waited for room to write.
  const bool readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0;
  if (readable || c->tls != nullptr) client_readable(c);
}

// Reads until the socket is empty, or until what was read has to be dealt with first.
void Worker::client_readable(Client* c) {
  for (;;) {
    const bool blocked = c->state == Client::State::Waiting || c->out != nullptr ||
                         (c->state == Client::State::Body && pending_request(c) > kMaxPendingBytes);
    if (c->state == Client::State::Tunnel ? tunnel_blocked(c)
                                          : blocked && c->state != Client::State::Linger) {
      if (!c->more) ++c->slot->stats->reads_paused;
      c->more = true;
      return;
    }
    const ssize_t n = receive(c);
    if (n < 0 && errno == EAGAIN) {
      c->more = false;
      return;
    }
    if (n == 0 && c->state == Client::State::Tunnel) {
      tunnel_client_ended(c);
      return;
    }
    if (n <= 0) {
      // A client may stop sending once its request is complete and still wants the answer; here
      // it stopped between requests or inside one.
      drop_client(c);
      return;
    }
    const auto size = static_cast<std::size_t>(n);
    if (c->in != nullptr) {
      Buffer* buffer = c->in;
      c->in = nullptr;
      buffer->data.append(scratch_.data(), size);
      process(c, buffer->data.data(), buffer->data.size());
      give_buffer(buffer);
    } else {
      process(c, scratch_.data(), size);
    }
    if (c->dead) return;
    // A short read means that the socket is empty; under TLS it may be the end of a record.
    if (size < scratch_.size() && !c->hangup && c->tls == nullptr) {
      c->more = false;
      return;
    }
  }
}

void Worker::stash(Client* c, std::string_view bytes) {
  if (c->in == nullptr) c->in = take_buffer();
  c->in->data.append(bytes);
}

// Takes bytes apart into requests. What cannot be used yet is stashed: the rest of a head, or
// the next request while one is being served.
void Worker::process(Client* c, char* bytes, std::size_t size) {
  c->processing = true;
  while (size > 0 && !c->dead) {
    std::size_t used = 0;
    if (c->state == Client::State::Linger) {
      c->linger_left -= std::min(c->linger_left, size);
      if (c->linger_left == 0) drop_client(c);
      break;
    }
    if (c->state == Client::State::Tunnel) {
      tunnel_up(c, {bytes, size});
      break;
    }
    if (c->state == Client::State::Waiting ||
        (c->state == Client::State::Head && c->out != nullptr)) {
      stash(c, {bytes, size});
      break;
    }
    if (c->state == Client::State::Body) {
      used = feed_body(c, bytes, size);
    } else {
      used = take_head(c, bytes, size);
      if (used == 0) break;
    }
    bytes += used;
    size -= used;
  }
  c->processing = false;
  if (c->state == Client::State::Head && c->in == nullptr && c->out == nullptr && !c->idle &&
      !c->dead) {
    enter_idle(c);
  }
}

void Worker::send_to_client(Client* c, std::string_view first, std::string_view second,
                            std::string_view third) {
  if (c->mirrored) return;
  std::size_t sent = 0;
  if (c->out == nullptr) {
    iovec parts[3];
    std::size_t count = 0;
    for (const std::string_view part : {first, second, third}) {
      if (!part.empty()) parts[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    if (count == 0) return;
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const ssize_t n = c->tls != nullptr ? transmit_tls(c, first, second, third)
                      : count == 1 ? send(c->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                   : sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
      drop_client(c);
      return;
    }
    sent = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (sent == first.size() + second.size() + third.size()) return;
    c->out = take_buffer();
    c->out_sent = 0;
  }
  for (std::string_view part : {first, second, third}) {
    const std::size_t skip = std::min(sent, part.size());
    sent -= skip;
    c->out->data.append(part.substr(skip));
  }
}

void Worker::flush_client(Client* c) {
  const std::string& data = c->out->data;
  while (c->out_sent < data.size()) {
    const ssize_t n = transmit(c, std::string_view(data).substr(c->out_sent));
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      drop_client(c);
      return;
    }
    c->out_sent += static_cast<std::size_t>(n);
    c->active_ns = now_ns_;
  }
  give_buffer(c->out);
  if (c->state == Client::State::Tunnel) {
    tunnel_flushed_down(c);
  } else if (c->state == Client::State::Linger) {
    linger(c);
  } else if (c->up != nullptr && c->up->more) {
    c->up->more = false;
    upstream_readable(c->up);
  } else if (c->state == Client::State::Head && !c->idle) {
    client_done(c);
  } else if (c->more) {
    client_readable(c);
  }
}

// Ends the connection so that the last answer arrives: closing with unread bytes would reset it.
void Worker::linger(Client* c) {
  const bool first = c->state != Client::State::Linger;
  c->state = Client::State::Linger;
  c->timer = Client::Timer::Linger;
  if (first) c->linger_left = kMaxLingerBytes;
  if (c->out != nullptr) {
    timers_.set(*c, now_ns_ + timeouts_.stream_idle.count(), now_ns_);
    return;
  }
  end_writing(c);
  timers_.set(*c, now_ns_ + timeouts_.linger.count(), now_ns_);
  if (!c->processing) client_readable(c);
}

// Those who wait for their next request are in the order in which they began to.
void Worker::enter_idle(Client* c) {
  c->idle = true;
  c->newer_idle = nullptr;
  c->older_idle = newest_idle_;
  (newest_idle_ == nullptr ? oldest_idle_ : newest_idle_->newer_idle) = c;
  newest_idle_ = c;
}

void Worker::leave_idle(Client* c) {
  if (!c->idle) return;
  c->idle = false;
  (c->older_idle == nullptr ? oldest_idle_ : c->older_idle->newer_idle) = c->newer_idle;
  (c->newer_idle == nullptr ? newest_idle_ : c->newer_idle->older_idle) = c->older_idle;
}

// The request is over, answered or not: the connection goes on to the next, or ends.
void Worker::client_done(Client* c) {
  leave_plan(c);
  if (c->mirrored) {
    drop_client(c);
    return;
  }
  give_buffer(c->request);
  c->chunks.reset();
  if (!c->request_whole || !c->keep_alive) {
    const bool clean = c->request_whole && c->in == nullptr && !c->more && c->out == nullptr;
    if (clean && !c->processing) {
      drop_client(c);
    } else {
      give_buffer(c->in);
      linger(c);
    }
    return;
  }
  c->state = Client::State::Head;
  c->timer = Client::Timer::Idle;
  timers_.set(*c, now_ns_ + timeouts_.client_idle.count(), now_ns_);
  if (c->processing || c->out != nullptr) return;
  enter_idle(c);
  take_up(c);
}

// Goes on with what the client has sent meanwhile.
void Worker::take_up(Client* c) {
  if (c->in != nullptr) {
    Buffer* buffer = c->in;
    c->in = nullptr;
    process(c, buffer->data.data(), buffer->data.size());
    give_buffer(buffer);
    if (c->dead) return;
  }
  if (c->more) client_readable(c);
}

void Worker::drop_client(Client* c) {
  if (c->dead) return;
  if (c->plan != nullptr) {
    if (c->flag.empty()) c->flag = "DC";  // nothing else ended it: the client left
    record(c, 0);
    if (!c->mirrored) count_reply(c->flag);
  }
  leave_idle(c);
  if (c->refused) --refusing_;
  if (c->tunnel) end_tunnel(c);
  if (c->tls != nullptr) c->tls->end_writing();
  if (c->up != nullptr) drop_upstream(c->up);
  leave_plan(c);
  give_buffer(c->in);
  give_buffer(c->out);
  give_buffer(c->request);
  if (c->previous_client != nullptr) {
    c->previous_client->next_client = c->next_client;
  } else {
    clients_ = c->next_client;
  }
  if (c->next_client != nullptr) c->next_client->previous_client = c->previous_client;
  if (c->mirrored) {
    --mirrored_count_;
  } else {
    --client_count_;
    --c->slot->stats->connections_active;
  }
  bury(c);
}

}  // namespace coalmine::gateway
