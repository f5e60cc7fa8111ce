#!/usr/bin/env python3
"""Extracts API facts from the public service models that botocore ships.

    python3 extract.py [SERVICE...]      # writes SERVICE.json beside this script

What is kept: names, HTTP bindings, types, required members, ranges, patterns, enums, locations
and error codes. What is dropped: all prose, and every shape that no operation reaches. One
operation and one shape per line, so that a newer model shows up as a readable diff.
"""
import gzip
import json
import pathlib
import sys

import botocore

SERVICES = ["appmesh", "cloudwatch", "ec2", "ecr", "ecs", "elbv2", "iam", "logs",
            "servicediscovery", "sts"]

# EC2 has 765 operations; a rollout needs these.
EC2_OPERATIONS = ["AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "DeleteSecurityGroup",
                  "DescribeAvailabilityZones", "DescribeNetworkInterfaces", "DescribeRegions",
                  "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs"]

METADATA = ["apiVersion", "awsQueryCompatible", "endpointPrefix", "jsonVersion", "protocol",
            "protocols", "serviceId", "signingName", "targetPrefix", "xmlNamespace"]
SHAPE = ["type", "required", "members", "member", "key", "value", "enum", "min", "max", "pattern",
         "union", "document", "payload", "flattened", "timestampFormat", "exception", "fault",
         "error", "locationName", "xmlNamespace", "eventstream", "wrapper"]
MEMBER = ["shape", "location", "locationName", "queryName", "flattened", "xmlAttribute",
          "xmlNamespace", "timestampFormat", "idempotencyToken", "streaming", "hostLabel",
          "jsonvalue"]


def picked(source, keys):
    return {key: source[key] for key in keys if key in source}


def operation_facts(operation):
    facts = {"http": picked(operation["http"], ["method", "requestUri", "responseCode"])}
    for side in ("input", "output"):
        if side in operation:
            facts[side] = operation[side]["shape"]
    if "resultWrapper" in operation.get("output", {}):
        facts["resultWrapper"] = operation["output"]["resultWrapper"]
    if "errors" in operation:
        facts["errors"] = sorted(error["shape"] for error in operation["errors"])
    if "endpoint" in operation:
        facts["hostPrefix"] = operation["endpoint"]["hostPrefix"]
    return facts


def shape_facts(shape):
    facts = picked(shape, SHAPE)
    if "members" in facts:
        facts["members"] = {n: picked(m, MEMBER) for n, m in facts["members"].items()}
    for part in ("member", "key", "value"):
        if part in facts:
            facts[part] = picked(facts[part], MEMBER)
    return facts


def references(shape):
    for member in shape.get("members", {}).values():
        yield member["shape"]
    for part in ("member", "key", "value"):
        if part in shape:
            yield shape[part]["shape"]


def reachable(operations, shapes):
    todo = [name for o in operations.values()
            for name in [o.get("input"), o.get("output"), *o.get("errors", [])] if name]
    # Errors that only the whole service declares (awsQueryCompatible services send their codes).
    todo += [name for name, shape in shapes.items() if shape.get("exception")]
    seen = set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += references(shapes[name])
    return sorted(seen)


def newest(service):
    root = pathlib.Path(botocore.__file__).parent / "data" / service
    path = sorted(root.glob("*/service-2.json*"))[-1]
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def lines(entries):
    return ",\n".join(f"{json.dumps(name)}:{json.dumps(facts, separators=(',', ':'))}"
                      for name, facts in entries)


def extract(service):
    model = newest(service)
    names = EC2_OPERATIONS if service == "ec2" else sorted(model["operations"])
    operations = {name: operation_facts(model["operations"][name]) for name in names}
    shapes = {name: shape_facts(model["shapes"][name])
              for name in reachable(operations, model["shapes"])}
    metadata = picked(model["metadata"], METADATA)
    text = ('{"metadata":' + json.dumps(metadata, separators=(",", ":")) +
            ',\n"operations":{\n' + lines(operations.items()) +
            '\n},\n"shapes":{\n' + lines(shapes.items()) + "\n}}\n")
    json.loads(text)
    path = pathlib.Path(__file__).with_name(f"{service}.json")
    path.write_text(text, encoding="utf-8")
    print(f"{path.name}: {len(operations)} operations, {len(shapes)} shapes, {len(text)} bytes")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SERVICES:
        extract(wanted)
