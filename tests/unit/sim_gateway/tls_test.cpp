// TLS in front: certificates, modes, reload; and clients that want HTTP/2.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/sim_gateway/fixture.h"

namespace coalmine::gateway::test {
namespace {

using std::chrono::milliseconds;

/// A folder with self-signed certificates.
class Certificates {
 public:
  Certificates() {
    char name[] = "/tmp/coalmine-tls-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Certificates() { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  std::string cert() const { return file("cert.pem"); }
  std::string key() const { return file("key.pem"); }

  /// Writes a new certificate for `name` with its key.
  void make(const std::string& name) const {
    EVP_PKEY* pkey = EVP_EC_gen("P-256");
    X509* x509 = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pkey);
    X509_NAME* subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    X509_sign(x509, pkey, EVP_sha256());
    FILE* out = fopen(cert().c_str(), "w");
    PEM_write_X509(out, x509);
    fclose(out);
    out = fopen(key().c_str(), "w");
    PEM_write_PrivateKey(out, pkey, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(out);
    X509_free(x509);
    EVP_PKEY_free(pkey);
  }
  Json listener(const char* mode = "strict") const {
    return {{"tls", {{"certificate", cert()}, {"key", key()}, {"mode", mode}}}};
  }

 private:
  std::string folder_;
};

/// A TLS client on a blocking socket.
class TlsClient {
 public:
  explicit TlsClient(int port, std::string_view alpn = "") : socket_(Socket::connect_to(port)) {
    context_ = SSL_CTX_new(TLS_client_method());
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_.fd());
    if (!alpn.empty()) {
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(alpn.data()),
                          static_cast<unsigned>(alpn.size()));
    }
    const timeval deadline{kDeadlineMs / 1000, 0};
    setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  bool connected() const { return connected_; }
  bool write(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
  }
  bool read_more() {
    char piece[65536];
    const int n = SSL_read(ssl_, piece, sizeof piece);
    if (n > 0) buffer.append(piece, static_cast<std::size_t>(n));
    if (n <= 0) clean_end = SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN;
    return n > 0;
  }
  std::string read_all() {
    while (read_more()) {
    }
    return std::exchange(buffer, {});
  }
  bool read_until(std::string_view mark) {
    while (buffer.find(mark) == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }
  /// One answer with Content-Length.
  std::string ask(std::string_view request) {
    write(request);
    if (!read_until("\r\n\r\n")) return "";
    const std::size_t head = buffer.find("\r\n\r\n") + 4;
    std::size_t at = buffer.find("ontent-length: ");
    if (at == std::string::npos) at = buffer.find("ontent-Length: ");
    const std::size_t size = head + std::stoul(buffer.substr(at + 15));
    while (buffer.size() < size && read_more()) {
    }
    std::string out = buffer.substr(0, size);
    buffer.erase(0, size);
    return out;
  }
  std::string peer_name() const {
    X509* x509 = SSL_get1_peer_certificate(ssl_);
    char text[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, text, sizeof text);
    X509_free(x509);
    return text;
  }
  std::string alpn() const {
    const unsigned char* text = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &text, &size);
    return std::string(reinterpret_cast<const char*>(text), size);
  }
  void end_writing() { SSL_shutdown(ssl_); }
  Socket& socket() { return socket_; }

  std::string buffer;
  bool clean_end = false;

