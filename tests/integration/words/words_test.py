#!/usr/bin/env python3
"""What programs say: safely, whatever came in as data, and not into the void.

Usage: words_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))

# Steers a terminal, in C0, in C1 and as a bare byte of C1; turns the direction of writing; forges a
# line of a log; is no UTF-8.
HOSTILE = "a\x1b[2J\u009b2J\u202eb\u2028\n2026-01-01T00:00:00.000Z error: forged".encode() + b"\x9b\xff"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
NODES = ["tempest-broker", "tempest-source", "tempest-pipeline", "tempest-task", "tempest-stats"]


class Case(unittest.TestCase):
    def setUp(self):
        self.cluster = processes.Cluster(BINARIES)
        self.addCleanup(self.cluster.__exit__, None, None, None)

    def check_safe(self, output, what):
        text = output.decode("utf-8")  # Strictly: what is shown is UTF-8.
        found = UNSAFE.search(text)
        self.assertIsNone(found, f"{what} shows {found and ascii(found[0])}: {ascii(text[:400])}")
        for line in text.splitlines():
            self.assertFalse(line.startswith("2026-01-01T00:00:00.000Z error"),
                             f"{what} has a forged line: {ascii(text[:400])}")

    def run_program(self, program, *words, timeout_s=30, **options):
        return subprocess.run([self.cluster.program(program).encode(), *words],
                              capture_output=True, timeout=timeout_s, check=False, **options)

    def verbs(self):
        text = self.run_program("tempest", b"--help").stdout.decode()
        return re.findall(r"^  ([a-z]+) +[A-Z]", text.split("Verbs:")[1].split("Options:")[0], re.M)


class Hostile(Case):
    """Data that would speak for a program."""

    def test_a_command_line_is_complained_about_safely(self):
        flag = b"--" + HOSTILE.replace(b"\n", b"")
        commands = [("tempest", HOSTILE)]
        for verb in self.verbs():
            commands += [("tempest", verb.encode(), flag), ("tempest", b"help", HOSTILE),
                         ("tempest", verb.encode(), HOSTILE, HOSTILE, HOSTILE)]
        for node in NODES:
            commands += [(node, flag), (node, b"--log-level", HOSTILE), (node, b"--lease", HOSTILE),
                         (node, b"--name", HOSTILE), (node, b"--broker", HOSTILE, b"--lease", b"x")]
        for command in commands:
            if command[1:2] in ((b"version",), (b"schema",), (b"new",)):
                continue
            result = self.run_program(*command)
            with self.subTest(command=command[:2]):
                self.assertNotIn(result.returncode, (0, 70))
                self.assertGreater(result.returncode, 0)
                self.check_safe(result.stdout + result.stderr, command[:2])

    def test_names_and_texts_of_a_topology_are_shown_safely(self):
        hostile = HOSTILE.decode("utf-8", "ignore")
        escaped = json.dumps(hostile)
        for text in (f"name = {escaped}", f"{escaped} = 1",
                     f'name = "x"\n[source]\ntype = {escaped}',
                     f'name = "x"\n[source]\ntype = "lines"\npath = {escaped}\n'
                     f'[[task]]\nname = "a"\nuses = {escaped}'):
            path = self.cluster.write("Topology.toml", text)
            for verb in ("validate", "graph", "run", "up", "test"):
                result = self.run_program("tempest", verb.encode(), path.encode())
                with self.subTest(verb=verb, text=text[:20]):
                    self.assertGreater(result.returncode, 0)
                    self.check_safe(result.stdout + result.stderr, verb)

    def test_payloads_and_errors_are_shown_safely_and_json_logs_parse(self):
        with open(self.cluster.path("in"), "wb") as file:
            file.write(HOSTILE.replace(b"\n", b"") + b"\n" + b"\x1b" * 1_000_000 + b"\n")
        path = self.cluster.write("Topology.toml", f"""
            name = "hostile"
            [source]
            type = "lines"
            path = "{self.cluster.path('in')}"
            max_line = "2MB"
            [[task]]
            name = "work"
            uses = "fail"
            fail = {{ every = 1 }}
            [failure]
            max_attempts = 1
            dead_letter = {{ type = "lines", path = "{self.cluster.path('dead')}" }}
            """)
        for form in ("text", "json"):
            result = self.run_program("tempest", b"run", path.encode(), b"--log-level", b"debug",
                                      b"--log-format", form.encode())
            self.check_safe(result.stderr, f"run with a log of {form}")
            if form == "json":
                for line in result.stderr.decode().splitlines():
                    for name in json.loads(line):
                        self.assertNotIn(" ", name)
        letters = self.run_program("tempest", b"dlq", b"ls", b"--topology", path.encode())
        self.assertEqual(letters.returncode, 0, letters.stderr)
        ids = [line.split()[0] for line in letters.stdout.splitlines()[1:]]
        self.assertGreater(len(ids), 1)
        for words in ((b"ls",), (b"ls", b"-o", b"json"), (b"show", *ids),
                      (b"show", *ids, b"-o", b"json")):
            result = self.run_program("tempest", b"dlq", *words, b"--topology", path.encode())
            with self.subTest(words=words[:1]):
                self.assertEqual(result.returncode, 0, result.stderr)
                self.check_safe(result.stdout + result.stderr, words)


class Waiting(Case):
    """Nodes that wait for what does not come."""

    def check(self, role, *words):
        return self.cluster.tempest("healthcheck", "--role", role, "--broker",
                                    self.cluster.broker_url, *words, check=False)

    def test_a_node_of_a_topology_that_nobody_coordinates_is_not_healthy_and_the_cause_is_told(self):
        self.cluster.start_broker()
        self.cluster.start("worker", "tempest-task", "--topology", "weblgo")
        self.cluster.start("feeder", "tempest-source", "--topology", "weblgo")
        for role in ("task", "source"):
            processes.wait_until(lambda: "no coordinator is there" in self.check(role).stderr,
                                 f"a word of what the {role} waits for")
        self.cluster.start("pipeline", "tempest-pipeline", "--topology", self.cluster.write(
            "Topology.toml",
            'name = "weblog"\n[source]\ntype = "generator"\n[[task]]\nname = "a"\nuses = "drop"\n'))
        for role in ("task", "source"):
            processes.wait_until(
                lambda: "no coordinator brings 'weblgo'; did you mean 'weblog'?"
                in self.check(role).stderr, "what was meant")
            self.assertEqual(self.check(role).returncode, 1)
        # A name of its own does not hide a node.
        processes.wait_until(lambda: self.check("pipeline").returncode == 0, "a healthy coordinator")
        self.cluster.start("other", "tempest-task", "--topology", "weblog")
        processes.wait_until(lambda: self.check("task", "--name", "other").returncode == 0,
                             "a healthy worker")


class Output(Case):
    """Standard output that takes nothing."""

    def test_a_full_output_ends_every_verb_that_prints_with_74(self):
        path = self.cluster.write("Topology.toml", """
            name = "x"
            [source]
            type = "generator"
            count = 1
            [[task]]
            name = "a"
            uses = "identity"
            """)
        for words in (["--help"], ["version"], ["schema"], ["validate", path], ["graph", path],
                      ["help", "run"]):
            with open("/dev/full", "wb") as full:
                result = subprocess.run([self.cluster.program("tempest"), *words], stdout=full,
                                        stderr=subprocess.PIPE, text=True, timeout=30, check=False)
            with self.subTest(words=words[0]):
                self.assertEqual(result.returncode, 74, result.stderr)
                self.assertIn("cannot write to standard output: No space left", result.stderr)

    def test_a_reader_that_has_had_enough_is_no_fault(self):
        reading, writing = os.pipe()
        os.close(reading)
        result = subprocess.run([self.cluster.program("tempest"), "schema"], stdout=writing,
                                stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        os.close(writing)
        self.assertIn(result.returncode, (0, -signal.SIGPIPE))
        self.assertEqual(result.stderr, "")

    def test_help_of_a_verb_is_what_its_own_flag_shows(self):
        for words in (["run"], ["dlq", "ls"]):
            asked = self.cluster.tempest("help", *words)
            self.assertEqual(asked.stdout, self.cluster.tempest(*words, "--help").stdout)
        for verb in self.verbs():
            if verb != "dlq":
                self.assertIn(".", self.cluster.tempest(verb, "--version").stdout)


class SideBySide(Case):
    """Two of `tempest up` on one machine."""

    def up(self, name, *words):
        path = self.cluster.write(f"{name}.toml", f"""
            name = "{name}"
            [source]
            type = "generator"
            [[task]]
            name = "a"
            uses = "identity"
            """)
        log = open(self.cluster.path(f"{name}.log"), "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([self.cluster.program("tempest"), "up", path, *words],
                                   stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def log(self, name):
        with open(self.cluster.path(f"{name}.log"), encoding="utf-8") as file:
            return file.read()

    def test_the_second_takes_other_ports_and_both_run(self):
        first = self.up("first")
        processes.wait_until(lambda: "started source" in self.log("first"), "the first to run")
        second = self.up("second")
        processes.wait_until(lambda: "the port of --broker is taken" in self.log("second"),
                             "a word of the ports")
        address = re.search(r"--broker is taken.* address=(\S+)", self.log("second"))[1]
        processes.wait_until(
            lambda: self.cluster.tempest("ls", "--broker", address, check=False).stdout.count("second")
            >= 3, "the second's nodes at its own broker")
        self.assertNotIn("first", self.cluster.tempest("ls", "--broker", address).stdout)
        self.assertIsNone(first.poll())
        self.assertIsNone(second.poll())

    def test_ports_that_the_user_named_and_that_are_taken_are_refused(self):
        self.cluster.start_broker()
        processes.wait_until(lambda: self.cluster.tempest(
            "ls", "--broker", self.cluster.broker_url, check=False).returncode == 0, "the broker")
        refused = self.up("late", "--broker", self.cluster.broker_url)
        self.assertEqual(refused.wait(30), 69)
        self.assertRegex(self.log("late"), r"port \d+ of --broker \S+ is taken.* is free")


if __name__ == "__main__":
    unittest.main()
