#!/usr/bin/env python3
"""Waiting is not work: healthy messages beside such that hang, under load, and while a process stands.

Usage: waits_test.py FOLDER_OF_PROGRAMS [unittest arguments]

TEMPEST_WAITS=full in the environment tries every combination, and loads of full size.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
LIBRARIES = os.path.join(os.path.dirname(BINARIES), "tests")
FULL = os.environ.get("TEMPEST_WAITS") == "full"

POLICIES = {
    "retry": 'policy = "retry"\ndead_letter = {{ type = "lines", path = "{folder}/dead" }}',
    "none": 'policy = "none"',
    "best_effort": 'policy = "best_effort"',
}

SLOW = """
name = "slow"
libraries = ["libslow.so"]
[source]
type = "lines"
path = "{folder}/in"
[[task]]
name = "work"
uses = "slow:Slow"
config = {{ late = "1s", batch = {batch} }}
timeout = "400ms"
[[task]]
name = "out"
uses = "sink"
after = ["work"]
sink = {{ type = "lines", path = "{folder}/out" }}
[failure]
max_attempts = {attempts}
backoff = {{ initial = "10ms" }}
{policy}
"""


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class Case(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))

    def folder(self, name):
        path = self.cluster.path(name)
        os.mkdir(path)
        return path

    def dead_letters(self, folder):
        return [json.loads(line) for line in lines_of(f"{folder}/dead")]


class Neighbours(Case):
    """Two hundred messages of which one hangs and one takes two and a half times its timeout."""

    def run_one(self, policy, attempts, batch, workers):
        folder = self.folder(f"{policy}-{attempts}-{batch}-{workers}")
        lines = [f"good-{i}" for i in range(198)]
        lines[60:60], lines[140:140] = ["hang"], ["late"]
        with open(f"{folder}/in", "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        with open(f"{folder}/Topology.toml", "w", encoding="utf-8") as file:
            file.write(SLOW.format(folder=folder, batch=batch, attempts=attempts,
                                   policy=POLICIES[policy].format(folder=folder)))
        done = self.cluster.tempest("run", f"{folder}/Topology.toml", "--workers", str(workers),
                                    "--threads", "2", "--library-path", LIBRARIES, "--json",
                                    "--drain-timeout", "1s", timeout_s=60, check=False)
        summary = json.loads(done.stdout)
        good = {line for line in lines if line.startswith("good")}
        self.assertEqual(set(lines_of(f"{folder}/out")) & good, good)
        self.assertEqual(summary["failed"], 2, done.stderr)
        self.assertEqual(summary["acked"], 198 if policy == "none" else 200)
        letters = sorted((letter["payload"], letter["kind"], letter["delivery_attempts"],
                          letter["attempts"]) for letter in self.dead_letters(folder))
        if policy == "retry":
            self.assertEqual(letters, [("hang", "task_timeout", attempts, 1),
                                       ("late", "task_timeout", attempts, 1)])
        else:
            self.assertEqual(letters, [])

    def test_only_what_hangs_or_is_late_fails_under_every_policy(self):
        every = list(itertools.product(POLICIES, (1, 2, 3), (0, 1, 16, 1024), (1, 2, 4)))
        some = [("retry", 1, 0, 1), ("retry", 3, 0, 2), ("retry", 2, 1024, 1), ("retry", 1, 16, 4),
                ("none", 1, 0, 1), ("none", 2, 1024, 2), ("best_effort", 1, 0, 1),
                ("best_effort", 3, 16, 1)]
        for one in every if FULL else some:
            with self.subTest(one):
                self.run_one(*one)


class Load(Case):
    def run_load(self, count, time, timeout):
        folder = self.folder(f"load-{time}")
        with open(f"{folder}/Topology.toml", "w", encoding="utf-8") as file:
            file.write("\n".join([
                'name = "load"', "[source]", 'type = "generator"', f"count = {count}", "size = 100",
                "[[task]]", 'name = "work"', 'uses = "sleep"', f'sleep = {{ time = "{time}" }}',
                "[[task]]", 'name = "out"', 'uses = "sink"', 'after = ["work"]',
                f'sink = {{ type = "lines", path = "{folder}/out" }}',
                "[failure]", timeout,
                f'dead_letter = {{ type = "lines", path = "{folder}/dead" }}']))
        done = self.cluster.tempest("run", f"{folder}/Topology.toml", "--threads", "2", "--json",
                                    timeout_s=400)
        summary = json.loads(done.stdout)
        self.assertEqual((summary["acked"], summary["failed"]), (count, 0))
        self.assertEqual(self.dead_letters(folder), [])
        self.assertEqual(len(lines_of(f"{folder}/out")), count)

    def test_messages_wait_in_line_for_longer_than_their_timeout_and_all_are_done_once(self):
        if FULL:
            self.run_load(20_000, "20ms", "")
            self.run_load(300, "2s", "")
        else:
            self.run_load(400, "20ms", 'timeout = "500ms"\ntask_timeout = "200ms"')


class Stopped(Case):
    def test_a_process_that_stands_still_blames_no_message(self):
        folder = self.folder("stopped")
        with open(f"{folder}/Topology.toml", "w", encoding="utf-8") as file:
            file.write("\n".join([
                'name = "stopped"', "[source]", 'type = "generator"', "count = 60",
                "[[task]]", 'name = "work"', 'uses = "sleep"', 'sleep = { time = "100ms" }',
                "[[task]]", 'name = "out"', 'uses = "sink"', 'after = ["work"]',
                f'sink = {{ type = "lines", path = "{folder}/out" }}',
                "[failure]", 'timeout = "2s"', 'task_timeout = "1s"', "max_attempts = 1",
                f'dead_letter = {{ type = "lines", path = "{folder}/dead" }}']))
        process = subprocess.Popen([self.cluster.program("tempest"), "run",
                                    f"{folder}/Topology.toml", "--threads", "2", "--json"],
                                   stdout=subprocess.PIPE, text=True)
        processes.wait_until(lambda: lines_of(f"{folder}/out"), "a first message")
        process.send_signal(signal.SIGSTOP)
        # It stands for longer than any of its timeouts; nothing can be waited for meanwhile.
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(json.loads(out)["acked"], 60)
        self.assertEqual(self.dead_letters(folder), [])


class Silent(Case):
    def test_a_sink_that_says_nothing_for_longer_than_a_call_may_take_uses_no_attempts(self):
        redis = self.cluster.start_redis()
        folder = self.folder("silent")
        with open(f"{folder}/Topology.toml", "w", encoding="utf-8") as file:
            file.write("\n".join([
                'name = "silent"', "[source]", 'type = "generator"', "count = 300", "rate = 100",
                "[[task]]", 'name = "out"', 'uses = "sink"',
                f'sink = {{ type = "redis_stream", uri = "{redis.uri}", key = "out" }}',
                "[failure]", 'task_timeout = "1s"', "max_attempts = 1",
                f'dead_letter = {{ type = "lines", path = "{folder}/dead" }}']))
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([self.cluster.program("tempest"), "run",
                                        f"{folder}/Topology.toml", "--threads", "2", "--json"],
                                       stdout=subprocess.PIPE, stderr=log, text=True)
        processes.wait_until(lambda: redis.command("XLEN", "out") > 10, "first messages")
        redis.process.send_signal(signal.SIGSTOP)
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(4)
        redis.process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=60)
        summary = json.loads(out)
        self.assertEqual((process.returncode, summary["acked"], summary["failed"]), (0, 300, 0))
        self.assertEqual(self.dead_letters(folder), [])
        text = "\n".join(lines_of(f"{folder}/log"))
        self.assertIn("no answer within 500ms", text)
        self.assertNotIn("another thread takes its place", text)


if __name__ == "__main__":
    unittest.main()
