"""`coalmine rollout start --traffic alb` against the lab over HTTP, signatures verified, by the
minute metrics that an ALB has: the lab's time runs twenty times faster, and the rollout's with it.

usage: rollout_alb_test.py COALMINE
"""

import json
import subprocess
import sys
import tempfile

from lab import Coalmine, SteadyTraffic, break_it, canary_address, control, traffic, wait_until

# A minute of the metrics is then three seconds of ours. Gateways report every second of ours, so
# a datapoint is complete twenty seconds of the lab's after its end.
SPEED = "20"


class Rollouts:
    def __init__(self, program, mine, state):
        self.program, self.mine, self.state = program, mine, state
        self.environment = mine.environment("000000000000", "us-east-1")

    def __call__(self, verb, *options):
        done = subprocess.run(
            [self.program, "rollout", verb, "--traffic", "alb", "--state", self.state, *options],
            env=self.environment, capture_output=True, text=True, timeout=240)
        return done.returncode, done.stdout + done.stderr


def alb_metrics(journal):
    """Start and canary requests of every datapoint that the rollout read."""
    with open(journal, encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    return [(window["from_ns"], window["canary"]["requests"]) for entry in entries
            if entry.get("input") == "metrics" for window in entry["windows"]]


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as state, Coalmine(
            program, "up", "--port", "0", "--gateway-port", "0", "--verify-signatures",
            "--speed", SPEED) as mine:
        if "load-balancer" not in mine.addresses:
            print("skipped: port 80 of a loopback address cannot be bound here")
            mine.stop()
            sys.exit(77)
        assert control(mine, "GET", "clock")["speed"] == float(SPEED)
        rollouts = Rollouts(program, mine, state)
        url = mine.addresses["load-balancer"]

        code, text = rollouts("start", "--dry-run", "--steps", "20%,2m,promote")
        assert code == 0 and "elbv2 ModifyListener" in text, f"{code}: {text}"
        assert traffic(url, 100) == {"v1": 100}, "a dry run changes nothing"
        print("passed: a dry run prints the calls")

        with SteadyTraffic(url):
            code, text = rollouts("start", "--steps", "20%,2m,50%,2m,promote",
                                  "--metric-delay", "60s")
        assert code == 0 and "promoted" in text, f"{code}: {text}"
        assert traffic(url, 200) == {"v2": 200}, "v2 has all the traffic"
        read = alb_metrics(f"{state}/default.journal")
        assert sum(requests for _, requests in read) > 0, read
        assert all(start % 60_000_000_000 == 0 for start, _ in read), f"not minutes: {read}"
        print("passed: a healthy v2 is promoted by the load balancer's metrics")

        code, text = rollouts("weights", "--set", "0%")
        assert code == 0 and "v2 0" in text, f"{code}: {text}"
        wait_until(lambda: traffic(url, 100) == {"v1": 100}, "v1 has all the traffic", 20)
        break_it(canary_address(mine), "30%")
        with SteadyTraffic(url):
            code, text = rollouts("start", "--steps", "20%,30m,promote", "--metric-delay", "60s")
        assert code == 1 and "rolled back" in text and "evidence" in text, f"{code}: {text}"
        wait_until(lambda: traffic(url, 100) == {"v1": 100}, "v1 has all the traffic", 20)
        print("passed: a faulty v2 is rolled back by the load balancer's metrics")

        code, text = rollouts("weights", "--set", "0.1%")
        assert code == 0 and "v1 999  v2 1" in text, f"{code}: {text}"
        print("passed: a tenth of a percent is 999:1")
        mine.stop()


if __name__ == "__main__":
    main()
