#!/usr/bin/env python3
"""`tempest trace` and `tempest tap` on real processes.

Usage: trace_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))

FIRST = """
name = "words"
[[task]]
name = "first"
uses = "identity"
"""
# Fails twice, then does it.
FLAKY = FIRST + """
[[task]]
name = "flaky"
uses = "fail"
after = ["first"]
fail = { times = 2 }
[failure]
backoff = { initial = "20ms", jitter = 0.0 }
"""
# Never comes back in time.
HANGING = FIRST + """
[[task]]
name = "hang"
uses = "sleep"
after = ["first"]
sleep = { time = "2s" }
timeout = "300ms"
[failure]
max_attempts = 2
backoff = { initial = "20ms", jitter = 0.0 }
dead_letter = { type = "lines", path = "FOLDER/dead" }
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.cluster = processes.Cluster(BINARIES)
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.watchers = []
        self.addCleanup(self.end_watchers)

    def end_watchers(self):
        for watcher in self.watchers:
            if watcher.poll() is None:
                watcher.kill()
            watcher.communicate()

    def begin(self, source, tasks):
        """All nodes but the source, so that a trace is there before the first message."""
        text = tasks.replace("FOLDER", self.cluster.folder) + f"\n[source]\n{source}\n"
        file = self.cluster.write("Topology.toml", text)
        self.cluster.start_broker()
        self.cluster.start("pipe", "tempest-pipeline", "--topology", file, "--bind",
                           "tcp://127.0.0.1:0")
        self.cluster.start("w1", "tempest-task", "--topology", "words", "--threads", "8")
        processes.wait_until(lambda: "w1" in self.cluster.listed_nodes() and
                             self.cluster.listed_nodes()["w1"]["tasks"], "a worker that serves")

    def start_source(self):
        self.cluster.start("src", "tempest-source", "--topology", "words")

    def watch(self, *words):
        """Begins to watch; comes back when a broker has heard of it."""
        watcher = subprocess.Popen(
            [self.cluster.program("tempest"), *words, "--broker", self.cluster.broker_url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.watchers.append(watcher)
        line = watcher.stderr.readline()
        self.assertIn("Ctrl-C ends", line)
        return watcher

    def end_of(self, watcher, code=0, timeout_s=30):
        try:
            out, err = watcher.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            watcher.kill()
            raise
        self.assertEqual(watcher.returncode, code, err)
        return out, err

    def objects(self, watcher):
        return [json.loads(line) for line in self.end_of(watcher)[0].splitlines()]

    def logged(self, node, text):
        return processes.wait_until(lambda: text in self.cluster.nodes[node].log(),
                                    f"'{text}' in the log of {node}")


class Trace(Case):
    def test_a_message_that_fails_twice_and_then_succeeds_is_followed_through_every_hop(self):
        self.begin('type = "generator"\ncount = 20\n', FLAKY)
        watcher = self.watch("trace", "--limit", "3", "--json")
        as_text = self.watch("trace", "--limit", "1", "--id", "message 7")
        self.start_source()
        messages = self.objects(watcher)
        self.assertEqual([message["message"] for message in messages], [1, 2, 3])
        for message in messages:
            self.assertEqual(message["topology"], "words")
            self.assertEqual(message["source"], "src")
            self.assertRegex(message["name"], r"^message \d+$")
            self.assertEqual(message["outcome"], "acked")
            hops = [(hop["task"], hop["attempt"], hop["outcome"]) for hop in message["hops"]]
            self.assertEqual(hops, [("first", 1, "done"), ("flaky", 1, "error"),
                                    ("flaky", 2, "error"), ("flaky", 3, "done")])
            for hop in message["hops"]:
                self.assertEqual(hop["worker"], "w1")
                self.assertEqual(hop["coordinator"], "pipe")
                self.assertGreater(hop["handled_seconds"], 0)
                self.assertGreaterEqual(hop["out_seconds"], hop["handled_seconds"] - 1e-6)
            self.assertEqual(message["hops"][1]["again_seconds"], 0.02)
            self.assertIn("told to", message["hops"][1]["reason"])
            self.assertEqual([event["what"] for event in message["events"]],
                             ["sent", "tree done", "acked"])
            self.assertGreater(message["seconds"], 0.06)
        out, _ = self.end_of(as_text)
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^message 1 of src \(message 7\): acked after \d+\.\d ms$")
        self.assertEqual(len(lines), 6, out)
        self.assertRegex(lines[3], r"flaky  attempt 1  w1  waited +\d+.*  took +\d+.*  error: .*; "
                                   r"again in 20\.0 ms$")
        self.assertRegex(lines[5], r"flaky  attempt 3  w1  .*  done, 0 outputs$")

    def test_a_delivery_that_hangs_is_a_timeout_with_its_task_and_worker(self):
        lines = self.cluster.write("in", "one\n")
        self.begin(f'type = "lines"\npath = "{lines}"\n', HANGING)
        watcher = self.watch("trace", "--limit", "1", "--json", "--trouble")
        self.start_source()
        message = self.objects(watcher)[0]
        self.assertEqual(message["name"], "line 1")
        self.assertEqual(message["payload"], "one")
        self.assertEqual(message["outcome"], "dead letter")
        hung = message["hops"][1:]
        self.assertEqual([(hop["task"], hop["attempt"], hop["worker"], hop["outcome"])
                          for hop in hung],
                         [("hang", 1, "w1", "timeout"), ("hang", 2, "w1", "timeout")])
        self.assertEqual(hung[0]["reason"], "the call has not ended within 300ms")
        self.assertGreaterEqual(hung[0]["out_seconds"], 0.3)
        self.assertTrue(hung[1]["given_up"])
        failed = [event for event in message["events"] if event["what"] == "failed"]
        self.assertEqual(len(failed), 1)
        self.assertEqual((failed[0]["kind"], failed[0]["task"], failed[0]["worker"]),
                         ("task_timeout", "hang", "w1"))
        with open(self.cluster.path("dead"), encoding="utf-8") as file:
            letter = json.loads(file.readline())
        self.assertEqual((letter["kind"], letter["task"], letter["worker"]),
                         ("task_timeout", "hang", "w1"))

    def test_what_is_stuck_is_shown_where_it_is_when_the_trace_ends(self):
        lines = self.cluster.write("in", "one\n")
        stuck = HANGING.replace('timeout = "300ms"', "").replace('"2s"', '"60s"')
        self.begin(f'type = "lines"\npath = "{lines}"\n', stuck)
        watcher = self.watch("trace", "--limit", "1")
        tap = self.watch("tap", "--task", "hang", "--limit", "1")
        self.start_source()
        self.end_of(tap)
        watcher.send_signal(signal.SIGINT)
        out, err = self.end_of(watcher)
        self.assertRegex(out, r"^message 1 of src \(line 1\): unfinished after ")
        self.assertRegex(out, r"hang   attempt 1  w1  waited .*  no answer yet, after ")
        self.assertIn("tempest trace: 1 message, chosen from 1\n", err)

    def test_names_that_are_not_there_are_refused_with_those_that_are(self):
        self.begin('type = "generator"\ncount = 1\n', FLAKY)
        for words, expected in ((("trace", "--topology", "wrds"), "did you mean 'words'?"),
                                (("tap", "--task", "frist"), "did you mean 'first'?"),
                                (("tap", "--task", "x"), "(known: first, flaky)")):
            done = self.cluster.tempest(*words, "--broker", self.cluster.broker_url, check=False)
            self.assertEqual(done.returncode, 64)
            self.assertIn(expected, done.stderr)
        done = self.cluster.tempest("tap", "--task", "first", "--broker", "tcp://127.0.0.1:1",
                                    check=False)
        self.assertEqual(done.returncode, 69)


class Tap(Case):
    def flow(self):
        self.begin('type = "generator"\nrate = 500\nsize = 20\n', FLAKY)
        self.start_source()

    def test_messages_are_shown_at_the_input_and_at_the_output_of_a_task(self):
        self.flow()
        inputs = self.objects(self.watch("tap", "--task", "flaky", "--limit", "30", "--json",
                                         "--rate", "100", "--bytes", "10"))
        self.assertEqual(len(inputs), 30)
        self.assertEqual({shown["side"] for shown in inputs}, {"input"})
        self.assertEqual({shown["task"] for shown in inputs}, {"flaky"})
        self.assertEqual({shown["worker"] for shown in inputs}, {"w1"})
        self.assertEqual({shown["payload_bytes"] for shown in inputs}, {20})
        for shown in inputs:
            self.assertRegex(shown["payload"], r"^\d+\.*$")
            self.assertEqual(len(shown["payload"]), 10)
        outputs = self.objects(self.watch("tap", "--task", "first", "--side", "output", "--limit",
                                          "5", "--json"))
        self.assertEqual([(shown["side"], shown["attempt"]) for shown in outputs],
                         [("output", 1)] * 5)
        text, err = self.end_of(self.watch("tap", "--task", "first", "--text", "77", "--limit", "2"))
        for line in text.splitlines():
            self.assertRegex(line, r"Z  first <-  w1  \d*77\d*\.*$")
        self.assertRegex(err, r"tempest tap: 2 messages, chosen from [\d,]+\n$")

    def test_a_tap_whose_command_is_killed_ends_by_itself(self):
        self.flow()
        watcher = self.watch("tap", "--task", "first", "--limit", "0", "--json")
        watcher.stdout.readline()
        self.logged("w1", "an operator taps a task here")
        watcher.kill()
        self.logged("w1", "no operator taps a task here any more")
        self.assertTrue(all(node.running() for node in self.cluster.nodes.values()))

    def test_a_tap_goes_on_when_the_broker_has_been_started_again(self):
        self.flow()
        # More than come before the broker is killed, and while nodes have not given it up.
        watcher = self.watch("tap", "--task", "first", "--limit", "60", "--json")
        watcher.stdout.readline()
        self.cluster.nodes["broker"].kill()
        self.logged("w1", "no operator taps a task here any more")
        self.cluster.nodes["broker"].start()
        self.assertIn("tempest tap: 60 messages, chosen from", self.end_of(watcher)[1])

    def test_a_run_in_one_process_can_be_looked_at_where_it_listens(self):
        file = self.cluster.write("Topology.toml", FLAKY + '\n[source]\ntype = "generator"\n'
                                  'rate = 500\n')
        self.cluster.nodes["run"] = processes.Node(
            self.cluster.folder, "run",
            [self.cluster.program("tempest"), "run", file, "--quiet", "--bind",
             self.cluster.broker_url])
        processes.wait_until(lambda: self.cluster.listed_nodes().get("task-1", {}).get("tasks"),
                             "a worker that serves")
        shown = self.objects(self.watch("tap", "--task", "first", "--limit", "3", "--json"))
        self.assertEqual(len(shown), 3)
        traced = self.objects(self.watch("trace", "--limit", "1", "--json"))
        self.assertEqual([hop["task"] for hop in traced[0]["hops"]], ["first"] + ["flaky"] * 3)
        self.assertEqual(self.cluster.nodes["run"].stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
