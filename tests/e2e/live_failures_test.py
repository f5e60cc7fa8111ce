"""What a live run says when the machine is not as it should be, and what it leaves behind.

usage: live_failures_test.py COALMINE
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap

from lab import wait_until

SCENARIO = textwrap.dedent("""\
    scenario: any
    given:
      clock: {seed: 1, limit: 10m}
      traffic: {rate: 20/s}
      versions: {v1: {latency: {fixed: 10ms}}, v2: {latency: {fixed: 10ms}}}
    rollout:
      plan: [{weight: 10%}, {bake: 5m}, {promote: v2}]
    then:
      - outcome: promoted
    """)


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def addresses(pid):
    """Where the tasks of a coalmine process live: 127.N.x.y, N by its process id."""
    return f"127.{1 + pid % 250}."


def tasks_of(pid):
    """Processes that serve at the addresses of that coalmine."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if any(word.decode(errors="replace").startswith(addresses(pid)) for word in words):
            found.append(int(entry))
    return found


class Live:
    """`coalmine run --live` of the scenario in the folder."""

    def __init__(self, program, folder, *options):
        scenario = write(folder, "any.yaml", SCENARIO)
        self.process = subprocess.Popen(
            [program, "run", scenario, "--live", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, code, *said):
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == code, (self.process.returncode, out, err)
        for text in said:
            assert text in err, f"{text!r} is missing in: {err}"
        assert not tasks_of(self.process.pid), "tasks were left behind"


def copy_of(program, folder):
    """Another coalmine, without a sample-app beside it."""
    path = os.path.join(folder, "coalmine")
    shutil.copy(program, path)
    return path


def missing_sample_app(program, folder):
    Live(copy_of(program, folder), folder).finish(3, "sample-app", "is missing")


def v2_crashes_at_once(program, folder):
    beside = os.path.join(os.path.dirname(os.path.abspath(program)), "sample-app")
    write(folder, "sample-app", textwrap.dedent(f"""\
        #!/bin/sh
        case "$*" in *v2*) echo "out of lamp oil"; exit 7;; esac
        exec {beside} "$@"
        """), 0o755)
    Live(copy_of(program, folder), folder).finish(
        3, "a task of v2 ended", "exit code 7", "out of lamp oil")


def busy_port(program, folder):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("0.0.0.0", 9080))
            listener.listen()
        except OSError as error:
            print(f"left out: 9080 is busy already ({error})")
            return
        Live(program, folder).finish(3, "the gateway cannot be served", ":9080", "in use")


def interrupted(number):
    def case(program, folder):
        live = Live(program, folder)
        wait_until(lambda: len(tasks_of(live.process.pid)) >= 3, "v1, v2 and the gateway run")
        live.process.send_signal(number)
        live.finish(3, "interrupted")
    return case


def killed(program, folder):
    live = Live(program, folder)
    wait_until(lambda: len(tasks_of(live.process.pid)) >= 3, "v1, v2 and the gateway run")
    live.process.kill()
    live.process.communicate(timeout=60)
    wait_until(lambda: not tasks_of(live.process.pid), "the tasks have gone, too")


def main():
    program = sys.argv[1]
    cases = {"missing sample-app": missing_sample_app,
             "v2 crashes at once": v2_crashes_at_once,
             "busy port": busy_port,
             "SIGINT": interrupted(signal.SIGINT),
             "SIGTERM": interrupted(signal.SIGTERM),
             "SIGKILL": killed}
    for name, case in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            case(program, folder)
            assert not [n for n in os.listdir(folder) if n.endswith((".journal", ".tmp"))]
            print(f"passed: {name}")


if __name__ == "__main__":
    main()
