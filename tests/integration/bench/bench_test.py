#!/usr/bin/env python3
"""`tempest bench`, each workload for a moment: that it runs, is checked, and says what it should.
How fast anything is, is not looked at.

Usage: bench_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import subprocess
import sys
import unittest

BINARIES = os.path.abspath(sys.argv.pop(1))


def bench(*arguments):
    command = [os.path.join(BINARIES, "tempest"), "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def figures(*arguments):
    """Of one short run, the medians by their names."""
    ended = bench(*arguments, "--json", "--repeats", "1", "--warm-up", "50ms")
    if ended.returncode != 0:
        raise AssertionError(f"exit code {ended.returncode}: {ended.stderr}")
    return {name: figure["median"] for name, figure in json.loads(ended.stdout)["figures"].items()}


class Workloads(unittest.TestCase):
    def check(self, *arguments, time="200ms"):
        seen = figures(*arguments, "--time", time, "--no-ceiling")
        self.assertGreater(seen["messages/s"], 0)
        self.assertGreater(seen["CPU us/message"], 0)
        return seen

    def test_relay_over_tcp(self):
        seen = self.check("relay")
        self.assertGreater(seen["messages/frame from source"], 1)

    def test_relay_over_ipc(self):
        self.check("relay", "--transport", "ipc")

    def test_relay_in_one_process(self):
        self.check("relay", "--transport", "process")

    def test_a_count_from_first_to_last(self):
        self.check("relay", "--count", "100000")

    def test_chain_in_separate_workers(self):
        self.check("chain", "--depth", "3", "--separate")

    def test_fan(self):
        self.check("fan", "--fan-out", "4")

    def test_wordcount(self):
        self.check("wordcount", "--workers", "2")

    def test_latency(self):
        seen = self.check("latency", "--rate", "2000")
        self.assertGreater(seen["latency p50 us"], 0)
        self.assertGreaterEqual(seen["latency p99 us"], seen["latency p50 us"])

    def test_redis(self):
        self.check("redis", "--count", "20000")

    def test_idle(self):
        seen = figures("idle", "--time", "500ms")
        self.assertIn("CPU % source", seen)

    def test_memory(self):
        seen = figures("memory", "--in-flight", "30000")
        self.assertGreaterEqual(seen["in flight"], 0.98 * 30000)
        self.assertGreater(seen["bytes/message beyond payload at source"], 0)


class Ceilings(unittest.TestCase):
    def test_a_relay_stands_beside_its_ceiling(self):
        ended = bench("relay", "--json", "--repeats", "1", "--time", "200ms", "--warm-up", "50ms")
        figure = json.loads(ended.stdout)["figures"]["messages/s"]
        self.assertGreater(figure["ceiling"]["median"], 0)
        self.assertAlmostEqual(figure["ratio"], figure["median"] / figure["ceiling"]["median"], 3)


class Usage(unittest.TestCase):
    def test_workloads_are_listed(self):
        ended = bench("--list")
        self.assertEqual(ended.returncode, 0)
        for name in ("relay", "chain", "fan", "wordcount", "redis", "latency", "idle", "memory"):
            self.assertIn(name, ended.stdout)

    def test_a_misspelt_workload_is_refused_with_the_nearest(self):
        ended = bench("rely")
        self.assertEqual(ended.returncode, 64)
        self.assertIn("relay", ended.stderr)

    def test_a_wrong_option_is_refused(self):
        self.assertEqual(bench("relay", "--transport", "pigeon").returncode, 64)
        self.assertEqual(bench("relay", "--size", "17MiB").returncode, 64)


if __name__ == "__main__":
    unittest.main()
