#include "mock-aws/protocol/validate.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace coalmine::mock {
namespace {

constexpr std::size_t kMaxShownValue = 256;

/// Walks input and model side by side; the path grows and shrinks with the walk.
class Validator {
 public:
  explicit Validator(bool lower_paths) : lower_paths_(lower_paths) {}

  void check(const Shape& shape, const Json& value) {
    if (shape.is_document || problems_.size() >= kMaxProblems) return;
    switch (shape.type) {
      case ShapeType::Structure:
        check_structure(shape, value);
        break;
      case ShapeType::List:
        check_list(shape, value);
        break;
      case ShapeType::Map:
        check_map(shape, value);
        break;
      case ShapeType::String:
        check_string(shape, value);
        break;
      case ShapeType::Blob:
        check_length(shape, value, blob_bytes(value));
        break;
      case ShapeType::Integer:
      case ShapeType::Float:
        check_range(shape, value);
        break;
      default:
        break;
    }
  }
  std::vector<Problem> take() { return std::move(problems_); }

 private:
  /// Appends to the path while it lives.
  class Step {
   public:
    Step(std::string& path, std::string_view name, bool lower) : path_(path), size_(path.size()) {
      if (!path_.empty()) path_ += '.';
      const std::size_t first = path_.size();
      path_ += name;
      if (lower && first < path_.size() && path_[first] >= 'A' && path_[first] <= 'Z') {
        path_[first] = static_cast<char>(path_[first] - 'A' + 'a');
      }
    }
    ~Step() { path_.resize(size_); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    std::string& path_;
    std::size_t size_;
  };

  void report(const Json& value, std::string constraint) {
    std::string text = value.is_string() ? value.get<std::string>() : dump_json(value);
    if (text.size() > kMaxShownValue) text = text.substr(0, kMaxShownValue) + "...";
    problems_.push_back({path_, "'" + text + "'", std::move(constraint), false});
  }

  void check_structure(const Shape& shape, const Json& value) {
    std::size_t present = 0;
    for (const Member& member : shape.members) {
      const auto it = value.find(member.name);
      const Step step(path_, member.name, lower_paths_);
      if (it == value.end()) {
        if (member.required) {
          problems_.push_back({path_, "null", "Member must not be null", true});
        }
        continue;
      }
      ++present;
      check(*member.shape, *it);
    }
    if (shape.is_union && present != 1) report_union(shape, value);
  }

  void report_union(const Shape& shape, const Json& value) {
    std::string names;
    for (const Member& member : shape.members) {
      names += (names.empty() ? "" : ", ") + member.name;
    }
    report(value, "Member must have exactly one of [" + names + "] set");
  }

  void check_list(const Shape& shape, const Json& value) {
    check_length(shape, value, value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      const Step step(path_, fmt::format("{}.member", i + 1), false);
      check(*shape.element.shape, value[i]);
    }
  }

  void check_map(const Shape& shape, const Json& value) {
    check_length(shape, value, value.size());
    for (const auto& [key, element] : value.items()) {
      const Step step(path_, key, false);
      {
        const Step key_step(path_, "key", false);
        check(*shape.key.shape, Json(key));
      }
      const Step element_step(path_, "member", false);
      check(*shape.element.shape, element);
    }
  }

  void check_string(const Shape& shape, const Json& value) {
    const std::string& text = value.get_ref<const std::string&>();
    if (shape.min || shape.max) check_length(shape, value, length_of(text));
    if (!shape.enum_values.empty()) {
      check_enum(shape, value, text);
    } else if (!shape.pattern.empty() && !shape.compiled_pattern.matches(text)) {
      report(value, "Member must satisfy regular expression pattern: " + shape.pattern);
    }
  }

  static std::size_t length_of(const std::string& utf8) {
    return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
  }

  static std::size_t blob_bytes(const Json& value) {
    const std::string& text = value.get_ref<const std::string&>();
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') {
      ++padding;
    }
    return text.size() / 4 * 3 - std::min(padding, text.size() / 4 * 3);
  }

  void check_enum(const Shape& shape, const Json& value, const std::string& text) {
    const auto& allowed = shape.enum_values;
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return;
    report(value,
           fmt::format("Member must satisfy enum value set: [{}]", fmt::join(allowed, ", ")));
  }

  void check_length(const Shape& shape, const Json& value, std::size_t length) {
    const auto n = static_cast<double>(length);
    if (shape.min && n < *shape.min) {
      report(value, fmt::format("Member must have length greater than or equal to {}", *shape.min));
    }
    if (shape.max && n > *shape.max) {
      report(value, fmt::format("Member must have length less than or equal to {}", *shape.max));
    }
  }

  void check_range(const Shape& shape, const Json& value) {
    const double number = value.get<double>();
    if (shape.min && number < *shape.min) {
      report(value, fmt::format("Member must have value greater than or equal to {}", *shape.min));
    }
    if (shape.max && number > *shape.max) {
      report(value, fmt::format("Member must have value less than or equal to {}", *shape.max));
    }
  }

  bool lower_paths_;
  std::string path_;
  std::vector<Problem> problems_;
};

/// Lower-case "must …" as ECR says it.
std::string ecr_constraint(const std::string& constraint) {
  constexpr std::string_view kPattern = "Member must satisfy regular expression pattern: ";
  if (constraint.rfind(kPattern, 0) == 0) {
    return "must satisfy regular expression '" + constraint.substr(kPattern.size()) + "'";
  }
  return constraint.substr(std::string_view("Member ").size());
}

const char* validation_code(std::string_view service) {
  if (service == "appmesh") return "BadRequestException";
  if (service == "ecs" || service == "ecr" || service == "logs") return "InvalidParameterException";
  if (service == "servicediscovery") return "InvalidInput";
  return "ValidationError";  // elbv2, iam, sts, cloudwatch: undeclared, but what AWS sends
}

}  // namespace

std::vector<Problem> validate(const Shape& shape, const Json& input, bool lower_paths) {
  Validator validator(lower_paths);
  validator.check(shape, input);
  return validator.take();
}

AwsError validation_error(std::string_view service, const std::vector<Problem>& problems) {
  const Problem& first = problems.front();
  if (service == "ec2") {
    if (first.missing) {
      return {"MissingParameter",
              fmt::format("The request must contain the parameter {}", first.path),
              400,
              {}};
    }
    return {"InvalidParameterValue",
            fmt::format("Value ({}) for parameter {} is invalid. {}", first.value, first.path,
                        first.constraint),
            400,
            {}};
  }
  if (service == "ecr") {
    return {validation_code(service),
            fmt::format("Invalid parameter at '{}' failed to satisfy constraint: '{}'", first.path,
                        ecr_constraint(first.constraint)),
            0,
            {}};
  }
  std::string text = fmt::format("{} validation error{} detected: ", problems.size(),
                                 problems.size() == 1 ? "" : "s");
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const Problem& p = problems[i];
    text += fmt::format("{}Value {} at '{}' failed to satisfy constraint: {}", i == 0 ? "" : "; ",
                        p.value, p.path, p.constraint);
  }
  return {validation_code(service), std::move(text), 0, {}};
}

}  // namespace coalmine::mock
