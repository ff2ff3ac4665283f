#!/usr/bin/env python3
"""What sources do when others die, on a real Redis with real nodes.

Usage: sources_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import os
import signal
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))


def fill_stream(redis, numbers, key="in"):
    redis.pipeline([("XADD", key, "*", "value", f"message-{i:07d}") for i in numbers])


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class PendingWorker(unittest.TestCase):
    TOPOLOGY = """
        name = "claims"
        [source]
        type = "redis_stream"
        uri = "{uri}"
        key = "in"
        field = "value"
        [[source.pending]]
        min_idle = "500ms"
        [[task]]
        name = "out"
        uses = "sink"
        sink = {{ type = "lines", path = "{out}" }}
        """

    def owners(self, redis):
        """Of all that is pending: how many entries by (consumer, deliveries)."""
        counts = {}
        for _, consumer, _, deliveries in redis.command("XPENDING", "in", "claims", "-", "+",
                                                        "100000"):
            counts[consumer, deliveries] = counts.get((consumer, deliveries), 0) + 1
        return counts

    def test_one_source_takes_over_what_a_killed_one_and_a_stranger_left(self):
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            out = cluster.path("out.txt")
            topology = cluster.write("Topology.toml", self.TOPOLOGY.format(uri=redis.uri, out=out))
            cluster.start_broker()
            cluster.start("pipeline", "tempest-pipeline", "--topology", topology)
            worker = cluster.start("worker", "tempest-task", "--topology", "claims")
            processes.wait_until(lambda: "worker" in cluster.listed_nodes(), "a worker")

            # Nothing is done while the worker is stopped, so all that is read stays pending.
            first = cluster.start("first", "tempest-source", "--topology", "claims")
            fill_stream(redis, [0])
            processes.wait_until(lambda: lines_of(out), "the first message")
            worker.process.send_signal(signal.SIGSTOP)
            fill_stream(redis, range(1, 5001))
            processes.wait_until(
                lambda: sum(self.owners(redis).values()) == 5000, "5,000 pending at the first")
            redis.command("XGROUP", "CREATECONSUMER", "in", "claims", "second")
            first.process.send_signal(signal.SIGSTOP)
            fill_stream(redis, range(5001, 5501))
            redis.command("XREADGROUP", "GROUP", "claims", "stranger", "COUNT", "500", "STREAMS",
                          "in", ">")
            cluster.start("second", "tempest-source", "--topology", "claims")
            fill_stream(redis, range(5501, 6501))
            processes.wait_until(lambda: self.owners(redis).get(("second", 1), 0) == 1000,
                                 "the second to have its own 1,000")
            first.kill()
            # Its own entries are as idle as theirs in the meantime, and are not claimed.
            processes.wait_until(
                lambda: self.owners(redis) == {("second", 1): 1000, ("second", 2): 5500},
                "all to be the second's")
            worker.process.send_signal(signal.SIGCONT)

            processes.wait_until(lambda: redis.command("XPENDING", "in", "claims")[0] == 0,
                                 "all to be acked", 60)
            self.assertEqual(set(lines_of(out)), {f"message-{i:07d}" for i in range(6501)})

            def consumers():
                return [line[1] for line in redis.command("XINFO", "CONSUMERS", "in", "claims")]
            processes.wait_until(lambda: consumers() == ["second"], "the dead consumers to go")
            self.assertEqual(cluster.nodes["second"].stop(), 0)


if __name__ == "__main__":
    unittest.main()
