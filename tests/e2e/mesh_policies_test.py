"""Policies set through App Mesh's API, each seen to act in traffic: outlier detection, connection
pool, timeouts, retries and health checks.

usage: mesh_policies_test.py COALMINE

`coalmine mock-aws` and `coalmine gateway`, and between them this test: it makes the mesh with the
AWS CLI (where there is none, by the same calls over plain HTTP) and is itself the tasks, whose
answers it decides. Every case has a virtual node, a route and two tasks of its own; tasks and
gateway have loopback addresses of their own, as under awsvpc.
"""

import http.client
import http.server
import json
import os
import shutil
import socketserver
import sys
import threading
import urllib.parse

from lab import AwsCli, Coalmine, call_raw, get, wait_until

MESH = "m"
PORT = 9000
# Those of calls that are not signed, too.
ACCOUNT, REGION = "000000000000", "us-east-1"
# Where the AWS CLI sends App Mesh's calls (API model, appmesh 2019-01-25).
PATHS = {
    "create-mesh": ("PUT", "/meshes"),
    "create-virtual-node": ("PUT", "/meshes/{meshName}/virtualNodes"),
    "update-virtual-node": ("PUT", "/meshes/{meshName}/virtualNodes/{virtualNodeName}"),
    "create-virtual-router": ("PUT", "/meshes/{meshName}/virtualRouters"),
    "create-route": ("PUT", "/meshes/{meshName}/virtualRouter/{virtualRouterName}/routes"),
    "update-route": (
        "PUT", "/meshes/{meshName}/virtualRouter/{virtualRouterName}/routes/{routeName}"),
    "create-virtual-service": ("PUT", "/meshes/{meshName}/virtualServices"),
    "create-virtual-gateway": ("PUT", "/meshes/{meshName}/virtualGateways"),
    "create-gateway-route": (
        "PUT", "/meshes/{meshName}/virtualGateway/{virtualGatewayName}/gatewayRoutes"),
}


class RawCalls:
    """The calls of the AWS CLI without it, unsigned."""

    def __init__(self, mine):
        self.endpoint = mine.endpoint

    def __call__(self, service, operation, cli_input_json):
        if service == "servicediscovery":
            name = "".join(word.capitalize() for word in operation.split("-"))
            status, answer = call_raw(
                self.endpoint, "Route53AutoNaming_v20170314." + name, cli_input_json)
        else:
            method, path = PATHS[operation]
            url = urllib.parse.urlparse(self.endpoint)
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
            connection.request(method, "/v20190125" + path.format(**cli_input_json),
                               json.dumps(cli_input_json), {"Content-Type": "application/json"})
            response = connection.getresponse()
            status, answer = response.status, json.loads(response.read() or b"{}")
            connection.close()
        assert status == 200, f"{operation}: {status} {answer}"
        return answer


def own_address(part):
    """A loopback address that no other run uses."""
    return f"127.{200 + part}.{os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"


class TaskServer(socketserver.ThreadingTCPServer):
    """Not http.server's own class: that one asks the DNS for the address's name."""

    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # the gateway may end a connection
            super().handle_error(request, client_address)


