// Signs requests for tests/e2e/sigv4_against_botocore.py: JSON lines in, one Authorization
// header per line out.
//   {"method","target","headers":[[name,value]...],"body","access_key","secret_key","token",
//    "region","service","time":epoch seconds}     (body in lower-case hex)
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/aws/sigv4.h"
#include "tests/tools/hex.h"

int main() {
  using namespace coalmine;
  for (std::string line; std::getline(std::cin, line);) {
    const Json in = Json::parse(line);
    net::Request request{
        in.at("method"), in.at("target"), {}, test::from_hex(in.at("body").get<std::string>()), ""};
    for (const Json& header : in.at("headers")) request.headers.add(header.at(0), header.at(1));
    aws::sign(request, {in.at("access_key"), in.at("secret_key"), in.at("token")},
              {in.at("region"), in.at("service")},
              TimePoint{std::chrono::seconds{in.at("time").get<std::int64_t>()}});
    std::cout << request.headers.get("Authorization") << "\n" << std::flush;
  }
}
