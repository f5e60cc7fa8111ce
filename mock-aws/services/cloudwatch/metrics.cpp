// Writing and reading metrics: PutMetricData, GetMetricStatistics, GetMetricData, ListMetrics.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "mock-aws/services/cloudwatch/cloudwatch.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

using std::chrono::seconds;

/// Metrics below a minute keep their second; the rest is rounded down to the minute, as CloudWatch
/// does for data younger than 15 days.
TimePoint rounded_start(TimePoint t, Duration period) {
  const std::int64_t second = std::chrono::floor<seconds>(t.time_since_epoch()).count();
  const std::int64_t step =
      period < seconds{60} ? std::max<std::int64_t>(1, period / seconds{1}) : 60;
  return TimePoint{seconds{second - ((second % step) + step) % step}};
}

bool valid_period(std::int64_t period_s) {
  return period_s == 1 || period_s == 5 || period_s == 10 || period_s == 20 || period_s == 30 ||
         (period_s >= 60 && period_s % 60 == 0);
}

std::optional<AwsError> check_period(std::int64_t period_s) {
  if (valid_period(period_s)) return std::nullopt;
  return AwsError{"InvalidParameterValueException",
                  fmt::format("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, "
                              "but is {}.",
                              period_s),
                  0,
                  {}};
}

std::vector<double> numbers(const Json* list) {
  std::vector<double> values;
  if (list == nullptr) return values;
  for (const Json& value : *list) values.push_back(value.is_number() ? value.get<double>() : 0);
  return values;
}

/// A datum of PutMetricData, checked; `statistics` is set when it carries a statistic set.
struct ReadDatum {
  MetricDatum datum;
  std::optional<Cell> statistics;
};

tl::expected<Cell, AwsError> read_statistics(const Json& set, const std::string& place) {
  const Cell cell{get_number(set, "SampleCount"),
                  get_number(set, "Sum"),
                  get_number(set, "Minimum"),
                  get_number(set, "Maximum"),
                  {},
                  true};
  if (cell.count < 0) {
    return aws_error("InvalidParameterValueException",
                     "The parameter {}.StatisticValues.SampleCount must be greater than 0.", place);
  }
  if (cell.minimum > cell.maximum) {
    return aws_error("InvalidParameterValueException",
                     "The parameter {0}.StatisticValues.Maximum must be greater than or equal to "
                     "{0}.StatisticValues.Minimum.",
                     place);
  }
  return cell;
}

tl::expected<ReadDatum, AwsError> read_datum(const Json& input, const std::string& place,
                                             TimePoint now) {
  ReadDatum read;
  MetricDatum& datum = read.datum;
  datum.metric = get_string(input, "MetricName");
  datum.dimensions = dimensions_from(input);
  datum.unit = get_string(input, "Unit", "None");
  datum.time = find(input, "Timestamp") != nullptr
                   ? from_epoch_seconds(get_number(input, "Timestamp"))
                   : now;
  const std::int64_t resolution = get_int(input, "StorageResolution", 60);
  if (resolution != 1 && resolution != 60) {
    return aws_error("InvalidParameterValueException",
                     "The parameter {}.StorageResolution must be 1 or 60, but is {}.", place,
                     resolution);
  }
  datum.high_resolution = resolution == 1;
  if (datum.time < now - kMaxDatumAge) {
    return aws_error("InvalidParameterValueException",
                     "The parameter {}.Timestamp must specify a time no more than two weeks in the "
                     "past.",
                     place);
  }
  if (datum.time > now + kMaxDatumAhead) {
    return aws_error("InvalidParameterValueException",
                     "The parameter {}.Timestamp must specify a time no more than two hours in the "
                     "future.",
                     place);
  }
  const Json* value = find(input, "Value");
  const Json* values = find(input, "Values");
  const Json* set = find(input, "StatisticValues");
  const auto both = [&](const char* a, const char* b) {
    return aws_error("InvalidParameterCombinationException",
                     "The parameters {0}.{1} and {0}.{2} are mutually exclusive and you have "
                     "specified both.",
                     place, a, b);
  };
  if (value != nullptr && set != nullptr) return both("Value", "StatisticValues");
  if (value != nullptr && values != nullptr) return both("Value", "Values");
  if (values != nullptr && set != nullptr) return both("Values", "StatisticValues");
  if (value == nullptr && values == nullptr && set == nullptr) {
    return aws_error("MissingRequiredParameterException",
                     "At least one of the parameters {0}.Value, {0}.Values and "
                     "{0}.StatisticValues must be specified.",
                     place);
  }
  if (set != nullptr) {
    TRY(const Cell cell, read_statistics(*set, place));
    read.statistics = cell;
    return read;
  }
  if (value != nullptr) {
    datum.values = {value->is_number() ? value->get<double>() : 0};
    if (!value->is_number()) {
      return aws_error("InvalidParameterValueException",
                       "The value {} for parameter {}.Value is invalid.", value->dump(), place);
    }
    datum.counts = {1};
    return read;
  }
  datum.values = numbers(values);
  const Json* counts = find(input, "Counts");
  datum.counts = counts != nullptr ? numbers(counts) : std::vector<double>(datum.values.size(), 1);
  if (datum.values.size() > kMaxValuesPerDatum) {
    return aws_error("InvalidParameterValueException",
                     "The collection {}.Values must not have a size greater than {}.", place,
                     kMaxValuesPerDatum);
  }
  if (datum.values.size() != datum.counts.size()) {
    return aws_error("InvalidParameterValueException",
                     "The parameters {0}.Values and {0}.Counts must be the same size.", place);
  }
  return read;
}

