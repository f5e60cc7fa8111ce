#include "mock-aws/protocol/request.h"

namespace coalmine::mock {
namespace {

bool speaks_xml(Protocol protocol) {
  return protocol == Protocol::Query || protocol == Protocol::Ec2;
}

}  // namespace

AwsError generic_error(Protocol protocol, Failure failure, std::string message) {
  const bool xml = speaks_xml(protocol);
  const bool rest = protocol == Protocol::RestJson;
  const auto made = [&](const char* json_code, int json_status, const char* xml_code,
                        int xml_status) {
    return AwsError{
        xml ? xml_code : json_code, std::move(message), xml ? xml_status : json_status, {}};
  };
  switch (failure) {
    case Failure::UnknownOperation:
      return made("UnknownOperationException", rest ? 404 : 400, "InvalidAction", 400);
    case Failure::UnknownService:
      return made("UnknownOperationException", rest ? 404 : 400, "InvalidAction", 400);
    case Failure::BadBody:
      return made("SerializationException", 400, "MalformedQueryString", 400);
    case Failure::Unsigned:
      return made("MissingAuthenticationTokenException", rest ? 403 : 400,
                  "MissingAuthenticationToken", 403);
    case Failure::Incomplete:
      return made("IncompleteSignatureException", rest ? 403 : 400, "IncompleteSignature", 403);
    case Failure::UnknownKey:
      if (protocol == Protocol::Ec2) return made("", 0, "AuthFailure", 401);
      return made("UnrecognizedClientException", rest ? 403 : 400, "InvalidClientTokenId", 403);
    case Failure::BadSignature:
      if (protocol == Protocol::Ec2) return made("", 0, "AuthFailure", 401);
      return made("InvalidSignatureException", rest ? 403 : 400, "SignatureDoesNotMatch", 403);
    case Failure::NotImplemented:
      return made("NotImplementedException", 501, "NotImplemented", 501);
  }
  return {"InternalFailure", std::move(message), 500, {}};
}

}  // namespace coalmine::mock
