#include <map>

#include "sim/aws/client.h"

namespace coalmine::aws {
namespace {

class HttpTransport : public Transport {
 public:
  explicit HttpTransport(net::ClientOptions options) : options_(options) {}

  Result<net::Response> send(const std::string& origin, const net::Request& request) override {
    auto& client = clients_[origin];
    if (!client) {
      TRY(client, net::Client::open(origin, options_));
    }
    return client->send(request);
  }

 private:
  net::ClientOptions options_;
  std::map<std::string, std::unique_ptr<net::Client>> clients_;
};

class InProcessTransport : public Transport {
 public:
  explicit InProcessTransport(net::Handler handler) : handler_(std::move(handler)) {}

  Result<net::Response> send(const std::string&, const net::Request& request) override {
    return handler_(request);
  }

 private:
  net::Handler handler_;
};

}  // namespace

std::unique_ptr<Transport> http_transport(net::ClientOptions options) {
  return std::make_unique<HttpTransport>(options);
}

std::unique_ptr<Transport> in_process_transport(net::Handler handler) {
  return std::make_unique<InProcessTransport>(std::move(handler));
}

}  // namespace coalmine::aws
