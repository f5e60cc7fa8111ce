#include "sim/lab/cookie_jar.h"

#include <algorithm>

namespace coalmine::lab {

void CookieJar::keep(std::string_view field) {
  const std::string_view pair = field.substr(0, field.find(';'));
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos || equals == 0) return;
  const std::string name(pair.substr(0, equals));
  std::string value(pair.substr(equals + 1));
  const auto old = std::find_if(cookies_.begin(), cookies_.end(),
                                [&name](const auto& cookie) { return cookie.first == name; });
  if (old == cookies_.end()) {
    cookies_.emplace_back(name, std::move(value));
  } else {
    old->second = std::move(value);
  }
}

std::string CookieJar::field() const {
  std::string text;
  for (const auto& [name, value] : cookies_) {
    text += (text.empty() ? "" : "; ") + name + "=" + value;
  }
  return text;
}

}  // namespace coalmine::lab
