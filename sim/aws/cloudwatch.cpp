#include "sim/aws/cloudwatch.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/core/check.h"

namespace coalmine::aws {
namespace {

// Member by member: an initializer list would copy every part once per level.
Json query_json(const MetricQuery& query) {
  Json dimensions = Json::array();
  for (const auto& [name, value] : query.dimensions) {
    Json& dimension = dimensions.emplace_back(Json::object());
    dimension["Name"] = name;
    dimension["Value"] = value;
  }
  Json json;
  json["Id"] = query.id;
  Json& stat = json["MetricStat"];
  stat["Period"] = std::chrono::duration_cast<std::chrono::seconds>(query.period).count();
  stat["Stat"] = query.statistic;
  Json& metric = stat["Metric"];
  metric["Namespace"] = query.metric_namespace;
  metric["MetricName"] = query.metric;
  metric["Dimensions"] = std::move(dimensions);
  return json;
}

void collect(const Json& answer, std::map<std::string, MetricSeries>& series) {
  const Json* results = find(answer, "MetricDataResults");
  if (results == nullptr || !results->is_array()) return;
  for (const Json& result : *results) {
    const Json* times = find(result, "Timestamps");
    const Json* values = find(result, "Values");
    if (times == nullptr || values == nullptr) continue;
    MetricSeries& one = series[get_string(result, "Id")];
    for (std::size_t i = 0; i < std::min(times->size(), values->size()); ++i) {
      if (!(*times)[i].is_number() || !(*values)[i].is_number()) continue;
      one[from_epoch_seconds((*times)[i].get<double>())] = (*values)[i].get<double>();
    }
  }
}

}  // namespace

Result<std::map<std::string, MetricSeries>> get_metric_data(Client& client,
                                                            const std::vector<MetricQuery>& queries,
                                                            TimePoint start, TimePoint end) {
  CHECK(!queries.empty() && queries.size() <= kMaxMetricQueries);
  Json input = {{"StartTime", to_epoch_seconds(start)},
                {"EndTime", to_epoch_seconds(end)},
                {"ScanBy", "TimestampAscending"},
                {"MetricDataQueries", Json::array()}};
  std::map<std::string, MetricSeries> series;
  for (const MetricQuery& query : queries) {
    input["MetricDataQueries"].push_back(query_json(query));
    series[query.id];
  }
  for (;;) {
    TRY(const Json answer, client.call("cloudwatch", "GetMetricData", input));
    collect(answer, series);
    const std::string token = get_string(answer, "NextToken");
    if (token.empty()) return series;
    input["NextToken"] = token;
  }
}

}  // namespace coalmine::aws
