#!/usr/bin/env python3
"""What nodes hold is what they say they hold: resident memory beside the books, while valid but
hostile topologies fill one holder after the other.

Usage: memory_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import os
import re
import sys
import unittest
import urllib.request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
LIBRARIES = os.path.join(os.path.dirname(BINARIES), "tests")
MIB = 1 << 20
# Programs, libraries, buffers of sockets, what an allocator keeps (64 MiB), and what has come and gone
# between two reports, which are a second apart.
CONSTANT = 256 * MIB

TOPOLOGY = """
name = "hostile"
libraries = ["libhostile.so"]
[source]
type = "lines"
path = "{folder}/in"
max_pending = {max_pending}
max_pending_bytes = "{max_pending_bytes}"
[[task]]
name = "make"
uses = "hostile:Make"
{tasks}
[failure]
timeout = "0s"
dead_letter = {{ type = "redis_stream", uri = "redis://127.0.0.1:1/0", key = "dead" }}
"""
AFTER_MAKE = """
[[task]]
name = "end"
uses = "hostile:{uses}"
after = ["make"]
{more}
"""
# What each node's books are made of.
BOOKS = {
    "source": ("tempest_pending_bytes", "tempest_failure_bytes", "tempest_link_unacked_bytes"),
    "pipeline": ("tempest_queued_bytes", "tempest_in_flight_bytes", "tempest_held_bytes",
                 "tempest_delayed_bytes", "tempest_failed_bytes_waiting",
                 "tempest_tracking_memory_bytes", "tempest_link_unacked_bytes"),
    "task": ("tempest_deliveries_bytes", "tempest_link_unacked_bytes"),
}


class Books:
    """The nodes' gauges, as tempest-stats shows them."""

    def __init__(self, address):
        self.address = address
        self.text = ""

    def read(self):
        try:
            with urllib.request.urlopen(self.address, timeout=5) as answer:
                self.text = answer.read().decode()
        except OSError:
            return False
        return True

    def gauge(self, name, node):
        found = re.search(rf'^{name}{{[^}}]*node="{node}"[^}}]*}} (\S+)$', self.text, re.M)
        return float(found.group(1)) if found else 0.0

    def held(self, node):
        return sum(self.gauge(name, node) for name in BOOKS[node])


def resident(node):
    with open(f"/proc/{node.process.pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


class MemoryByTheBooks(unittest.TestCase):
    def fill(self, lines, tasks, is_full, max_pending=20_000, max_pending_bytes="64MiB",
             serves="hostile"):
        """Runs the topology until is_full(books, cluster); what nodes held at most, by the books and
        in memory. `serves`: the topology that the worker is of."""
        with processes.Cluster(BINARIES) as cluster:
            cluster.write("in", "".join(f"{line}\n" for line in lines))
            topology = cluster.write("Topology.toml", TOPOLOGY.format(
                folder=cluster.folder, tasks=tasks, max_pending=max_pending,
                max_pending_bytes=max_pending_bytes))
            port = processes.free_ports(1)
            cluster.start_broker()
            cluster.start("stats", "tempest-stats", "--http", f"127.0.0.1:{port}")
            cluster.start("task", "tempest-task", "--topology", serves, "--threads", "2",
                          "--library-path", LIBRARIES)
            cluster.start("pipeline", "tempest-pipeline", "--topology", topology,
                          "--bind", "tcp://127.0.0.1:*", "--min-workers", "0")
            cluster.start("source", "tempest-source", "--topology", "hostile",
                          "--library-path", LIBRARIES)
            books = Books(f"http://127.0.0.1:{port}/metrics")
            most_by_books = dict.fromkeys(BOOKS, 0.0)
            most_resident = dict.fromkeys(BOOKS, 0)

            def look():
                books.read()
                for name in BOOKS:
                    most_by_books[name] = max(most_by_books[name], books.held(name))
                    most_resident[name] = max(most_resident[name],
                                              resident(cluster.nodes[name]))
                return is_full(books, cluster)

            processes.wait_until(look, "that the holder is full", 60)
            # Whatever were to go on growing would do so now.
            for _ in range(3):
                before = books.text
                processes.wait_until(lambda: look() is not None and books.text != before,
                                     "the next report", 10)
            for name in BOOKS:
                print(f"{name}: {most_by_books[name] / MIB:.0f} MiB by the books, "
                      f"{most_resident[name] / MIB:.0f} MiB resident", flush=True)
                self.assertLessEqual(most_resident[name], 1.5 * most_by_books[name] + CONSTANT, name)
            return most_by_books, most_resident

    def test_dead_letters_with_large_payloads_while_their_sink_is_away(self):
        _, most = self.fill(["1 4194304"] * 400, AFTER_MAKE.format(uses="Refuse", more=""),
                            lambda books, cluster: "nothing more is read"
                            in cluster.nodes["source"].log())
        self.assertLess(most["source"], 200 * MIB)
        self.assertLess(most["pipeline"], 900 * MIB)

    def test_outputs_that_wait_for_another_attempt(self):
        self.fill(["15 16400"] * 4_000, AFTER_MAKE.format(uses="Later", more=""),
                  lambda books, _: books.gauge("tempest_delayed_bytes", "pipeline") > 200 * MIB)

    def test_the_few_that_wait_of_many_that_came_in_one_frame(self):
        self.fill(["15 16400"] * 4_000, AFTER_MAKE.format(uses="FirstLater", more="grouping = \"key\""),
                  lambda books, _: books.gauge("tempest_deliveries_delayed", "pipeline") >= 4_000)

    def test_large_outputs_that_a_task_gathers(self):
        self.fill(["8 4194304"] * 200,
                  AFTER_MAKE.format(uses="Make", more="")
                  + '[[task]]\nname = "late"\nuses = "hostile:Later"\nafter = ["make"]\n'
                  + '[[task]]\nname = "all"\nuses = "hostile:Refuse"\n'
                    'after = ["end", "late"]\ngather = "each"\n',
                  lambda books, _: books.gauge("tempest_delayed_bytes", "pipeline") > 200 * MIB)

    def test_large_messages_that_wait_for_a_worker(self):
        self.fill(["0 0 " + "x" * 100_000] * 2_000, AFTER_MAKE.format(uses="Refuse", more=""),
                  lambda books, _: books.gauge("tempest_pending_bytes", "source") > 60 * MIB
                  and books.gauge("tempest_queued_bytes", "pipeline") > 60 * MIB,
                  serves="another")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
