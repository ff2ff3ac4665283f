#!/usr/bin/env python3
"""Runs a command and compares all that it says with files.

    compare_output.py --exit CODE [--stdout FILE] [--stderr FILE] [--set NAME=VALUE ...] -- COMMAND

A stream without a file must stay empty. @NAME@ in a file stands for VALUE: for what differs from
machine to machine. Exit code 0: all as it should be.
"""

import argparse
import difflib
import pathlib
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit", type=int, required=True)
    parser.add_argument("--stdout")
    parser.add_argument("--stderr")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    def expected(path):
        text = pathlib.Path(path).read_text(encoding="utf-8") if path else ""
        for setting in options.set:
            name, value = setting.split("=", 1)
            text = text.replace(f"@{name}@", value)
        return text

    result = subprocess.run(options.command, capture_output=True, text=True, timeout=50)
    as_expected = result.returncode == options.exit
    if not as_expected:
        print(f"exit code {result.returncode}, not {options.exit}")
    for name, path, said in (("stdout", options.stdout, result.stdout),
                             ("stderr", options.stderr, result.stderr)):
        wanted = expected(path)
        if said == wanted:
            continue
        as_expected = False
        sys.stdout.writelines(difflib.unified_diff(
            wanted.splitlines(True), said.splitlines(True), f"{name} as expected",
            f"{name} as it is"))
    return 0 if as_expected else 1


sys.exit(main())
