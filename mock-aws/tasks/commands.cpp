#include "mock-aws/tasks/commands.h"

#include <algorithm>
#include <optional>
#include <set>

#include "mock-aws/tasks/glob.h"
#include "mock-aws/tasks/image.h"

namespace coalmine::mock {
namespace {

constexpr int kDefaultAppPort = 9000;
constexpr std::string_view kEnvoyPattern = "*aws-appmesh-envoy*";

std::string without_registry(const std::string& image) {
  const auto slash = image.find('/');
  if (slash == std::string::npos) return image;
  const std::string host = image.substr(0, slash);
  const bool registry = host.find_first_of(".:") != std::string::npos || host == "localhost";
  return registry ? image.substr(slash + 1) : image;
}

bool matches(const std::string& pattern, const std::string& image) {
  const std::string path = without_registry(image);
  return glob_match(pattern, image) || glob_match(pattern, with_tag(image)) ||
         glob_match(pattern, path) || glob_match(pattern, with_tag(path));
}

std::string replace_all(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::vector<int> distinct(const std::vector<int>& ports) {
  const std::set<int> sorted(ports.begin(), ports.end());
  return {sorted.begin(), sorted.end()};
}

tl::unexpected<Error> cannot_start(std::string_view why) {
  return error(ErrorKind::Failed, "CannotStartContainerError: {}", why);
}

Result<ContainerPlan> mapped(const ContainerStart& start, const std::string& command) {
  const auto fill = [&](int port) {
    std::string text = replace_all(command, "{host}", start.address);
    text = replace_all(text, "{version}", version_of(start.image).value_or(""));
    return replace_all(text, "{port}", std::to_string(port));
  };
  const bool per_port = command.find("{port}") != std::string::npos;
  ContainerPlan plan;
  if (!per_port) {
    plan.processes = {{"/bin/sh", "-c", fill(0)}};
    return plan;
  }
  if (start.ports.empty()) {
    return cannot_start(fmt::format(
        "the command for image {} asks for {{port}}, but container {} has no port mapping",
        start.image, start.container));
  }
  for (const int port : distinct(start.ports)) {
    plan.processes.push_back({"/bin/sh", "-c", fill(port)});
  }
  return plan;
}

struct MeshResource {
  std::string mesh, kind, name, account, region;
};

/// "mesh/M/virtualNode|virtualGateway/N", or the ARN that ends so.
std::optional<MeshResource> parse_resource(const std::string& text, const ContainerStart& start) {
  MeshResource resource{"", "", "", start.account, start.region};
  std::vector<std::string> parts;
  std::string rest = text;
  if (text.starts_with("arn:")) {
    std::vector<std::string> fields;
    std::size_t from = 0;
    for (int i = 0; i < 5; ++i) {
      const auto colon = text.find(':', from);
      if (colon == std::string::npos) return std::nullopt;
      fields.push_back(text.substr(from, colon - from));
      from = colon + 1;
    }
    resource.region = fields[3];
    resource.account = fields[4];
    rest = text.substr(from);
  }
  for (std::size_t from = 0;;) {
    const auto slash = rest.find('/', from);
    parts.push_back(rest.substr(from, slash - from));
    if (slash == std::string::npos) break;
    from = slash + 1;
  }
  if (parts.size() != 4 || parts[0] != "mesh") return std::nullopt;
  resource.mesh = parts[1];
  resource.kind = parts[2];
  resource.name = parts[3];
  return resource;
}

std::string variable(const ContainerStart& start, const std::string& name,
                     const std::string& fallback = "") {
  const auto it = start.environment.find(name);
  return it == start.environment.end() ? fallback : it->second;
}

Result<ContainerPlan> envoy(const ContainerStart& start, const ImageCommands& commands) {
  const std::string text =
      variable(start, "APPMESH_RESOURCE_ARN", variable(start, "APPMESH_VIRTUAL_NODE_NAME"));
  const auto resource = parse_resource(text, start);
  const bool gateway = resource && resource->kind == "virtualGateway";
  if (!resource || (!gateway && resource->kind != "virtualNode")) {
    return cannot_start(fmt::format(
        "an Envoy container needs APPMESH_RESOURCE_ARN or APPMESH_VIRTUAL_NODE_NAME as "
        "mesh/MESH/virtualNode/NAME or mesh/MESH/virtualGateway/NAME (an ARN may stand before "
        "it), found \"{}\"",
        text));
  }
  const std::string admin =
      fmt::format("{}:{}", start.address, variable(start, "ENVOY_ADMIN_ACCESS_PORT", "9901"));
  const std::string target = resource->mesh + "/" + resource->name;
  std::vector<std::string> arguments = {commands.coalmine, "gateway"};
  if (gateway) {
    arguments.insert(arguments.end(),
                     {"--listen", start.address, "--admin", admin, "--virtual-gateway", target});
    if (commands.report_interval != Duration{std::chrono::seconds{1}}) {
      arguments.insert(arguments.end(), {"--report-every", to_string(commands.report_interval)});
    }
  } else {
    arguments.insert(arguments.end(), {"--stand-in", "--admin", admin, "--node", target});
  }
  arguments.insert(arguments.end(), {"--control", commands.control, "--scope",
                                     resource->account + "/" + resource->region});
  ContainerPlan plan;
  plan.processes = {std::move(arguments)};
  return plan;
}

ContainerPlan sample_app(const ContainerStart& start, const ImageCommands& commands,
                         const std::string& version) {
  std::vector<int> ports = distinct(start.ports);
  if (ports.empty()) ports.push_back(kDefaultAppPort);
  ContainerPlan plan;
  for (const int port : ports) {
    plan.processes.push_back({commands.sample_app, "--version", version, "--host", start.address,
                              "--port", std::to_string(port)});
  }
  return plan;
}

Result<ContainerPlan> plan_processes(const ContainerStart& start, const ImageCommands& commands) {
  for (const ImageMapping& mapping : commands.mappings) {
    if (matches(mapping.pattern, start.image)) return mapped(start, mapping.command);
  }
  if (glob_match(kEnvoyPattern, start.image)) return envoy(start, commands);
  if (const auto version = version_of(start.image)) return sample_app(start, commands, *version);
  if (start.digest.empty()) return error(ErrorKind::Failed, "{}", cannot_pull(start.image));
  return cannot_start(fmt::format(
      "no local command stands for image {}: map it with --image 'PATTERN=COMMAND', for example "
      "--image '{}*=my-app --host {{host}} --port {{port}}'",
      start.image, without_registry(start.image)));
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

std::string replace_host(const std::string& text, std::string_view host, std::string_view address) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = i + host.size();
    const bool here = text.compare(i, host.size(), host) == 0;
    const bool starts = i == 0 || (!host_character(text[i - 1]) && text[i - 1] != '.');
    // A dot ends a sentence or goes on with a longer name ("localhost.example").
    const bool ends = end >= text.size() ||
                      (!host_character(text[end]) && !(text[end] == '.' && end + 1 < text.size() &&
                                                       host_character(text[end + 1])));
    if (here && starts && ends) {
      out += address;
      i = end;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace

Result<ImageMapping> parse_image_mapping(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
    return error("image mapping \"{}\": expected PATTERN=COMMAND", text);
  }
  return ImageMapping{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string with_task_address(std::string_view text, std::string_view address) {
  return replace_host(replace_host(std::string(text), "localhost", address), "127.0.0.1", address);
}

Result<ContainerPlan> plan_container(const ContainerStart& start, const ImageCommands& commands) {
  TRY(ContainerPlan plan, plan_processes(start, commands));
  plan.environment = {
      {"AWS_REGION", start.region}, {"AWS_DEFAULT_REGION", start.region}, {"HOST", start.address}};
  if (!start.ports.empty()) plan.environment["PORT"] = std::to_string(start.ports.front());
  if (!commands.control.empty()) plan.environment["AWS_ENDPOINT_URL"] = commands.control;
  for (const auto& [name, value] : start.environment) plan.environment[name] = value;
  return plan;
}

}  // namespace coalmine::mock
