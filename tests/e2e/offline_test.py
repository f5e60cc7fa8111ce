"""`rollout --target aws` where AWS cannot be reached: it says what was tried, exits with 3 and
leaves nothing behind. Nothing goes beyond loopback.

usage: offline_test.py COALMINE
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1"}


def alone():
    """A command prefix that takes the network away, if we may; else None."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    prefix = [unshare, "--map-root-user", "--net"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, timeout=60)
    return prefix if tried.returncode == 0 else None


class Refusing:
    """A server on loopback that answers every request with one AWS error."""

    def __init__(self, status, code):
        self.body = f'{{"__type":"{code}","message":"said the server"}}'
        self.status, self.code, self.requests = status, code, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                wire, _ = self.socket.accept()
            except OSError:
                return
            with wire:
                wire.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = wire.recv(65536)
                    if not piece:
                        break
                    head += piece
                self.requests += 1
                wire.sendall(f"HTTP/1.1 {self.status} No\r\nx-amzn-ErrorType: {self.code}\r\n"
                             f"Content-Type: application/json\r\nConnection: close\r\n"
                             f"Content-Length: {len(self.body)}\r\n\r\n{self.body}".encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        bare = {"PATH": "/usr/bin:/bin", "HOME": folder}

        def rollout(*words, environment, prefix=()):
            done = subprocess.run([*prefix, program, "rollout", *words, "--target", "aws"],
                                  env={**bare, **environment}, capture_output=True, text=True,
                                  timeout=300)
            left = [name for _, _, names in os.walk(folder) for name in names]
            assert not left, f"{words} left {left} behind"
            assert "Traceback" not in done.stderr and not done.stdout, done.stdout
            return done.returncode, done.stderr

        def refused(what, wanted, *words, environment, code=3, prefix=()):
            found, text = rollout(*words, environment=environment, prefix=prefix)
            assert found == code, f"{what}: exit {found}\n{text}"
            for word in wanted:
                assert word in text, f"{what}: wanted {word!r} in\n{text}"
            print(f"passed: {what}")

        start = ("start", "--steps", "1%,1s,promote")
        refused("no credentials", ["AWS_ACCESS_KEY_ID is not set", ".aws/credentials", ".aws/config"], *start,
                environment={"AWS_REGION": "eu-west-1"})
        refused("no region", ["AWS_REGION"], *start, environment={
            name: value for name, value in KEYS.items() if name != "AWS_REGION"})
        closed = {**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
        for words in (start, ("start", "--traffic", "alb", "--steps", "1%,1s,promote"),
                      ("start", "--dry-run"), ("weights",), ("weights", "--set", "5%")):
            refused(f"nobody answers `rollout {' '.join(words)}`",
                    ["cannot reach http://127.0.0.1:1 for ", "tried"], *words, environment=closed)
        with Refusing(403, "AccessDeniedException") as server:
            refused("AWS refuses", ["AccessDeniedException", "said the server"], *start,
                    environment={**KEYS, "AWS_ENDPOINT_URL": server.url})
            assert server.requests == 1, "a refusal is no reason to ask again"
        prefix = alone()
        if prefix is None:
            print("skipped: no network namespaces here, so AWS's own names are not asked for")
            return
        refused("no network", ["cannot reach https://sts.eu-west-1.amazonaws.com", "tried"], *start,
                environment=KEYS, prefix=prefix)
        refused("no network, ALB", ["https://elasticloadbalancing.eu-west-1.amazonaws.com"],
                "weights", "--traffic", "alb", environment=KEYS, prefix=prefix)


if __name__ == "__main__":
    main()
