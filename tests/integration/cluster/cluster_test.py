#!/usr/bin/env python3
"""Topologies as their users run them: in one process, and as separate processes, on a real Redis.

Usage: cluster_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import collections
import json
import os
import re
import signal
import sys
import threading
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
# Where the task libraries are that only tests use.
LIBRARIES = os.path.join(os.path.dirname(BINARIES), "tests")

STREAM_TO_LINES = """
name = "relay"
[source]
type = "redis_stream"
uri = "{uri}"
key = "in"
field = "value"
[[task]]
name = "copy"
uses = "identity"
{between}
[[task]]
name = "out"
uses = "sink"
after = ["{last}"]
sink = {{ type = "lines", path = "{out}" }}
"""


# So that there is something to disturb for a few seconds.
PACE = """
[[task]]
name = "pace"
uses = "sleep"
after = ["copy"]
sleep = { time = "200us" }
"""


def stream_to_lines(redis, out, paced=False):
    return STREAM_TO_LINES.format(uri=redis.uri, out=out, between=PACE if paced else "",
                                  last="pace" if paced else "copy")


def fill_stream(redis, count, key="in"):
    batch = 10_000
    for first in range(0, count, batch):
        redis.pipeline([("XADD", key, "*", "value", f"message-{i:07d}")
                        for i in range(first, min(first + batch, count))])


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return collections.Counter(line.rstrip("\n") for line in file)


class InOneProcess(unittest.TestCase):
    def test_a_redis_stream_goes_through_identity_to_a_file_and_is_acked(self):
        count = 100_000
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            fill_stream(redis, count)
            out = cluster.path("out.txt")
            topology = cluster.write("Topology.toml", stream_to_lines(redis, out))
            result = cluster.tempest("run", topology, "--exit-when-drained", "--json")
            summary = json.loads(result.stdout)
            self.assertEqual(summary["read"], count)
            self.assertEqual(summary["acked"], count)
            self.assertEqual(summary["failed"], 0)
            self.assertGreater(summary["seconds"], 0)
            self.assertGreater(summary["messages_per_second"], 0)
            self.assertEqual(lines_of(out), {f"message-{i:07d}": 1 for i in range(count)})
            self.assertEqual(redis.command("XPENDING", "in", "relay")[0], 0)

    def test_stdin_is_read_to_its_end_however_slowly_it_comes(self):
        with processes.Cluster(BINARIES) as cluster:
            topology = cluster.write("Topology.toml", """
                name = "echo"
                [source]
                type = "lines"
                path = "-"
                [[task]]
                name = "out"
                uses = "sink"
                sink = { type = "lines", path = "-" }
                """)
            process = processes.subprocess.Popen(
                [cluster.program("tempest"), "run", topology], stdin=processes.subprocess.PIPE,
                stdout=processes.subprocess.PIPE, text=True)
            process.stdin.write("first\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), "first\n")
            # Longer than any number of empty polls in a row that could be taken for the end.
            threading.Event().wait(3)
            self.assertIsNone(process.poll())
            process.stdin.write("second")
            process.stdin.close()
            self.assertEqual(process.stdout.readline(), "second\n")
            self.assertEqual(process.wait(30), 0)
            process.stdout.close()

    def test_messages_that_fail_twice_are_retried_and_those_that_always_fail_become_dead_letters(
            self):
        with processes.Cluster(BINARIES) as cluster:
            out, dead = cluster.path("out.txt"), cluster.path("dead.txt")
            cluster.write("in.txt", "".join(f"{'bad' if i % 10 == 0 else 'good'}-{i}\n"
                                            for i in range(1000)))
            topology = cluster.write("Topology.toml", f"""
                name = "failing"
                [source]
                type = "lines"
                path = "{cluster.path('in.txt')}"
                [[task]]
                name = "shaky"
                uses = "fail"
                fail = {{ times = 2, match = "7" }}
                [[task]]
                name = "strict"
                uses = "fail"
                after = ["shaky"]
                fail = {{ match = "bad" }}
                [[task]]
                name = "out"
                uses = "sink"
                after = ["strict"]
                sink = {{ type = "lines", path = "{out}" }}
                [failure]
                policy = "retry"
                max_attempts = 3
                backoff = {{ initial = "5ms", max = "20ms" }}
                dead_letter = {{ type = "lines", path = "{dead}" }}
                """)
            result = cluster.tempest("run", topology, "--json")
            summary = json.loads(result.stdout)
            self.assertEqual(summary["read"], 1000)
            self.assertEqual(summary["acked"], 1000)
            self.assertEqual(summary["failed"], 100)
            self.assertEqual(summary["dead_lettered"], 100)
            self.assertEqual(lines_of(out),
                             {f"good-{i}": 1 for i in range(1000) if i % 10 != 0})
            with open(dead, encoding="utf-8") as file:
                letters = [json.loads(line) for line in file]
            self.assertEqual(len(letters), 100)
            self.assertEqual({letter["task"] for letter in letters}, {"strict"})

    def test_branches_by_name_are_joined_again_message_by_message(self):
        with processes.Cluster(BINARIES) as cluster:
            out = cluster.path("out.txt")
            cluster.write("in.txt", "".join(f"{i}\n" for i in range(500)))
            topology = cluster.write("Topology.toml", f"""
                name = "diamond"
                libraries = ["libshapes.so"]
                [source]
                type = "lines"
                path = "{cluster.path('in.txt')}"
                [[task]]
                name = "scatter"
                uses = "shapes:Scatter"
                [[task]]
                name = "route"
                uses = "shapes:Route"
                after = ["scatter"]
                [[task]]
                name = "odd"
                uses = "identity"
                after = ["route:odd"]
                [[task]]
                name = "even"
                uses = "identity"
                after = ["route"]
                grouping = "key"
                [[task]]
                name = "join"
                uses = "shapes:Join"
                after = ["odd", "even"]
                gather = "all"
                [[task]]
                name = "out"
                uses = "sink"
                after = ["join"]
                sink = {{ type = "lines", path = "{out}" }}
                """)
            cluster.tempest("run", topology, "--workers", "3", "--library-path", LIBRARIES)
            self.assertEqual(lines_of(out), {f"even={i}.0 odd={i}.1": 1 for i in range(500)})

    def test_redis_away_for_a_while_costs_nothing(self):
        count = 50_000
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            fill_stream(redis, count // 2)
            out = cluster.path("out.txt")
            topology = cluster.write("Topology.toml", stream_to_lines(redis, out, paced=True))
            run = processes.Node(cluster.folder, "run",
                                 [cluster.program("tempest"), "run", topology])
            cluster.nodes["run"] = run
            processes.wait_until(lambda: os.path.exists(out) and os.path.getsize(out) > 0, "output")
            redis.kill()
            processes.wait_until(lambda: "away" in run.log(), "a word that Redis is away")
            redis.start_again()
            fill_stream(redis, count // 2)
            processes.wait_until(lambda: len(lines_of(out)) >= count // 2 and
                                 redis.command("XPENDING", "in", "relay")[0] == 0 and
                                 redis.command("XINFO", "GROUPS", "in")[0][11] == 0,
                                 "everything read and acked", 60)
            self.assertEqual(run.stop(), 0)
            self.assertTrue({f"message-{i:07d}" for i in range(count // 2)} <= set(lines_of(out)))


class AsNineProcesses(unittest.TestCase):
    """One broker, one source, two coordinators, four workers, a stats node."""

    COUNT = 100_000

    def starters(self, cluster, topology):
        starters = {"broker": cluster.start_broker,
                    "source": lambda: cluster.start("source", "tempest-source", "--topology",
                                                    "relay", "--exit-when-drained"),
                    "stats": lambda: cluster.start("stats", "tempest-stats", "--http", "")}
        for i in (1, 2):
            starters[f"pipeline-{i}"] = lambda i=i: cluster.start(
                f"pipeline-{i}", "tempest-pipeline", "--topology", topology, "--bind",
                "tcp://127.0.0.1:0")
        for i in (1, 2, 3, 4):
            starters[f"task-{i}"] = lambda i=i: cluster.start(
                f"task-{i}", "tempest-task", "--topology", "relay", "--threads", "1")
        return starters

    def run_in_order(self, order):
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            fill_stream(redis, self.COUNT)
            out = cluster.path("out.txt")
            topology = cluster.write("Topology.toml", stream_to_lines(redis, out, paced=True))
            starters = self.starters(cluster, topology)
            for name in order(list(starters)):
                starters[name]()
            nodes = cluster.nodes
            self.disturb(cluster, starters, out)
            self.assertEqual(nodes["source"].wait(100), 0, nodes["source"].log())
            written = lines_of(out)
            self.assertEqual(set(written), {f"message-{i:07d}" for i in range(self.COUNT)})
            self.assertEqual(redis.command("XPENDING", "in", "relay")[0], 0)
            self.assertEqual(redis.command("XINFO", "GROUPS", "in")[0][11], 0)
            print(f"duplicates: {sum(written.values()) - self.COUNT} of {self.COUNT}", flush=True)
            for name in ("task-2", "task-3", "task-4", "task-5", "pipeline-1", "pipeline-2",
                         "stats", "broker"):
                self.assertEqual(nodes[name].stop(), 0, f"{name}: {nodes[name].log()}")

    def disturb(self, cluster, starters, out):
        """While it runs: a worker goes and another comes, a coordinator is killed and started
        again, the broker is restarted."""
        nodes = cluster.nodes

        def written(share):
            # Lines are of one length.
            return lambda: (os.path.exists(out) and
                            os.path.getsize(out) > share * self.COUNT * len("message-0000000\n"))

        processes.wait_until(written(0.05), "the first messages")
        self.assertEqual(nodes["task-1"].stop(), 0)
        cluster.start("task-5", "tempest-task", "--topology", "relay", "--threads", "1")
        processes.wait_until(written(0.2), "more messages")
        nodes["pipeline-1"].kill()
        starters["pipeline-1"]()
        processes.wait_until(written(0.4), "messages after a coordinator was killed")
        self.assertEqual(nodes["broker"].stop(), 0)
        starters["broker"]()

    def test_all_is_acked_when_the_broker_starts_first(self):
        self.run_in_order(lambda names: names)

    def test_all_is_acked_when_the_broker_starts_last(self):
        self.run_in_order(lambda names: list(reversed(names)))

    def test_all_is_acked_when_workers_start_before_coordinators_and_the_source_last(self):
        self.run_in_order(lambda names: sorted(
            names, key=lambda name: (name == "source", not name.startswith("task"), name)))


class Supervised(unittest.TestCase):
    """tempest up: the nodes as processes that are started again when they die."""

    def test_whatever_is_killed_is_started_again_and_every_line_arrives(self):
        count = 20_000
        with processes.Cluster(BINARIES) as cluster:
            out = cluster.path("out.txt")
            cluster.write("in.txt", "".join(f"line-{i:05d}\n" for i in range(count)))
            topology = cluster.write("Topology.toml", f"""
                name = "supervised"
                [source]
                type = "lines"
                path = "{cluster.path('in.txt')}"
                [[task]]
                name = "pace"
                uses = "sleep"
                sleep = {{ time = "500us" }}
                [[task]]
                name = "out"
                uses = "sink"
                after = ["pace"]
                sink = {{ type = "lines", path = "{out}" }}
                """)
            up = processes.Node(cluster.folder, "up", [
                cluster.program("tempest"), "up", topology, "--workers", "2", "--broker",
                cluster.broker_url, "--http", ""])
            cluster.nodes["up"] = up

            def pid_of(name):
                return int(re.findall(rf"started {name}, process (\d+)", up.log())[-1])

            def written(lines):
                return lambda: (os.path.exists(out) and
                                os.path.getsize(out) > lines * len("line-00000\n"))

            processes.wait_until(written(1000), "the first lines")
            for progress, name in ((2000, "task-1"), (3000, "broker"), (4000, "pipeline"),
                                   (5000, "stats")):
                os.kill(pid_of(name), signal.SIGKILL)
                processes.wait_until(
                    lambda name=name: up.log().count(f"started {name}, process") == 2,
                    f"{name} to be started again")
                processes.wait_until(written(progress), f"progress after {name} was killed")
            self.assertEqual(up.wait(100), 0)
            self.assertEqual(set(lines_of(out)), {f"line-{i:05d}" for i in range(count)})

    def test_a_message_that_kills_its_worker_becomes_a_dead_letter_and_takes_nobody_with_it(self):
        count = 10_000
        with processes.Cluster(BINARIES) as cluster:
            out, dead = cluster.path("out.txt"), cluster.path("dead.txt")
            cluster.write("in.txt", "".join("poison\n" if i == count // 2 else f"good-{i}\n"
                                            for i in range(count + 1)))
            topology = cluster.write("Topology.toml", f"""
                name = "poisoned"
                libraries = ["libpoison.so"]
                [source]
                type = "lines"
                path = "{cluster.path('in.txt')}"
                [[task]]
                name = "fragile"
                uses = "poison:DieOfPoison"
                [[task]]
                name = "out"
                uses = "sink"
                after = ["fragile"]
                sink = {{ type = "lines", path = "{out}" }}
                [failure]
                max_attempts = 3
                dead_letter = {{ type = "lines", path = "{dead}" }}
                """)
            result = cluster.tempest("up", topology, "--workers", "4", "--broker",
                                     cluster.broker_url, "--http", "", "--library-path", LIBRARIES)
            self.assertIn("has ended with 134", result.stderr)
            self.assertEqual(set(lines_of(out)),
                             {f"good-{i}" for i in range(count + 1) if i != count // 2})
            with open(dead, encoding="utf-8") as file:
                letters = [json.loads(line) for line in file]
            self.assertEqual([letter["payload"] for letter in letters], ["poison"])
            self.assertEqual([letter["kind"] for letter in letters], ["worker_lost"])

    def test_a_topology_that_cannot_be_built_ends_it_with_78(self):
        with processes.Cluster(BINARIES) as cluster:
            topology = cluster.write("Topology.toml", """
                name = "hopeless"
                [source]
                type = "generator"
                [[task]]
                name = "out"
                uses = "nowhere:Task"
                """)
            result = cluster.tempest("up", topology, check=False)
            self.assertEqual(result.returncode, 78)
            self.assertIn("Topology.toml:7:", result.stderr)


class Looking(unittest.TestCase):
    """ls and stats, on a topology that runs."""

    def test_ls_shows_the_nodes_and_stats_prints_the_aggregate_as_lines(self):
        with processes.Cluster(BINARIES) as cluster:
            topology = cluster.write("Topology.toml", """
                name = "endless"
                [source]
                type = "generator"
                rate = 1000
                [[task]]
                name = "drop"
                uses = "drop"
                """)
            cluster.start_broker()
            cluster.start("stats", "tempest-stats", "--http", "")
            cluster.start("pipeline", "tempest-pipeline", "--topology", topology, "--bind",
                          "tcp://127.0.0.1:0")
            cluster.start("task", "tempest-task", "--topology", "endless")
            cluster.start("source", "tempest-source", "--topology", "endless")
            names = {"stats", "pipeline", "task", "source"}
            # A worker says what it serves once it has the topology.
            nodes = processes.wait_until(
                lambda: (listed := cluster.listed_nodes()) and names <= set(listed) and
                listed["task"]["tasks"] and listed, "all nodes in the list")
            self.assertEqual(nodes["pipeline"]["role"], "pipeline")
            self.assertEqual(nodes["task"]["tasks"], ["drop"])

            def acked():
                result = cluster.tempest("stats", "--broker", cluster.broker_url, "--json",
                                         "--count", "1")
                lines = result.stdout.splitlines()
                self.assertEqual(len(lines), 1)
                topologies = json.loads(lines[0])["topologies"]
                return topologies.get("endless", {}).get("acked", 0) > 0
            processes.wait_until(acked, "acked messages in the aggregate")
            for node in cluster.nodes.values():
                self.assertEqual(node.stop(), 0, node.log())

    def test_no_broker_is_said_in_one_line(self):
        with processes.Cluster(BINARIES) as cluster:
            result = cluster.tempest("ls", "--broker", cluster.broker_url, check=False)
            self.assertEqual(result.returncode, 69)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn(cluster.broker_url, result.stderr)

    def test_a_port_in_use_is_said_in_one_line(self):
        with processes.Cluster(BINARIES) as cluster:
            cluster.start_broker()
            processes.wait_until(lambda: "listening" in cluster.nodes["broker"].log(), "a broker")
            second = cluster.start("second", "tempest-broker", "--bind", cluster.broker_url)
            self.assertEqual(second.wait(20), 69)
            self.assertEqual(len(second.log().splitlines()), 1, second.log())
            self.assertIn("in use", second.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
