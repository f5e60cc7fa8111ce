"""Bad input of every kind: a clear error that says where and what is allowed, the right exit code,
and nothing changed. One row per mistake that people make.

usage: bad_input_test.py COALMINE
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse

from lab import Coalmine, SteadyTraffic, call_raw, get, wait_until

USAGE, ENVIRONMENT = 2, 3

# --- scenario files ----------------------------------------------------------------------------

GOOD = """scenario: good
given:
  traffic: {rate: 100/s}
  versions:
    v1: {}
    v2: {}
rollout:
  plan: [{weight: 1%}, {bake: 1m}, {promote: v2}]
  analysis: [{metric: errors, test: error-share}]
then:
  - outcome: promoted
"""

# name, what is replaced, by what, and what must be said at which LINE:COL
SCENARIOS = [
    ("typo in a key", "rate:", "rat:", ["3:13: error: unknown key \"rat\"; did you mean \"rate\"?"]),
    ("typo in a word", "promoted", "promotd", ["11:14: error: unknown word \"promotd\".*allowed"]),
    ("duplicate key", "v2: {}", "v1: {}", ["6:5: error: \"v1\" is given twice"]),
    ("duplicate inside", "rate: 100/s", "rate: 1/s, rate: 2/s", ["3:24: error: .*given twice"]),
    ("weight over 100%", "1%}", "101%}", ["8:19: error: 101%.*allowed is 0% to 100%"]),
    ("weight below 0%", "1%}", "-1%}", ["8:19: error: .*-1%.*allowed"]),
    ("no unit", "1m", "10", ["8:31: error: .*10.*unit|8:31: error: .*10"]),
    ("missing version", "promote: v2", "promote: v3",
     ["8:.*error: .*version \"v3\" \\(allowed: v1, v2\\)"]),
    ("only one version", "    v2: {}\n", "", ["5:5: error: .*1.*2"]),
    ("impossible plan", "bake: 1m", "bake: 48h", ["8:.*error: the plan bakes for 48h"]),
    ("test without canary traffic", "{weight: 1%}, ", "", ["8:.*error: |9:.*error: "]),
    ("steps behind the promote", "{promote: v2}", "{promote: v2}, {bake: 1m}", ["8:.*error: "]),
    ("not YAML", "given:", "given: {", [".*error: "]),
    ("not a map", GOOD, "- a\n- b\n", ["1:1: error: "]),
    ("empty", GOOD, "", [".*error: "]),
    ("five mistakes at once", GOOD, """scenario: many
given:
  traffic: {rat: 100/s}
  versions: {v1: {tsks: 1}, v2: {}}
rollout:
  plan: [{weight: 300%}, {bake: soon}]
then:
  - outcom: promoted
