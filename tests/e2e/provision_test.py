"""`coalmine provision` and `destroy`: the ten steps there and back, each as often as one likes.

usage: provision_test.py COALMINE
"""

import json
import subprocess
import sys
import tempfile

from lab import Coalmine, call_raw, get, traffic, wait_until


class Verbs:
    def __init__(self, program, mine, state):
        self.program = program
        self.environment = {**mine.environment("000000000000", "us-east-1"),
                            "XDG_STATE_HOME": state}

    def __call__(self, *words, code=0, environment=None):
        done = subprocess.run([self.program, *words], env=environment or self.environment,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def outcomes(text):
    """Step number -> what became of it, of the ten steps."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("step"):
            found.setdefault(int(words[1]), " ".join(words[2:4]))
    return found


def names_left(mine):
    """Everything in the mock that bears the lab's names."""
    state = json.loads(get(mine.endpoint + "/_coalmine/state")[1])["state"]
    region = state.get("000000000000/us-east-1", {})
    meshes = region.get("appmesh", {}).get("resources")
    text = json.dumps([region.get("elbv2"), region.get("servicediscovery")])
    return meshes, text


def services(mine):
    status, answer = call_raw(mine.endpoint, "AmazonEC2ContainerServiceV20141113.DescribeServices",
                              {"cluster": "coalmine",
                               "services": ["app-v1", "app-v2", "app-gateway"]})
    assert status == 200, answer
    return {one["serviceName"]: one["runningCount"] for one in answer["services"]
            if one["status"] == "ACTIVE"}


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as state, Coalmine(
            program, "up", "--empty", "--port", "0", "--gateway-port", "0") as mine:
        coalmine = Verbs(program, mine, state)

        text = coalmine("provision", "--tasks", "2")
        assert outcomes(text).keys() == set(range(1, 11)), text
        assert all(one.startswith("created") for one in outcomes(text).values()), text
        assert "steady" in text, text
        assert services(mine) == {"app-v1": 2, "app-v2": 2, "app-gateway": 1}
        wait_until(lambda: traffic(mine.addresses["gateway"], 20) == {"v1": 20}, "v1 answers", 30)
        print("passed: ten steps, and v1 answers through the gateway")

        # Again: what was changed since stays as it is.
        coalmine("rollout", "weights", "--set", "25%")
        text = coalmine("provision", "--tasks", "2")
        assert all(one.startswith("exists") for one in outcomes(text).values()), text
        assert "v2 25" in coalmine("rollout", "weights"), "provision moved weights"
        print("passed: again, and nothing has changed")

        text = coalmine("rollout", "start", "--name", "early", "--steps", "experiment:10%:5s",
                        code=3)
        assert "coalmine provision --baseline" in text, text
        text = coalmine("provision", "--tasks", "2", "--baseline")
        assert "v2 25" in coalmine("rollout", "weights"), "a baseline moved weights"
        for api in ("appmesh", "alb"):
            text = coalmine("rollout", "start", "--dry-run", "--traffic", api, "--steps",
                            "experiment:10%:35s")
            compare = [line for line in text.splitlines() if line.startswith("compare")]
            assert "app-v1-baseline" in text and len(compare) == 1, text
            assert json.dumps(compare).lower().count('weight\\":10') == 2, text
        print("passed: an experiment would find its baseline, by a mesh and by a load balancer")

        text = coalmine("destroy", "--baseline")
        assert outcomes(text).keys() == set(range(1, 11)), text
        assert all(one.startswith("deleted") for one in outcomes(text).values()), text
        meshes, rest = names_left(mine)
        assert not meshes and "app-v1" not in rest, (meshes, rest)
        print("passed: destroy leaves nothing")

        text = coalmine("destroy")
        assert all(one.startswith("not there") for one in outcomes(text).values()), text
        print("passed: destroy again finds nothing")

        text = coalmine("provision", "--app", "shop", "--mesh", "shop", "--domain", "shop.local",
                        "--cluster", "shop", "--load-balancer", "shop", "--no-wait")
        assert "shop-v1" in text and outcomes(text)[1].startswith("created"), text
        coalmine("provision")
        text = coalmine("destroy", "--app", "shop", "--mesh", "shop", "--domain", "shop.local",
                        "--cluster", "shop", "--load-balancer", "shop")
        assert outcomes(text)[1].startswith("deleted"), text
        assert "v2 0" in coalmine("rollout", "weights"), "the other lab is still there"
        print("passed: labs of other names do not meet")

        text = coalmine("provision", "--target", "aws", code=2)
        assert "--target aws" in text and "2026-09-30" in text, text
        gone = {**coalmine.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
        text = coalmine("destroy", code=3, environment=gone)
        assert "127.0.0.1:1" in text, text
        print("passed: what cannot be done says why")
        mine.stop()


if __name__ == "__main__":
    main()