std::vector<TimePoint> grid_of(TimePoint start, TimePoint end, Duration period) {
  std::vector<TimePoint> grid;
  for (TimePoint t = start; t < end && grid.size() < kMaxDatapointsPerGet; t += period) {
    grid.push_back(t);
  }
  return grid;
}

std::optional<std::size_t> read_token(const Json& input, const char* member = "NextToken") {
  const std::string token = get_string(input, member);
  std::size_t offset = 0;
  if (token.empty()) return offset;
  const auto [end, code] = std::from_chars(token.data(), token.data() + token.size(), offset);
  if (code != std::errc{} || end != token.data() + token.size()) return std::nullopt;
  return offset;
}

}  // namespace

Reply CloudWatch::put_metric_data(const Json& input, CallContext& context) {
  const std::string metric_namespace = get_string(input, "Namespace");
  if (metric_namespace.starts_with("AWS/")) {
    return aws_error("InvalidParameterValueException",
                     "The value {} for parameter Namespace is invalid.", metric_namespace);
  }
  const Json* data = find(input, "MetricData");
  if (find(input, "EntityMetricData") != nullptr) {
    return aws_error("InvalidParameterValueException",
                     "The parameter EntityMetricData is not implemented here; use MetricData.");
  }
  if (data == nullptr) {
    return aws_error("MissingRequiredParameterException", "The parameter MetricData is required.");
  }
  if (data->size() > kMaxMetricsPerPut) {
    return aws_error("InvalidParameterValueException",
                     "The collection MetricData must not have a size greater than {}.",
                     kMaxMetricsPerPut);
  }
  std::vector<ReadDatum> all;  // stored only when every datum is fine
  all.reserve(data->size());
  for (std::size_t i = 0; i < data->size(); ++i) {
    TRY(ReadDatum read,
        read_datum((*data)[i], fmt::format("MetricData.member.{}", i + 1), context.now));
    all.push_back(std::move(read));
  }
  for (const ReadDatum& read : all) {
    if (read.statistics) {
      store_.put_statistics(metric_namespace, read.datum, *read.statistics);
    } else {
      store_.put(metric_namespace, read.datum);
    }
  }
  return Json::object();
}

Reply CloudWatch::get_metric_statistics(const Json& input, CallContext&) {
  const MetricId id{get_string(input, "Namespace"), get_string(input, "MetricName"),
                    dimensions_from(input)};
  const std::int64_t period_s = get_int(input, "Period");
  if (const auto bad = check_period(period_s)) return tl::unexpected(*bad);
  const Duration period = seconds{period_s};
  const TimePoint start = rounded_start(from_epoch_seconds(get_number(input, "StartTime")), period);
  const TimePoint end = from_epoch_seconds(get_number(input, "EndTime"));
  if (start >= end) {
    return aws_error("InvalidParameterValueException",
                     "The parameter StartTime must be less than the parameter EndTime.");
  }
  const Json* plain = find(input, "Statistics");
  const Json* extended = find(input, "ExtendedStatistics");
  if (plain == nullptr && extended == nullptr) {
    return aws_error("InvalidParameterCombinationException",
                     "At least one of the parameters Statistics and ExtendedStatistics must be "
                     "specified.");
  }
  const std::int64_t points = ((end - start) + period - Duration{1}) / period;
  if (points > kMaxDatapointsPerStatistics) {
    return aws_error("InvalidParameterCombinationException",
                     "You have requested up to {} datapoints, which exceeds the limit of {}. You "
                     "may reduce the datapoints requested by increasing Period, or decreasing the "
                     "time range.",
                     points, kMaxDatapointsPerStatistics);
  }
  std::vector<std::pair<std::string, Statistic>> wanted, percentiles;
  for (const auto& [list, into] : {std::pair{plain, &wanted}, std::pair{extended, &percentiles}}) {
    if (list == nullptr) continue;
    for (const Json& text : *list) {
      const auto statistic = parse_statistic(text.get<std::string>());
      if (!statistic) {
        return aws_error("InvalidParameterValueException", "{}", statistic.error().message);
      }
      into->emplace_back(text.get<std::string>(), *statistic);
    }
  }
  const std::string unit = get_string(input, "Unit");
  Json datapoints = Json::array();
  for (const std::string& each : unit.empty() ? store_.units(id) : std::vector{unit}) {
    for (const Bucket& bucket :
         store_.query(id, {start, end, period}, each, !percentiles.empty())) {
      Json point = {{"Timestamp", to_epoch_seconds(bucket.start)}, {"Unit", each}};
      for (const auto& [member, statistic] : wanted) {
        if (const auto value = value_of(bucket.cell, statistic)) point[member] = *value;
      }
      for (const auto& [member, statistic] : percentiles) {
        if (const auto value = value_of(bucket.cell, statistic)) {
          point["ExtendedStatistics"][member] = *value;
        }
      }
      datapoints.push_back(std::move(point));
    }
  }
  return Json{{"Label", id.name}, {"Datapoints", std::move(datapoints)}};
}

