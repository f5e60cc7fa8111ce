#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sim/aws/client.h"
#include "sim/aws/profiles.h"

namespace coalmine::aws {
namespace {

/// The variable's value, or nothing if it is unset or empty.
std::optional<std::string> set_variable(const Environment& env, const std::string& name) {
  auto value = env.variable(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

std::string profile_name(const Environment& env) {
  return set_variable(env, "AWS_PROFILE").value_or("default");
}

std::string shared_file(const Environment& env, const char* variable, const char* name) {
  if (const auto path = set_variable(env, variable)) return *path;
  return set_variable(env, "HOME").value_or("") + "/.aws/" + name;
}

std::string credentials_file(const Environment& env) {
  return shared_file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
}

std::string config_file(const Environment& env) {
  return shared_file(env, "AWS_CONFIG_FILE", "config");
}

/// Settings of the profile in one file; `tried` says what was found there.
Result<std::map<std::string, std::string>> profile_in(const Environment& env,
                                                      const std::string& path, std::string& tried) {
  const std::string profile = profile_name(env);
  const auto text = env.read_file(path);
  if (!text) {
    tried += fmt::format("\n  {}: no such file", path);
    return std::map<std::string, std::string>{};
  }
  TRY(const Profiles profiles, parse_profiles(*text, path));
  const auto at = profiles.find(profile);
  if (at == profiles.end()) {
    tried += fmt::format("\n  {}: no profile \"{}\"", path, profile);
    return std::map<std::string, std::string>{};
  }
  return at->second;
}

std::string value_of(const std::map<std::string, std::string>& settings, const char* key) {
  const auto at = settings.find(key);
  return at == settings.end() ? std::string() : at->second;
}

}  // namespace

Environment process_environment() {
  return {[](const std::string& name) -> std::optional<std::string> {
            const char* value = std::getenv(name.c_str());
            if (value == nullptr) return std::nullopt;
            return std::string(value);
          },
          [](const std::string& path) -> std::optional<std::string> {
            std::ifstream in(path, std::ios::binary);
            if (!in) return std::nullopt;
            std::stringstream text;
            text << in.rdbuf();
            return text.str();
          }};
}

Result<Credentials> find_credentials(const Environment& env) {
  const auto access_key = set_variable(env, "AWS_ACCESS_KEY_ID");
  const auto secret_key = set_variable(env, "AWS_SECRET_ACCESS_KEY");
  if (access_key && secret_key) {
    return Credentials{*access_key, *secret_key,
                       set_variable(env, "AWS_SESSION_TOKEN").value_or("")};
  }
  std::string tried = fmt::format("\n  environment: {} is not set",
                                  access_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
  for (const std::string& path : {credentials_file(env), config_file(env)}) {
    TRY(const auto settings, profile_in(env, path, tried));
    const Credentials found{value_of(settings, "aws_access_key_id"),
                            value_of(settings, "aws_secret_access_key"),
                            value_of(settings, "aws_session_token")};
    if (!found.access_key.empty() && !found.secret_key.empty()) return found;
    if (!settings.empty()) {
      tried +=
          fmt::format("\n  {}: profile \"{}\" has no {}", path, profile_name(env),
                      found.access_key.empty() ? "aws_access_key_id" : "aws_secret_access_key");
    }
  }
  return error(ErrorKind::Environment,
               "no AWS credentials found; tried{}\n  (role, SSO and container credentials are not "
               "read: `aws configure export-credentials --format env` turns them into variables)",
               tried);
}

Result<std::string> find_region(const Environment& env) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (const auto region = set_variable(env, name)) return *region;
  }
  std::string tried = "\n  environment: neither AWS_REGION nor AWS_DEFAULT_REGION is set";
  for (const std::string& path : {config_file(env), credentials_file(env)}) {
    TRY(const auto settings, profile_in(env, path, tried));
    if (const std::string region = value_of(settings, "region"); !region.empty()) return region;
    if (!settings.empty()) {
      tried += fmt::format("\n  {}: profile \"{}\" has no region", path, profile_name(env));
    }
  }
  return error(ErrorKind::Environment, "no AWS region found; tried{}", tried);
}

Result<Credentials> find_credentials() {
  return find_credentials(process_environment());
}

Result<std::string> find_region() {
  return find_region(process_environment());
}

}  // namespace coalmine::aws
