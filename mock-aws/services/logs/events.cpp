// Log events: writing, reading along one stream, searching a group.
#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "mock-aws/services/logs/filter_pattern.h"
#include "mock-aws/services/logs/logs.h"
#include "mock-aws/services/paging.h"
#include "sim/core/json.h"

namespace coalmine::mock {
namespace {

/// Where reading goes on: before or after the event (time, number).
struct Position {
  std::int64_t time_ms = 0;
  std::uint64_t number = 0;
  auto operator<=>(const Position&) const = default;
};

/// "f/<time>.<number>": GetLogEvents' tokens begin with f or b and their direction.
std::string encode(char direction, const Position& position) {
  return fmt::format("{}/{:020}.{:020}", direction, position.time_ms, position.number);
}

std::optional<std::pair<char, Position>> decode(const std::string& token) {
  if (token.size() != 43 || (token[0] != 'f' && token[0] != 'b') || token[22] != '.') {
    return std::nullopt;
  }
  Position position;
  const auto read = [&](std::size_t at, auto& value) {
    const char* end = token.data() + at + 20;
    const auto [stop, error] = std::from_chars(token.data() + at, end, value);
    return error == std::errc{} && stop == end;
  };
  if (!read(2, position.time_ms) || !read(23, position.number)) return std::nullopt;
  return std::pair{token[0], position};
}

template <typename Event>
Position position_of(const Event& event) {
  return {event.time_ms, event.number};
}

}  // namespace

void Logs::add(Stream& stream, std::int64_t time_ms, std::string message, TimePoint now) {
  Event event{++stream.last_number, time_ms, to_epoch_ms(now), std::move(message)};
  stream.stored_bytes += event.message.size() + kPutOverheadBytes;
  auto at = stream.events.end();
  while (at != stream.events.begin() && std::prev(at)->time_ms > time_ms) --at;
  stream.events.insert(at, std::move(event));
  if (stream.events.size() > kMaxEventsPerStream) {
    stream.stored_bytes -= stream.events.front().message.size() + kPutOverheadBytes;
    stream.events.pop_front();
  }
}

void Logs::drop_expired(Group& group, TimePoint now) {
  if (!group.retention_days) return;
  const std::int64_t oldest = to_epoch_ms(now - std::chrono::hours{24} * *group.retention_days);
  for (auto& [stream_name, stream] : group.streams) {
    while (!stream.events.empty() && stream.events.front().time_ms < oldest) {
      stream.stored_bytes -= stream.events.front().message.size() + kPutOverheadBytes;
      stream.events.pop_front();
    }
  }
}

bool Logs::append(const std::string& group, const std::string& stream,
                  const std::vector<std::string>& lines, bool create_group, TimePoint now) {
  auto found = groups_.find(group);
  if (found == groups_.end()) {
    if (!create_group) return false;
    Group fresh;
    fresh.name = group;
    fresh.created_ms = to_epoch_ms(now);
    found = groups_.emplace(group, std::move(fresh)).first;
  }
  auto& streams = found->second.streams;
  if (streams.count(stream) == 0 && streams.size() >= kMaxStreamsPerGroup) {
    // Tasks come and go for ever: the stream that was made first makes room.
    const auto oldest = std::min_element(streams.begin(), streams.end(), [](auto& a, auto& b) {
      return a.second.created_ms < b.second.created_ms;
    });
    streams.erase(oldest);
  }
  auto [at, fresh] = streams.try_emplace(stream);
  if (fresh) {
    at->second.name = stream;
    at->second.created_ms = to_epoch_ms(now);
  }
  for (const std::string& line : lines) {
    if (!line.empty()) add(at->second, to_epoch_ms(now), line, now);
  }
  return true;
}

Reply Logs::put_log_events(const Json& input, CallContext& context) {
  TRY(Group * group, group_of(input));
  TRY(Stream * stream, stream_of(*group, get_string(input, "logStreamName")));
  const Json& events = *find(input, "logEvents");
  std::size_t bytes = 0;
  std::int64_t previous = std::numeric_limits<std::int64_t>::min();
  for (const Json& event : events) {
    bytes += get_string(event, "message").size() + kPutOverheadBytes;
    const std::int64_t time = get_int(event, "timestamp");
    if (time < previous) {
      return aws_error("InvalidParameterException",
                       "Log events in a single PutLogEvents request must be in chronological "
                       "order.");
    }
    previous = time;
  }
  if (bytes > kMaxPutBytes) {
    return aws_error("InvalidParameterException", "Upload too large: {} bytes exceeds limit of {}",
                     bytes, kMaxPutBytes);
  }
  if (!events.empty() &&
      get_int(events.back(), "timestamp") - get_int(events.front(), "timestamp") > 86'400'000) {
    return aws_error("InvalidParameterException",
                     "The batch of log events in a single PutLogEvents request cannot span more "
                     "than 24 hours.");
  }
  const std::int64_t oldest = to_epoch_ms(context.now - kMaxLogAge);
  const std::int64_t newest = to_epoch_ms(context.now + kMaxLogAhead);
  const std::int64_t expired =
      group->retention_days
          ? to_epoch_ms(context.now - std::chrono::hours{24} * *group->retention_days)
          : std::numeric_limits<std::int64_t>::min();
  std::size_t too_old = 0, past_retention = 0, too_new = events.size();
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::int64_t time = get_int(events[i], "timestamp");
    if (time < oldest) {
      too_old = i + 1;
    } else if (time < expired) {
      past_retention = i + 1;
    } else if (time > newest) {
      too_new = std::min(too_new, i);
    } else {
      add(*stream, time, get_string(events[i], "message"), context.now);
    }
  }
  Json rejected = Json::object();
  if (too_old > 0) rejected["tooOldLogEventEndIndex"] = too_old;
  if (past_retention > 0) rejected["expiredLogEventEndIndex"] = past_retention;
  if (too_new < events.size()) rejected["tooNewLogEventStartIndex"] = too_new;
  // The token is ignored on input, but clients still expect one.
  Json reply = {{"nextSequenceToken", fmt::format("{:056}", stream->last_number)}};
  if (!rejected.empty()) reply["rejectedLogEventsInfo"] = std::move(rejected);
  return reply;
}

