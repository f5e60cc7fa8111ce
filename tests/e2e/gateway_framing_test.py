"""The gateway beside HAProxy and nginx: the same bytes to each, and what came of them.

Compared are the status classes of the answers and the requests that the upstream saw whole. Where
the three differ, the difference stands below with its reason; any other is a failure. Peers that
are not installed are left out; without both of them the test is skipped.

usage: gateway_framing_test.py COALMINE
"""

import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from lab import Coalmine, skip

DEADLINE_S = 10
QUIET_S = 0.4  # an answer that is not followed by another

Case = collections.namedtuple("Case", "name sent statuses arrived")


def request(line, *fields, body=b""):
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1") + body


def refused(name, sent, status="4xx"):
    """Refused, and nothing of it arrives."""
    return Case(name, sent, [status], [])


def passed(name, sent, *arrived):
    return Case(name, sent, ["2xx"] * len(arrived), list(arrived))


def post(name, *fields, body=b""):
    return request(f"POST /{name} HTTP/1.1", "Host: a.example", *fields, body=body)


def get(name, *fields):
    return request(f"GET /{name} HTTP/1.1", *fields)


EMPTY_CHUNKS = b"0\r\n\r\n"
# A second request in what is, read the other way, the body of the first.
SMUGGLED = b"GET /%s-smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"


def cl_te(name, *fields):
    return refused(name, post(name, *fields, body=EMPTY_CHUNKS + SMUGGLED % name.encode()))


