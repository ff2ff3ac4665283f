#!/usr/bin/env python3
"""Checks who includes whom, and a few rules that a compiler does not.

    check_layering.py ROOT        checks the tree at ROOT
    check_layering.py --self-test plants one fault of each kind in a small tree, and sees each found

Exit code 0: nothing found; 1: findings, one a line, as file:line: what.
"""

import pathlib
import re
import sys
import tempfile

# What the components of libtempest may include, besides themselves. Arrows go down only.
LIBRARY = {
    "base": set(),
    "dag": {"base"},
    "wire": {"base"},
    "zmtp": {"base"},
    "link": {"base", "wire"},
    "registry": {"base", "wire", "link"},
    "watch": {"base", "wire", "link"},
    # The headers right in tempest/: what a user includes.
    "public": {"base", "dag"},
    "tracking": {"base", "dag", "wire", "link", "public"},
}
PURE = set(LIBRARY)
# What a user tests a source or sink with. It calls them from threads, as a node does.
LIBRARY["testing"] = {"base", "public"}
LIBRARY["runtime"] = PURE
LIBRARY["builtin"] = PURE | {"runtime"}
ROLES = {"broker", "source_node", "pipeline_node", "task_node", "stats_node"}
EVERY_COMPONENT = set(LIBRARY) - {"testing"}

# Who may include which third-party headers, and only in a .cpp file: none of their types stands in
# a header, and each is compiled in few places.
THIRD_PARTY = {
    # The statistics bus is no link: the roles at its two ends hold its sockets themselves.
    "zmq": {"runtime", "broker", "stats_node"},
    "hiredis": {"runtime", "builtin"},
    "spdlog": {"runtime"},
    "toml++": {"runtime"},
    "cxxopts": {"runtime"},
    "msgpack": {"wire", "runtime"},
    "nlohmann": {"runtime", "builtin", "source_node", "stats_node", "cli"},
    "httplib": {"cli"},
    "prometheus": {"stats_node"},
    "catch2": set(),
    "benchmark": set(),
}

# Plain constants, good for all: how a program ends is a machine's decision.
EXIT_CODES = "tempest/runtime/exit_code.hpp"

# A pure part decides; it does not wait, read a clock, draw at random, or write.
IMPURE_HEADERS = {
    "thread", "mutex", "shared_mutex", "condition_variable", "future", "atomic", "random",
    "iostream", "fstream", "filesystem", "ctime", "unistd.h", "time.h", "signal.h", "csignal",
    "dlfcn.h", "poll.h", "fcntl.h",
}
IMPURE_CALLS = re.compile(r"\b(?:(?:steady|system|high_resolution)_clock|getenv|time\(nullptr\))")

SOURCE_FOLDERS = ["libtempest", *sorted(ROLES), "cli", "examples", "bench", "tests"]
LONGEST_FILE_LINES = 600
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SLEEP = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(")


def place_of(path):
    """The component or role that a file (relative to the root) belongs to."""
    parts = path.parts
    if parts[0] == "libtempest":
        return parts[2] if len(parts) > 3 else "public"
    return parts[0]


def target_of(include):
    """The component or role that a quoted include names, or None."""
    parts = include.split("/")
    if parts[0] == "tempest":
        return parts[1] if len(parts) > 2 else "public"
    return parts[0] if len(parts) > 1 else None


def third_party_of(include):
    first = include.split("/")[0]
    name = first.removesuffix(".hpp").removesuffix(".h")
    return {"zmq_addon": "zmq", "toml": "toml++"}.get(name, name)


def is_machine(path):
    return path.stem.endswith("_machine")


def allowed_targets(path):
    """Where this file's own includes may lead; None: anywhere."""
    place = place_of(path)
    if place in LIBRARY:
        return LIBRARY[place] | {place}
    if place in ROLES:
        return (PURE if is_machine(path) else EVERY_COMPONENT) | {place}
    if place == "cli":
        return EVERY_COMPONENT | ROLES | {"bench", "cli"}
    if place == "bench":
        return EVERY_COMPONENT | ROLES | {"bench"}
    if place == "examples":
        # Examples show what a user can write: the public headers, and what those include.
        return {"public", "base", "examples"}
    return None


def check_include(path, is_quoted, include):
    place = place_of(path)
    if is_quoted:
        target = target_of(include)
        if target is None and place == "tests":
            return None  # What a few test files share stands beside them.
        if target is None:
            return f'"{include}": write the path from the include root, as in "tempest/dag/graph.hpp"'
        allowed = allowed_targets(path)
        if include == EXIT_CODES and place in ROLES:
            return None
        if allowed is not None and target not in allowed:
            who = "a machine" if is_machine(path) and place in ROLES else place
            return f'{who} must not include {target} ("{include}")'
        return None
    if place in ("tests", "bench"):
        return None
    library = third_party_of(include)
    if library in THIRD_PARTY:
        if place not in THIRD_PARTY[library] or is_machine(path):
            return f"{place} must not include {library} (<{include}>)"
        if path.suffix == ".hpp":
            return f"a third-party header in a header (<{include}>): include it in the .cpp"
    if is_pure(path) and (include in IMPURE_HEADERS or include.startswith("sys/")):
        return f"a pure part must not include <{include}>"
    return None


def is_pure(path):
    place = place_of(path)
    return place in PURE or (place in ROLES and is_machine(path))


def check_file(root, path):
    """The findings in one file, as (line, what)."""
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    if len(lines) > LONGEST_FILE_LINES:
        yield LONGEST_FILE_LINES, f"over {LONGEST_FILE_LINES} lines: find the concept that wants out"
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0] if "#" not in line else line
        if match := INCLUDE.match(line):
            if found := check_include(path, match[1] == '"', match[2]):
                yield number, found
        if is_pure(path) and (match := IMPURE_CALLS.search(code)):
            yield number, f"a pure part must not use {match[0]}: it is told the time, and its settings"
        # tests/support holds the one wait that all tests share, with a deadline.
        if path.parts[0] == "tests" and path.parts[1] != "support" and SLEEP.search(code):
            yield number, "a test must not sleep: wait for what it needs, with a deadline"


