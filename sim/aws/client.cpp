#include "sim/aws/client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sim/aws/operations.h"
#include "sim/aws/sigv4.h"

namespace coalmine::aws {
namespace {

/// Codes of botocore's and the SDKs' standard retry mode.
constexpr std::array<std::string_view, 14> kThrottling = {"Throttling",
                                                          "ThrottlingException",
                                                          "ThrottledException",
                                                          "RequestThrottledException",
                                                          "TooManyRequestsException",
                                                          "RequestLimitExceeded",
                                                          "RequestThrottled",
                                                          "SlowDown",
                                                          "BandwidthLimitExceeded",
                                                          "LimitExceededException",
                                                          "PriorRequestNotComplete",
                                                          "TransactionInProgressException",
                                                          "EC2ThrottledException",
                                                          "ProvisionedThroughputExceededException"};

constexpr std::array<std::string_view, 5> kSkew = {
    "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureException",
    "SignatureDoesNotMatch"};

std::string host_of(std::string_view origin) {
  const std::size_t at = origin.find("://");
  return std::string(at == std::string_view::npos ? origin : origin.substr(at + 3));
}

}  // namespace

bool is_throttling(const ServiceError& error) {
  // App Mesh's LimitExceededException is a quota, not a rate: waiting does not help.
  if (error.code == "LimitExceededException") return false;
  return error.status == 429 ||
         std::find(kThrottling.begin(), kThrottling.end(), error.code) != kThrottling.end();
}

bool is_clock_skew(const ServiceError& error) {
  if (std::find(kSkew.begin(), kSkew.end(), error.code) == kSkew.end()) return false;
  if (!error.code.starts_with("InvalidSignature") && !error.code.starts_with("SignatureDoes")) {
    return true;
  }
  // A wrong key has the same code; only the time's complaint names the dates.
  return error.message.find("Signature expired") != std::string::npos ||
         error.message.find("Signature not yet current") != std::string::npos;
}

std::optional<TimePoint> parse_http_date(std::string_view text) {
  // Sun, 06 Nov 1994 08:49:37 GMT: fixed columns.
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text.substr(25) != " GMT") return std::nullopt;
  const auto number = [text](std::size_t at, std::size_t length) {
    int value = -1;
    const auto [end, ec] = std::from_chars(text.data() + at, text.data() + at + length, value);
    return ec == std::errc{} && end == text.data() + at + length ? value : -1;
  };
  const std::size_t month = kMonths.find(text.substr(8, 3));
  const int day = number(5, 2), year = number(12, 4), hour = number(17, 2);
  const int minute = number(20, 2), second = number(23, 2);
  if (month == std::string_view::npos || month % 3 != 0 || day < 1 || year < 1970 || hour < 0 ||
      minute < 0 || second < 0) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month / 3 + 1)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days{date}.time_since_epoch();
  return TimePoint{days + std::chrono::hours{hour} + std::chrono::minutes{minute} +
                   std::chrono::seconds{second}};
}

Client::Client(Transport& transport, Credentials credentials, ClientOptions options, Clock& clock,
               Random random)
    : transport_(transport),
      credentials_(std::move(credentials)),
      options_(std::move(options)),
      clock_(clock),
      random_(random) {}

Result<Json> Client::call(std::string_view service_name, std::string_view operation,
                          const Json& input) {
  last_error_.reset();
  const ServiceFacts* service = find_service(service_name);
  if (service == nullptr) return error("the AWS service \"{}\" is not known here", service_name);
  TRY(const net::Request bare, make_request(*service, operation, input));
  const std::string origin =
      options_.endpoint.empty() ? regional_endpoint(*service, options_.region) : options_.endpoint;
  const TimePoint began = clock_.now();
  std::optional<Error> failed;
  for (int attempt = 1;; ++attempt) {
    net::Request request = bare;
    request.headers.set("Host", host_of(origin));
    sign(request, credentials_, {options_.region, std::string(service->signing)},
         clock_.now() + skew_);
    const auto answer = transport_.send(origin, request);
    if (answer && answer->status / 100 == 2) {
      last_error_.reset();
      return read_answer(*service, operation, *answer);
    }
    if (answer) {
      last_error_ = read_error(*service, *answer);
      failed = Error{fmt::format("{}: {}", last_error_->code, last_error_->message),
                     ErrorKind::Failed, std::nullopt};
      bool again = answer->status >= 500 || is_throttling(*last_error_);
      if (is_clock_skew(*last_error_)) {
        const auto theirs = parse_http_date(answer->headers.get("Date"));
        const Duration skew = theirs ? *theirs - clock_.now() : skew_;
        // Worth one more try only if it tells something new.
        again = std::chrono::abs(skew - skew_) > std::chrono::minutes{1};
        skew_ = skew;
      }
      if (!again) return tl::unexpected(*failed);
    } else {
      last_error_.reset();
      failed = Error{
          fmt::format("cannot reach {} for {}: {}", origin, operation, answer.error().message),
          ErrorKind::Environment, std::nullopt};
    }
    if (attempt >= options_.max_attempts) {
      failed->message +=
          fmt::format(" (tried {} times in {:.1f} s)", attempt, to_seconds(clock_.now() - began));
      return tl::unexpected(*failed);
    }
    // Full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter"), from 1 s doubling.
    const Duration most = std::min<Duration>(
        options_.max_backoff, std::chrono::seconds{1LL << std::min(attempt - 1, 20)});
    const TimePoint until = clock_.now() + from_seconds(random_.uniform() * to_seconds(most));
    clock_.sleep_until(until);
    if (clock_.now() < until) return tl::unexpected(*failed);  // the world is being stopped
  }
}

}  // namespace coalmine::aws