CASES = [
    passed("plain", get("plain", "Host: a.example"), ("GET", "/plain", b"")),
    passed("length", post("length", "Content-Length: 3", body=b"abc"), ("POST", "/length", b"abc")),
    passed("chunked", post("chunked", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
           ("POST", "/chunked", b"abc")),
    passed("chunked-capitals",
           post("chunked-capitals", "Transfer-Encoding: Chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
           ("POST", "/chunked-capitals", b"abc")),
    passed("chunk-extension",
           post("chunk-extension", "Transfer-Encoding: chunked",
                body=b"3;a=b\r\nabc\r\n0;c\r\n\r\n"),
           ("POST", "/chunk-extension", b"abc")),
    passed("trailer",
           post("trailer", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
           ("POST", "/trailer", b"abc")),
    passed("pipelined",
           post("pipelined", "Content-Length: 3", body=b"abc") + get("pipelined-b", "Host: b"),
           ("POST", "/pipelined", b"abc"), ("GET", "/pipelined-b", b"")),
    passed("get-with-body", request("GET /get-with-body HTTP/1.1", "Host: a.example",
                                    "Content-Length: 3", body=b"abc"),
           ("GET", "/get-with-body", b"abc")),
    passed("old-client", request("GET /old-client HTTP/1.0", "Host: a.example"),
           ("GET", "/old-client", b"")),
    passed("old-client-without-host", request("GET /old-client-without-host HTTP/1.0"),
           ("GET", "/old-client-without-host", b"")),
    passed("absolute-form", request("GET http://a.example/absolute-form HTTP/1.1",
                                    "Host: a.example"),
           ("GET", "/absolute-form", b"")),
    passed("empty-line-before", b"\r\n" + get("empty-line-before", "Host: a.example"),
           ("GET", "/empty-line-before", b"")),
    passed("high-byte-in-value", get("high-byte-in-value", "Host: a.example", "A: \xe9"),
           ("GET", "/high-byte-in-value", b"")),
    # Where the body ends
    cl_te("length-and-chunked", "Content-Length: 5", "Transfer-Encoding: chunked"),
    cl_te("chunked-and-length", "Transfer-Encoding: chunked", "Content-Length: 5"),
    cl_te("chunked-not-last", "Transfer-Encoding: chunked, identity"),
    cl_te("chunked-twice", "Transfer-Encoding: chunked, chunked"),
    cl_te("chunked-twice-in-lines", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    cl_te("identity-then-chunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
    cl_te("xchunked", "Transfer-Encoding: xchunked"),
    cl_te("chunked-vertical-tab", "Transfer-Encoding: \x0bchunked"),
    cl_te("chunked-space-before-colon", "Transfer-Encoding : chunked"),
    cl_te("chunked-folded", "Transfer-Encoding:", " chunked"),
    cl_te("chunked-quoted", "Transfer-Encoding: \"chunked\""),
    refused("gzip-then-chunked",
            post("gzip-then-chunked", "Transfer-Encoding: gzip, chunked", body=EMPTY_CHUNKS),
            "5xx"),
    refused("chunked-in-http10", request("POST /chunked-in-http10 HTTP/1.0", "Host: a.example",
                                         "Transfer-Encoding: chunked", body=EMPTY_CHUNKS)),
    refused("length-twice", post("length-twice", "Content-Length: 3", "Content-Length: 3",
                                 body=b"abc")),
    refused("length-twice-different",
            post("length-twice-different", "Content-Length: 0", "Content-Length: 60",
                 body=SMUGGLED % b"length-twice-different")),
    refused("length-list", post("length-list", "Content-Length: 3, 3", body=b"abc")),
    refused("length-signed", post("length-signed", "Content-Length: +3", body=b"abc")),
    refused("length-negative", post("length-negative", "Content-Length: -1")),
    refused("length-hex", post("length-hex", "Content-Length: 0x3", body=b"abc")),
    refused("length-space", post("length-space", "Content-Length: 1 3", body=b"abc")),
    refused("length-too-large", post("length-too-large", "Content-Length: 9223372036854775808")),
    refused("length-underscore", post("length-underscore", "Content_Length: 3")),
    refused("coding-underscore", post("coding-underscore", "Transfer_Encoding: chunked")),
    # Chunks
    *[refused(f"chunk-{name}", post(f"chunk-{name}", "Transfer-Encoding: chunked", body=body))
      for name, body in [
          ("size-empty", b"\r\nabc\r\n0\r\n\r\n"), ("size-not-hex", b"g\r\nabc\r\n0\r\n\r\n"),
          ("size-negative", b"-3\r\nabc\r\n0\r\n\r\n"),
          ("size-prefixed", b"0x3\r\nabc\r\n0\r\n\r\n"),
          ("size-overflows", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
          ("size-line-feed", b"3\nabc\r\n0\r\n\r\n"),
          ("data-too-long", b"3\r\nabcd\r\n0\r\n\r\n"),
          ("data-line-feed", b"3\r\nabc\n0\r\n\r\n"),
          ("trailer-without-colon", b"0\r\nbad\r\n\r\n")]],
    # Lines and fields
    refused("line-feeds", b"GET /line-feeds HTTP/1.1\nHost: a.example\n\n"),
    refused("carriage-return-in-value", get("carriage-return-in-value", "Host: a", "A: b\rc")),
    refused("nul-in-value", get("nul-in-value", "Host: a", "A: b\0c")),
    refused("control-in-value", get("control-in-value", "Host: a", "A: \x01")),
    refused("folded", get("folded", "Host: a", "A: b", " c")),
    refused("space-before-colon", get("space-before-colon", "Host: a", "A : b")),
    refused("space-before-first", get("space-before-first", " Host: a")),
    refused("no-name", get("no-name", "Host: a", ": b")),
    refused("no-colon", get("no-colon", "Host: a", "A")),
    refused("bad-name", get("bad-name", "Host: a", "A\"b: c")),
    # Request line and host
    refused("two-spaces", request("GET  /two-spaces HTTP/1.1", "Host: a")),
    refused("tab", request("GET\t/tab HTTP/1.1", "Host: a")),
    refused("space-in-target", request("GET /space-in-target x HTTP/1.1", "Host: a")),
    refused("no-version", request("GET /no-version", "Host: a")),
    refused("lower-version", request("GET /lower-version http/1.1", "Host: a")),
    refused("version-2", request("GET /version-2 HTTP/2.0", "Host: a"), "5xx"),
    refused("bad-method", request("G(T /bad-method HTTP/1.1", "Host: a")),
    refused("fragment", request("GET /fragment#x HTTP/1.1", "Host: a")),
    refused("authority-form", request("GET authority-form:80 HTTP/1.1", "Host: a")),
    refused("star", request("GET * HTTP/1.1", "Host: a")),
    refused("connect", request("CONNECT connect:80 HTTP/1.1", "Host: connect:80")),
    refused("no-host", get("no-host", "A: b")),
    refused("host-twice", get("host-twice", "Host: a", "Host: b")),
    refused("host-invalid", get("host-invalid", "Host: a@b")),
    refused("connection-names-host", get("connection-names-host", "Host: a", "Connection: host")),
    refused("other-expectation", get("other-expectation", "Host: a", "Expect: 200-ok")),
    refused("target-too-long", get("target-too-long" + "a" * 9000, "Host: a")),
    refused("field-too-large", get("field-too-large", "Host: a", "A: " + "a" * 17000)),
]

# Where a peer does something else, and why that is so. Unless it says otherwise the peer takes
# what the gateway refuses: the strict reading where the RFC leaves a choice, so that no two
# parties can read the same bytes differently.
BOTH_LENGTHS = "Transfer-Encoding wins and Content-Length goes, as 9112 6.3 allows"
OTHER_CODING = "501 for every coding it does not know; here a list that does not end in one " \
               "chunked is malformed (9112 6.3)"
LENIENT_LF = "a line feed alone ends a line, as 9112 2.2 allows"
NO_LOOKALIKES = "header names with _ are passed on like others"
NO_VALUE_CHECK = "control bytes in a value are passed on"
NO_HOST_CHECK = "what Host holds is not looked at"
ANY_EXPECTATION = "Expect is passed on or ignored"
CONNECTION_IGNORED = "what Connection names is not looked at"
DIFFERENCES = {
    "absolute-form": {"haproxy": "passes the absolute form on; 9112 3.2.2 wants the origin form"},
    "length-and-chunked": {"haproxy": BOTH_LENGTHS},
    "chunked-and-length": {"haproxy": BOTH_LENGTHS},
    "chunked-not-last": {"nginx": OTHER_CODING},
    "chunked-twice": {"nginx": OTHER_CODING},
    "xchunked": {"nginx": OTHER_CODING},
    "chunked-vertical-tab": {"nginx": OTHER_CODING},
    "chunked-quoted": {"nginx": OTHER_CODING},
    "chunked-folded": {"haproxy": "unfolds obs-fold, as 9112 5.2 allows"},
    "folded": {"haproxy": "unfolds obs-fold, as 9112 5.2 allows"},
    "gzip-then-chunked": {"haproxy": "400 instead of 501"},
    "chunked-in-http10": {"haproxy": "chunked in HTTP/1.0 is taken; 9112 6.1 calls it faulty"},
    "length-twice": {"haproxy": "equal lengths become one, as 9112 6.3 allows"},
    "length-list": {"haproxy": "equal lengths become one, as 9112 6.3 allows"},
    "length-underscore": {"haproxy": NO_LOOKALIKES, "nginx": NO_LOOKALIKES},
    "coding-underscore": {"haproxy": NO_LOOKALIKES, "nginx": NO_LOOKALIKES},
    "chunk-size-line-feed": {"haproxy": LENIENT_LF, "nginx": LENIENT_LF},
    "chunk-data-line-feed": {"haproxy": LENIENT_LF, "nginx": LENIENT_LF},
    "chunk-trailer-without-colon": {"nginx": "trailers are skipped without a look"},
    "line-feeds": {"haproxy": LENIENT_LF, "nginx": LENIENT_LF},
    "nul-in-value": {"haproxy": NO_VALUE_CHECK},
    "control-in-value": {"haproxy": NO_VALUE_CHECK, "nginx": NO_VALUE_CHECK},
    "no-colon": {"nginx": "a line without a colon is dropped"},
    "bad-name": {"nginx": "a field with a bad name is dropped"},
    "two-spaces": {"haproxy": "spaces are skipped", "nginx": "spaces are skipped"},
    "tab": {"haproxy": "a tab is a space"},
    "no-version": {"nginx": "speaks HTTP/0.9"},
    "version-2": {"haproxy": "HTTP/2.0 in HTTP/1's clothes is taken for 1.1"},
    "fragment": {"nginx": "passes # on"},
    "star": {"haproxy": "passes * on with any method"},
    "connect": {"haproxy": "passes CONNECT on"},
    "no-host": {"haproxy": NO_HOST_CHECK},
    "host-invalid": {"haproxy": NO_HOST_CHECK, "nginx": NO_HOST_CHECK},
    "connection-names-host": {"haproxy": CONNECTION_IGNORED, "nginx": CONNECTION_IGNORED},
    "other-expectation": {"haproxy": ANY_EXPECTATION, "nginx": ANY_EXPECTATION},
    "target-too-long": {"haproxy": "its limit is 16 KiB for the whole head"},
}


class Upstream:
    """Reads requests by the letter of RFC 9112, notes those that are whole, answers 200."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.arrived = []
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while True:
                try:
                    one = self._read(stream)
                    if one is None:
                        return
                    with self.lock:
                        self.arrived.append(one)
                    body = b"" if one[0] == "HEAD" else b"ok"
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)
                except (OSError, ValueError):
                    return

    @staticmethod
    def _read(stream):
        line = stream.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        fields = {}
        while (field := stream.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            fields[name.strip().lower()] = value.strip()
        if field == b"":
            return None
        body = b""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            while True:
                size = int(stream.readline().split(b";")[0], 16)
                if size == 0:
                    while stream.readline() not in (b"\r\n", b""):
                        pass
                    break
                body += stream.read(size)
                if stream.readline() != b"\r\n":
                    return None
        elif "content-length" in fields:
            size = int(fields["content-length"])
            body = stream.read(size)
            if len(body) < size:
                return None
        return method, target, body

    def seen(self, name):
        """What arrived of a case: its paths carry its name."""
        with self.lock:
            return [one for one in self.arrived if any(
                one[1].endswith("/" + name + end) for end in ("", "-b", "-smuggled"))]


def answers(port, sent, expected):
    """Status classes of what comes back, until the end or until there is silence."""
    statuses = []
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        try:
            connection.sendall(sent)
            while True:
                statuses, rest = split_answers(data)
                connection.settimeout(QUIET_S if len(statuses) >= expected else 1.5)
                more = connection.recv(65536)
                if not more:
                    break
                data += more
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
    statuses, _ = split_answers(data)
    return statuses


def split_answers(data):
    statuses = []
    while b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        statuses.append(lines[0].split(" ")[1][0] + "xx")
        fields = dict((k.lower(), v.strip()) for k, _, v in (l.partition(":") for l in lines[1:]))
        if fields.get("transfer-encoding") == "chunked":
            _, _, data = data.partition(b"0\r\n\r\n")
        elif "content-length" in fields:
            data = data[int(fields["content-length"]):]
        else:
            data = b""
    return statuses, data


class Peer:
    """A proxy of somebody else on a free port, before an upstream of its own."""

    def __init__(self, name, folder):
        self.name, self.upstream = name, Upstream()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = {"haproxy": self._haproxy, "nginx": self._nginx}[name](folder)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=open(f"{folder}/{name}.log", "wb"))
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, \
                    open(f"{folder}/{name}.log").read()
                time.sleep(0.05)

    def _haproxy(self, folder):
        with open(f"{folder}/haproxy.cfg", "w") as file:
            file.write(f"""global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  option http-keep-alive
listen proxy
  bind 127.0.0.1:{self.port}
  server v1 127.0.0.1:{self.upstream.port}
""")
        return [find("haproxy"), "-db", "-f", f"{folder}/haproxy.cfg"]

    def _nginx(self, folder):
        for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            os.makedirs(f"{folder}/{name}", exist_ok=True)
        temporary = "\n".join(f"  {n}_temp_path {folder}/{n};" for n in
                              ("proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{folder}/nginx.conf", "w") as file:
            file.write(f"""daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
{temporary}
  upstream v1 {{ server 127.0.0.1:{self.upstream.port}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{self.port};
    location / {{
      proxy_pass http://v1;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }}
  }}
}}
""")
        return [find("nginx"), "-p", folder, "-c", f"{folder}/nginx.conf"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Ours:
    def __init__(self, program, folder):
        self.name, self.upstream = "coalmine", Upstream()
        routes = {"listeners": [{"port": 9080, "routes": [{"match": {"prefix": "/"}, "targets": [
            {"name": "v1", "weight": 1, "instances": [f"127.0.0.1:{self.upstream.port}"]}]}]}]}
        with open(f"{folder}/routes.json", "w") as file:
            json.dump(routes, file)
        self.gateway = Coalmine(program, "gateway", "--routes", f"{folder}/routes.json",
                                "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        self.port = int(self.gateway.addresses["gateway"].rsplit(":", 1)[1])

    def stop(self):
        self.gateway.stop()


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def outcome(proxy):
    """{case: (status classes, requests that arrived whole)}"""
    found = {case.name: answers(proxy.port, case.sent, len(case.statuses)) for case in CASES}
    # What a refused request set going would have been there before this one.
    assert answers(proxy.port, get("last", "Host: a"), 1) == ["2xx"]
    return {name: (statuses, proxy.upstream.seen(name)) for name, statuses in found.items()}


def main(program):
    peers = [name for name in ("haproxy", "nginx") if find(name)]
    if not peers:
        skip("neither haproxy nor nginx is installed")
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(program, folder)
        try:
            mine = outcome(ours)
        finally:
            ours.stop()
        for case in CASES:
            if mine[case.name] != (case.statuses, case.arrived):
                failures.append(f"coalmine, {case.name}: {mine[case.name]}, "
                                f"wanted {(case.statuses, case.arrived)}")
        for name in peers:
            peer = Peer(name, folder)
            try:
                theirs = outcome(peer)
            finally:
                peer.stop()
            for case in CASES:
                same = theirs[case.name] == mine[case.name]
                reason = DIFFERENCES.get(case.name, {}).get(name)
                if not same and reason is None:
                    failures.append(f"{name}, {case.name}: {theirs[case.name]}, "
                                    f"coalmine {mine[case.name]}, and no reason is given")
                if same and reason is not None:
                    print(f"note: this {name} does not differ in {case.name}")
    for failure in failures:
        print("FAILED " + failure)
    print(f"{len(CASES)} cases, compared with {', '.join(peers)}: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
