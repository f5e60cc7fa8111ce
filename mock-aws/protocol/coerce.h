#pragma once

#include <optional>
#include <string>

#include "mock-aws/protocol/api_model.h"
#include "sim/core/json.h"

namespace coalmine::mock {

/// Brings parsed JSON (or CBOR) into the form that services see, in place: wire names become
/// model names, unknown members and null members go, timestamps become epoch seconds, bytes
/// become base64. Returns what does not fit the model's types, as AWS words a
/// SerializationException; nullopt: all fits. A null in a list or as a map's value does not.
std::optional<std::string> coerce_input(const Shape& shape, Json& value);

/// A service's output as the JSON protocols send it: wire names, only members that the model
/// has, no nulls, timestamps as epoch seconds with milliseconds.
Json shape_output(const Shape& shape, const Json& value);

/// The text form of a scalar (form fields, labels, query strings) by its shape's type.
/// nullopt: it is not such a value.
std::optional<Json> scalar_from_text(const Shape& shape, const std::string& text);

}  // namespace coalmine::mock
