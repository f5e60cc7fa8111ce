#!/usr/bin/env python3
"""Every operation of every model, spoken by botocore: python3 ... PROTOCOL_JUDGE.

botocore serialises sample parameters, our protocol layer reads them; our layer writes a sample
output (and every declared error), botocore parses it. Both must come through unchanged.
"""
import datetime
import io
import json
import re
import subprocess
import sys

try:
    import botocore.session
    from botocore.awsrequest import AWSResponse
    from botocore.config import Config
    from botocore.exceptions import ClientError
except ImportError:
    print("skipped: botocore not installed")
    sys.exit(77)

MODELS = {"appmesh": None, "cloudwatch": None, "ecr": None, "ecs": None, "elbv2": None,
          "iam": None, "logs": None, "servicediscovery": None, "sts": None,
          "ec2": ["AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "DeleteSecurityGroup",
                  "DescribeAvailabilityZones", "DescribeNetworkInterfaces", "DescribeRegions",
                  "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs"]}
MAX_DEPTH = 5
TIME = datetime.datetime(2026, 1, 1, 0, 0, 1, tzinfo=datetime.timezone.utc)
TEXTS = ["aaaa", "1", "123456789012", "a.b", "/a/", "p99", "200", "HTTP", "a:b", "sha256:abc",
         "12345678-1234-1234-1234-123456789012", "arn:aws:iam::123456789012:role/r",
         "arn:aws:kms:us-east-1:123456789012:key/abc", "v1", "s3://abc/x", "1.2", "us-east-1",
         "arn:aws:secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/x",
         "arn:aws:signer:us-east-1:123456789012:/signing-profiles/ab", "https://a.com",
         "http://a/", "ipam-pool-abc", "ipv4pool-coip-abc", "p-abcdefgh", "o-abcdefghij",
         "o-abcdefghij/r-abcd/", "o-abcdefghij/r-abcd"]


class Raw(io.BytesIO):
    def stream(self, **_):
        yield self.read()


def sample_text(shape):
    if shape.enum:
        return shape.enum[0]
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 10**9)
    pattern = re.sub(r"\\p\{[LNZ]\}", r"\\w", shape.metadata.get("pattern", ".*"))
    pattern = re.sub(r"(\\w|0-9)-", r"\1\-", pattern)  # Python refuses a range from a class
    for text in [*TEXTS, "a" * max(low, 1), "1" * max(low, 1)]:
        if low <= len(text) <= high and re.fullmatch(pattern, text, re.ASCII):
            return text
    raise AssertionError(f"no sample for {shape.name}: {pattern}")


def sample(shape, everything, depth=0):
    """The smallest value that the model allows; `everything`: with all optional members."""
    more = everything and depth < MAX_DEPTH
    kind = shape.type_name
    if kind == "structure":
        if shape.is_document_type:
            return {}
        value = {}
        for name, member in shape.members.items():
            wanted = not value if shape.is_tagged_union else more or name in shape.required_members
            if wanted:
                value[name] = sample(member, everything, depth + 1)
        return value
    if kind == "list":
        count = max(shape.metadata.get("min", 0), 1 if more else 0)
        return [sample(shape.member, everything, depth + 1) for _ in range(count)]
    if kind == "map":
        count = max(shape.metadata.get("min", 0), 1 if more else 0)
        return {sample_text(shape.key)[:-1] + "abc"[i] if i else sample_text(shape.key):
                sample(shape.value, everything, depth + 1) for i in range(count)}
    if kind in ("string", "character"):
        return sample_text(shape)
    return {"blob": b"\0\0\0", "boolean": True, "timestamp": TIME,
            "integer": int(shape.metadata.get("min", 1)), "long": int(shape.metadata.get("min", 1)),
            "float": 1.5, "double": 1.5}[kind]