tl::expected<std::vector<CloudWatch::Query>, AwsError> CloudWatch::parse_queries(
    const Json& list) const {
  std::vector<Query> queries;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& item = list[i];
    Query query;
    query.id = get_string(item, "Id");
    if (query.id.empty() || query.id[0] < 'a' || query.id[0] > 'z') {
      return aws_error("ValidationError",
                       "The value {} for parameter MetricDataQueries.member.{}.Id is not matching "
                       "the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                       query.id, i + 1);
    }
    for (const Query& other : queries) {
      if (other.id == query.id) {
        return aws_error("ValidationError",
                         "The values for parameter id in MetricDataQueries are not unique.");
      }
    }
    query.label = get_string(item, "Label");
    query.return_data = get_bool(item, "ReturnData", true);
    const Json* stat = find(item, "MetricStat");
    query.expression = get_string(item, "Expression");
    query.is_expression = !query.expression.empty();
    if ((stat != nullptr) == query.is_expression) {
      return aws_error("ValidationError",
                       "Exactly one of MetricStat and Expression must be specified for the "
                       "metric data query {}.",
                       query.id);
    }
    if (stat != nullptr) {
      const Json* metric = find(*stat, "Metric");
      if (metric != nullptr) {
        query.metric = {get_string(*metric, "Namespace"), get_string(*metric, "MetricName"),
                        dimensions_from(*metric)};
      }
      query.stat_name = get_string(*stat, "Stat");
      const auto statistic = parse_statistic(query.stat_name);
      if (!statistic) return aws_error("ValidationError", "{}", statistic.error().message);
      query.statistic = *statistic;
      query.unit = get_string(*stat, "Unit");
    }
    const std::int64_t period_s = get_int(stat != nullptr ? *stat : item, "Period");
    if (stat != nullptr || period_s != 0) {
      if (const auto bad = check_period(period_s)) return tl::unexpected(*bad);
    }
    query.period = seconds{period_s};
    queries.push_back(std::move(query));
  }
  // An expression without a period works on the longest period of the metrics beside it.
  Duration longest{};
  for (const Query& query : queries) longest = std::max(longest, query.period);
  for (Query& query : queries) {
    if (query.period == Duration{}) query.period = longest > Duration{} ? longest : seconds{60};
  }
  return queries;
}

Result<MathValue> CloudWatch::value_of_query(const std::vector<Query>& queries, const Query& query,
                                             TimePoint start, TimePoint end, int depth) const {
  if (depth > kMaxExpressionDepth) return error("expressions refer to one another in a circle");
  if (!query.is_expression) {
    Series series;
    const bool with_values = query.statistic.needs_values();
    for (const Bucket& bucket :
         store_.query(query.metric, {start, end, query.period}, query.unit, with_values)) {
      if (const auto value = value_of(bucket.cell, query.statistic)) {
        series.emplace_back(bucket.start, *value);
      }
    }
    return MathValue{std::move(series)};
  }
  MathContext context;
  context.grid = grid_of(start, end, query.period);
  context.lookup = [&](const std::string& id) -> Result<MathValue> {
    for (const Query& other : queries) {
      if (other.id == id) return value_of_query(queries, other, start, end, depth + 1);
    }
    return error("there is no query with the id {}", id);
  };
  return evaluate_math(query.expression, context);
}

Result<Series> CloudWatch::run_query(const std::vector<Query>& queries, const Query& query,
                                     TimePoint start, TimePoint end) const {
  TRY(const MathValue value, value_of_query(queries, query, start, end, 0));
  if (const auto* number = std::get_if<double>(&value)) {
    Series series;
    for (const TimePoint t : grid_of(start, end, query.period)) series.emplace_back(t, *number);
    return series;
  }
  return std::get<Series>(value);
}

