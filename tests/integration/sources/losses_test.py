#!/usr/bin/env python3
"""What becomes of a message when a worker, a sink or its coordinator is lost, or a task hangs.

Usage: losses_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import re
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
LIBRARIES = os.path.join(BINARIES, "../tests")

SOURCES = {
    "stream": 'type = "redis_stream"\nuri = "{uri}"\nkey = "{cell}.in"\nfield = "value"',
    "list": 'type = "redis_list"\nuri = "{uri}"\nkey = "{cell}.in"\nretry_delay = "1h"',
    "lines": 'type = "lines"\npath = "{folder}/in"\ncheckpoint = "{folder}/place"',
}
POLICIES = {
    "none": 'policy = "none"',
    "best-effort": 'policy = "best_effort"',
    "retry": 'policy = "retry"\ndead_letter = {{ type = "lines", path = "{folder}/dead" }}',
}


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class Cell:
    """One message on its way through nodes of its own; only the broker and Redis are shared."""

    def __init__(self, cluster, policy, source, task, failure="", threads=2):
        self.cluster, self.policy, self.source = cluster, policy, source
        self.name = f"cell-{len(cluster.nodes)}"
        self.folder = cluster.path(self.name)
        os.mkdir(self.folder)
        os.mkfifo(self.path("gate"))
        names = {"uri": cluster.redis.uri, "folder": self.folder, "cell": self.name}
        self.put_message()
        with open(self.path("Topology.toml"), "w", encoding="utf-8") as file:
            file.write("\n".join([
                f'name = "{self.name}"', 'libraries = ["libgate.so"]',
                "[source]", SOURCES[source].format(**names), 'block = "20ms"',
                "[[task]]", 'name = "a"', task.format(**names),
                "[failure]", "max_attempts = 2", 'backoff = { initial = "1ms" }', failure,
                POLICIES[policy].format(**names)]))
        self.pipeline = self.start("pipeline", "--topology", self.path("Topology.toml"), "--bind",
                                   "tcp://127.0.0.1:0")
        # A second thread for the next attempt, while the first one hangs.
        self.worker = self.start("task", "--topology", self.name, "--threads", str(threads),
                                 "--library-path", LIBRARIES)
        self.feeder = self.start("source", "--topology", self.name, "--exit-when-drained")

    def start(self, role, *arguments):
        return self.cluster.start(f"{self.name}-{role}", f"tempest-{role}", "--lease", "500ms",
                                  *arguments)

    def put_message(self):
        if self.source == "stream":
            self.cluster.redis.command("XADD", f"{self.name}.in", "*", "value", "message")
        elif self.source == "list":
            self.cluster.redis.command("RPUSH", f"{self.name}.in", "message")
        else:
            with open(self.path("in"), "w", encoding="utf-8") as file:
                file.write("message\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def at_work(self):
        """The attempts that came to the task so far."""
        return [int(line) for line in lines_of(self.path("at"))]

    def open_gate(self):
        with open(self.path("gate"), "w", encoding="utf-8"):
            pass

    def dead_letters(self):
        return [json.loads(line) for line in lines_of(self.path("dead"))]

    def outcome(self):
        """(acked, failed) as the source counts them at its end."""
        line = [line for line in self.feeder.log().splitlines() if " finished" in line][-1]
        return tuple(int(re.search(rf"\b{name}=(\d+)", line)[1]) for name in ("acked", "failed"))

    def is_left(self):
        """Whether the message is still at the source, or will come again."""
        redis = self.cluster.redis
        if self.source == "stream":
            return redis.command("XPENDING", f"{self.name}.in", self.name)[0] == 1
        if self.source == "list":
            held = redis.command("HLEN", f"{self.name}.in:payloads")
            return held == redis.command("ZCARD", f"{self.name}.in:delayed") == 1
        place = lines_of(self.path("place"))
        return not (place and "line 2 offset 8 " in place[0])


class Losses(unittest.TestCase):
    """Policy x cause x source, as Policies in sources_test.py has them for other causes."""

    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))
        self.redis = self.cluster.start_redis()
        self.cluster.start_broker()

    def begin(self, task, failure=""):
        return [Cell(self.cluster, policy, source, task, failure)
                for policy in POLICIES for source in SOURCES]

    def check_ends(self, cells, expected, keep_alive=lambda cell: None):
        """`expected`: by policy, (acked, failed). What is not acked must be left at the source."""
        def running():
            for cell in cells:
                keep_alive(cell)
            return [cell for cell in cells if cell.feeder.running()]
        processes.wait_until(lambda: not running(), "all sources to end", 60)
        for cell in cells:
            with self.subTest(policy=cell.policy, source=cell.source):
                self.assertEqual(cell.feeder.wait(1), 0)
                acked, failed = expected[cell.policy]
                self.assertEqual(cell.outcome(), (acked, failed))
                self.assertEqual(cell.is_left(), acked == 0)

    def sink(self, uri):
        return f"""
            [[task]]
            name = "out"
            uses = "sink"
            after = ["a"]
            sink = {{{{ type = "redis_list", uri = "{uri}", key = "{{cell}}.out" }}}}
            """

    def out(self, cell, redis=None):
        return (redis or self.redis).command("LRANGE", f"{cell.name}.out", "0", "-1")

    GATE = 'uses = "gate:Wait"\nconfig = {{ folder = "{folder}" }}'

    def test_a_message_whose_worker_was_killed_once_is_done_by_the_next_whatever_the_policy(self):
        cells = self.begin(self.GATE + self.sink(self.redis.uri))
        for cell in cells:
            processes.wait_until(cell.at_work, "the message at its worker")
            cell.worker.kill()
            cell.worker.start()
        for cell in cells:
            processes.wait_until(lambda: len(cell.at_work()) == 2, "the message at the next worker")
            cell.open_gate()
        self.check_ends(cells, dict.fromkeys(POLICIES, (1, 0)))
        for cell in cells:
            self.assertEqual((cell.at_work(), self.out(cell)), ([1, 1], ["message"]))

    def test_a_message_that_loses_every_worker_ends_as_the_policy_says(self):
        cells = self.begin('uses = "gate:Die"\nconfig = {{ folder = "{folder}" }}')

        def keep_alive(cell):
            if not cell.worker.running():
                cell.worker.start()
        self.check_ends(cells, {"none": (0, 1), "best-effort": (1, 1), "retry": (1, 1)}, keep_alive)
        for cell in cells:
            # Two losses make it a suspect; from then on each is an attempt.
            self.assertEqual(cell.at_work(), [1, 1, 1, 2] if cell.policy == "retry" else [1, 1, 1])
            letters = [(letter["kind"], letter["task"], letter["worker"],
                        letter["delivery_attempts"], letter["attempts"])
                       for letter in cell.dead_letters()]
            self.assertEqual(letters, [("worker_lost", "a", cell.worker.name, 2, 1)]
                             if cell.policy == "retry" else [])

    def test_a_sink_that_is_away_is_waited_for_whatever_the_policy_and_named(self):
        away = processes.Redis(self.folder("away"))
        self.addCleanup(away.stop)
        away.kill()
        # Both bounds are over many times before the sink is back.
        cells = self.begin('uses = "identity"' + self.sink(away.uri),
                           'timeout = "500ms"\ntask_timeout = "500ms"')

        def told(cell, words):
            return [line for line in cell.pipeline.log().splitlines() if words in line]
        for cell in cells:
            processes.wait_until(lambda: told(cell, "cannot reach what it needs"),
                                 "a word of what is away")
            line, = told(cell, "cannot reach what it needs")
            for word in ("task=out", f"worker={cell.worker.name}", "Connection refused"):
                self.assertIn(word, line)

        processes.wait_until(
            lambda: "Connection refused"
            in self.cluster.listed_nodes().get(cells[0].pipeline.name, {}).get("state", ""),
            "its cause in tempest ls")
        for cell in cells:
            self.assertTrue(cell.feeder.running())
        away.start_again()
        self.check_ends(cells, dict.fromkeys(POLICIES, (1, 0)))
        for cell in cells:
            self.assertEqual(self.out(cell, away), ["message"])
            self.assertEqual(cell.dead_letters(), [])
            processes.wait_until(lambda: told(cell, "reaches what it needs again"),
                                 "a word that it is back")

    def folder(self, name):
        os.mkdir(self.cluster.path(name))
        return self.cluster.path(name)

    def test_a_message_whose_coordinator_was_killed_is_done_again_whatever_the_policy(self):
        cells = self.begin(self.GATE + self.sink(self.redis.uri))
        for cell in cells:
            processes.wait_until(cell.at_work, "the message at its worker")
            cell.pipeline.kill()
            cell.pipeline.start()
        for cell in cells:
            processes.wait_until(lambda: len(cell.at_work()) == 2, "the message at the worker again")
            cell.open_gate()
        self.check_ends(cells, dict.fromkeys(POLICIES, (1, 0)))
        for cell in cells:
            # What came of the first time went with its coordinator.
            self.assertEqual((cell.at_work(), self.out(cell)), ([1, 1], ["message"]))


class Hangs(unittest.TestCase):
    """A task that does not come back."""

    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))
        self.cluster.start_redis()
        self.cluster.start_broker()

    TASK = 'uses = "gate:Wait"\nconfig = {{ folder = "{folder}"'

    def test_a_delivery_that_hangs_is_a_timeout_of_its_task_and_worker_wherever_it_is_told(self):
        self.cluster.start("stats", "tempest-stats", "--http", "")
        cell = Cell(self.cluster, "retry", "list", self.TASK + ' }}\ntimeout = "300ms"')
        worker = cell.worker.name

        def warnings():
            return [line for line in cell.pipeline.log().splitlines() if "timed out" in line]
        # At the first of the two attempts, not only when the message has failed.
        processes.wait_until(warnings, "a warning of the coordinator")
        for word in ("task=a", f"worker={worker}", "attempt=1", "the call has not ended within 300ms"):
            self.assertIn(word, warnings()[0])

        self.assertEqual(cell.feeder.wait(30), 0)
        self.assertEqual(cell.at_work(), [1, 2])
        letter, = cell.dead_letters()
        self.assertEqual((letter["kind"], letter["task"], letter["worker"], letter["reason"],
                          letter["delivery_attempts"]),
                         ("task_timeout", "a", worker, "the call has not ended within 300ms", 2))
        told = [line for line in cell.feeder.log().splitlines() if "failed for good" in line][0]
        for word in ("task=a", f"worker={worker}", "kind=task_timeout", "the call has not ended within 300ms"):
            self.assertIn(word, told)

        def timed_out():
            done = self.cluster.tempest("stats", "--broker", self.cluster.broker_url, "--json",
                                        "--count", "1", check=False)
            topologies = json.loads(done.stdout or "{}").get("topologies", {})
            return topologies.get(cell.name, {}).get("tasks", {}).get("a", {}).get("timed_out")
        processes.wait_until(lambda: timed_out() == 2, "two timeouts of the task in the statistics")
        cell.open_gate()
        self.assertEqual(cell.worker.stop(), 0)

    def test_a_task_that_asks_for_more_time_is_left_alone_and_one_that_does_not_is_not(self):
        slow = Cell(self.cluster, "retry", "list",
                    self.TASK + ', extend = "20s" }}\ntimeout = "200ms"', threads=1)
        for _ in range(3):
            slow.put_message()
        hung = Cell(self.cluster, "retry", "list", self.TASK + ' }}\ntimeout = "200ms"')
        processes.wait_until(slow.at_work, "the slow one at work")
        self.assertEqual(hung.feeder.wait(30), 0)
        self.assertEqual(hung.outcome(), (1, 1))
        # The other has been at it for as long, and has not been given up; nor what waits behind it.
        self.assertEqual(slow.at_work(), [1])
        # An open gate lets through whoever comes.
        with open(slow.path("gate"), "w", encoding="utf-8"):
            self.assertEqual(slow.feeder.wait(30), 0)
        self.assertEqual(slow.outcome(), (4, 0))
        self.assertEqual(slow.at_work(), [1, 1, 1, 1])
        hung.open_gate()


if __name__ == "__main__":
    unittest.main()
