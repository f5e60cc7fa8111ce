#include "sim/engine/world/declared_hooks.h"

namespace coalmine::world {

using rollout::HookVerdict;

rollout::HookAnswered DeclaredHooks::call(std::size_t index, const rollout::Hook& hook,
                                          const std::string&, TimePoint now) {
  const auto declared = spec_.hooks.find(hook.name);
  // The scenario's checks have refused it; whoever plays it all the same is told.
  if (declared == spec_.hooks.end()) return {index, HookVerdict::Failed, "nobody is there"};
  const HookAnswer& answer = declared->second;
  const int nth = ++calls_[hook.name];
  if (answer.takes >= hook.timeout) {
    clock_.sleep_until(now + hook.timeout);
    return {index, HookVerdict::Failed,
            fmt::format("no answer within {}", coalmine::to_string(hook.timeout))};
  }
  const bool now_so =
      (!answer.until || now - start_ < *answer.until) && (!answer.times || nth <= *answer.times);
  if (answer.takes > Duration{}) clock_.sleep_until(now + answer.takes);
  return {index, now_so ? answer.says : HookVerdict::Passed, now_so ? answer.text : ""};
}

}  // namespace coalmine::world
