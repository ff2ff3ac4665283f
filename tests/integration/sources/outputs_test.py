#!/usr/bin/env python3
"""Standard output and files as they are: closed, full, shared by several processes.

Usage: outputs_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
TEMPEST = os.path.join(BINARIES, "tempest")

TOPOLOGY = """
name = "outputs"
[source]
type = "lines"
path = "{source}"
{more}
[[task]]
name = "out"
uses = "sink"
sink = {{ type = "lines", path = "{sink}" }}
[failure]
{failure}
"""
POLICIES = {
    "none": 'policy = "none"',
    "retry": 'policy = "retry"\nbackoff = {{ initial = "1ms" }}\n'
             'dead_letter = {{ type = "lines", path = "{folder}/dead" }}',
}


class Outputs(unittest.TestCase):
    LINES = 50_000

    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))
        self.cluster.write("in", "".join(f"{i:07d} {'x' * 90}\n" for i in range(self.LINES)))

    def topology(self, sink, policy="none", source=None, checkpoint=True):
        folder = self.cluster.folder
        return self.cluster.write("Topology.toml", TOPOLOGY.format(
            source=source or self.cluster.path("in"), sink=sink,
            more=f'checkpoint = "{folder}/place-{policy}"' if checkpoint else "",
            failure=POLICIES[policy].format(folder=folder)))

    def shell(self, command, timeout_s=30):
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                              timeout=timeout_s, check=False)

    def begin(self, *command, **pipes):
        run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **pipes)
        self.addCleanup(run.stderr.close)
        return run

    def test_a_closed_standard_output_ends_the_run_at_once_and_leaves_the_rest_unacked(self):
        for policy in POLICIES:
            with self.subTest(policy=policy):
                run = self.begin(TEMPEST, "run", self.topology("-", policy),
                                 stdout=subprocess.PIPE)
                for _ in range(10):
                    run.stdout.readline()
                run.stdout.close()
                errors = run.stderr.read()
                self.assertEqual(run.wait(20), 74, errors)
                self.assertIn("cannot write standard output: Broken pipe", errors)
                with open(self.cluster.path(f"place-{policy}"), encoding="utf-8") as place:
                    line = int(re.search(r" line (\d+) ", place.readline())[1])
                # What the pipe and its reader took, and no more.
                self.assertLess(line, self.LINES // 2)
                self.assertFalse(os.path.exists(self.cluster.path("dead")))

    def test_a_standard_output_that_takes_nothing_is_named_and_ends_the_run(self):
        result = self.shell(f"{TEMPEST} run {self.topology('-')} >/dev/full")
        self.assertEqual(result.returncode, 74, result.stderr)
        self.assertIn("cannot write standard output: No space left on device", result.stderr)

    def test_descriptors_that_were_closed_at_the_start_are_refused_and_written_to_by_nobody(self):
        for _ in range(3):
            result = self.shell(f"{TEMPEST} run {self.topology('-')} >&-")
            self.assertEqual(result.returncode, 78, result.stderr)
            self.assertIn("standard output closed", result.stderr)
        topology = self.topology("/dev/null", source="-", checkpoint=False)
        result = self.shell(f"{TEMPEST} run {topology} <&-")
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("standard input closed", result.stderr)
        # Where nothing is read or written there, it changes nothing.
        result = self.shell(f"{TEMPEST} run {self.topology(self.cluster.path('out'))} <&- >&- 2>&-")
        self.assertEqual(result.returncode, 0)

    def test_the_lines_of_two_workers_on_one_pipe_are_whole(self):
        port = processes.free_ports(3)
        topology = self.topology("-", checkpoint=False)
        result = self.shell(f"{TEMPEST} up {topology} --workers 2 --broker tcp://127.0.0.1:{port} "
                            f"--http 127.0.0.1:0 --log-level error | cat >{self.cluster.path('out')}",
                            60)
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(self.cluster.path("out"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        broken = [line for line in lines if not re.fullmatch(r"\d{7} x{90}", line)]
        self.assertEqual(broken, [])
        self.assertEqual(len(set(lines)), self.LINES)

    def test_the_limit_of_a_files_size_is_a_full_disk(self):
        out = self.cluster.path("out")
        run = self.begin("bash", "-c", f"ulimit -f 20; exec {TEMPEST} run {self.topology(out)} "
                         "--drain-timeout 500ms")
        processes.wait_until(lambda: os.path.exists(out) and os.path.getsize(out) > 0, "some lines")
        run.send_signal(signal.SIGTERM)
        errors = run.stderr.read()
        self.assertEqual(run.wait(30), 0, errors)
        with open(out, encoding="utf-8") as file:
            self.assertTrue(file.read().endswith("x\n"))

    def test_a_source_that_cannot_read_again_says_so(self):
        topology = self.topology("/dev/null", source="-", checkpoint=False)
        result = self.shell(f"echo one | {TEMPEST} run {topology}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("standard input cannot be read again", result.stderr)

    def test_a_line_too_long_becomes_a_dead_letter_or_is_counted_as_lost(self):
        source = self.cluster.write("long", "short\n" + "x" * 30_000 + "\nlast\n")
        for policy, lost in {"retry": 0, "none": 1}.items():
            topology = self.topology("/dev/null", policy, source)
            with open(topology, encoding="utf-8") as file:
                text = file.read().replace("[[task]]", 'max_line = "10KB"\n[[task]]', 1)
            self.cluster.write("Topology.toml", text)
            result = self.shell(f"{TEMPEST} run {topology} --json")
            self.assertEqual(result.returncode, 0, result.stderr)
            summary = json.loads(result.stdout)
            self.assertEqual(summary["lost_at_source"], lost)
            self.assertEqual(summary["acked"], 3 - lost)
        with open(self.cluster.path("dead"), encoding="utf-8") as file:
            letter = json.loads(file.read())
        self.assertEqual(letter["source"], "line 2")
        self.assertEqual(letter["payload"], "x" * 1024)
        self.assertIn("max_line", letter["reason"])

    def test_a_line_without_end_does_not_keep_the_source_from_its_end(self):
        with open(self.cluster.path("sparse"), "wb") as file:
            file.truncate(100 << 30)
        topology = self.topology("/dev/null", source=self.cluster.path("sparse"))
        run = self.begin(TEMPEST, "run", topology)
        place = self.cluster.path("place-none")
        processes.wait_until(lambda: os.path.exists(place), "the source to begin")
        run.send_signal(signal.SIGTERM)
        errors = run.stderr.read()
        self.assertEqual(run.wait(10), 0, errors)


if __name__ == "__main__":
    unittest.main()