def as_model(value):
    """Python's values as services see them: epoch seconds, base64 text."""
    if isinstance(value, dict):
        return {k: as_model(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_model(v) for v in value]
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    return {b"\0\0\0": "AAAA"}.get(value, value) if isinstance(value, bytes) else value


def pruned(value):
    """Without empty containers: the query protocols cannot carry all of them."""
    if isinstance(value, dict):
        kept = {k: pruned(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    if isinstance(value, list):
        return [v for v in map(pruned, value) if v not in ({}, [])]
    return value


class Judge:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.wish, self.answer = {}, None

    def before_send(self, request, **_):
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        target = request.url.split("//", 1)[1]
        line = {"method": request.method, "target": target[target.index("/"):],
                "headers": [[k, v.decode() if isinstance(v, bytes) else v]
                            for k, v in request.headers.items()],
                "body": body.hex(), **self.wish}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        self.answer = json.loads(self.process.stdout.readline())
        return AWSResponse(request.url, self.answer["status"], dict(self.answer["headers"]),
                           Raw(bytes.fromhex(self.answer["body"])))


def client_for(service, judge):
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    client = session.create_client(
        service, region_name="us-east-1", endpoint_url="http://127.0.0.1:4566",
        config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1},
                      parameter_validation=True))
    client.meta.events.register("before-send", judge.before_send)
    return client


def error_code(shape, query):
    return shape.metadata.get("error", {}).get("code", shape.name) if query else shape.name


def check_operation(client, judge, operation, method, failures):
    xml = client.meta.service_model.metadata["protocol"] in ("query", "ec2")
    clean = pruned if xml else (lambda v: v)
    for everything in (False, True):
        params = sample(operation.input_shape, everything) if operation.input_shape else {}
        reply = as_model(sample(operation.output_shape, True)) if operation.output_shape else {}
        judge.wish = {"reply": reply}
        try:
            parsed = getattr(client, method)(**params)
        except Exception as e:  # any failure is a finding
            failures.append(f"{operation.name}: {type(e).__name__}: {e}")
            continue
        parsed.pop("ResponseMetadata")
        received = judge.answer["received"] or {}
        for token in operation.idempotent_members:
            if token not in params:
                received.pop(token, None)
        if judge.answer["operation"] != operation.name:
            failures.append(f"{operation.name}: called {judge.answer['operation']}")
        if clean(received) != clean(as_model(params)):
            failures.append(f"{operation.name}: input\n  sent {params}\n  read {received}")
        if clean(as_model(parsed)) != clean(reply):
            failures.append(f"{operation.name}: output\n  sent {reply}\n  read {parsed}")


def check_errors(client, judge, operation, method, failures):
    params = sample(operation.input_shape, False) if operation.input_shape else {}
    metadata = client.meta.service_model.metadata
    query = metadata["protocol"] in ("query", "ec2") or "awsQueryCompatible" in metadata
    for shape in operation.error_shapes:
        judge.wish = {"error": {"code": shape.name, "message": "no: <&>"}}
        try:
            getattr(client, method)(**params)
            failures.append(f"{operation.name}: {shape.name} was not raised")
        except ClientError as e:
            error = e.response["Error"]
            got = (error["Code"], error["Message"])
            if got != (error_code(shape, query), "no: <&>"):
                failures.append(f"{operation.name}: {shape.name} came as {got}")


def main():
    judge = Judge(sys.argv[1])
    failures, operations = [], 0
    for service, only in MODELS.items():
        client = client_for(service, judge)
        methods = {name: method for method, name in client.meta.method_to_api_mapping.items()}
        for name, method in methods.items():
            operation = client.meta.service_model.operation_model(name)
            # Event streams are no plain answers; nothing here serves them.
            if (only and name not in only) or operation.has_event_stream_output:
                continue
            operations += 1
            check_operation(client, judge, operation, method, failures)
            check_errors(client, judge, operation, method, failures)
    judge.process.stdin.close()
    judge.process.wait()
    for failure in failures[:20]:
        print(failure[:1500])
    print(f"{operations} operations, {len(failures)} failures, botocore {botocore.__version__}")
    sys.exit(1 if failures else 0)


main()
