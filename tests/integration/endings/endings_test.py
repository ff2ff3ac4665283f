#!/usr/bin/env python3
"""How programs end: by a task's doing, as the first process of a container, and when told to stop.

Usage: endings_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
LIBRARIES = os.path.join(os.path.dirname(BINARIES), "tests")

TOPOLOGY = """
name = "endings"
libraries = ["libendings.so"]
[source]
type = "lines"
path = "{folder}/in"
[[task]]
name = "ending"
uses = "endings:{task}"
[[task]]
name = "out"
uses = "sink"
after = ["ending"]
sink = {{ type = "lines", path = "{folder}/out" }}
[failure]
policy = "none"
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.cluster = processes.Cluster(BINARIES)
        self.addCleanup(self.cluster.__exit__, None, None, None)

    def topology(self, lines, task="End"):
        self.cluster.write("in", "".join(f"{line}\n" for line in lines))
        return self.cluster.write("Topology.toml",
                                  TOPOLOGY.format(folder=self.cluster.folder, task=task))

    def command(self, verb, topology, *words):
        return [self.cluster.program("tempest"), verb, topology, "--library-path", LIBRARIES,
                *words]

    def run_with(self, lines, *words, task="End"):
        return subprocess.run(self.command("run", self.topology(lines, task), *words),
                              capture_output=True, text=True, timeout=60, check=False)


class Exits(Case):
    WAYS = {"exit": "exit(0)", "_exit": "_exit(0)", "_Exit": "_Exit(0)",
            "quick_exit": "quick_exit()", "terminate": "std::terminate()"}

    def test_a_task_that_ends_the_process_ends_a_run_with_failure_and_is_named(self):
        for way, shown in self.WAYS.items():
            with self.subTest(way):
                run = self.run_with(["a", way, "b"])
                self.assertIn(f'tempest run: task "ending" called {shown} before', run.stderr)
                self.assertEqual(run.returncode, -signal.SIGABRT if way == "terminate" else 70)

    def test_a_thread_of_a_task_is_no_way_around_it(self):
        run = self.run_with(["thread"])
        self.assertIn("exit(0) was called before the work was done", run.stderr)
        self.assertEqual(run.returncode, 70)

    def test_so_does_one_that_ends_it_as_it_is_opened(self):
        run = self.run_with(["a"], task="EndAtOpen")
        self.assertIn('task "ending" called exit(0)', run.stderr)
        self.assertEqual(run.returncode, 70)

    def test_children_may_end_as_they_like(self):
        run = self.run_with(["child", "forked child", "a"], "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(run.stdout)["acked"], 3)

    def test_cases_do_not_pass_because_a_task_ended_the_process(self):
        topology = self.topology([])
        for way, shown in self.WAYS.items():
            with self.subTest(way):
                self.cluster.write("Topology.test.toml", f"""
                    [[case]]
                    name = "it passes"
                    inputs = ["{way}"]
                    reaches = {{ out = [] }}
                    """)
                done = subprocess.run(self.command("test", topology), capture_output=True,
                                      text=True, timeout=60, check=False)
                self.assertIn(f'tempest test: task "ending" called {shown}', done.stderr)
                self.assertNotEqual(done.returncode, 0)

    def test_a_worker_of_its_own_ends_with_failure_too(self):
        with self.cluster as cluster:
            cluster.start_broker()
            topology = self.topology(["exit"])
            cluster.start("pipeline", "tempest-pipeline", "--topology", topology, "--bind",
                          "tcp://127.0.0.1:0")
            cluster.start("source", "tempest-source", "--topology", "endings")
            worker = cluster.start("task", "tempest-task", "--topology", "endings",
                                   "--library-path", LIBRARIES)
            self.assertEqual(worker.wait(30), 70)
            self.assertIn('tempest-task: task "ending" called exit(0)', worker.log())

    def test_an_exception_without_a_text_is_an_error_like_any_other(self):
        run = self.run_with(["a"], task="ThrowAtOpen")
        self.assertEqual(run.returncode, 78, run.stderr)
        self.assertIn("open() threw: an exception without a text", run.stderr)


@unittest.skipUnless(shutil.which("unshare") and os.geteuid() == 0, "needs root and unshare")
class FirstProcess(Case):
    def start_first(self, command):
        """Starts it as process 1 of a namespace of its own."""
        probe = subprocess.run(["unshare", "--pid", "--fork", "true"], check=False,
                               capture_output=True)
        if probe.returncode != 0:
            self.skipTest("no namespaces here")
        return processes.Node(self.cluster.folder, "first", [
            "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command])

    def lines_written(self):
        try:
            with open(self.cluster.path("out"), encoding="utf-8") as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def zombies(self, node):
        """How many there are below it."""
        children = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            children.setdefault(int(parent), []).append((int(entry), state))
        found = 0
        below = [node.process.pid]
        while below:
            for pid, state in children.get(below.pop(), []):
                found += state == "Z"
                below.append(pid)
        return found

    def test_children_that_tasks_leave_behind_are_reaped(self):
        topology = self.topology(["orphan"] * 50 + ["hang"])
        first = self.start_first(self.command("run", topology, "--threads", "2"))
        self.cluster.nodes["first"] = first
        processes.wait_until(lambda: self.lines_written() == 50, "all that can be done")
        processes.wait_until(lambda: self.zombies(first) == 0, "no zombies", 10)

    def test_signals_and_exit_codes_pass_through_it(self):
        topology = self.topology(["a", "hang"])
        first = self.start_first(self.command("run", topology, "--drain-timeout", "1s", "--json"))
        self.cluster.nodes["first"] = first
        processes.wait_until(lambda: os.path.exists(self.cluster.path("out")), "the first line")
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first.process.pid)],
                                  capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(children[0]), signal.SIGTERM)
        self.assertEqual(first.wait(20), 0, first.log())
        self.assertIn('"acked":1', first.log())


class Stopping(Case):
    def test_no_time_to_drain_is_no_error_where_nothing_is_to_be_drained(self):
        for _ in range(20):
            run = self.run_with(["a", "b", "c"], "--drain-timeout", "0s", "--json", "--workers", "2")
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            self.assertEqual(json.loads(run.stdout)["acked"], 3)

    def test_a_hanging_call_holds_the_end_up_for_one_drain_timeout_and_no_more(self):
        topology = self.topology(["a", "hang"])
        run = processes.Node(self.cluster.folder, "run", self.command(
            "run", topology, "--drain-timeout", "3s", "--json"))
        self.cluster.nodes["run"] = run
        processes.wait_until(lambda: os.path.exists(self.cluster.path("out")), "the first line")
        begun = time.monotonic()
        run.stop(20)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertIn('"acked":1', run.log())
        self.assertIn("a task does not come back from its call", run.log())

    def test_a_drain_timeout_beyond_all_bounds_is_refused(self):
        run = self.run_with(["a"], "--drain-timeout", "9223372036s")
        self.assertEqual(run.returncode, 64)
        self.assertIn("--drain-timeout takes a duration of at most 365d", run.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
