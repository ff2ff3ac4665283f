#!/usr/bin/env python3
"""Counts the instructions that a message costs in each machine, with callgrind, which gives the same
number each time on the same machine.

    instructions.py HOT_PATH            prints them
    instructions.py HOT_PATH --check    fails if one is over its bound (instructions.json)
    instructions.py HOT_PATH --record   writes them to instructions.json, as what the bounds are for
    instructions.py HOT_PATH --hops     what each further task in a row costs, by way of the
                                        coordinator and fused; fails if the former differ by more
                                        than a tenth

A bound is a quarter above what was recorded. Exit code 77: valgrind is not there, so nothing was
counted.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RECORDED = pathlib.Path(__file__).with_suffix(".json")
ALLOWED = 1.25
SKIPPED = 77

# The functions of hot_path.cpp, and what they are.
PARTS = {
    "step_source": "source",
    "serve_source": "generator",
    "step_pipeline": "coordinator",
    "step_worker": "worker",
    "run_handlers": "handlers",
}
# Its arguments: tasks in a row, the size of a payload, whether they are fused.
SHAPES = {"relay": (1, 100, 0), "chain of 3": (3, 100, 0), "chain of 3, fused": (3, 100, 1)}
# What the first so many cost is setting up, and letting tables grow.
FEW, MANY = 20_000, 40_000
DEPTHS = (1, 2, 4, 8)
HOPS_MAY_DIFFER = 1.10


def profile(program, messages, shape):
    """Instructions of each part, inclusive, and of the whole program."""
    with tempfile.NamedTemporaryFile(suffix=".callgrind") as out:
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program,
             str(messages), *map(str, shape)],
            check=True, capture_output=True)
        text = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no", out.name],
            check=True, capture_output=True, text=True).stdout
    counts = {}
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \(.*HotPath::Impl::(\w+)\(\)", line)
        if found and found[2] in PARTS:
            # A function may stand there more than once, as seen from several files.
            part = PARTS[found[2]]
            counts[part] = max(counts.get(part, 0), int(found[1].replace(",", "")))
    return counts


def count_shape(program, shape):
    """Of each part, instructions a message."""
    few = profile(program, FEW, shape)
    many = profile(program, MANY, shape)
    parts = {part: round((many[part] - few[part]) / (MANY - FEW)) for part in PARTS.values()}
    parts["all"] = sum(parts.values())
    return parts


def count(program):
    return {name: count_shape(program, shape) for name, shape in SHAPES.items()}


def show_hops(program):
    """Whether all hops by way of the coordinator cost the same."""
    print(f"{'instructions a hop':<32}" + "".join(
        f"{f'{a} to {b}':>10}" for a, b in zip(DEPTHS, DEPTHS[1:])))
    hops = {}
    for fused in (0, 1):
        each = [count_shape(program, (depth, 100, fused))["all"] for depth in DEPTHS]
        hops[fused] = [(b - a) / (to - at) for a, b, at, to in
                       zip(each, each[1:], DEPTHS, DEPTHS[1:])]
        print(f"{'fused' if fused else 'by way of the coordinator':<32}" +
              "".join(f"{hop:>10.0f}" for hop in hops[fused]))
    return max(hops[0]) <= HOPS_MAY_DIFFER * min(hops[0])


def show(counted, recorded):
    print(f"{'instructions a message':<32}{'now':>8}{'recorded':>10}{'bound':>8}")
    over = []
    for shape, parts in counted.items():
        for part, now in parts.items():
            was = recorded.get(shape, {}).get(part)
            bound = round(was * ALLOWED) if was is not None else None
            mark = ""
            if bound is not None and now > bound:
                mark = "  over"
                over.append(f"{shape}: {part}")
            print(f"{shape + ': ' + part:<32}{now:>8}{was or '-':>10}{bound or '-':>8}{mark}")
    return over


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 64
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (scripts/setup), nothing was counted")
        return SKIPPED
    if "--hops" in arguments:
        return 0 if show_hops(arguments[0]) else 1
    counted = count(arguments[0])
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    over = show(counted, recorded)
    if "--record" in arguments:
        RECORDED.write_text(json.dumps(counted, indent=2) + "\n")
    if over and "--check" in arguments:
        print("over its bound: " + ", ".join(over))
        print("If that is meant, record it: " + " ".join([__file__, arguments[0], "--record"]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
