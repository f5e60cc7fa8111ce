"""`coalmine replay` computes what `run` printed from the journals alone, byte for byte, and says
which line of a journal does not follow from the others.

usage: replay_test.py COALMINE
"""

import os
import re
import subprocess
import sys
import tempfile

SCENARIOS = ["scenarios/faulty-v2-is-rolled-back.yaml", "scenarios/healthy-canary-is-promoted.yaml",
             "scenarios/operator-rolls-back-at-50-percent.yaml"]


def call(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def same_reports(program, folder):
    journals, ran, replayed = f"{folder}/journals", f"{folder}/ran.json", f"{folder}/replayed.json"
    code, said, errors = call(program, "run", *SCENARIOS, "--seeds", "3", "--journal", journals,
                              "--report", f"json={ran}")
    assert code == 0, errors
    names = sorted(os.listdir(journals))
    assert len(names) == 3 * len(SCENARIOS), names
    # Folders are read in the order of names, as the runs were made here.
    code, again, errors = call(program, "replay", journals, "--report", f"json={replayed}")
    assert code == 0 and not errors, errors
    assert f"{len(names)} of {len(names)} journals agree with themselves" in again, again
    assert read(ran) == read(replayed)
    print("passed: the reports are the same bytes")
    one = f"{folder}/one"
    code, said, errors = call(program, "run", SCENARIOS[0], "--journal", one)
    code, again, _ = call(program, "replay", f"{one}/{os.listdir(one)[0]}")
    assert code == 0
    timeline, checks, table = said.split("\n\n", 2)
    for part in (timeline, checks, table.split("\n\n")[0]):
        assert part in again, f"not in what replay printed:\n{part}\n---\n{again}"
    assert "decisions, and what each rests on" in again and "blast radius" in again, again
    print("passed: so are timeline, checks and table")
    return f"{one}/{os.listdir(one)[0]}"


def wrong_journals(program, folder, journal):
    text = read(journal)

    def replay(name, changed):
        path = f"{folder}/{name}.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            file.write(changed)
        code, said, errors = call(program, "replay", path)
        return code, said, errors.replace(path, "FILE")

    lines = text.splitlines(keepends=True)
    decides = next(i for i, line in enumerate(lines) if '"decision":"roll-back"' in line)
    bent = lines.copy()
    bent[decides] = re.sub(r'"statistic":[^,]*', '"statistic":1e9', bent[decides])
    code, said, errors = replay("bent", "".join(bent))
    assert code == 1, (code, errors)
    assert re.match(rf'FILE:{decides + 1}: error: decision roll-back: "statistic" is 1000000000.0 '
                    r"in the journal, what it was told comes to \d", errors), errors
    assert said == "", said

    code, _, errors = replay("torn", text + '{"t":"2026-01-0')
    assert code == 0 and "the last line is torn" in errors, (code, errors)

    code, _, errors = replay("garbage", "".join(lines[:5]) + "%PDF\n" + "".join(lines[5:]))
    assert code == 2 and re.match(r"FILE:6:1: error: not valid JSON", errors), (code, errors)

    code, _, errors = replay("empty", "")
    assert code == 2 and "the journal is empty" in errors, (code, errors)

    code, _, errors = replay("scenario", read(SCENARIOS[0]))
    assert code == 2 and "FILE:1:" in errors, (code, errors)

    code, _, errors = call(program, "replay", f"{folder}/nowhere")
    assert code == 2 and "no such file" in errors, (code, errors)
    code, _, errors = call(program, "replay")
    assert code == 2, (code, errors)
    print("passed: wrong journals are named with their line")


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        wrong_journals(program, folder, same_reports(program, folder))


if __name__ == "__main__":
    main()