Reply CloudWatch::get_metric_data(const Json& input, CallContext&) {
  const Json* list = find(input, "MetricDataQueries");
  if (list == nullptr || list->empty()) {
    return aws_error("ValidationError", "The collection MetricDataQueries must not be empty.");
  }
  if (list->size() > kMaxQueriesPerGet) {
    return aws_error("ValidationError",
                     "The collection MetricDataQueries must not have a size greater than {}.",
                     kMaxQueriesPerGet);
  }
  const TimePoint from = from_epoch_seconds(get_number(input, "StartTime"));
  const TimePoint end = from_epoch_seconds(get_number(input, "EndTime"));
  if (from >= end) {
    return aws_error("ValidationError",
                     "The parameter StartTime must be less than the parameter EndTime.");
  }
  TRY(const std::vector<Query> queries, parse_queries(*list));
  const auto first = read_token(input);
  if (!first) return aws_error("InvalidNextToken", "The token is not one that was given out.");
  const std::int64_t asked = get_int(input, "MaxDatapoints", kMaxDatapointsPerGet);
  const std::size_t most =
      static_cast<std::size_t>(std::clamp<std::int64_t>(asked, 1, kMaxDatapointsPerGet));
  const bool oldest_first = get_string(input, "ScanBy") == "TimestampAscending";

  Json results = Json::array();
  std::size_t seen = 0, left = most;
  bool more = false;
  for (const Query& query : queries) {
    if (!query.return_data) continue;
    // Expressions need one grid for all they combine, so all start at their own period's mark.
    const TimePoint start = rounded_start(from, query.period);
    if ((end - start) / query.period > kMaxDatapointsPerGet) {
      return aws_error("ValidationError", "More than {} datapoints are asked for by {}.",
                       kMaxDatapointsPerGet, query.id);
    }
    Result<Series> points = run_query(queries, query, start, end);
    if (!points) {
      return aws_error("ValidationError", "Error in expression '{}': {}", query.id,
                       points.error().message);
    }
    if (!oldest_first) std::reverse(points->begin(), points->end());
    Json::array_t times, values;
    times.reserve(std::min(points->size(), left));
    values.reserve(times.capacity());
    for (const auto& [t, value] : *points) {
      if (seen++ < *first) continue;
      if (left == 0) {
        more = true;
        break;
      }
      --left;
      times.emplace_back(to_epoch_seconds(t));
      values.emplace_back(value);
    }
    const bool whole = !more;
    const std::string label = !query.label.empty()  ? query.label
                              : query.is_expression ? query.id
                                                    : query.metric.name;
    Json& result = results.emplace_back(Json::object());
    result["Id"] = query.id;
    result["Label"] = label;
    result["Timestamps"] = std::move(times);
    result["Values"] = std::move(values);
    result["StatusCode"] = whole ? "Complete" : "PartialData";
    if (more) break;
  }
  Json reply;
  reply["MetricDataResults"] = std::move(results);
  reply["Messages"] = Json::array();
  if (more) reply["NextToken"] = std::to_string(*first + most);
  return reply;
}

Reply CloudWatch::list_metrics(const Json& input, CallContext& context) {
  const auto first = read_token(input);
  if (!first) {
    return aws_error("InvalidParameterValueException", "The token is not one that was given out.");
  }
  const std::string metric_namespace = get_string(input, "Namespace");
  const std::string metric_name = get_string(input, "MetricName");
  const Json* filters = find(input, "Dimensions");
  const bool recent = get_string(input, "RecentlyActive") == "PT3H";
  const auto wanted = [&](const MetricStore::Listed& listed) {
    if (!metric_namespace.empty() && listed.id->metric_namespace != metric_namespace) return false;
    if (!metric_name.empty() && listed.id->name != metric_name) return false;
    if (recent && listed.newest < context.now - std::chrono::hours{3}) return false;
    if (filters == nullptr) return true;
    return std::all_of(filters->begin(), filters->end(), [&](const Json& filter) {
      const auto found = listed.id->dimensions.find(get_string(filter, "Name"));
      if (found == listed.id->dimensions.end()) return false;
      const Json* value = coalmine::find(filter, "Value");
      return value == nullptr || *value == found->second;
    });
  };
  Json metrics = Json::array();
  std::size_t seen = 0;
  bool more = false;
  for (const MetricStore::Listed& listed : store_.list()) {
    if (!wanted(listed) || seen++ < *first) continue;
    if (metrics.size() == kListMetricsPage) {
      more = true;
      break;
    }
    metrics.push_back({{"Namespace", listed.id->metric_namespace},
                       {"MetricName", listed.id->name},
                       {"Dimensions", dimensions_to(listed.id->dimensions)}});
  }
  Json reply = {{"Metrics", std::move(metrics)}};
  if (more) reply["NextToken"] = std::to_string(*first + kListMetricsPage);
  return reply;
}

}  // namespace coalmine::mock
