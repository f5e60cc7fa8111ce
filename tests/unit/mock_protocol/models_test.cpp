// What holds for every operation of every model.
#include <gtest/gtest.h>

#include "mock-aws/protocol/api_model.h"
#include "mock-aws/protocol/coerce.h"
#include "mock-aws/protocol/validate.h"
#include "tests/unit/mock_protocol/fake_service.h"

namespace coalmine::mock {
namespace {

/// A text that fits the shape's pattern, found among usual ones; empty pattern: any.
Json sample_text(const Shape& shape) {
  if (!shape.enum_values.empty()) return shape.enum_values.front();
  static const std::vector<std::string> kTexts = {
      "aaaa",
      "1",
      "123456789012",
      "a.b",
      "/a/",
      "2026-11-24",
      "p99",
      "200",
      "HTTP",
      "o-abcdefghij",
      "12345678-1234-1234-1234-123456789012",
      "a:b",
      "sha256:abc",
      "arn:aws:iam::123456789012:role/r",
      "arn:aws:kms:us-east-1:123456789012:key/abc",
      "v1",
      "s3://abc/x",
      "1.2",
      "us-east-1",
      "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/x",
      "arn:aws:signer:us-east-1:123456789012:/signing-profiles/ab",
      "https://a.com",
      "http://a/",
      "ipam-pool-abc",
      "ipv4pool-coip-abc",
      "p-abcdefgh",
      "o-abcdefghij/r-abcd/",
      "o-abcdefghij/r-abcd"};
  std::vector<std::string> candidates = kTexts;
  const auto min = static_cast<std::size_t>(shape.min.value_or(0));
  candidates.emplace_back(std::max<std::size_t>(min, 1), 'a');
  candidates.emplace_back(std::max<std::size_t>(min, 1), '1');
  for (const std::string& text : candidates) {
    if (text.size() < min || (shape.max && static_cast<double>(text.size()) > *shape.max)) continue;
    if (shape.pattern.empty() || shape.compiled_pattern.matches(text)) return text;
  }
  ADD_FAILURE() << "no sample for " << shape.name << ": " << shape.pattern;
  return "";
}

/// The smallest value that the model allows. `everything`: all members, one of a union.
Json sample(const Shape& shape, bool everything, int depth = 0) {
  if (shape.is_document) return Json::object();
  const bool all = everything && depth < 5;
  Json value;
  switch (shape.type) {
    case ShapeType::Structure:
      value = Json::object();
      for (const Member& member : shape.members) {
        if (shape.is_union ? value.empty() : member.required || all) {
          value[member.name] = sample(*member.shape, everything, depth + 1);
        }
      }
      return value;
    case ShapeType::List: {
      value = Json::array();
      auto count = static_cast<std::size_t>(shape.min.value_or(0));
      if (all) count = std::max<std::size_t>(count, 1);
      for (std::size_t i = 0; i < count; ++i) {
        value.push_back(sample(*shape.element.shape, everything, depth + 1));
      }
      return value;
    }
    case ShapeType::Map:
      value = Json::object();
      for (int i = 0; i < (all ? std::max(1.0, shape.min.value_or(0)) : shape.min.value_or(0));
           ++i) {
        std::string key = sample_text(*shape.key.shape).get<std::string>();
        if (i > 0) key.back() = static_cast<char>('b' + i);
        value[key] = sample(*shape.element.shape, everything, depth + 1);
      }
      return value;
    case ShapeType::String:
      return sample_text(shape);
    case ShapeType::Blob:
      return "AAAA";
    case ShapeType::Boolean:
      return true;
    case ShapeType::Integer:
      return static_cast<std::int64_t>(shape.min.value_or(1));
    case ShapeType::Float:
      return shape.min.value_or(1);
    case ShapeType::Timestamp:
      return 1767225600;
  }
  return value;
}

class Models : public testing::TestWithParam<std::string_view> {};

TEST_P(Models, EveryInputWithSampleValuesIsValid) {
  const ApiModel& model = *find_model(GetParam());
  for (const auto& [name, operation] : model.operations()) {
    if (operation.input == nullptr) continue;
    for (const bool everything : {false, true}) {
      Json input = sample(*operation.input, everything);
      const Json before = input;
      EXPECT_EQ(coerce_input(*operation.input, input), std::nullopt) << name;
      EXPECT_EQ(input, before) << name;
      for (const Problem& problem : validate(*operation.input, input, false)) {
        ADD_FAILURE() << name << ": " << problem.path << "=" << problem.value << ": "
                      << problem.constraint;
      }
    }
  }
}

TEST_P(Models, EveryMissingMemberIsReported) {
  const ApiModel& model = *find_model(GetParam());
  for (const auto& [name, operation] : model.operations()) {
    if (operation.input == nullptr) continue;
    const Json input = sample(*operation.input, false);
    for (const Member& member : operation.input->members) {
      if (!member.required) continue;
      Json lacking = input;
      lacking.erase(member.name);
      const auto problems = validate(*operation.input, lacking, false);
      ASSERT_FALSE(problems.empty()) << name << "." << member.name;
      EXPECT_EQ(problems.front().path, member.name);
      EXPECT_TRUE(problems.front().missing);
    }
  }
}

TEST_P(Models, JsonOutputsComeBackAsTheyWere) {
  const ApiModel& model = *find_model(GetParam());
  for (const auto& [name, operation] : model.operations()) {
    if (operation.output == nullptr) continue;
    const Json output = sample(*operation.output, true);
    Json wire = shape_output(*operation.output, output);
    EXPECT_EQ(coerce_input(*operation.output, wire), std::nullopt) << name;
    EXPECT_EQ(wire, output) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Models, testing::ValuesIn(model_names()),
                         [](const auto& info) { return std::string(info.param); });

TEST(EveryOperation, AnswersInItsProtocol) {
  test::FakeCloud cloud;
  for (const auto& [name, operation] : find_model("elbv2")->operations()) {
    cloud.service().reply =
        operation.output == nullptr ? Json::object() : sample(*operation.output, true);
    const auto response = cloud.form("Version=2015-12-01&Action=" + name);
    EXPECT_NE(response.body.find("Response"), std::string::npos) << response.body;
  }
}

}  // namespace
}  // namespace coalmine::mock