Reply Logs::get_log_events(const Json& input, CallContext&) {
  TRY(Group * group, group_of(input));
  TRY(const Stream* stream, stream_of(*group, get_string(input, "logStreamName")));
  const std::int64_t from = get_int(input, "startTime", 0);
  const std::int64_t to = get_int(input, "endTime", std::numeric_limits<std::int64_t>::max());
  const auto limit = static_cast<std::size_t>(get_int(input, "limit", kMaxEventsPerAnswer));
  std::vector<const Event*> window;
  for (const Event& event : stream->events) {
    if (event.time_ms >= from && event.time_ms < to) window.push_back(&event);
  }
  std::size_t first = 0, last = window.size();
  Position edge{std::max<std::int64_t>(from, 0), 0};  // where an empty answer stands
  const auto rank = [&](const Position& position, bool inclusive) {
    std::size_t count = 0;
    for (const Event* event : window) {
      const Position at = position_of(*event);
      count += at < position || (inclusive && at == position) ? 1 : 0;
    }
    return count;
  };
  if (const std::string token = get_string(input, "nextToken"); !token.empty()) {
    const auto position = decode(token);
    if (!position) {
      return aws_error("InvalidParameterException", "The specified nextToken is invalid.");
    }
    edge = position->second;
    if (position->first == 'f') {
      first = rank(edge, true);
      last = std::min(window.size(), first + limit);
    } else {
      last = rank(edge, false);
      first = last > limit ? last - limit : 0;
    }
  } else if (get_bool(input, "startFromHead")) {
    last = std::min(window.size(), limit);
  } else {
    first = window.size() > limit ? window.size() - limit : 0;
  }
  Json events = Json::array();
  for (std::size_t i = first; i < last; ++i) {
    events.push_back({{"timestamp", window[i]->time_ms},
                      {"message", window[i]->message},
                      {"ingestionTime", window[i]->ingested_ms}});
  }
  // At the end an answer is empty and its tokens stay where they are: clients stop there.
  const Position front = first < last ? position_of(*window[first]) : edge;
  const Position back = first < last ? position_of(*window[last - 1]) : edge;
  return Json{{"events", std::move(events)},
              {"nextForwardToken", encode('f', back)},
              {"nextBackwardToken", encode('b', front)}};
}

Reply Logs::filter_log_events(const Json& input, CallContext&) {
  TRY(Group * group, group_of(input));
  const auto pattern = parse_filter_pattern(get_string(input, "filterPattern"));
  if (!pattern) {
    return aws_error("InvalidParameterException", "Invalid filter pattern: {}",
                     pattern.error().message);
  }
  const std::int64_t from = get_int(input, "startTime", 0);
  const std::int64_t to = get_int(input, "endTime", std::numeric_limits<std::int64_t>::max());
  const std::string prefix = get_string(input, "logStreamNamePrefix");
  const Json* names = find(input, "logStreamNames");
  if (names != nullptr && !prefix.empty()) {
    return aws_error("InvalidParameterException",
                     "logStreamNames and logStreamNamePrefix are mutually exclusive.");
  }
  if (names != nullptr) {
    for (const Json& each : *names) TRY_STATUS(stream_of(*group, each.get<std::string>()));
  }
  struct Found {
    const Stream* stream;
    const Event* event;
  };
  std::vector<Found> found;
  for (const auto& [stream_name, stream] : group->streams) {
    if (!stream_name.starts_with(prefix)) continue;
    if (names != nullptr && std::find(names->begin(), names->end(), stream_name) == names->end()) {
      continue;
    }
    for (const Event& event : stream.events) {
      if (event.time_ms < from || event.time_ms > to || !matches(*pattern, event.message)) continue;
      found.push_back({&stream, &event});
    }
  }
  const auto key = [](const Found& each) {
    // NUL sorts before all that a name may hold, so keys are in the order of the list.
    return fmt::format("{:020}{}{}{:020}", each.event->time_ms, each.stream->name, '\0',
                       each.event->number);
  };
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return a.event->time_ms < b.event->time_ms;  // streams are in order of name already
  });
  const auto page =
      take_page(found, get_string(input, "nextToken"),
                static_cast<std::size_t>(get_int(input, "limit", kMaxEventsPerAnswer)), key);
  if (!page) return aws_error("InvalidParameterException", "The specified nextToken is invalid.");
  Json events = Json::array();
  for (const Found& each : page->items) {
    events.push_back(
        {{"logStreamName", each.stream->name},
         {"timestamp", each.event->time_ms},
         {"message", each.event->message},
         {"ingestionTime", each.event->ingested_ms},
         {"eventId", fmt::format("{:020}{:036}", each.event->time_ms, each.event->number)}});
  }
  Json reply = {{"events", std::move(events)}, {"searchedLogStreams", Json::array()}};
  if (!page->next.empty()) reply["nextToken"] = page->next;
  return reply;
}

}  // namespace coalmine::mock
