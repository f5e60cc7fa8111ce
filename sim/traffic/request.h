#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace coalmine::traffic {

/// One header field as it stands in somebody's buffer; the value is trimmed.
struct HeaderView {
  std::string_view name;
  std::string_view value;
};

/// What routing may look at. Nothing is copied: the views live as long as the request's head.
struct RequestView {
  std::string_view method = "GET";
  std::string_view host;        ///< Host or authority; a port is cut off before comparing
  std::string_view path = "/";  ///< without the query, still percent-encoded
  std::string_view query;       ///< behind '?', still percent-encoded
  std::span<const HeaderView> headers;
  std::uint32_t source_ipv4 = 0;  ///< host byte order
  std::int64_t now_s = 0;         ///< seconds since 1970, for cookies that expire
};

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

/// "example.com:8080" -> "example.com"; "[::1]:80" -> "[::1]".
constexpr std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) {
    return host;
  }
  return host.substr(0, colon);
}

}  // namespace coalmine::traffic
