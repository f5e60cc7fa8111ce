#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coalmine::lab {

/// What one user's browser keeps of one host's cookies: names and values. Attributes are passed
/// over: all are for every path, and a load balancer's own says inside when it ends.
class CookieJar {
 public:
  /// The value of a Set-Cookie field; takes the place of an earlier cookie of the name.
  void keep(std::string_view field);
  /// As a Cookie field has them: "a=1; b=2". Empty: there are none.
  std::string field() const;

 private:
  std::vector<std::pair<std::string, std::string>> cookies_;
};

}  // namespace coalmine::lab
