"""`coalmine rollout` against the lab over HTTP, signatures verified, with real traffic.

usage: rollout_test.py COALMINE

A healthy v2 is promoted and a faulty one rolled back, by the controller that the scenarios use;
both traffic adapters move real weights; without credentials nothing is sent.
"""

import subprocess
import sys
import tempfile

from lab import Coalmine, SteadyTraffic, break_it, canary_address, traffic, wait_until


class Rollouts:
    def __init__(self, program, mine, state):
        self.program, self.mine, self.state = program, mine, state
        self.environment = mine.environment("000000000000", "us-east-1")

    def __call__(self, verb, *options, environment=None):
        done = subprocess.run(
            [self.program, "rollout", verb, "--state", self.state, *options],
            env=environment or self.environment, capture_output=True, text=True, timeout=240)
        return done.returncode, done.stdout + done.stderr

    def start(self, steps, *options):
        return self("start", "--steps", steps, "--metric-period", "1s", "--metric-delay", "1s",
                    *options)


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as state, Coalmine(
            program, "up", "--port", "0", "--gateway-port", "0", "--verify-signatures") as mine:
        rollouts = Rollouts(program, mine, state)
        url = mine.addresses["gateway"]

        with SteadyTraffic(url):
            code, text = rollouts.start("20%,5s,50%,5s,promote")
        assert code == 0 and "promoted" in text, f"{code}: {text}"
        assert traffic(url, 200) == {"v2": 200}, "v2 has all the traffic"
        print("passed: a healthy v2 is promoted")

        assert rollouts("weights", "--set", "0%")[0] == 0
        wait_until(lambda: traffic(url, 100) == {"v1": 100}, "v1 has all the traffic", 10)
        break_it(canary_address(mine), "30%")
        with SteadyTraffic(url):
            code, text = rollouts.start("20%,60s,promote")
        assert code == 1 and "rolled back" in text, f"{code}: {text}"
        assert "evidence" in text, text
        wait_until(lambda: traffic(url, 100) == {"v1": 100}, "v1 has all the traffic", 10)
        print("passed: a faulty v2 is rolled back")

        alb = ("--traffic", "alb", "--name", "alb")
        code, text = rollouts("weights", *alb)
        assert code == 0 and "v2 0" in text, f"{code}: {text}"
        code, text = rollouts("weights", *alb, "--set", "0.1%")
        assert code == 0 and "v1 999  v2 1" in text, f"{code}: {text}"
        print("passed: the load balancer's weights move too")

        break_it(canary_address(mine), "0%")
        with SteadyTraffic(url):
            code, text = rollouts.start("tasks:2,20%,3s,promote:image-swap")
        assert code == 0 and "2 tasks of v2 take requests" in text, f"{code}: {text}"
        assert "get the image of v2" in text and "v1 runs v2" in text, text
        assert "v1 100  v2 0" in rollouts("weights")[1]
        assert traffic(url, 200) == {"v2": 200}, "v1's tasks run v2 and have all the traffic"
        print("passed: a canary is scaled, and stable gets its image and the traffic")

        bare = {"PATH": "/usr/bin:/bin", "HOME": state, "AWS_REGION": "eu-west-1"}
        code, text = rollouts("start", "--target", "aws", "--steps", "1%,1s,promote",
                              environment=bare)
        assert code == 3 and "AWS_ACCESS_KEY_ID" in text, f"{code}: {text}"
        print("passed: without credentials nothing is sent, and what was tried is named")
        mine.stop()


if __name__ == "__main__":
    main()
