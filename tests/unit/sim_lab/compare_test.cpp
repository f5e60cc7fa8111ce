// Answers are compared by their fields and types, not by what they say.
#include "sim/lab/compare.h"

#include <gtest/gtest.h>

namespace coalmine::lab {
namespace {

struct ShapeCase {
  const char* name;
  const char* a;
  const char* b;
  bool same;
};

class Shapes : public testing::TestWithParam<ShapeCase> {};

TEST_P(Shapes, AreComparedByFieldsAndTypes) {
  const ShapeCase& c = GetParam();
  EXPECT_EQ(same_shape(c.a, c.b), c.same);
  EXPECT_EQ(same_shape(c.b, c.a), c.same);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Shapes,
    testing::Values(
        ShapeCase{"OtherValues", R"({"data":"v1","n":1})", R"({"data":"v2","n":2.5})", true},
        ShapeCase{"RenamedField", R"({"price":1})", R"({"cost":1})", false},
        ShapeCase{"MissingField", R"({"a":1,"b":2})", R"({"a":1})", false},
        ShapeCase{"OtherType", R"({"a":1})", R"({"a":"1"})", false},
        ShapeCase{"NullIsAnotherType", R"({"a":1})", R"({"a":null})", false},
        ShapeCase{"DeepInside", R"({"a":{"b":[{"c":1}]}})", R"({"a":{"b":[{"d":1}]}})", false},
        ShapeCase{"ListsOfOtherLengths", R"([{"a":1}])", R"([{"a":1},{"a":2}])", true},
        ShapeCase{"AnEmptyListSaysNothing", R"({"a":[]})", R"({"a":[{"b":1}]})", true},
        ShapeCase{"NoJsonOnEitherSide", "hello", "<html>", true},
        ShapeCase{"JsonOnOneSide", "{}", "<html>", false}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace coalmine::lab