 private:
  Socket socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

ListenerStats listener_stats(Gateway& gateway) {
  return gateway.stats().listeners.begin()->second;
}

class Tls : public testing::Test {
 protected:
  Tls() { files_.make("first"); }
  traffic::Snapshot table(std::uint64_t version = 1, const char* mode = "strict") {
    return table_of({{"v1", 1, {upstream_.port()}}}, version, Json::object(),
                    files_.listener(mode));
  }
  Certificates files_;
  Upstream upstream_{echo("v1")};
};

TEST_F(Tls, IsTakenOffInFrontOfTheUpstream) {
  const auto gateway = start_gateway(table());
  TlsClient client(port_of(*gateway));
  ASSERT_TRUE(client.connected());
  for (int i = 0; i < 5; ++i) {
    const std::string answer = client.ask(kGet);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 "));
    EXPECT_NE(answer.find("x-forwarded-proto: https\r\n"), std::string::npos) << answer;
  }
  EXPECT_EQ(client.alpn(), "") << "none was offered";
  EXPECT_EQ(listener_stats(*gateway).tls_handshakes, 1U);
  EXPECT_EQ(listener_stats(*gateway).requests, 5U);
}

TEST_F(Tls, NegotiatesHttp11AndNothingElse) {  // RFC 7301 3.2
  const auto gateway = start_gateway(table());
  TlsClient both(port_of(*gateway), std::string_view("\x02h2\x08http/1.1", 12));
  EXPECT_TRUE(both.connected());
  EXPECT_EQ(both.alpn(), "http/1.1");
  TlsClient only_h2(port_of(*gateway), std::string_view("\x02h2", 3));
  EXPECT_FALSE(only_h2.connected());
  EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
  EXPECT_TRUE(eventually([&] { return listener_stats(*gateway).tls_failures == 1; }));
}

TEST_F(Tls, StrictRefusesPlainText) {
  const auto gateway = start_gateway(table());
  Socket plain = Socket::connect_to(port_of(*gateway));
  plain.write(kGet);
  EXPECT_EQ(plain.read_all().find("HTTP/1.1 200"), std::string::npos);
  EXPECT_TRUE(plain.ended);
}

TEST_F(Tls, PermissiveTakesBoth) {  // App Mesh user guide, TLS modes
  const auto gateway = start_gateway(table(1, "permissive"));
  const Answer answer = ask(port_of(*gateway), kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("x-forwarded-proto: http\r\n"), std::string::npos);
  TlsClient client(port_of(*gateway));
  EXPECT_NE(client.ask(kGet).find("x-forwarded-proto: https\r\n"), std::string::npos);
}

TEST_F(Tls, LargeBodiesPassBothWays) {
  constexpr std::size_t kSize = 16 << 20;
  Upstream big([](Socket& socket) {
    const std::string request = read_request(socket);
    const std::string body = request.substr(request.find("\r\n\r\n") + 4);
    socket.write(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.size()));
    socket.write(body);
  });
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {big.port()}}}, 1, Json::object(), files_.listener()));
  TlsClient client(port_of(*gateway));
  ASSERT_TRUE(client.connected());
  std::string body(kSize, 'x');
  for (std::size_t i = 0; i < kSize; i += 4096) body[i] = static_cast<char>('a' + i / 4096 % 26);
  client.write(fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", kSize));
  for (std::size_t i = 0; i < kSize; i += 1 << 20) client.write(body.substr(i, 1 << 20));
  ASSERT_TRUE(client.read_until("\r\n\r\n"));
  const std::size_t head = client.buffer.find("\r\n\r\n") + 4;
  while (client.buffer.size() < head + kSize && client.read_more()) {
  }
  EXPECT_TRUE(client.buffer.substr(head) == body);
}

TEST_F(Tls, PipelinedRequestsInOneRecordAreAllAnswered) {
  const auto gateway = start_gateway(table());
  TlsClient client(port_of(*gateway));
  std::string all;
  for (int i = 0; i < 200; ++i) all += fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
  client.write(all);
  for (int i = 0; i < 200; ++i) {
    ASSERT_NE(client.ask("").find(fmt::format("GET /{} ", i)), std::string::npos) << i;
  }
}

TEST_F(Tls, AnEndIsACleanOneOnlyIfTheAnswerIsWhole) {
  Upstream upstream([](Socket& socket) {
    const std::string request = read_request(socket);
    const bool whole = request.find("/whole") != std::string::npos;
    socket.write(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc", whole ? 3 : 9));
  });
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {upstream.port()}}}, 1, Json::object(), files_.listener()));
  TlsClient whole(port_of(*gateway));
  whole.write("GET /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(whole.read_all().ends_with("abc"));
  EXPECT_TRUE(whole.clean_end);
  TlsClient cut(port_of(*gateway));
  cut.write("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
  cut.read_all();
  EXPECT_FALSE(cut.clean_end);
}

TEST_F(Tls, NewFilesServeNewHandshakesAndRunningConnectionsGoOn) {
  const auto gateway = start_gateway(table());
  TlsClient old(port_of(*gateway));
  EXPECT_EQ(old.peer_name(), "first");
  files_.make("second");
  ASSERT_TRUE(gateway->update(gateway->table())) << "the same table, as on SIGHUP";
  EXPECT_TRUE(eventually([&] { return TlsClient(port_of(*gateway)).peer_name() == "second"; }));
  EXPECT_TRUE(old.ask(kGet).starts_with("HTTP/1.1 200 "));
}

TEST_F(Tls, BadFilesAreNamedAndChangeNothing) {
  const auto gateway = start_gateway(table());
  const auto refused = [&](const std::string& want) {
    const Status done = gateway->update(table(2));
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find(want), std::string::npos) << done.error().message;
    TlsClient client(port_of(*gateway));
    EXPECT_EQ(client.peer_name(), "first");
    EXPECT_EQ(gateway->table()->version, 1U);
  };
  std::filesystem::rename(files_.cert(), files_.file("kept"));
  refused("listener 0: cannot use the certificate " + files_.cert() + ": No such file");
  std::ofstream(files_.cert()) << "not a certificate";
  refused("cannot use the certificate " + files_.cert() + ": no start line");
  std::filesystem::rename(files_.file("kept"), files_.cert());
  std::ofstream(files_.key()) << "not a key";
  refused("cannot use the key " + files_.key());
  EVP_PKEY* other = EVP_EC_gen("P-256");
  FILE* out = fopen(files_.key().c_str(), "w");
  PEM_write_PrivateKey(out, other, EVP_aes_128_cbc(),
                       reinterpret_cast<const unsigned char*>("secret"), 6, nullptr, nullptr);
  fclose(out);
  refused("cannot use the key " + files_.key());  // and asks nobody for a pass phrase
  out = fopen(files_.key().c_str(), "w");
  PEM_write_PrivateKey(out, other, nullptr, nullptr, 0, nullptr, nullptr);
  fclose(out);
  EVP_PKEY_free(other);
  refused(files_.key());
}

