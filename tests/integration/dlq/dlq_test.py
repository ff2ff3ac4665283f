#!/usr/bin/env python3
"""`tempest dlq` on dead letters that `tempest run` wrote, in a real Redis and in a file.

Usage: dlq_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import pty
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))

# `before` and `after` note what they were given, in files of their own.
TASKS = """
[[task]]
name = "first"
uses = "identity"

[[task]]
name = "before"
uses = "sink"
after = ["first"]
sink = {{ type = "lines", path = "{folder}/before" }}

[[task]]
name = "check"
uses = "{check}"
after = ["first"]
{config}

[[task]]
name = "after"
uses = "sink"
after = ["check"]
sink = {{ type = "lines", path = "{folder}/after" }}

[failure]
max_attempts = 2
backoff = {{ initial = "1ms", max = "1ms" }}
dead_letter = {dead_letter}
"""
BROKEN = {"check": "fail", "config": 'fail = { match = "bad", kind = "fail" }'}
MENDED = {"check": "identity", "config": ""}


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return sorted(line for line in file.read().splitlines() if line.strip())


class Case(unittest.TestCase):
    def setUp(self):
        self.cluster = processes.Cluster(BINARIES)
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.folder = self.cluster.folder
        self.path = self.cluster.path
        self.write = self.cluster.write

    def tempest(self, *words, code=0):
        done = self.cluster.tempest(*words, timeout_s=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def letters(self, *words):
        listed = self.tempest("dlq", "ls", "--limit", "0", "-o", "json", *words).stdout
        return [json.loads(line) for line in listed.splitlines()]


class Stream(Case):
    def setUp(self):
        super().setUp()
        self.redis = self.cluster.start_redis()

    def topology(self, tasks, name="Topology.toml"):
        dead = f'{{ type = "redis_stream", uri = "{self.redis.uri}", key = "dead" }}'
        source = f"""
            name = "checks"
            [source]
            type = "redis_stream"
            uri = "{self.redis.uri}"
            key = "in"
            field = "text"
            key_field = "who"
            """
        return self.write(name, source + TASKS.format(folder=self.folder, dead_letter=dead, **tasks))

    def fill(self, count):
        """Every tenth is bad."""
        self.texts = [("bad" if i % 10 == 0 else "good") + f"-{i}" for i in range(count)]
        self.bad = sorted(text for text in self.texts if text.startswith("bad"))
        self.redis.pipeline([("XADD", "in", "*", "text", text, "who", "me") for text in self.texts])

    def run_topology(self, tasks):
        return self.tempest("run", self.topology(tasks), "--exit-when-drained", "--quiet")

    def marks(self, letters):
        return {letter["payload"]: letter["replayed"] for letter in letters}

    def test_from_the_failed_task_exactly_the_failed_ones_run_again_from_that_task_on(self):
        self.fill(200)
        self.run_topology(BROKEN)
        self.assertEqual(len(self.letters("--topology", self.topology(BROKEN))), 20)
        # Of a message that fails, what is under way beside the failing task is given up.
        before = lines_of(self.path("before"))
        self.assertGreaterEqual(len(before), 180)
        self.assertEqual(len(lines_of(self.path("after"))), 180)

        # Not mended yet: all fail again, and every letter stays as it is.
        same = self.redis.command("XRANGE", "dead", "-", "+")
        again = self.tempest("dlq", "replay", "--topology", self.topology(BROKEN), "--from",
                             "failed-task", code=1)
        self.assertIn("replayed 0 letters, 20 failed again", again.stderr)
        self.assertIn("what these had not done when a message failed is not done: before",
                      again.stderr)
        self.assertEqual(self.redis.command("XRANGE", "dead", "-", "+"), same)

        mended = self.topology(MENDED)
        one = same[3][0]
        self.tempest("dlq", "replay", "--topology", mended, "--from", "failed-task", "--id", one)
        self.assertEqual(self.redis.command("XLEN", "dead"), 19)
        done = self.tempest("dlq", "replay", "--topology", mended, "--from", "failed-task", "-o",
                            "json", "--rate", "100")
        self.assertEqual(json.loads(done.stdout), {"replayed": 19, "failed_again": 0, "left": 0})
        self.assertEqual(self.redis.command("XLEN", "dead"), 0)
        # The source and the tasks before have seen nothing of it.
        self.assertEqual(lines_of(self.path("after")), sorted(self.texts))
        self.assertEqual(lines_of(self.path("before")), before)
        self.assertEqual(self.redis.command("XLEN", "in"), 200)

    def test_from_the_start_messages_go_back_to_the_source_and_a_second_death_shows(self):
        self.fill(30)
        self.run_topology(BROKEN)
        topology = self.topology(BROKEN)
        first = self.letters("--topology", topology)
        dry = self.tempest("dlq", "replay", "--topology", topology, "--dry-run")
        self.assertIn("would replay 3 letters", dry.stderr)
        self.assertEqual(self.redis.command("XLEN", "in"), 30)

        self.tempest("dlq", "replay", "--topology", topology)
        self.assertEqual(self.redis.command("XLEN", "dead"), 0)
        back = self.redis.command("XRANGE", "in", "-", "+")[30:]
        self.assertEqual([entry[1][:4] for entry in back],
                         [["text", letter["payload"], "who", "me"] for letter in first])
        self.assertEqual(sorted(letter["payload"] for letter in first), self.bad)
        self.run_topology(BROKEN)
        second = self.letters("--topology", topology)
        self.assertEqual(self.marks(second), {letter["payload"]: letter["id"] + " 1"
                                              for letter in first})
        self.assertEqual({letter["key"] for letter in second}, {"me"})
        self.tempest("dlq", "replay", "--topology", topology)
        self.run_topology(BROKEN)
        third = self.letters("--topology", topology)
        self.assertEqual(self.marks(third), {letter["payload"]: letter["id"] + " 2"
                                             for letter in second})

        self.tempest("dlq", "replay", "--topology", topology)
        self.run_topology(MENDED)
        self.assertEqual(set(lines_of(self.path("after"))), set(self.texts))
        self.assertEqual(self.redis.command("XLEN", "dead"), 0)
        self.assertEqual(self.redis.command("XPENDING", "in", "checks")[0], 0)

    def test_messages_may_go_to_another_database_or_into_a_list(self):
        self.fill(30)
        self.run_topology(BROKEN)
        at = ["--topology", self.topology(BROKEN)]
        payloads = [letter["payload"] for letter in self.letters(*at)]
        elsewhere = self.redis.uri[:-1] + "5"
        self.tempest("dlq", "replay", *at, "--limit", "1", "--to-uri", elsewhere, "--to-key", "other",
                     "--to-field", "text")
        self.tempest("dlq", "replay", *at, "--limit", "1", "--to-uri", self.redis.uri, "--to-key",
                     "list", "--to-list")
        with self.redis.connect() as connection:
            connection.command("SELECT", "5")
            [[_, fields]] = connection.command("XRANGE", "other", "-", "+")
        self.assertEqual(fields[:3], ["text", payloads[0], "tempest_replayed"])
        self.assertEqual(self.redis.command("LRANGE", "list", "0", "-1"), [payloads[1]])
        self.assertEqual([letter["payload"] for letter in self.letters(*at)], payloads[2:])

    def test_two_replays_at_once_put_no_message_back_twice(self):
        self.fill(1000)
        self.run_topology(BROKEN)
        words = [self.cluster.program("tempest"), "dlq", "replay", "--topology",
                 self.topology(BROKEN), "-o", "json"]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        sums = [json.loads(each.communicate(timeout=60)[0]) for each in both]
        self.assertEqual(sum(each["replayed"] for each in sums), 100)
        back = [entry[1][1] for entry in self.redis.command("XRANGE", "in", "-", "+")[1000:]]
        self.assertEqual(sorted(back), self.bad)

    def test_letters_are_found_by_what_stands_in_them_and_go_one_by_one(self):
        self.fill(40)
        self.run_topology(BROKEN)
        self.redis.command("XADD", "dead", "*", "value", "no letter")
        at = ["--uri", self.redis.uri, "--key", "dead"]
        everything = self.letters(*at)
        payloads = [letter["payload"] for letter in everything]
        self.assertEqual(sorted(payloads), self.bad)
        for words, count in ((["--task", "check"], 4), (["--task", "other"], 0),
                             (["--kind", "error"], 4), (["--kind", "timeout"], 0),
                             (["--newer", "1h"], 4), (["--older", "1h"], 0),
                             (["--topology-name", "checks"], 4), (["--topology-name", "x"], 0),
                             (["--text", "bad-3"], 1), (["--id", everything[0]["id"]], 1)):
            self.assertEqual(len(self.letters(*at, *words)), count, words)
        table = self.tempest("dlq", "ls", *at, "--limit", "2")
        self.assertEqual(len(table.stdout.splitlines()), 3)
        self.assertIn("there are more", table.stderr)
        shown = self.tempest("dlq", "show", everything[1]["id"], *at)
        self.assertIn(f"payload          {payloads[1]}\n", shown.stdout)
        self.tempest("dlq", "show", "1-1", *at, code=1)
        exported = self.tempest("dlq", "export", *at).stdout.splitlines()
        self.assertEqual(exported, [entry[1][1] for entry in
                                    self.redis.command("XRANGE", "dead", "-", "+")[:4]])

        self.tempest("dlq", "rm", *at, code=64)
        self.tempest("dlq", "rm", *at, "--text", "bad-3", "--dry-run")
        self.assertEqual(self.redis.command("XLEN", "dead"), 5)
        self.tempest("dlq", "rm", *at, "--text", "bad-3")
        self.assertEqual(sorted(letter["payload"] for letter in self.letters(*at)), self.bad[:3])
        removed = self.tempest("dlq", "rm", *at, "--force")
        self.assertIn("1 entries are no dead letters", removed.stderr)
        self.assertEqual(self.redis.command("XLEN", "dead"), 1)

    def test_a_filter_with_commas_takes_what_it_says_and_no_more(self):
        self.texts = [f'{{"order":{i},"state":"bad"}}' for i in range(20)]
        self.redis.pipeline([("XADD", "in", "*", "text", text, "who", "a,b") for text in self.texts])
        self.run_topology(BROKEN)
        self.redis.command("RENAME", "dead", "dead,letters")
        at = ["--uri", self.redis.uri, "--key", "dead,letters"]
        self.assertEqual(len(self.letters(*at)), 20)
        removed = self.tempest("dlq", "rm", *at, "--text", '"order":17,"state":"bad"')
        self.assertIn("about to remove 1 of 20 letters", removed.stderr)
        self.assertEqual(len(self.letters(*at)), 19)
        replayed = self.tempest("dlq", "replay", *at, "--text", '"order":18,"state":"bad"',
                                "--to-uri", self.redis.uri, "--to-key", "back,again")
        self.assertIn("about to replay 1 of 19 letters", replayed.stderr)
        self.assertEqual(self.redis.command("XLEN", "back,again"), 1)

    def test_on_a_terminal_it_asks_before_it_takes_all_letters(self):
        self.fill(20)
        self.run_topology(BROKEN)
        at = ["--uri", self.redis.uri, "--key", "dead"]
        for verb in (["rm", *at, "--task", "check"],
                     ["replay", *at, "--to-uri", self.redis.uri, "--to-key", "back"]):
            shown, code = self.on_a_terminal("dlq", *verb, answer=b"n\n")
            self.assertIn("These are all there are", shown)
            self.assertIn("nothing was done", shown)
            self.assertEqual(code, 1)
            self.assertEqual(self.redis.command("XLEN", "dead"), 2)
        shown, code = self.on_a_terminal("dlq", "rm", *at, "--text", "bad-10", answer=b"")
        self.assertNotIn("These are all there are", shown)
        self.assertEqual((code, self.redis.command("XLEN", "dead")), (0, 1))
        shown, code = self.on_a_terminal("dlq", "rm", *at, "--task", "check", answer=b"y\n")
        self.assertEqual((code, self.redis.command("XLEN", "dead")), (0, 0))

    def on_a_terminal(self, *words, answer):
        """What a user at a terminal is shown, who has typed the answer; and the exit code."""
        ours, theirs = pty.openpty()
        with subprocess.Popen([self.cluster.program("tempest"), *words], stdin=theirs,
                              stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            os.write(ours, answer)
            shown = b""
            while True:
                try:
                    read = os.read(ours, 4096)
                except OSError:  # The other end is closed.
                    break
                shown += read
                if not read:
                    break
            code = process.wait(30)
        os.close(ours)
        return shown.decode(), code

    def test_a_replay_that_leaves_letters_that_cannot_be_put_back_ends_with_1(self):
        letter = {"topology": "checks", "version": "v", "task": "check", "kind": "error",
                  "reason": "r", "failed_at": "2026-01-02T03:04:05.000Z", "payload": "first bytes",
                  "unreadable": True}
        self.redis.command("XADD", "dead", "*", "value", json.dumps(letter))
        done = self.tempest("dlq", "replay", "--uri", self.redis.uri, "--key", "dead", "--to-uri",
                            self.redis.uri, "--to-key", "again", code=1)
        self.assertIn("1 letter cannot be put back", done.stderr)
        self.assertEqual(self.redis.command("XLEN", "dead"), 1)
        self.assertEqual(self.redis.command("EXISTS", "again"), 0)

    def test_what_is_not_there_ends_with_its_own_code(self):
        self.tempest("dlq", code=64)
        self.assertIn("did you mean 'replay'", self.tempest("dlq", "repaly", code=64).stderr)
        self.tempest("dlq", "ls", code=64)
        self.tempest("dlq", "ls", "--key", "dead", "--kind", "tiemout", code=64)
        self.tempest("dlq", "ls", "--file", self.path("none"), code=74)
        self.tempest("dlq", "ls", "--uri", "redis://127.0.0.1:1", "--key", "dead", code=69)
        self.redis.command("SET", "text", "x")
        self.tempest("dlq", "ls", "--uri", self.redis.uri, "--key", "text", code=78)
        self.assertEqual(self.tempest("dlq", "--help").stderr, "")


class File(Case):
    def topology(self, tasks):
        source = self.write("in.txt", "".join(f"{text}\n" for text in self.texts))
        head = f'name = "checks"\n[source]\ntype = "lines"\npath = "{source}"\n'
        dead = f'{{ type = "lines", path = "{self.path("dead")}" }}'
        return self.write("Topology.toml",
                          head + TASKS.format(folder=self.folder, dead_letter=dead, **tasks))

    def test_letters_in_a_file_are_replayed_and_blanked_out(self):
        self.texts = ["bad-1", "good", "bad-2", "bad-3"]
        self.tempest("run", self.topology(BROKEN), "--quiet")
        size = os.path.getsize(self.path("dead"))
        listed = self.letters("--file", self.path("dead"))
        self.assertEqual(sorted(letter["payload"] for letter in listed), ["bad-1", "bad-2", "bad-3"])
        topology = self.topology(MENDED)
        refused = self.tempest("dlq", "replay", "--topology", topology, code=78)
        self.assertIn('a source of type "lines" takes no messages back', refused.stderr)
        self.tempest("dlq", "rm", "--file", self.path("dead"), "--text", "bad-2")
        self.tempest("dlq", "replay", "--topology", topology, "--from", "failed-task")
        self.assertEqual(lines_of(self.path("after")), ["bad-1", "bad-3", "good"])
        self.assertEqual(self.letters("--file", self.path("dead")), [])
        # What another process may be adding to keeps its place.
        self.assertEqual(os.path.getsize(self.path("dead")), size)


if __name__ == "__main__":
    unittest.main()
