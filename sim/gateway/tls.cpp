#include "sim/gateway/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "sim/core/check.h"

namespace coalmine::gateway {
namespace {

constexpr std::string_view kHttp11 = "\x08http/1.1";  // as ALPN writes names

std::string last_reason() {
  const unsigned long code = ERR_peek_error();
  const int system = ERR_GET_LIB(code) == ERR_LIB_SYS ? ERR_GET_REASON(code) : 0;
  const char* text = system != 0 ? std::strerror(system) : ERR_reason_error_string(code);
  std::string out = text == nullptr ? "unknown reason" : text;
  ERR_clear_error();
  return out;
}

// OpenSSL's own socket BIO writes with write(): a peer that has gone would end the process by
// SIGPIPE.
int fd_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}
int bio_read(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const auto n = static_cast<int>(recv(fd_of(bio), into, static_cast<std::size_t>(size), 0));
  if (n < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
  return n;
}
int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto n =
      static_cast<int>(send(fd_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL));
  if (n < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
  return n;
}
long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* socket_bio(int fd) {
  static BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    CHECK(method != nullptr);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
  }();
  BIO* bio = BIO_new(kMethod);
  CHECK(bio != nullptr);
  // The descriptor itself, not a place that holds one. NOLINTNEXTLINE(performance-no-int-to-ptr)
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

// A key that needs a pass phrase is an error, not a question on the terminal.
int no_pass_phrase(char*, int, int, void*) {
  return -1;
}

// A client that offers only other protocols is told so (RFC 7301 3.2) instead of being answered in
// one that it does not speak.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  const std::string_view offered(reinterpret_cast<const char*>(in), in_size);
  for (std::size_t at = 0; at < offered.size();) {
    const std::size_t size = 1 + static_cast<unsigned char>(offered[at]);
    if (offered.substr(at, size) == kHttp11) {
      *out = in + at + 1;
      *out_size = static_cast<unsigned char>(kHttp11.size() - 1);
      return SSL_TLSEXT_ERR_OK;
    }
    at += size;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const traffic::ListenerTls& tls,
                                                           traffic::Protocol protocol) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  CHECK(context != nullptr);
  const std::shared_ptr<const TlsContext> out(new TlsContext(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets need no memory here
  SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
  if (protocol == traffic::Protocol::Http) {
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  }
  if (SSL_CTX_use_certificate_chain_file(context, tls.certificate.c_str()) != 1) {
    return error("cannot use the certificate {}: {}", tls.certificate, last_reason());
  }
  if (SSL_CTX_use_PrivateKey_file(context, tls.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return error("cannot use the key {}: {}", tls.key, last_reason());
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return error("the key {} does not belong to the certificate {}: {}", tls.key, tls.certificate,
                 last_reason());
  }
  return out;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

std::unique_ptr<TlsSession> TlsContext::accept(int fd) const {
  SSL* ssl = SSL_new(context_);
  CHECK(ssl != nullptr);
  BIO* bio = socket_bio(fd);
  SSL_set_bio(ssl, bio, bio);  // takes it over
  SSL_set_accept_state(ssl);
  return std::make_unique<TlsSession>(ssl);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

ssize_t TlsSession::result(int returned) {
  if (returned > 0) return returned;
  switch (SSL_get_error(ssl_, returned)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      broken_ = true;
      errno = ECONNRESET;
      return -1;
  }
}

TlsSession::Handshake TlsSession::handshake() {
  ERR_clear_error();
  if (result(SSL_do_handshake(ssl_)) > 0) return Handshake::Done;
  return broken_ ? Handshake::Failed : Handshake::Pending;
}

ssize_t TlsSession::read(char* into, std::size_t size) {
  ERR_clear_error();
  return result(SSL_read(ssl_, into, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
}

ssize_t TlsSession::write(const char* bytes, std::size_t size) {
  ERR_clear_error();
  return result(SSL_write(ssl_, bytes, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
}

void TlsSession::end_writing() {
  if (broken_ || SSL_in_init(ssl_) != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

}  // namespace coalmine::gateway