TEST_F(Tls, AHandshakeThatDoesNotEndIsGivenUp) {
  WorkerTimeouts timeouts;
  timeouts.head = milliseconds(200);
  for (const char* mode : {"strict", "permissive"}) {
    const auto gateway = start_gateway(table(1, mode), 1, timeouts);
    Socket silent = Socket::connect_to(port_of(*gateway));
    EXPECT_EQ(silent.read_all(), "");
    EXPECT_TRUE(silent.ended);
    Socket partial = Socket::connect_to(port_of(*gateway));
    partial.write("\x16\x03\x01");
    partial.read_all();
    EXPECT_TRUE(partial.ended);
    EXPECT_EQ(listener_stats(*gateway).tls_failures, 2U);
  }
}

TEST_F(Tls, GarbageInsteadOfAHandshakeEndsTheConnection) {
  const auto gateway = start_gateway(table());
  Socket socket = Socket::connect_to(port_of(*gateway));
  socket.write(std::string(100, '\x16'));
  socket.read_all();
  EXPECT_TRUE(socket.ended);
  EXPECT_TRUE(TlsClient(port_of(*gateway)).connected());
}

TEST_F(Tls, CarriesTcpAndWebSocketsToo) {
  Upstream lines([](Socket& socket) {
    if (!socket.read_until("\n")) return;
    if (socket.buffer.starts_with("GET")) {
      socket.read_until("\r\n\r\n");
      socket.buffer.clear();
      socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
      if (!socket.read_until("\n")) return;
    }
    socket.write("got " + socket.buffer);
    while (socket.read_more()) {
    }
    socket.write("bye");
  });
  Json tcp = files_.listener();
  tcp["protocol"] = "tcp";
  const auto through =
      start_gateway(table_of({{"v1", 1, {lines.port()}}}, 1, {{"match", Json::object()}}, tcp));
  TlsClient raw(port_of(*through));
  raw.write("line\n");
  ASSERT_TRUE(raw.read_until("got line\n"));
  raw.end_writing();
  EXPECT_EQ(raw.read_all(), "got line\nbye");
  EXPECT_TRUE(raw.clean_end);
  const auto gateway =
      start_gateway(table_of({{"v1", 1, {lines.port()}}}, 1, Json::object(), files_.listener()));
  TlsClient web(port_of(*gateway));
  web.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nline\n");
  ASSERT_TRUE(web.read_until("got line\n"));
  EXPECT_TRUE(web.buffer.starts_with("HTTP/1.1 101 "));
}

// --- HTTP/2 --------------------------------------------------------------------------------------

// RFC 9113 3.4, 6.8, 7: a server's preface, then GOAWAY with HTTP_1_1_REQUIRED, in whatever pieces
// the client's preface comes.
TEST(Http2, IsToldThatHttp11IsRequired) {
  Upstream upstream(echo("v1"));
  const auto gateway = start_gateway(table_of({{"v1", 1, {upstream.port()}}}));
  const std::string preface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);
  for (std::size_t cut = 1; cut < preface.size(); ++cut) {
    Socket socket = Socket::connect_to(port_of(*gateway));
    socket.write(preface.substr(0, cut));
    socket.write(preface.substr(cut));
    const std::string answer = socket.read_all();
    ASSERT_GE(answer.size(), 26U) << cut;
    EXPECT_EQ(answer.substr(0, 9), std::string("\0\0\0\x04\0\0\0\0\0", 9)) << "SETTINGS";
    const auto size = static_cast<std::size_t>(static_cast<unsigned char>(answer[11]));
    EXPECT_EQ(answer.size(), 18 + size);
    EXPECT_EQ(answer.substr(12, 6), std::string("\x07\0\0\0\0\0", 6)) << "GOAWAY";
    EXPECT_EQ(answer.substr(18, 8), std::string("\0\0\0\0\0\0\0\x0d", 8)) << "HTTP_1_1_REQUIRED";
  }
  EXPECT_EQ(listener_stats(*gateway).http2_refused, preface.size() - 1);
  EXPECT_EQ(upstream.connections(), 0);
}

}  // namespace
}  // namespace coalmine::gateway::test
