#include "sim/rollout/analysis/spec.h"

namespace coalmine::rollout {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

std::string_view test_name(const TestSpec& test) {
  return std::visit(Overloaded{[](const ErrorShareTest&) { return "error-share"; },
                               [](const Threshold&) { return "threshold"; },
                               [](const SprtTest&) { return "sprt"; },
                               [](const BernoulliTest&) { return "bernoulli"; },
                               [](const CusumTest&) { return "late-fault"; },
                               [](const QuantileTest&) { return "quantile"; },
                               [](const DistributionTest&) { return "distribution"; },
                               [](const JudgeTest&) { return "mann-whitney"; }},
                    test);
}

double alpha_of(const TestSpec& test) {
  return std::visit(
      [](const auto& t) {
        if constexpr (requires { t.alpha; }) {
          return t.alpha;
        } else {
          return 0.0;
        }
      },
      test);
}

bool is_sequential(const TestSpec& test) {
  return alpha_of(test) > 0;
}

TestSpec with_alpha_part(TestSpec test, double part) {
  std::visit(
      [part](auto& t) {
        if constexpr (requires { t.alpha; }) t.alpha *= part;
      },
      test);
  return test;
}

}  // namespace coalmine::rollout
