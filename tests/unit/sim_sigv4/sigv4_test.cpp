#include "sim/aws/sigv4.h"

#include <gtest/gtest.h>

namespace coalmine::aws {
namespace {

// Key and time of AWS's published Signature Version 4 test suite.
const Credentials kSuite{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
constexpr TimePoint kSuiteTime{std::chrono::seconds{1440938160}};  // 2015-08-30T12:36:00Z

struct Vector {
  const char* name;
  const char* target;
  const char* signature;
};

std::string authorization(const char* method, const char* target) {
  net::Request request{method, target, {{"Host", "example.amazonaws.com"}}, "", ""};
  sign(request, kSuite, {"us-east-1", "service"}, kSuiteTime);
  return request.headers.get("Authorization");
}

TEST(Sign, AgreesWithThePublishedVectors) {
  EXPECT_EQ(authorization("GET", "/"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(authorization("POST", "/"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  // get-vanilla-query-order-key-case
  EXPECT_NE(authorization("GET", "/?Param2=value2&Param1=value1")
                .find("b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            std::string::npos);
}

TEST(Sign, NormalisesThePath) {
  const std::string plain = authorization("GET", "/");
  for (const char* target : {"//", "/./", "/a/..", "/a/../", "/."}) {
    EXPECT_EQ(authorization("GET", target), plain) << target;
  }
  EXPECT_NE(authorization("GET", "/a/"), authorization("GET", "/a"));
}

TEST(Sign, WhatIsSignedIsWhatIsExpected) {
  net::Request request{"PUT",
                       "/v20190125/meshes/m%2Fx?b=2&a=1&a=&c",
                       {{"Host", "127.0.0.1:4566"}, {"Content-Type", "application/json"}},
                       R"({"meshName":"m"})",
                       ""};
  sign(request, {"test", "secret", "token"}, {"eu-west-1", "appmesh"}, kVirtualEpoch);
  const auto claim = parse_authorization(request.headers.get("Authorization"));
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->region, "eu-west-1");
  EXPECT_EQ(claim->signed_headers, (std::vector<std::string>{"content-type", "host", "x-amz-date",
                                                             "x-amz-security-token"}));
  EXPECT_EQ(expected_signature(request, *claim, "secret"), claim->signature);
  EXPECT_NE(expected_signature(request, *claim, "Secret"), claim->signature);
  EXPECT_EQ(signing_time(request), kVirtualEpoch);
  request.target = "/v20190125/meshes/m%2Fx?c=&a=&b=2&a=1";  // the order does not count
  EXPECT_EQ(expected_signature(request, *claim, "secret"), claim->signature);
  request.body += " ";
  EXPECT_NE(expected_signature(request, *claim, "secret"), claim->signature);
}

TEST(Sign, ReplacesAnOlderSignature) {
  net::Request request{"GET", "/", {{"Host", "h"}}, "", ""};
  sign(request, kSuite, {"us-east-1", "service"}, kSuiteTime);
  const auto first = request.headers;
  sign(request, kSuite, {"us-east-1", "service"}, kSuiteTime);
  EXPECT_EQ(request.headers, first);
}

TEST(ParseAuthorization, TakesWhatClientsWrite) {
  const auto tight = parse_authorization(
      "AWS4-HMAC-SHA256 Credential=K/20260101/r/s/aws4_request,SignedHeaders=Host,Signature=ab");
  ASSERT_TRUE(tight);
  EXPECT_EQ(tight->access_key, "K");
  EXPECT_EQ(tight->signed_headers, std::vector<std::string>{"host"});
}

TEST(ParseAuthorization, RefusesTheRest) {
  for (const char* header :
       {"", "Basic QVdTOnB3", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=K/2026/r/s",
        "AWS4-HMAC-SHA256 Credential=K/20260101/r/s/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=K/20260101/r/s/aws4_request, Signature=ab",
        "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=ab"}) {
    EXPECT_FALSE(parse_authorization(header)) << header;
  }
}

TEST(Presigned, IsReadAndChecked) {
  const std::string base =
      "/?Action=GetCallerIdentity&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
      "K%2F20260101%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&"
      "X-Amz-SignedHeaders=host";
  net::Request request{"GET", base, {{"Host", "h"}}, "", ""};
  EXPECT_FALSE(parse_presigned(base));
  request.target += "&X-Amz-Signature=ab";
  auto claim = parse_presigned(request.target);
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->service, "sts");
  EXPECT_EQ(signing_time(request), kVirtualEpoch);
  const std::string signature = expected_signature(request, *claim, "secret");
  request.target = base + "&X-Amz-Signature=" + signature;  // the signature does not sign itself
  EXPECT_EQ(expected_signature(request, *parse_presigned(request.target), "secret"), signature);
}

TEST(SigningTime, IsStrict) {
  const auto at = [](const char* date) {
    return signing_time(net::Request{"GET", "/", {{"X-Amz-Date", date}}, "", ""});
  };
  EXPECT_TRUE(at("20260228T235959Z"));
  for (const char* date : {"", "20260229T000000Z", "20260101T240000Z", "2026-01-01T00:00:00Z",
                           "20260101T000000", "2026010aT000000Z"}) {
    EXPECT_FALSE(at(date)) << date;
  }
}

}  // namespace
}  // namespace coalmine::aws
