#!/usr/bin/env python3
"""Sources and sinks of a library (examples/spool), from the file to real nodes.

Usage: parts_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))
EXAMPLE = os.path.join(HERE, "../../../examples/spool/Topology.toml")

# Each message takes a while, so that a kill finds some of them under way.
TOPOLOGY = """
    name = "spool"
    libraries = ["spool"]
    [source]
    type = "spool:Folder"
    config = {{ path = "{folder}/in" }}
    [[task]]
    name = "work"
    uses = "sleep"
    sleep = {{ time = "5ms" }}
    [[task]]
    name = "strict"
    uses = "fail"
    after = ["work"]
    fail = {{ match = "bad", kind = "fail" }}
    [[task]]
    name = "out"
    uses = "sink"
    after = ["strict"]
    sink = {{ type = "spool:Files", config = {{ path = "{folder}/out" }} }}
    [failure]
    dead_letter = {{ type = "spool:Files", config = {{ path = "{folder}/dead" }} }}
    """


class OwnSourceAndSink(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))
        os.mkdir(self.cluster.path("in"))

    def fill(self, texts):
        for number, text in enumerate(texts):
            unfinished = self.cluster.path(f"in/.{number:05d}")
            with open(unfinished, "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(unfinished, self.cluster.path(f"in/{number:05d}"))

    def names_in(self, folder):
        return [name for name in os.listdir(self.cluster.path(folder)) if name[0] != "."]

    def texts_in(self, folder):
        texts = []
        for name in self.names_in(folder):
            with open(self.cluster.path(f"{folder}/{name}"), encoding="utf-8") as file:
                texts.append(file.read())
        return texts

    def topology(self, *replacements):
        text = TOPOLOGY.format(folder=self.cluster.folder)
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return self.cluster.write("Topology.toml", text)

    def test_the_example_is_valid_has_cases_that_hold_and_empties_its_folder(self):
        self.cluster.tempest("validate", EXAMPLE)
        self.cluster.tempest("test", EXAMPLE)
        self.fill(["a", "b", "c"])
        os.environ["SPOOL"] = self.cluster.folder
        self.addCleanup(os.environ.pop, "SPOOL")
        summary = json.loads(self.cluster.tempest("run", EXAMPLE, "--json").stdout)
        self.assertEqual((summary["read"], summary["acked"]), (3, 3))
        self.assertEqual(sorted(self.texts_in("out")), ["a", "b", "c"])
        self.assertEqual(self.names_in("in"), [])

    def test_nothing_is_lost_when_source_and_worker_are_killed(self):
        topology = self.topology()
        self.cluster.start_broker()
        self.cluster.start("pipeline", "tempest-pipeline", "--topology", topology)
        worker = self.cluster.start("worker", "tempest-task", "--topology", "spool")
        source = self.cluster.start("source", "tempest-source", "--topology", "spool")
        messages = [f"bad-{i}" if i % 50 == 0 else f"message-{i}" for i in range(600)]
        self.fill(messages)
        for killed in (source, worker):
            enough = len(self.names_in("in")) - 50
            processes.wait_until(lambda: len(self.names_in("in")) < enough, "some to be done")
            killed.kill()
            killed.start()
        processes.wait_until(lambda: not self.names_in("in"), "all to be acked", 60)
        self.assertEqual(set(self.texts_in("out")), {m for m in messages if m[:3] != "bad"})
        letters = [json.loads(text) for text in self.texts_in("dead")]
        self.assertEqual({letter["payload"] for letter in letters},
                         {m for m in messages if m[:3] == "bad"})
        self.assertEqual({letter["source"] for letter in letters if letter["payload"] == "bad-50"},
                         {"file 00050"})
        for node in ("source", "worker", "pipeline", "broker"):
            self.assertEqual(self.cluster.nodes[node].stop(), 0)

    def test_what_a_library_lacks_is_told_with_its_place_and_what_there_is(self):
        topology = self.topology(("spool:Folder", "spool:Foldr"),
                                 (f'"spool:Files", config = {{ path = "{self.cluster.folder}/out"',
                                  '"spool:Folder", config = { path = "out"'),
                                 ('uses = "sleep"\n    sleep = { time = "5ms" }',
                                  'uses = "spool:Work"'))
        result = self.cluster.tempest("validate", topology, check=False)
        self.assertEqual(result.returncode, 78)
        self.assertEqual(result.stderr.replace(topology, "T").splitlines(), [
            'T:5:12: the library "spool" has no source "Foldr" (did you mean "spool:Folder"?); '
            'it has spool:Folder',
            'T:9:12: the library "spool" has no task "Work"; it has no tasks',
            'T:19:21: "spool:Folder" is a source, and no sink'])

    def test_a_config_that_the_source_or_sink_refuses_ends_its_node_with_78(self):
        self.cluster.start_broker()
        topology = self.topology((f'config = {{ path = "{self.cluster.folder}/in" }}', ""),
                                 (f', config = {{ path = "{self.cluster.folder}/out" }}', ""))
        self.cluster.start("pipeline", "tempest-pipeline", "--topology", topology)
        source = self.cluster.start("source", "tempest-source", "--topology", "spool")
        worker = self.cluster.start("worker", "tempest-task", "--topology", "spool")
        self.assertEqual(source.wait(30), 78)
        self.assertIn('source "spool:Folder": config needs a path, the folder', source.log())
        self.assertEqual(worker.wait(30), 78)
        self.assertIn('task "out": sink "spool:Files": config needs a path', worker.log())

    def test_a_failure_handler_decides_after_the_policy(self):
        lines = self.cluster.write("in.txt", "good\nbad\n")
        # What its config is, and how often the message was tried when it became a dead letter.
        for name, config, attempts in (("again", 'again = 2, wait = "10ms"', 3),
                                       ("unwanted", 'unwanted = "as it was told"', None),
                                       ("neither", "", 1)):
            dead = self.cluster.path(f"{name}.dead")
            topology = self.cluster.write(f"{name}.toml", f"""
                name = "{name}"
                libraries = ["spool"]
                [source]
                type = "lines"
                path = "{lines}"
                [[task]]
                name = "strict"
                uses = "fail"
                fail = {{ match = "bad" }}
                [failure]
                max_attempts = 2
                backoff = {{ initial = "1ms" }}
                handler = {{ uses = "spool:Triage", config = {{ {config} }} }}
                dead_letter = {{ type = "lines", path = "{dead}" }}
                """)
            summary = json.loads(self.cluster.tempest("run", topology, "--json").stdout)
            self.assertEqual((summary["acked"], summary["failed"]), (2, 1))
            self.assertEqual(os.path.exists(dead), attempts is not None, name)
            if attempts is None:
                continue
            with open(dead, encoding="utf-8") as file:
                letter, = [json.loads(line) for line in file]
            self.assertEqual(letter["attempts"], attempts)
            self.assertEqual([(attempt["kind"], attempt["task"], attempt["delivery_attempts"])
                              for attempt in letter["history"]],
                             [("error", "strict", 2)] * attempts)

    def test_a_library_that_is_not_there_ends_the_source_with_what_was_searched(self):
        self.cluster.start_broker()
        topology = self.topology(('libraries = ["spool"]', ""))
        self.cluster.start("pipeline", "tempest-pipeline", "--topology", topology)
        source = self.cluster.start("source", "tempest-source", "--topology", "spool")
        self.assertEqual(source.wait(30), 78)
        self.assertIn('no library "spool" is loaded, for "spool:Folder"', source.log())
        # With --library it needs no mention in the topology.
        named = self.cluster.start("named", "tempest-source", "--topology", "spool", "--library",
                                   "spool")
        processes.wait_until(lambda: self.cluster.listed_nodes().get("named", {}).get("state")
                             in ("waiting for a coordinator", "running"), "the source to open")
        self.assertEqual(named.stop(), 0)


if __name__ == "__main__":
    unittest.main()