class Task:
    """A task whose answers a test decides: `answer(path)` gives the status."""

    def __init__(self, address, answer):
        self.address, self.answer, self.asked = address, answer, 0
        task = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path != "/ping":
                    task.asked += 1
                body = task.address.encode()
                status = task.answer(self.path)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the gateway has given this attempt up

            def log_message(self, *_):
                pass

        server = TaskServer((address, PORT), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Lab:
    def __init__(self, program, mine):
        self.aws = AwsCli(mine, ACCOUNT, REGION) if shutil.which("aws") else RawCalls(mine)
        self.cases = 0
        self.url = f"http://{own_address(0)}:9080"
        self.call("appmesh", "create-mesh", meshName=MESH)
        listeners = [{"portMapping": {"port": 9080, "protocol": "http"}}]
        self.mesh("create-virtual-gateway", virtualGatewayName="g", spec={"listeners": listeners})
        self.mesh("create-virtual-router", virtualRouterName="r", spec={"listeners": listeners})
        self.mesh("create-virtual-service", virtualServiceName="s",
                  spec={"provider": {"virtualRouter": {"virtualRouterName": "r"}}})
        self.mesh("create-gateway-route", virtualGatewayName="g", gatewayRouteName="all",
                  spec={"httpRoute": {
                      "match": {"prefix": "/"}, "action": {
                          "target": {"virtualService": {"virtualServiceName": "s"}},
                          "rewrite": {"prefix": {"defaultPrefix": "DISABLED"}}}}})
        operation = self.call("servicediscovery", "create-http-namespace", Name="n")["OperationId"]
        self.namespace = wait_until(lambda: self.made(operation), "the namespace exists")
        self.gateway = Coalmine(program, "gateway", "--listen", own_address(0), "--admin",
                                "127.0.0.1:0", "--threads", "1", "--control", mine.endpoint,
                                "--virtual-gateway", f"{MESH}/g", "--scope",
                                f"{ACCOUNT}/{REGION}")

    def call(self, service, operation, **members):
        return self.aws(service, operation, cli_input_json=members)

    def mesh(self, operation, **members):
        return self.call("appmesh", operation, meshName=MESH, **members)

    def made(self, operation):
        answer = self.call("servicediscovery", "get-operation", OperationId=operation)["Operation"]
        return answer["Targets"]["NAMESPACE"] if answer["Status"] == "SUCCESS" else None

    def admin(self, page):
        return get(self.gateway.addresses["admin"] + page)[1]

    def stat(self, name):
        """The sum of a counter of the admin page over the case's listener, route and target."""
        return sum(int(line.rsplit(" ", 1)[1]) for line in self.admin("/stats").splitlines()
                   if f".all/{self.name}.{self.name}.{name}:" in line)

    def case(self, answer_1, answer_2=None, listener=None, route=None):
        """Two tasks (or one) behind a node and a route; returns them once the gateway knows them."""
        self.cases += 1
        self.name = name = "case-" + "abcdefghijklmnopq"[self.cases]
        answers = [answer for answer in (answer_1, answer_2) if answer]
        tasks = [Task(own_address(2 * self.cases + i), answer)
                 for i, answer in enumerate(answers)]
        service = self.call("servicediscovery", "create-service", Name=name,
                            NamespaceId=self.namespace)["Service"]["Id"]
        for i, task in enumerate(tasks):
            self.call("servicediscovery", "register-instance", ServiceId=service,
                      InstanceId=f"task-{i}", Attributes={"AWS_INSTANCE_IPV4": task.address})
        self.mesh("create-virtual-node", virtualNodeName=name, spec={
            "listeners": [{"portMapping": {"port": PORT, "protocol": "http"}, **(listener or {})}],
            "serviceDiscovery": {"awsCloudMap": {"namespaceName": "n", "serviceName": name}}})
        self.mesh("create-route", virtualRouterName="r", routeName=name, spec={
            "priority": self.cases, "httpRoute": {
                "match": {"prefix": f"/{name}"},
                "action": {"weightedTargets": [{"virtualNode": name, "weight": 1}]},
                **(route or {})}})
        wait_until(lambda: all(task.address in self.admin("/config_dump") and
                               f"/{name}" in self.admin("/config_dump") for task in tasks),
                   f"the gateway has {name} and its tasks")
        return tasks

    def ask(self):
        return get(f"{self.url}/{self.name}")

    def statuses(self, count):
        return [self.ask()[0] for _ in range(count)]


def good(_path):
    return 200


NO_RETRY = {"retryPolicy": {"maxRetries": 0, "perRetryTimeout": {"unit": "s", "value": 5},
                            "httpRetryEvents": ["gateway-error"]}}


def retries(lab):
    bad, _ = lab.case(lambda _: 500, good, route={"retryPolicy": {
        "maxRetries": 2, "perRetryTimeout": {"unit": "s", "value": 5},
        "httpRetryEvents": ["server-error"]}})
    assert lab.statuses(8) == [200] * 8, "another task answers instead"
    assert bad.asked >= 4, bad.asked
    assert lab.stat("upstream_rq_retry") == bad.asked

    lab.case(lambda _: 500, good, route={"retryPolicy": {
        "maxRetries": 2, "perRetryTimeout": {"unit": "s", "value": 5},
        "httpRetryEvents": ["gateway-error"]}})
    assert sorted(lab.statuses(8)) == [200] * 4 + [500] * 4, "500 is no gateway error"

    unavailable, _ = lab.case(lambda _: 503, good)
    assert lab.statuses(8) == [200] * 8, "a route without a policy retries 503 (App Mesh's default)"
    assert unavailable.asked >= 4


def timeouts(lab):
    go = threading.Event()

    def slow(_path):
        go.wait(60)
        return 200

    try:
        lab.case(slow, route={**NO_RETRY, "timeout": {"perRequest": {"unit": "ms", "value": 300}}})
        status, body, _ = lab.ask()
        assert (status, body) == (504, "upstream request timeout"), (status, body)
        assert lab.stat("upstream_rq_timeout") == 1

        lab.case(slow, listener={"timeout": {"http": {
            "perRequest": {"unit": "ms", "value": 300}}}}, route=NO_RETRY)
        assert lab.ask()[0] == 504, "the node's listener may be the stricter one"

        lab.case(slow, route={**NO_RETRY, "timeout": {
            "perRequest": {"unit": "s", "value": 0}, "idle": {"unit": "ms", "value": 300}}})
        status, body, _ = lab.ask()
        assert (status, body) == (504, "stream timeout"), (status, body)

        one, two = lab.case(slow, good, route={"retryPolicy": {
            "maxRetries": 1, "perRetryTimeout": {"unit": "ms", "value": 300},
            "httpRetryEvents": ["gateway-error"]}})
        assert lab.statuses(2) == [200, 200], "the attempt that takes too long is given up"
        assert one.asked == lab.stat("upstream_rq_retry") >= 1 and two.asked == 2
    finally:
        go.set()


def outlier_detection(lab):
    bad, other = lab.case(lambda _: 500, good, route=NO_RETRY, listener={"outlierDetection": {
        "maxServerErrors": 3, "interval": {"unit": "s", "value": 1},
        "baseEjectionDuration": {"unit": "s", "value": 300}, "maxEjectionPercent": 100}})
    assert lab.statuses(20).count(500) == 3
    assert (bad.asked, other.asked) == (3, 17)
    clusters = lab.admin("/clusters")
    assert f"{bad.address}:{PORT}::health_flags::/failed_outlier_check" in clusters, clusters
    assert f"{other.address}:{PORT}::health_flags::healthy" in clusters, clusters


def connection_pool(lab):
    go = threading.Event()

    def slow(_path):
        go.wait(60)
        return 200

    (task,) = lab.case(slow, listener={"connectionPool": {"http": {
        "maxConnections": 1, "maxPendingRequests": 1}}})
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(lab.ask()[0])) for _ in range(2)]
    try:
        for thread in waiting:
            thread.start()
        wait_until(lambda: task.asked == 1 and "rq_pending_active: 1\n" in lab.admin("/stats"),
                   "one request is on the connection and one waits for it")
        status, body, headers = lab.ask()
        assert status == 503 and body.endswith("reset reason: overflow"), (status, body)
        assert headers["x-envoy-overloaded"] == "true", headers
    finally:
        go.set()
        for thread in waiting:
            thread.join()
    assert answers == [200, 200] and task.asked == 2
    assert lab.stat("upstream_rq_pending_overflow") == 1


def health_checks(lab):
    health = {"status": 500}

    def sick(path):
        return health["status"] if path == "/ping" else 200

    task, other = lab.case(sick, good, listener={"healthCheck": {
        "protocol": "http", "path": "/ping", "port": PORT, "healthyThreshold": 2,
        "unhealthyThreshold": 2, "intervalMillis": 5000, "timeoutMillis": 2000}})
    wait_until(lambda: f"{other.address}:{PORT}::health_flags::healthy" in lab.admin("/clusters"),
               "the other task has passed its first check")
    assert lab.statuses(6) == [200] * 6
    assert (task.asked, other.asked) == (0, 6), "a task that fails its checks is not asked"
    health["status"] = 200
    wait_until(lambda: lab.ask()[0] == 200 and task.asked > 0, "two passed checks bring it back")


def main():
    program = sys.argv[1]
    with Coalmine(program, "mock-aws", "--port", "0") as mine:
        lab = Lab(program, mine)
        with lab.gateway:
            for case in (retries, timeouts, outlier_detection, connection_pool, health_checks):
                case(lab)
                print(f"passed: {case.__name__}")
            lab.gateway.stop()
        mine.stop()


if __name__ == "__main__":
    main()
