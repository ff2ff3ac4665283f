#!/usr/bin/env python3
"""Addresses dealt out anew: no node works for another topology than its own.

Usage: strangers_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import os
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))

COUNT = 400
TOPOLOGY = """
name = "{name}"
[source]
type = "lines"
path = "{folder}/{name}.in"
[[task]]
name = "pace"
uses = "sleep"
sleep = {{ time = "15ms" }}
[[task]]
name = "out"
uses = "sink"
after = ["pace"]
sink = {{ type = "lines", path = "{folder}/{name}.out" }}
"""


class AnAddressThatChangedHands(unittest.TestCase):
    def test_a_coordinator_of_another_topology_takes_nothing_from_a_source_that_meets_it(self):
        with processes.Cluster(BINARIES) as cluster:
            for name in ("ours", "theirs"):
                cluster.write(f"{name}.toml", TOPOLOGY.format(name=name, folder=cluster.folder))
            cluster.write("ours.in", "".join(f"line-{i}\n" for i in range(COUNT)))
            address = f"tcp://127.0.0.1:{processes.free_ports(1)}"

            def start_coordinator(topology, bind):
                return cluster.start("pipeline", "tempest-pipeline", "--topology",
                                     cluster.path(f"{topology}.toml"), "--bind", bind)

            def lines_of(topology):
                try:
                    with open(cluster.path(f"{topology}.out"), encoding="utf-8") as file:
                        return set(file.read().split())
                except FileNotFoundError:
                    return set()

            cluster.start_broker()
            for topology in ("ours", "theirs"):
                cluster.start(f"task-{topology}", "tempest-task", "--topology", topology,
                              "--threads", "1")
            ours = start_coordinator("ours", address)
            source = cluster.start("source", "tempest-source", "--topology", "ours",
                                   "--exit-when-drained")
            processes.wait_until(lambda: len(lines_of("ours")) >= 5, "the first lines")

            # The host starts anew without a broker, and deals its addresses out in another order.
            cluster.nodes["broker"].kill()
            ours.kill()
            theirs = start_coordinator("theirs", address)
            cluster.nodes["theirs"] = theirs
            for name in ("source", "task-ours"):
                node = cluster.nodes[name]
                processes.wait_until(
                    lambda node=node: "serves topology theirs, not ours" in node.log(),
                    f"a word of {name} that it has met a stranger")
            processes.wait_until(lambda: "refused a source" in theirs.log() and
                                 "refused a task" in theirs.log(), "a word of the stranger")

            listed = cluster.tempest("ls", "--broker", address, "--timeout", "2s", check=False)
            self.assertEqual(listed.returncode, 69)
            self.assertIn("refuses: pipeline serves topology theirs", listed.stderr)

            cluster.start_broker()
            start_coordinator("ours", "tcp://127.0.0.1:0")
            self.assertEqual(source.wait(60), 0, source.log())
            self.assertEqual(lines_of("ours"), {f"line-{i}" for i in range(COUNT)})
            self.assertEqual(lines_of("theirs"), set())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
