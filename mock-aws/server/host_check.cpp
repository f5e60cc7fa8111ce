#include "mock-aws/server/host_check.h"

#include <algorithm>
#include <array>

namespace coalmine::mock {
namespace {

std::string_view without_port(std::string_view host) {
  if (!host.empty() && host.front() == '[') {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  return host.substr(0, host.rfind(':'));
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() > end.size() && net::same_name(text.substr(text.size() - end.size()), end);
}

/// Four decimal numbers up to 255; `first` receives the first.
bool is_ipv4(std::string_view text, int& first) {
  int parts = 0;
  while (parts < 4) {
    const std::size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty() || part.size() > 3) return false;
    int value = 0;
    for (const char c : part) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + (c - '0');
    }
    if (value > 255) return false;
    if (++parts == 1) first = value;
    if (dot == std::string_view::npos) return parts == 4;
    text.remove_prefix(dot + 1);
  }
  return false;
}

bool is_loopback(std::string_view host) {
  int first = 0;
  return net::same_name(host, "localhost") || ends_with(host, ".localhost") || host == "::1" ||
         (is_ipv4(host, first) && first == 127);
}

bool is_address(std::string_view host) {
  int first = 0;
  const auto is_ipv6_byte = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
           c == '.';
  };
  return is_ipv4(host, first) || (host.find(':') != std::string_view::npos &&
                                  std::all_of(host.begin(), host.end(), is_ipv6_byte));
}

}  // namespace

bool host_allowed(std::string_view host, const HostPolicy& policy) {
  constexpr std::string_view kPrefix = "data-";
  host = without_port(host);
  if (host.size() > kPrefix.size() && net::same_name(host.substr(0, kPrefix.size()), kPrefix)) {
    host.remove_prefix(kPrefix.size());
  }
  if (is_loopback(host) || net::same_name(host, policy.bind_host)) return true;
  const bool single_label = !host.empty() && host.find_first_of(".:") == std::string_view::npos;
  if (!is_loopback(policy.bind_host) && (is_address(host) || single_label)) return true;
  return std::any_of(policy.allowed.begin(), policy.allowed.end(),
                     [host](const std::string& name) { return net::same_name(host, name); });
}

std::string why_not_allowed(const net::Request& request, const HostPolicy& policy) {
  const std::string host = request.headers.get("Host");
  if (!host_allowed(host, policy)) {
    return fmt::format(
        "this endpoint does not answer to the name \"{}\": it may come from a hostile web page. "
        "Use 127.0.0.1 or localhost{}, or start it with --allow-host {}",
        host,
        policy.bind_host.empty() || policy.bind_host == "0.0.0.0" ? "" : ", or " + policy.bind_host,
        host.empty() ? "NAME" : without_port(host));
  }
  const std::string* origin = request.headers.find("Origin");
  if (origin == nullptr) return "";
  const std::size_t scheme = origin->find("://");
  if (scheme != std::string::npos &&
      host_allowed(std::string_view(*origin).substr(scheme + 3), policy)) {
    return "";
  }
  return fmt::format("this endpoint does not answer to pages from {}", *origin);
}

}  // namespace coalmine::mock
