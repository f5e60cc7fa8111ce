#include "sim/core/ids.h"

#include <string_view>

namespace coalmine {
namespace {

std::string draw(Random& random, std::size_t length, std::string_view alphabet) {
  std::string text(length, ' ');
  for (char& c : text) c = alphabet[random.below(alphabet.size())];
  return text;
}

}  // namespace

std::string random_hex(Random& random, std::size_t length) {
  return draw(random, length, "0123456789abcdef");
}

std::string random_alnum(Random& random, std::size_t length) {
  return draw(random, length, "abcdefghijklmnopqrstuvwxyz0123456789");
}

std::string random_digits(Random& random, std::size_t length) {
  std::string text = draw(random, length, "0123456789");
  if (!text.empty() && text[0] == '0') text[0] = '1';
  return text;
}

std::string random_base64url(Random& random, std::size_t length) {
  return draw(random, length, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

std::string random_uuid(Random& random) {
  std::string hex = random_hex(random, 32);
  hex[12] = '4';
  hex[16] = "89ab"[random.below(4)];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

}  // namespace coalmine
