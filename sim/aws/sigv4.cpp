#include "sim/aws/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "sim/core/check.h"

namespace coalmine::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string hmac(std::string_view key, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned int length = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(data.data()), data.size(), out.data(),
             &length) != nullptr);
  return {reinterpret_cast<const char*>(out.data()), length};
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

/// Without outer blanks, inner runs of blanks as one space ("Trimall" of the specification).
std::string trim_all(std::string_view value) {
  std::string result;
  bool gap = false;
  for (const char c : value) {
    if (is_space(c)) {
      gap = !result.empty();
      continue;
    }
    if (gap) result += ' ';
    gap = false;
    result += c;
  }
  return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// RFC 3986 dot segments removed and runs of slashes merged, then encoded once more.
std::string canonical_path(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view segment : split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string normal;
  for (const std::string_view segment : kept) normal.append("/").append(segment);
  if (kept.empty() || path.back() == '/') normal += '/';
  return net::percent_encode(normal, true);
}

/// Sorted by encoded name, then encoded value; the signature of a presigned URL left out.
std::string canonical_query(std::string_view query) {
  if (query.empty()) return "";
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view pair : split(query, '&')) {
    const auto equals = pair.find('=');
    const auto name = pair.substr(0, equals);
    if (name == "X-Amz-Signature") continue;
    const auto value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    pairs.emplace_back(net::percent_encode(net::percent_decode(name)),
                       net::percent_encode(net::percent_decode(value)));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string result;
  for (const auto& [name, value] : pairs) {
    if (!result.empty()) result += '&';
    result.append(name).append("=").append(value);
  }
  return result;
}

/// One "name:value" line; repeated fields are joined by commas in the order they came.
std::string canonical_header(const net::Headers& headers, std::string_view name) {
  std::string line = std::string(name) + ":";
  bool first = true;
  for (const auto& [field, value] : headers) {
    if (lower(field) != name) continue;
    if (!first) line += ',';
    first = false;
    line += trim_all(value);
  }
  return line + "\n";
}

std::string join(const std::vector<std::string>& names, char separator) {
  std::string result;
  for (const std::string& name : names) {
    if (!result.empty()) result += separator;
    result += name;
  }
  return result;
}

std::string payload_hash(const net::Request& request) {
  if (const std::string* claimed = request.headers.find("X-Amz-Content-SHA256")) {
    if (*claimed == "UNSIGNED-PAYLOAD" || claimed->rfind("STREAMING-", 0) == 0) return *claimed;
  }
  return sha256_hex(request.body);
}

std::string canonical_request(const net::Request& request,
                              const std::vector<std::string>& signed_headers) {
  std::string text = request.method + "\n" + canonical_path(request.path()) + "\n" +
                     canonical_query(request.query()) + "\n";
  for (const std::string& name : signed_headers) text += canonical_header(request.headers, name);
  return text + "\n" + join(signed_headers, ';') + "\n" + payload_hash(request);
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  for (const std::string_view pair : split(query, '&')) {
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && net::percent_decode(pair.substr(0, equals)) == name) {
      return net::percent_decode(pair.substr(equals + 1));
    }
  }
  return std::nullopt;
}

std::string amz_date(const net::Request& request) {
  if (const std::string* date = request.headers.find("X-Amz-Date")) return *date;
  return query_parameter(request.query(), "X-Amz-Date").value_or("");
}

std::string signature_of(const net::Request& request, const Authorization& claim,
                         std::string_view secret_key) {
  const std::string scope =
      fmt::format("{}/{}/{}/{}", claim.date, claim.region, claim.service, kTerminator);
  const std::string text =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, amz_date(request), scope,
                  sha256_hex(canonical_request(request, claim.signed_headers)));
  const std::string date_key = hmac("AWS4" + std::string(secret_key), claim.date);
  const std::string service_key = hmac(hmac(date_key, claim.region), claim.service);
  return to_hex(hmac(hmac(service_key, kTerminator), text));
}

std::vector<std::string> headers_to_sign(const net::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [field, value] : headers) {
    const std::string name = lower(field);
    if (name == "host" || name == "content-type" || name.rfind("x-amz-", 0) == 0) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// KEY/DATE/REGION/SERVICE/aws4_request into the claim.
Status read_credential(std::string_view credential, Authorization& claim) {
  const auto parts = split(credential, '/');
  if (parts.size() != 5 || parts[4] != kTerminator) {
    return error("credential \"{}\" is not KEY/YYYYMMDD/REGION/SERVICE/aws4_request", credential);
  }
  claim.access_key = parts[0];
  claim.date = parts[1];
  claim.region = parts[2];
  claim.service = parts[3];
  return {};
}

Status read_signed_headers(std::string_view list, Authorization& claim) {
  if (list.empty()) return error("SignedHeaders is empty; host at least must be signed");
  for (const std::string_view name : split(list, ';')) {
    claim.signed_headers.push_back(lower(name));
  }
  return {};
}

}  // namespace

