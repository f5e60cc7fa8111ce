#include "sim/lab/lab_tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace coalmine::lab {
namespace {

constexpr std::size_t kMaxDescribed = 100;  ///< DescribeTasks takes no more
constexpr int kLastLines = 3;

/// Members of a list, or none if it is not there.
Json list_of(const Json& answer, const char* member) {
  const Json* list = find(answer, member);
  return list != nullptr && list->is_array() ? *list : Json::array();
}

Result<Json> describe(aws::Client& client, const std::string& cluster, const std::string& service,
                      const char* desired_status) {
  TRY(const Json listed,
      client.call(
          "ecs", "ListTasks",
          {{"cluster", cluster}, {"serviceName", service}, {"desiredStatus", desired_status}}));
  Json arns = list_of(listed, "taskArns");
  if (arns.empty()) return Json::array();
  if (arns.size() > kMaxDescribed) arns.erase(arns.begin() + kMaxDescribed, arns.end());
  TRY(const Json described,
      client.call("ecs", "DescribeTasks", {{"cluster", cluster}, {"tasks", arns}}));
  return list_of(described, "tasks");
}

std::string address_of(const Json& task) {
  for (const Json& attachment : list_of(task, "attachments")) {
    for (const Json& detail : list_of(attachment, "details")) {
      if (get_string(detail, "name") == "privateIPv4Address") return get_string(detail, "value");
    }
  }
  return "";
}

/// What the task's containers printed last, in one line; empty if nothing is known.
std::string last_words(aws::Client& client, const std::string& log_group, const std::string& arn) {
  const std::string id = arn.substr(arn.rfind('/') + 1);
  const auto found = client.call("logs", "FilterLogEvents", {{"logGroupName", log_group}});
  if (!found) return "";
  std::vector<std::string> lines;
  for (const Json& event : list_of(*found, "events")) {
    if (get_string(event, "logStreamName").ends_with("/" + id)) {
      lines.push_back(get_string(event, "message"));
    }
  }
  if (lines.size() > kLastLines) lines.erase(lines.begin(), lines.end() - kLastLines);
  return fmt::format("{}", fmt::join(lines, "; "));
}

}  // namespace

Result<std::vector<LabTask>> running_tasks(aws::Client& client, const std::string& cluster,
                                           const std::string& service) {
  TRY(const Json described, describe(client, cluster, service, "RUNNING"));
  std::vector<LabTask> tasks;
  for (const Json& task : described) {
    if (get_string(task, "lastStatus") != "RUNNING") continue;
    tasks.push_back({get_string(task, "taskArn"), address_of(task)});
  }
  std::sort(tasks.begin(), tasks.end(),
            [](const LabTask& a, const LabTask& b) { return a.arn < b.arn; });
  return tasks;
}

Result<std::vector<std::string>> reasons_of_stopped_tasks(aws::Client& client,
                                                          const std::string& cluster,
                                                          const std::string& service,
                                                          const std::string& log_group) {
  TRY(const Json described, describe(client, cluster, service, "STOPPED"));
  std::vector<std::pair<double, std::string>> reasons;
  for (const Json& task : described) {
    std::string reason = get_string(task, "stoppedReason", "stopped");
    for (const Json& container : list_of(task, "containers")) {
      const std::string why = get_string(container, "reason");
      if (!why.empty() && reason.find(why) == std::string::npos) reason += ": " + why;
      if (container.contains("exitCode")) {
        reason += fmt::format(" (exit code {})", get_int(container, "exitCode"));
      }
    }
    const std::string words = last_words(client, log_group, get_string(task, "taskArn"));
    if (!words.empty()) reason += "; it printed: " + words;
    reasons.emplace_back(get_number(task, "createdAt"), std::move(reason));
  }
  std::sort(reasons.begin(), reasons.end());
  std::vector<std::string> texts;
  for (auto& [created, reason] : reasons) texts.push_back(std::move(reason));
  return texts;
}

}  // namespace coalmine::lab
