"""What the end-to-end tests share: a running coalmine, the AWS CLI, traffic and its counts.

Only Python's standard library. Every wait polls a condition with a deadline; every process and
request is bounded. Exit code 77 means "skipped", as CTest is told.
"""

import collections
import http.client
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

SKIPPED = 77


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


class Coalmine:
    """A long-running verb, started on free ports and stopped with SIGINT."""

    def __init__(self, program, *arguments):
        self.program = program
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [program, *arguments], stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addresses = {}
        line = self._ready_line(deadline=time.monotonic() + 60)
        for word in line.split()[2:]:
            name, _, url = word.partition("=")
            self.addresses[name] = url

    def _ready_line(self, deadline):
        found = []
        reader = threading.Thread(
            target=lambda: found.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(max(0, deadline - time.monotonic()))
        if not found or not found[0].startswith("coalmine: ready"):
            self.process.kill()
            raise AssertionError(f"no ready line, got {found!r}\n{self.errors()}")
        # Whatever else it prints must not fill the pipe.
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()
        return found[0]

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    @property
    def endpoint(self):
        return self.addresses["mock-aws"]

    def environment(self, account, region):
        """The variables `coalmine env` prints, on top of a clean environment."""
        printed = subprocess.run(
            [self.program, "env", "--endpoint", self.endpoint, "--account", account,
             "--region", region], capture_output=True, text=True, check=True).stdout
        variables = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        for line in printed.splitlines():
            if line.startswith("export "):
                name, _, value = line[len("export "):].partition("=")
                variables[name] = value.strip('"')
        return variables

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        assert code == 0, f"exit code {code} after SIGINT\n{self.errors()}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.errors()[-4000:], file=sys.stderr)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise


class AwsError(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.text = text


class AwsCli:
    """The real AWS CLI against coalmine."""

    def __init__(self, mine, account, region):
        self.command = shutil.which("aws")
        if self.command is None:
            skip("the AWS CLI is not installed")
        self.environment = mine.environment(account, region)
        self.endpoint = mine.endpoint

    def __call__(self, *words, **options):
        """aws("appmesh", "create-mesh", mesh_name="m", spec={...}) -> parsed JSON or None."""
        command = [self.command, "--endpoint-url", self.endpoint, "--output", "json", *words]
        for name, value in options.items():
            command.append("--" + name.replace("_", "-"))
            if value is True:
                continue
            if isinstance(value, list) and all(isinstance(v, str) for v in value):
                command += value
            elif isinstance(value, (dict, list)):
                command.append(json.dumps(value))
            else:
                command.append(str(value))
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True,
                              timeout=700)
        if done.returncode != 0:
            raise AwsError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, code, *words, **options):
        """Asserts that AWS refuses the call with this error code; returns the message."""
        try:
            self(*words, **options)
        except AwsError as error:
            assert f"({code})" in error.text, f"wanted {code}, got: {error.text}"
            return error.text
        raise AssertionError(f"{' '.join(words)} succeeded, wanted {code}")


def call_raw(endpoint, target, body, content_type="application/x-amz-json-1.1"):
    """An unsigned AWS JSON call without any client in between."""
    url = urllib.parse.urlparse(endpoint)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    connection.request("POST", "/", json.dumps(body),
                       {"Content-Type": content_type, "X-Amz-Target": target})
    response = connection.getresponse()
    return response.status, json.loads(response.read() or b"{}")


def wait_until(condition, what, seconds=60):
    """Polls until `condition()` is true; its last value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"gave up after {seconds} s waiting until {what}"
        time.sleep(0.1)


def get(url, timeout=10):
    parts = urllib.parse.urlparse(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", (parts.path or "/") + (parts.query and "?" + parts.query))
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


def control(mine, method, name, body=None):
    """A request to a control endpoint: control(mine, "POST", "clock", {"advance": "10m"})."""
    url = urllib.parse.urlparse(mine.endpoint)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.request(method, "/_coalmine/" + name,
                       None if body is None else json.dumps(body))
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == 200, f"{method} {name}: {response.status} {text}"
    return json.loads(text)


def version_of(status, body):
    """"v1" out of {"data":"This is service v1"}; "error 503" for anything else."""
    if status != 200:
        return f"error {status}"
    return json.loads(body)["data"].rsplit(" ", 1)[-1]


def traffic(url, requests, connections=4):
    """Sends so many GETs over keep-alive connections; counts the answers by version."""
    parts = urllib.parse.urlparse(url)
    counts = collections.Counter()
    lock = threading.Lock()

    def client(share):
        mine = collections.Counter()
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        for _ in range(share):
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                mine[version_of(response.status, response.read().decode())] += 1
            except (OSError, http.client.HTTPException) as error:
                mine[f"failed: {error!r}"] += 1
                connection.close()
        connection.close()
        with lock:
            counts.update(mine)

    threads = [threading.Thread(target=client, args=(requests // connections,))
               for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


class SteadyTraffic:
    """Traffic in the background until the block ends (at most `seconds`); counts afterwards."""

    def __init__(self, url, connections=2, seconds=120):
        self.url, self.connections, self.seconds = url, connections, seconds
        self.counts = collections.Counter()
        self.stopping = threading.Event()

    def _client(self):
        deadline = time.monotonic() + self.seconds
        while not self.stopping.is_set() and time.monotonic() < deadline:
            self.counts.update(traffic(self.url, 50, 1))

    def __enter__(self):
        self.threads = [threading.Thread(target=self._client) for _ in range(self.connections)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def assert_split(counts, version, share, sigmas=4):
    """The count of `version` lies within a binomial bound of its share; nothing failed."""
    total = sum(counts.values())
    bad = {k: n for k, n in counts.items() if not k.startswith("v")}
    assert not bad, f"failed requests: {bad}"
    deviation = math.sqrt(total * share * (1 - share))
    distance = abs(counts[version] - total * share)
    assert distance <= sigmas * deviation + 1e-9, (
        f"{version} got {counts[version]} of {total}, wanted {share:.0%} "
        f"± {sigmas * deviation / total:.2%}; all: {dict(counts)}")


def canary_address(mine):
    """Where v2's task answers, out of the mock's own state."""
    text = get(mine.endpoint + "/_coalmine/state")[1]
    for candidate in sorted(set(re.findall(r"\b127(?:\.\d+){3}\b", text))):
        try:
            if json.loads(get(f"http://{candidate}:9000/version")[1]).get("version") == "v2":
                return candidate
        except OSError:
            continue  # a load balancer or the gateway: nothing on the app's port
    raise AssertionError(f"no v2 in {text}")


def break_it(address, share):
    connection = http.client.HTTPConnection(address, 9000, timeout=10)
    connection.request("PUT", "/fault", json.dumps({"kind": "errors", "share": share}))
    response = connection.getresponse()
    assert response.status == 200, response.read()


def strip_nulls(value):
    """What `jq 'del(..|nulls)'` does."""
    if isinstance(value, dict):
        return {k: strip_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [strip_nulls(v) for v in value if v is not None]
    return value