""", ["3:13: error", "4:19: error", "6:19: error", "6:33: error", "8:5: error"]),
]


def scenario_files(run, folder):
    for name, old, new, wanted in SCENARIOS:
        path = f"{folder}/scenario.yaml"
        assert old in GOOD, name
        with open(path, "w", encoding="utf-8") as file:
            file.write(GOOD.replace(old, new))
        for verb in ("validate", "run"):
            code, out, err = run(verb, path)
            assert code == USAGE, f"{name}: {verb} exits with {code}\n{out}{err}"
            for pattern in wanted:
                assert re.search(f"^{re.escape(path)}:{pattern}", err, re.M), \
                    f"{name}: wanted {pattern!r} in\n{err}"
            assert "\x1b" not in out + err, f"{name}: colour without a terminal"
    code, out, err = run("validate", write(folder, "good.yaml", GOOD))
    assert code == 0, out + err
    print(f"passed: {len(SCENARIOS)} broken scenarios, each with place and what is allowed")


def write(folder, name, text):
    path = f"{folder}/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


# --- the command line --------------------------------------------------------------------------

# words, what standard error must hold
COMMANDS = [
    ([], "a verb is missing .*run.*mock-aws"),
    (["fly"], "unknown verb \"fly\" .*allowed: run"),
    (["rum"], "did you mean \"run\""),
    (["rollout"], "a verb is missing .*start.*abort"),
    (["rollout", "strt"], "did you mean \"start\""),
    (["run"], "PATH is missing"),
    (["run", "--liv"], "unknown option --liv; did you mean \"--live\""),
    (["run", "--speed", "0", "x"], "--speed: \"0\" is not a number from 1 to 1000"),
    (["run", "--speed", "fast", "x"], "--speed: \"fast\" is not a number"),
    (["run", "--fidelity", "best", "x"], "--fidelity: \"best\" is none of"),
    (["run", "--shard", "3/2", "x"], "shard"),
    (["run", "no-such.yaml"], "no-such.yaml"),
    (["validate"], "PATH is missing"),
    (["schema", "x"], "\"x\" was not expected"),
    (["mock-aws", "--port", "65536"], "--port: \"65536\" is not a whole number from 0 to 65535"),
    (["mock-aws", "--port"], "--port"),
    (["mock-aws", "--driver", "docker"], "--driver: \"docker\" is none of process, simulated"),
    (["mock-aws", "--image", "v2"], "PATTERN=COMMAND"),
    (["up", "--speed", "5000"], "--speed"),
    (["gateway"], "--routes FILE or --control URL"),
    (["gateway", "--routes", "no-such.json"], "no-such.json"),
    (["rollout", "start", "--steps", "1%,soon"], "step \"soon\": allowed are"),
    (["rollout", "start", "--steps", "1%,-1m"], "step \"-1m\""),
    (["rollout", "start", "--steps", "150%,1m,promote"], "150%"),
    (["rollout", "start", "--steps", "promote,1m"], "error"),
    (["rollout", "start", "--alpha", "2"], "--alpha"),
    (["rollout", "start", "--metric-period", "7s"], "the metric period is 7s"),
    (["rollout", "start", "--name", "a/b"], "a/b"),
    (["rollout", "weights", "--set", "101%"], "allowed is 0% to 100%"),
    (["rollout", "status"], "there is no rollout \"default\""),
    (["rollout", "pause"], "there is no rollout \"default\""),
    (["provision", "--tasks", "0"], "--tasks: \"0\" is not a whole number from 1 to 100"),
]


def command_lines(run):
    for words, wanted in COMMANDS:
        code, out, err = run(*words)
        assert code == USAGE, f"{words}: exit {code}\n{out}{err}"
        assert re.search(wanted, err, re.S), f"{words}: wanted {wanted!r} in\n{err}"
        assert not out, f"{words}: wrong usage writes to standard output: {out}"
        assert "\x1b" not in err
    print(f"passed: {len(COMMANDS)} wrong command lines")


def help_texts(run):
    code, out, _ = run("--help")
    assert code == 0
    verbs = re.findall(r"^  ([a-z-]+) {2,}", out[out.index("Subcommands"):], re.M)
    assert {"run", "up", "mock-aws", "rollout", "provision", "destroy"} <= set(verbs), out
    verbs = [[verb] for verb in verbs if verb != "rollout"] + [
        ["rollout", word] for word in
        ("start", "status", "weights", "pause", "resume", "promote", "abort")]
    for words in verbs:
        code, out, err = run(*words, "--help")
        assert code == 0 and not err, f"{words}: {err}"
        assert f"coalmine {' '.join(words)}" in out, f"{words}: no example\n{out}"
        assert all(len(line) <= 80 for line in out.splitlines()), f"{words}: long lines\n{out}"
    print(f"passed: {len(verbs)} help texts teach by example")


# --- the surroundings --------------------------------------------------------------------------


def busy_ports(run, folder):
    routes = write(folder, "routes.json", json.dumps({"listeners": [{
        "port": 9080, "routes": [{"match": {"prefix": "/"}, "targets": [
            {"name": "v1", "weight": 1, "instances": ["127.0.0.1:1"]}]}]}]}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words in (["mock-aws", "--port", port], ["up", "--empty", "--port", port],
                      ["up", "--empty", "--port", "0", "--gateway-port", port],
                      ["gateway", "--routes", routes, "--listen", f"127.0.0.1:{port}",
                       "--admin", "127.0.0.1:0"],
                      ["gateway", "--routes", routes, "--listen", "127.0.0.1:0",
                       "--admin", f"127.0.0.1:{port}"]):
            code, out, err = run(*words)
            assert code == ENVIRONMENT, f"{words}: exit {code}\n{out}{err}"
            assert port in err and "ready" not in out, f"{words}: {err}"
    print("passed: busy ports")


def missing_programs(run, program, folder):
    alone = f"{folder}/alone/coalmine"  # without sample-app beside it
    os.makedirs(os.path.dirname(alone))
    shutil.copy(program, alone)
    scenario = write(folder, "live.yaml", GOOD)
    code, out, err = run("run", "--live", "--speed", "10", scenario, program=alone)
    assert code == ENVIRONMENT and "sample-app" in err, f"exit {code}\n{out}{err}"
    print("passed: a live run without sample-app says what is missing")


def run_task(endpoint, image):
    """Runs one container; returns its task once it has stopped."""
    def ecs(operation, **members):
        status, answer = call_raw(
            endpoint, f"AmazonEC2ContainerServiceV20141113.{operation}", members)
        assert status == 200, answer
        return answer
    ecs("CreateCluster", clusterName="c")
    ecs("RegisterTaskDefinition", family="f", networkMode="awsvpc", cpu="256", memory="512",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[{"name": "app", "image": image, "essential": True}])
    task = ecs("RunTask", cluster="c", taskDefinition="f", launchType="FARGATE",
               networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}})["tasks"][0]

    def stopped():
        found = ecs("DescribeTasks", cluster="c", tasks=[task["taskArn"]])["tasks"][0]
        return found if found["lastStatus"] == "STOPPED" else None
    return wait_until(stopped, f"the task of {image} has stopped", 90)


def bad_images(program):
    with Coalmine(program, "mock-aws", "--port", "0", "--image", "gone=/no/such/program",
                  "--image", "crash=/bin/false") as mine:
        for image, wanted in (("gone", '"exitCode": 127'), ("nowhere", "CannotPullContainerError"),
                              ("crash", "Essential container in task exited")):
            task = run_task(mine.endpoint, image)
            text = json.dumps([task["stoppedReason"], task["containers"]])
            assert wanted in text, f"{image}: {text}"
        assert get(mine.endpoint + "/_coalmine/health")[0] == 200
        mine.stop()
    print("passed: missing and crashing programs stop their task with a reason")


def crashing_canary(program, folder):
    with Coalmine(program, "up", "--port", "0", "--gateway-port", "0", "--image",
                  "coalmine/sample-app:v2=/bin/false") as mine:
        environment = mine.environment("000000000000", "us-east-1")
        with SteadyTraffic(mine.addresses["gateway"]):
            done = subprocess.run(
                [program, "rollout", "start", "--state", folder, "--name", "crashing",
                 "--steps", "20%,60s,promote", "--metric-period", "1s", "--metric-delay", "1s"],
                env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 1 and "rolled back" in done.stdout, done.stdout + done.stderr
        mine.stop()
    print("passed: a v2 that crashes at once is rolled back")


# --- malformed HTTP ----------------------------------------------------------------------------

MALFORMED = [
    b"\r\n\r\n\x00\x01\x02garbage\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
]


def malformed_http(program):
    with Coalmine(program, "up", "--port", "0", "--gateway-port", "0") as mine:
        for name in ("mock-aws", "gateway"):
            url = urllib.parse.urlparse(mine.addresses[name])
            for request in MALFORMED:
                with socket.create_connection((url.hostname, url.port), timeout=20) as wire:
                    wire.sendall(request)
                    answer = wire.recv(4096)
                status = answer[9:12]
                assert status in (b"400", b"505", b"501"), f"{name}: {request!r}: {answer!r}"
            status, _, _ = get(mine.addresses[name] + ("/_coalmine/health" if name == "mock-aws"
                                                       else "/"))
            assert status == 200, f"{name} does not live any more: {status}"
        for method, path, body in (("POST", "faults", "{"), ("POST", "faults", '{"nth":-1}'),
                                   ("POST", "clock", '{"advance":"10m"}'), ("PUT", "state", ""),
                                   ("GET", "nothing", "")):
            status, text = raw(mine, method, "/_coalmine/" + path, body)
            assert 400 <= status < 500 and "error" in json.loads(text), f"{path}: {status} {text}"
        mine.stop()
    print(f"passed: {len(MALFORMED)} malformed requests to the mock and the gateway")


def raw(mine, method, path, body):
    import http.client
    url = urllib.parse.urlparse(mine.endpoint)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read()


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": "/usr/bin:/bin", "HOME": folder}

        def run(*words, program=program):
            done = subprocess.run([program, *words], env=environment, cwd=folder,
                                  capture_output=True, text=True, timeout=120)
            return done.returncode, done.stdout, done.stderr

        command_lines(run)
        help_texts(run)
        scenario_files(run, folder)
        busy_ports(run, folder)
        missing_programs(run, program, folder)
        bad_images(program)
        malformed_http(program)
        crashing_canary(program, folder)


if __name__ == "__main__":
    main()
