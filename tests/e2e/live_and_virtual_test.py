"""The same scenario files in virtual time and live on loopback: same outcome, same order of
states, and in each step a canary share that the weight explains.

usage: live_and_virtual_test.py COALMINE
"""

import glob
import json
import math
import subprocess
import sys
import tempfile

SIGMAS = 5
# Live errors are chance, and the scenarios' tests may roll a healthy canary back by mistake with
# probability alpha = 0.01: so often in a row is no mistake any more.
ATTEMPTS = 3
SPEED = "10"


def replay(program, folder, *options):
    report = f"{folder}/report.json"
    # The first three; the library below them has hours that nobody wants to wait for.
    files = sorted(glob.glob("scenarios/*.yaml"))
    done = subprocess.run([program, "run", *files, "--report", f"json={report}", *options],
                          capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{options}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    with open(report, encoding="utf-8") as file:
        return {one["name"]: one for one in json.load(file)["scenarios"]}


def states(result):
    return [event["to"] for event in result["timeline"] if event["event"] == "state.changed"]


def assert_shares(result):
    for step in result["metrics"]["steps"]:
        total, weight = step["requests"], step["weight"]
        deviation = math.sqrt(total * weight * (1 - weight))
        distance = abs(step["canary_requests"] - total * weight)
        assert distance <= SIGMAS * deviation + 1, f"{result['name']} {result['mode']}: {step}"


def compare(virtual, live):
    assert virtual.keys() == live.keys() and virtual, (virtual.keys(), live.keys())
    for name, modelled in virtual.items():
        real = live[name]
        assert real["mode"] == "live" and modelled["mode"] == "virtual"
        assert real["outcome"] == modelled["outcome"], (name, real["outcome"])
        assert states(real) == states(modelled), (name, states(real), states(modelled))
        assert_shares(modelled)
        assert_shares(real)
        print(f"passed: {name}: {real['outcome']} both ways")


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        virtual = replay(program, folder)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                compare(virtual, replay(program, folder, "--live", "--speed", SPEED))
                return
            except AssertionError as difference:
                print(f"attempt {attempt}: {difference}")
                if attempt == ATTEMPTS:
                    raise


if __name__ == "__main__":
    main()
