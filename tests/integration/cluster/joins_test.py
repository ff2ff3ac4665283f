#!/usr/bin/env python3
"""A join that no frame holds fails by itself, and holds up nothing that comes after it.

Usage: joins_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
LIBRARIES = os.path.join(os.path.dirname(BINARIES), "tests")

TOPOLOGY = """
name = "joins"
libraries = ["libburst.so"]
[source]
type = "lines"
path = "{folder}/in"
[[task]]
name = "left"
uses = "burst:Burst"
[[task]]
name = "right"
uses = "burst:Burst"
[[task]]
name = "join"
uses = "burst:Count"
after = ["left", "right"]
gather = "all"
[[task]]
name = "out"
uses = "sink"
after = ["join"]
sink = {{ type = "lines", path = "{folder}/out" }}
[failure]
dead_letter = {{ type = "lines", path = "{folder}/dead" }}
"""


class LargeJoins(unittest.TestCase):
    def test_joins_beyond_a_frame_are_dead_letters_and_all_others_are_done(self):
        with processes.Cluster(BINARIES) as cluster:
            lines = [f"burst-{i}" if i % 10 == 0 else f"line-{i}" for i in range(40)]
            cluster.write("in", "".join(f"{line}\n" for line in lines))
            topology = cluster.write("Topology.toml", TOPOLOGY.format(folder=cluster.folder))
            run = cluster.tempest("run", topology, "--library-path", LIBRARIES, "--workers", "2",
                                  "--threads", "1", "--json", check=False)
            summary = json.loads(run.stdout)
            self.assertEqual((summary["acked"], summary["dead_lettered"]), (40, 4), run.stderr)
            with open(cluster.path("out"), encoding="utf-8") as file:
                self.assertEqual(sorted(file.read().splitlines()),
                                 sorted(f"2 {line[:8]}" for line in lines if line[0] == "l"))
            with open(cluster.path("dead"), encoding="utf-8") as file:
                letters = [json.loads(line) for line in file]
            self.assertEqual({letter["kind"] for letter in letters}, {"too_large"})
            self.assertEqual({letter["task"] for letter in letters}, {"join"})
            self.assertIn("a join of 6 messages, 90 MiB together", letters[0]["reason"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
