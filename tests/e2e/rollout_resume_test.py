"""A live rollout whose controller is killed (SIGKILL) in each of its states goes on as if nothing
had happened: no weight is skipped or raised beyond the plan, and the end is the right one.

usage: rollout_resume_test.py COALMINE

Each case holds the controller in one state (an API fault delays UpdateRoute, a plan bakes or
pauses), kills it there, looks at what is left, and starts it again.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from lab import Coalmine, SteadyTraffic, control, get, wait_until

LATE_S = 3
ENDED = {"promoted": 0, "rolled-back": 1, "aborted": 1}


class Route:
    """The canary's weights in the order in which they were set."""

    def __init__(self, mine):
        self.mine = mine
        self.seen = 0
        self.history()

    def history(self):
        """What was set since the last look."""
        events = json.loads(get(f"{self.mine.endpoint}/_coalmine/events?follow=false"
                                f"&since={self.seen}")[1])
        self.seen += len(events)
        return [weight for weight in map(canary_weight, events) if weight is not None]


def canary_weight(event):
    return event.get("weights", {}).get("app-v2") if event["event"].startswith("route.") else None


class Rollout:
    """One rollout under a name of its own."""

    def __init__(self, program, mine, folder, name):
        self.program, self.name, self.folder = program, name, folder
        self.environment = mine.environment("000000000000", "us-east-1")
        self.journal = f"{folder}/{name}.journal"
        self.process = None

    def _command(self, verb, *options):
        return [self.program, "rollout", verb, "--state", self.folder, "--name", self.name,
                *options]

    def start(self, *options):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self._command("start", "--metric-period", "1s", "--metric-delay", "1s", *options),
            env=self.environment, stdout=self.output, stderr=subprocess.STDOUT)

    def __call__(self, verb, *options):
        done = subprocess.run(self._command(verb, *options), env=self.environment,
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def state(self):
        """The last state that the journal tells."""
        state = "none"
        if os.path.exists(self.journal):
            with open(self.journal, encoding="utf-8") as file:
                for line in file:
                    if not line.endswith("\n"):
                        break
                    entry = json.loads(line)
                    if entry.get("event") == "state.changed":
                        state = entry["to"]
        return state

    def wait_for(self, state):
        wait_until(lambda: self.state() == state or self.process.poll() is not None,
                   f"the rollout is {state}", 60)
        assert self.state() == state, f"{self.state()} instead of {state}\n{self.said()}"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def end(self):
        code = self.process.wait(timeout=120)
        assert ENDED.get(self.state()) == code, f"{self.state()}, exit {code}\n{self.said()}"
        self.assert_replayed()
        return self.state()

    def assert_replayed(self):
        """The journal alone explains all that was decided, by however many controllers."""
        done = subprocess.run([self.program, "replay", self.journal], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "counts            the counts are those that the rollout read" in done.stdout

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and self.process is not None:
            print(self.said(), file=sys.stderr)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def delay_route_updates(mine, nth):
    """UpdateRoute number `nth` from now on answers late: time to be killed meanwhile."""
    control(mine, "DELETE", "faults")
    control(mine, "POST", "faults", {"service": "appmesh", "operation": "UpdateRoute",
                                     "nth": nth, "action": "delay",
                                     "delay": f"{LATE_S}s"})


def assert_planned(history, plan, final):
    """Weights rise only along the plan, one step after the other, and fall only to 0."""
    at = 0
    for weight in history:
        if weight == 0:
            at = 0
            continue
        assert weight in plan, f"{weight} is not in the plan {plan}: {history}"
        step = plan.index(weight)
        assert step <= at, f"jumped over a step: {history}, plan {plan}"
        at = max(at, step + 1)
    assert history and history[-1] == final, f"ended with {history}, wanted {final}"


# The bakes are longer than a late call takes: it must not arrive behind the end.
PLAN = f"20%,{LATE_S + 1}s,50%,{LATE_S + 1}s,promote"


# What to do until the controller is in the state, and what the plan is. The healthy canary is
# promoted in the end, the one that an operator aborts is not.
CASES = [
    # name, steps, which UpdateRoute is late (0: none), operator's word, state, end
    ("shifting-first-weight", PLAN, 1, None, "shifting", "promoted"),
    ("shifting-second-weight", PLAN, 2, None, "shifting", "promoted"),
    ("baking", "20%,4s,50%,1s,promote", 0, None, "baking", "promoted"),
    ("paused-by-operator", "20%,60s,promote", 0, "pause", "paused", "promoted"),
    ("paused-by-plan", "20%,1s,pause,50%,1s,promote", 0, None, "paused", "promoted"),
    ("promoting", "20%,1s,promote", 2, None, "promoting", "promoted"),
    ("rolling-back", "20%,60s,promote", 2, "abort", "rolling-back", "aborted"),
]
WEIGHTS = [20, 50, 100]


def reset_weights(rollout):
    code, text = rollout("weights", "--set", "0%")
    assert code == 0, text


def killed_in(program, mine, folder, case):
    name, steps, late, word, state, end = case
    plan = [weight for weight in WEIGHTS if f"{weight}%" in steps or weight == 100]
    with Rollout(program, mine, folder, name) as rollout:
        reset_weights(rollout)
        route = Route(mine)
        if late:
            delay_route_updates(mine, late)
        rollout.start("--steps", steps)
        if word:
            rollout.wait_for("baking")
            # Nobody may answer: the process is about to be killed.
            asked = subprocess.Popen(rollout._command(word), env=rollout.environment,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if late == 2 and state == "shifting":  # the second time
            wait_until(lambda: open(rollout.journal).read().count('"to":"shifting"') >= 2
                       if os.path.exists(rollout.journal) else False, "the second shift")
        rollout.wait_for(state)
        rollout.kill()
        killed_at = time.monotonic()
        if word:
            asked.kill()
            asked.wait()
        # Nobody drives it; the journal still tells where it is.
        code, text = rollout("status")
        assert code == 0 and state in text and "no process drives it" in text, text
        control(mine, "DELETE", "faults")
        rollout.start("--steps", "99%,promote")  # its own plan is in the journal
        if state == "paused":
            rollout.wait_for("paused")
            wait_until(lambda: "going on" in rollout.said(), "it goes on")
            code, text = rollout("resume")
            assert code == 0, text
            if word:
                code, text = rollout("promote")
                assert code == 0, text
        found = rollout.end()
        assert found == end, f"{found}, wanted {end}\n{rollout.said()}"
        assert_planned(route.history(), plan, 100 if end == "promoted" else 0)
    if late:  # the call of the killed one, still on its way, would disturb what comes next
        wait_until(lambda: time.monotonic() > killed_at + LATE_S + 1, "the late call arrived")
    print(f"passed: killed while {name}: {end}", flush=True)


def killed_again_and_again(program, mine, folder):
    """Killed every now and then at whatever it is doing."""
    with Rollout(program, mine, folder, "again") as rollout:
        reset_weights(rollout)
        route = Route(mine)
        rollout.start("--steps", PLAN)
        for _ in range(12):
            wait_until(lambda: os.path.exists(rollout.journal), "there is a journal")
            try:
                rollout.process.wait(timeout=0.7)
                break
            except subprocess.TimeoutExpired:
                rollout.kill()
                if rollout.state() in ENDED:  # started again it would be another rollout
                    break
                rollout.start()
        if rollout.process.poll() != -signal.SIGKILL:
            rollout.end()
        rollout.assert_replayed()
        assert rollout.state() == "promoted", rollout.state()
        assert_planned(route.history(), WEIGHTS, 100)
    print("passed: killed again and again")


def finished_stays_finished(program, mine, folder):
    """Only one process drives a rollout, and an abort without one carries itself out."""
    with Rollout(program, mine, folder, "alone") as rollout:
        reset_weights(rollout)
        rollout.start("--steps", "20%,60s,promote")
        rollout.wait_for("baking")
        code, text = rollout("start")
        assert code == 3 and rollout.name in text, f"{code}: {text}"
        rollout.kill()
        code, text = rollout("abort", "--reason", "enough")
        assert code == 1 and "enough" in text, f"{code}: {text}"
        code, text = rollout("weights")
        assert code == 0 and "v2 0" in text, f"{code}: {text}"
        code, text = rollout("abort")
        assert code == 1 and "over" in text, f"{code}: {text}"
    print("passed: one driver at a time; abort without a driver")


def main():
    program = sys.argv[1]
    wanted = sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder, Coalmine(
            program, "up", "--port", "0", "--gateway-port", "0") as mine, SteadyTraffic(
                mine.addresses["gateway"], seconds=400):
        for case in CASES:
            if not wanted or case[0] in wanted:
                killed_in(program, mine, folder, case)
        if not wanted:
            killed_again_and_again(program, mine, folder)
            finished_stays_finished(program, mine, folder)


if __name__ == "__main__":
    main()
