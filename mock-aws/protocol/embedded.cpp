// The models inside the program (see CMakeLists.txt), each parsed when first asked for.
#include <array>
#include <mutex>

#include "mock-aws/protocol/api_model.h"
#include "sim/core/check.h"

#define COALMINE_MODELS(X) \
  X(appmesh) X(cloudwatch) X(ec2) X(ecr) X(ecs) X(elbv2) X(iam) X(logs) X(servicediscovery) X(sts)

extern "C" {
#define DECLARE(name)                        \
  extern const char coalmine_model_##name[]; \
  extern const char coalmine_model_##name##_end[];
COALMINE_MODELS(DECLARE)
#undef DECLARE
}

namespace coalmine::mock {
namespace {

struct Embedded {
  std::string_view name;
  const char* begin;
  const char* end;
  std::once_flag once;
  std::unique_ptr<ApiModel> model;
};

// Immutable facts, filled once: not state that calls could share or change.
std::array<Embedded, 10>& embedded() {
#define ENTRY(name) Embedded{#name, coalmine_model_##name, coalmine_model_##name##_end, {}, {}},
  static std::array<Embedded, 10> models = {{COALMINE_MODELS(ENTRY)}};
#undef ENTRY
  return models;
}

}  // namespace

const std::vector<std::string_view>& model_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names;
    for (const Embedded& entry : embedded()) names.push_back(entry.name);
    return names;
  }();
  return kNames;
}

const ApiModel* find_model(std::string_view service) {
  for (Embedded& entry : embedded()) {
    if (entry.name != service) continue;
    std::call_once(entry.once, [&entry] {
      auto parsed = ApiModel::parse(
          entry.name,
          std::string_view(entry.begin, static_cast<std::size_t>(entry.end - entry.begin)));
      if (!parsed) check_failed(parsed.error().message.c_str(), __FILE__, __LINE__);
      entry.model = *std::move(parsed);
    });
    return entry.model.get();
  }
  return nullptr;
}

}  // namespace coalmine::mock