def check_tree(root):
    findings = []
    files = 0
    for folder in SOURCE_FOLDERS:
        for file in sorted((root / folder).rglob("*.[ch]pp")):
            path = file.relative_to(root)
            files += 1
            findings += [f"{path}:{line}: {what}" for line, what in check_file(root, path)]
    return files, findings


# A file, what stands in it, and a piece of what must be said about it; None: nothing.
PLANTED = [
    ("libtempest/tempest/base/a.hpp", '#include "tempest/wire/frames.hpp"', "base must not include wire"),
    ("libtempest/tempest/dag/a.cpp", '#include "tempest/link/link.hpp"', "dag must not include link"),
    ("libtempest/tempest/wire/a.cpp", '#include "tempest/dag/graph.hpp"', "wire must not include dag"),
    ("libtempest/tempest/link/a.cpp", "#include <zmq.hpp>", "link must not include zmq"),
    ("libtempest/tempest/link/b.cpp", "auto now = std::chrono::steady_clock::now();", "steady_clock"),
    ("libtempest/tempest/tracking/a.cpp", "#include <thread>", "must not include <thread>"),
    ("libtempest/tempest/runtime/a.hpp", "#include <spdlog/spdlog.h>", "third-party header in a header"),
    ("libtempest/tempest/runtime/b.cpp", '#include "tempest/builtin/sink.hpp"', "runtime must not include builtin"),
    ("libtempest/tempest/runtime/c.cpp", '#include "broker/broker_node.hpp"', "runtime must not include broker"),
    ("libtempest/tempest/task.hpp", '#include "tempest/runtime/clock.hpp"', "public must not include runtime"),
    ("broker/a_machine.cpp", '#include "tempest/runtime/clock.hpp"', "a machine must not include runtime"),
    ("broker/b_machine.cpp", "#include <random>", "must not include <random>"),
    ("broker/c.cpp", '#include "task_node/task_machine.hpp"', "broker must not include task_node"),
    ("broker/d.cpp", '#include "d.hpp"', "from the include root"),
    ("task_node/a.cpp", '#include "cli/run.hpp"', "task_node must not include cli"),
    ("bench/a.cpp", '#include "cli/commands.hpp"', "bench must not include cli"),
    ("examples/wordcount/a.cpp", '#include "tempest/runtime/clock.hpp"', "examples must not include runtime"),
    ("tests/unit/dag/a_test.cpp", "  std::this_thread::sleep_for(1s);", "must not sleep"),
    ("cli/long.cpp", "int x;\n" * 601, "over 600 lines"),
    ("libtempest/tempest/runtime/good.cpp", '#include <zmq.hpp>\n#include "tempest/dag/graph.hpp"', None),
    ("broker/good_machine.hpp", '#include "tempest/registry/member.hpp"', None),
    ("broker/c_machine.cpp", '#include "tempest/runtime/exit_code.hpp"', None),
    ("broker/main.cpp", '#include "tempest/runtime/node_program.hpp"', None),
    ("cli/run.cpp", '#include "broker/broker_node.hpp"', None),
    ("tests/unit/dag/b_test.cpp", '#include "shapes.hpp"', None),
    ("tests/support/wait.cpp", "  std::this_thread::sleep_for(1ms);", None),
    ("examples/wordcount/good.cpp", '#include "tempest/task.hpp"', None),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text, _ in PLANTED:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text + "\n", encoding="utf-8")
        _, findings = check_tree(root)
    wrong = []
    for name, _, expected in PLANTED:
        said = [finding for finding in findings if finding.startswith(name + ":")]
        if expected is None and said:
            wrong.append(f"{name}: nothing is wrong with it, but: {said}")
        elif expected is not None and not (len(said) == 1 and expected in said[0]):
            wrong.append(f"{name}: expected '{expected}', got {said}")
    print("\n".join(wrong) or f"{len(PLANTED)} planted files judged rightly")
    return 1 if wrong else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 64
    files, findings = check_tree(pathlib.Path(arguments[0]))
    if files == 0:
        print(f"no source files under {arguments[0]}", file=sys.stderr)
        return 1
    print("\n".join(findings) or f"{files} files, nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