std::string sha256_hex(std::string_view data) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data());
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

void sign(net::Request& request, const Credentials& credentials, const SigningScope& scope,
          TimePoint now) {
  std::string date = to_iso8601(now);  // 2026-11-24T19:30:04Z -> 20261124T193004Z
  date.erase(std::remove_if(date.begin(), date.end(), [](char c) { return c == '-' || c == ':'; }),
             date.end());
  request.headers.remove("Authorization");
  request.headers.set("X-Amz-Date", date);
  if (!credentials.session_token.empty()) {
    request.headers.set("X-Amz-Security-Token", credentials.session_token);
  }
  const Authorization claim{credentials.access_key,
                            date.substr(0, 8),
                            scope.region,
                            scope.service,
                            headers_to_sign(request.headers),
                            ""};
  request.headers.set("Authorization",
                      fmt::format("{} Credential={}/{}/{}/{}/{}, SignedHeaders={}, Signature={}",
                                  kAlgorithm, claim.access_key, claim.date, claim.region,
                                  claim.service, kTerminator, join(claim.signed_headers, ';'),
                                  signature_of(request, claim, credentials.secret_key)));
}

Result<Authorization> parse_authorization(std::string_view header) {
  if (header.substr(0, kAlgorithm.size()) != kAlgorithm) {
    return error("Authorization must begin with {}", kAlgorithm);
  }
  header.remove_prefix(kAlgorithm.size());
  Authorization claim;
  bool has_credential = false;
  for (std::string_view part : split(header, ',')) {
    while (!part.empty() && is_space(part.front())) part.remove_prefix(1);
    while (!part.empty() && is_space(part.back())) part.remove_suffix(1);
    const auto equals = part.find('=');
    const auto name = part.substr(0, equals);
    const auto value =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (name == "Credential") {
      TRY_STATUS(read_credential(value, claim));
      has_credential = true;
    } else if (name == "SignedHeaders") {
      TRY_STATUS(read_signed_headers(value, claim));
    } else if (name == "Signature") {
      claim.signature = value;
    }
  }
  if (!has_credential) return error("Authorization header requires 'Credential' parameter.");
  if (claim.signed_headers.empty()) {
    return error("Authorization header requires 'SignedHeaders' parameter.");
  }
  if (claim.signature.empty()) return error("Authorization header requires 'Signature' parameter.");
  return claim;
}

Result<Authorization> parse_presigned(std::string_view target) {
  const auto mark = target.find('?');
  const auto query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  if (query_parameter(query, "X-Amz-Algorithm") != kAlgorithm) {
    return error("X-Amz-Algorithm must be {}", kAlgorithm);
  }
  Authorization claim;
  TRY_STATUS(read_credential(query_parameter(query, "X-Amz-Credential").value_or(""), claim));
  TRY_STATUS(
      read_signed_headers(query_parameter(query, "X-Amz-SignedHeaders").value_or(""), claim));
  claim.signature = query_parameter(query, "X-Amz-Signature").value_or("");
  if (claim.signature.empty()) return error("X-Amz-Signature is missing from the query");
  return claim;
}

std::optional<TimePoint> signing_time(const net::Request& request) {
  const std::string date = amz_date(request);
  if (date.size() != 16 || date[8] != 'T' || date[15] != 'Z') return std::nullopt;
  const auto number = [&date](std::size_t from, std::size_t length) {
    int value = -1;
    const auto [end, failed] =
        std::from_chars(date.data() + from, date.data() + from + length, value);
    return failed == std::errc() && end == date.data() + from + length ? value : -1;
  };
  const int hour = number(9, 2), minute = number(11, 2), second = number(13, 2);
  const int year = number(0, 4), month = number(4, 2), day = number(6, 2);
  const std::chrono::year_month_day ymd{std::chrono::year{year},
                                        std::chrono::month{static_cast<unsigned>(month)},
                                        std::chrono::day{static_cast<unsigned>(day)}};
  if (!ymd.ok() || year < 1970 || year > 2200 || hour < 0 || hour > 23 || minute < 0 ||
      minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  return TimePoint{std::chrono::sys_days{ymd}.time_since_epoch() + std::chrono::hours{hour} +
                   std::chrono::minutes{minute} + std::chrono::seconds{second}};
}

std::string expected_signature(const net::Request& request, const Authorization& claim,
                               std::string_view secret_key) {
  return signature_of(request, claim, secret_key);
}

}  // namespace coalmine::aws
