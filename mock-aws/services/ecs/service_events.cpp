// The wording of service events, newest first, as DescribeServices shows them.
#include "mock-aws/services/ecs/core.h"
#include "sim/core/ids.h"

namespace coalmine::mock::ecs {

void tell(Core& core, Service& service, TimePoint now, std::string message) {
  if (!message.starts_with("(service ")) {
    message = fmt::format("(service {}) {}", service.name, message);
  }
  core.d.events.event(
      now, "service.event",
      {{"service", service.name}, {"cluster", service.cluster}, {"message", message}});
  service.events.push_front({random_uuid(core.random), std::move(message), now});
  if (service.events.size() > kMaxServiceEvents) service.events.pop_back();
}

std::string task_list(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += fmt::format(" (task {})", id);
  return text.empty() ? text : text.substr(1);
}

}  // namespace coalmine::mock::ecs
