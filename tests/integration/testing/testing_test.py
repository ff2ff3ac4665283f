#!/usr/bin/env python3
"""`tempest test`: what it says of cases that hold, that fail, and that are wrong.

Usage: testing_test.py FOLDER_OF_PROGRAMS FOLDER_OF_SOURCES [unittest arguments]
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

TEMPEST = os.path.join(os.path.abspath(sys.argv.pop(1)), "tempest")
SOURCES = os.path.abspath(sys.argv.pop(1))

TOPOLOGY = """
name = "cases"
[source]
type = "redis_stream"
uri = "redis://127.0.0.1:1"
key = "in"
[[task]]
name = "check"
uses = "fail"
fail = { match = "bad", kind = "fail" }
[[task]]
name = "flaky"
uses = "fail"
after = ["check"]
fail = { match = "flaky", times = 2 }
[[task]]
name = "out"
uses = "sink"
after = ["flaky"]
sink = { type = "redis_stream", uri = "redis://127.0.0.1:1", key = "out" }
[failure]
max_attempts = 3
"""
HOLDING = """
[[case]]
name = "good ones arrive, flaky ones too"
inputs = ["b", "flaky", "a"]
reaches = { out = ["a", "b", "flaky"] }
[[case]]
name = "bad ones do not"
inputs = ["a", "bad", "b"]
reaches = { out = ["a", "b"], flaky = ["a", "b"] }
error = { task = "check", kind = "fail", text = "as it was told to" }
[[case]]
name = "a task alone is tried once"
task = "flaky"
inputs = ["flaky"]
outputs = []
error = { kind = "retry" }
"""


class TempestTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.write("Topology.toml", TOPOLOGY)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def run_test(self, *words, code=0):
        done = subprocess.run([TEMPEST, "test", *words], cwd=self.folder, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def of_cases(self, cases, *words, code=0):
        self.write("Topology.test.toml", cases)
        return self.run_test(*words, code=code)

    def test_what_holds_is_reported_case_by_case_without_any_redis(self):
        done = self.of_cases(HOLDING)
        self.assertEqual(done.stdout,
                         "ok    good ones arrive, flaky ones too\nok    bad ones do not\n"
                         "ok    a task alone is tried once\n3 cases, 0 failed\n")
        self.assertEqual(done.stderr, "")
        self.assertEqual(self.run_test("Topology.toml", "--filter", "alone").stdout,
                         "ok    a task alone is tried once\n1 case, 0 failed\n")
        self.assertEqual(self.run_test("--quiet").stdout, "3 cases, 0 failed\n")
        self.run_test("--filter", "nothing like it", code=1)

    def test_what_does_not_hold_is_shown_with_what_is_missing_and_what_is_too_much(self):
        done = self.of_cases("""
[[case]]
name = "in order"
inputs = ["a", "c", "b"]
reaches = { out = ["a", "b", "c"] }
in_order = true
[[case]]
name = "keys"
task = "check"
inputs = [{ payload = "x", key = "1" }, { payload = "x", key = "2" }, "y"]
outputs = ["x", { payload = "x", key = "1" }, { payload = "y", key = "3" }]
[[case]]
name = "an error nobody expects"
inputs = ["bad <&>"]
reaches = { out = [] }
[[case]]
name = "no error"
task = "check"
inputs = ["good"]
error = "none"
""", "--junit", "report.xml", code=1)
        self.assertEqual(done.stdout, """FAIL  in order  (Topology.test.toml:2)
      what reached task out:
        "a"
      - "b"
        "c"
      + "b"
FAIL  keys  (Topology.test.toml:7)
      what task check gave:
      - { payload = "y", key = "3" }
      + { payload = "y", key = "" }
FAIL  an error nobody expects  (Topology.test.toml:12)
      + task check failed, kind fail: the task fail fails this message, as it was told to
FAIL  no error  (Topology.test.toml:16)
      an error was expected, and nothing failed
4 cases, 4 failed
""")
        report = xml.etree.ElementTree.parse(os.path.join(self.folder, "report.xml")).getroot()
        self.assertEqual(report[0].attrib["failures"], "4")
        self.assertEqual([case.attrib["name"] for case in report[0]],
                         ["in order", "keys", "an error nobody expects", "no error"])
        self.assertIn('- { payload = "y", key = "3" }', report[0][1][0].text)

    def test_a_file_that_is_wrong_is_refused_with_the_places(self):
        done = self.of_cases("""
[[case]]
name = "one"
input = ["a"]
inputs = [1]
outputs = ["a"]
in_order = "yes"
error = { kind = "never" }
""", code=78)
        self.assertEqual(done.stderr, """Topology.test.toml:4:1: unknown key 'input' in [[case]]; did you mean 'inputs'?
Topology.test.toml:5:11: a message of 'inputs' must be a text, or a table with 'payload'
Topology.test.toml:6:1: 'outputs' in [[case]] is only for a case with 'task'; what the whole pipeline should give is said with 'reaches'
Topology.test.toml:7:12: 'in_order' in [[case]] must be true or false
Topology.test.toml:8:18: 'kind' in 'error' must be "retry" or "fail", not "never"
""")
        self.assertIn("2:1: case \"x\": the topology has no task 'chekc'; did you mean 'check'?",
                      self.of_cases('\n[[case]]\nname = "x"\ntask = "chekc"\ninputs = []\n'
                                    'outputs = []\n', code=78).stderr)
        self.assertIn("at least one [[case]]", self.of_cases("", code=78).stderr)
        self.assertIn("1:", self.of_cases("[[case", code=78).stderr)
        self.run_test("none.test.toml", code=74)
        os.remove(os.path.join(self.folder, "Topology.test.toml"))
        self.run_test(code=64)

    def test_the_example_of_the_document_does_what_it_says(self):
        with open(os.path.join(SOURCES, "docs/testing-topologies.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```(\w*)\n(.*?)```", file.read(), re.DOTALL)
        (_, topology), (_, cases), (_, command), (_, shown), (_, failing) = blocks[:5]
        self.write("first.toml", topology)
        self.write("first.test.toml", cases)
        words = command.split()
        self.assertEqual(words[:2], ["tempest", "test"])
        self.assertEqual(self.run_test(*words[2:]).stdout, shown)
        self.write("first.test.toml", cases.replace('outputs = ["fine"', 'outputs = ["fien"'))
        self.assertIn(failing, self.run_test(*words[2:], code=1).stdout)


if __name__ == "__main__":
    unittest.main()
