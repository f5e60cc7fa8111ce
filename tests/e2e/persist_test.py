"""`mock-aws --persist FILE`: what was acknowledged survives kill -9, tasks and addresses included.

usage: persist_test.py COALMINE
"""

import json
import os
import signal
import subprocess
import sys
import tempfile

from lab import Coalmine, control, get, wait_until


class Lab:
    """A mock with a journal, and the verbs against it."""

    def __init__(self, program, journal):
        self.program, self.journal = program, journal
        self.mine = None

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *_):
        self.mine.__exit__(*sys.exc_info())

    def boot(self, *options):
        self.mine = Coalmine(self.program, "mock-aws", "--port", "0", "--persist", self.journal,
                             *options)
        self.environment = {**self.mine.environment("000000000000", "us-east-1"),
                            "XDG_STATE_HOME": os.path.dirname(self.journal)}

    def kill(self):
        self.mine.process.send_signal(signal.SIGKILL)
        self.mine.process.wait(timeout=30)

    def __call__(self, *words):
        done = subprocess.run([self.program, *words], env=self.environment, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def state(self):
        return json.loads(get(self.mine.endpoint + "/_coalmine/state")[1])["state"].get(
            "000000000000/us-east-1", {})


def lasting(state):
    """What clients were told by name or ARN: everything but what time and tasks move."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)
        elif isinstance(value, str) and value.startswith("arn:") and ":task/" not in value:
            found.add(value)
    for service in ("appmesh", "elbv2", "servicediscovery", "ecr", "iam", "logs"):
        walk(state.get(service))
    return found


def app_task(state):
    """Where v2's app answers."""
    for word in json.dumps(state).replace('"', " ").split():
        if word.startswith("127.") and word.count(".") == 3:
            try:
                if json.loads(get(f"http://{word}:9000/version")[1])["version"] == "v2":
                    return word
            except (OSError, ValueError, KeyError):
                continue
    return None


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        journal = f"{folder}/cloud.journal"
        with Lab(program, journal) as lab:
            lab("provision")
            lab("rollout", "weights", "--set", "30%")
            before = lab.state()
            address = wait_until(lambda: app_task(lab.state()), "v2 answers")
            assert lasting(before), before

            lab.kill()
            lab.boot()
            after = lab.state()
            assert "calls were made again" in lab.mine.errors(), lab.mine.errors()
            assert "refused" not in lab.mine.errors(), lab.mine.errors()
            assert lasting(after) == lasting(before), lasting(after) ^ lasting(before)
            assert "v2 30" in lab("rollout", "weights")
            assert wait_until(lambda: app_task(lab.state()), "v2 answers again") == address
            lab("provision")  # waits until everything is steady
            print("passed: state, identifiers, tasks and their addresses survive kill -9")

            # Killed in the middle of a burst: every acknowledged change is there.
            for weight in range(1, 8):
                lab("rollout", "weights", "--set", f"{weight}%")
            lab.kill()
            with open(journal, "a", encoding="utf-8") as file:
                file.write('{"t_ns":1,"method":"PU')  # a line that was being written
            lab.boot()
            assert "v2 7" in lab("rollout", "weights")
            lab.mine.stop()
            lab.boot()
            assert "v2 7" in lab("rollout", "weights")
            print("passed: a torn last line is cut off; stopping is no different from a crash")

            # Two at a time, or something else's file: refused, and nothing is harmed.
            second = subprocess.run([program, "mock-aws", "--port", "0", "--persist", journal],
                                    capture_output=True, text=True, timeout=60)
            assert second.returncode == 3 and journal in second.stderr, second.stderr
            other = f"{folder}/notes.txt"
            with open(other, "w", encoding="utf-8") as file:
                file.write("shopping list")
            wrong = subprocess.run([program, "mock-aws", "--port", "0", "--persist", other],
                                   capture_output=True, text=True, timeout=60)
            assert wrong.returncode == 2 and f"{other}:1: error:" in wrong.stderr, wrong.stderr
            assert open(other, encoding="utf-8").read() == "shopping list"
            print("passed: a journal has one owner, and no other file is touched")

            control(lab.mine, "POST", "reset")
            lab.kill()
            lab.boot()
            assert not lab.state().get("appmesh"), "a reset is forgotten for good"
            lab.mine.stop()

            manual = f"{folder}/manual.journal"
            lab.journal = manual
            lab.boot("--clock", "manual", "--driver", "simulated")
            control(lab.mine, "POST", "clock", {"advance": "90m"})
            time = control(lab.mine, "GET", "clock")["time"]
            lab.kill()
            lab.boot("--clock", "manual", "--driver", "simulated")
            assert control(lab.mine, "GET", "clock")["time"] == time
            print("passed: resets and a manual clock survive as well")
            lab.mine.stop()


if __name__ == "__main__":
    main()
