#!/usr/bin/env python3
"""What sources do when others die, on a real Redis with real nodes.

Usage: sources_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import json
import os
import re
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


class Poison(unittest.TestCase):
    def test_of_ten_thousand_the_hundred_that_always_fail_are_dead_letters_and_the_rest_is_out(self):
        """Every hundredth fails always, every tenth twice."""
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            words = ["bad" if i % 100 == 0 else "shaky" if i % 10 == 0 else "good"
                     for i in range(10_000)]
            redis.pipeline([("XADD", "in", "*", "value", f"{word}-{i}")
                            for i, word in enumerate(words)])
            topology = cluster.write("Topology.toml", f"""
                name = "poison"
                [source]
                type = "redis_stream"
                uri = "{redis.uri}"
                key = "in"
                field = "value"
                [[task]]
                name = "shaky"
                uses = "fail"
                fail = {{ match = "shaky", times = 2 }}
                [[task]]
                name = "strict"
                uses = "fail"
                after = ["shaky"]
                fail = {{ match = "bad" }}
                [[task]]
                name = "out"
                uses = "sink"
                after = ["strict"]
                sink = {{ type = "redis_list", uri = "{redis.uri}", key = "out" }}
                [failure]
                policy = "retry"
                max_attempts = 5
                backoff = {{ initial = "5ms", max = "50ms" }}
                dead_letter = {{ type = "redis_stream", uri = "{redis.uri}", key = "dead" }}
                """)
            result = cluster.tempest("run", topology, "--exit-when-drained", "--json")
            summary = json.loads(result.stdout)
            self.assertEqual(summary["acked"], 10_000)
            self.assertEqual(summary["dead_lettered"], 100)
            letters = [json.loads(fields[1]) for _, fields in
                       redis.command("XRANGE", "dead", "-", "+")]
            self.assertEqual(sorted(letter["payload"] for letter in letters),
                             sorted(f"bad-{i}" for i in range(0, 10_000, 100)))
            self.assertEqual({letter["delivery_attempts"] for letter in letters}, {5})
            out = redis.command("LRANGE", "out", "0", "-1")
            self.assertEqual(sorted(out), sorted(f"{word}-{i}" for i, word in enumerate(words)
                                                 if word != "bad"))
            self.assertEqual(redis.command("XPENDING", "in", "poison")[0], 0)


class RedisRestarts(unittest.TestCase):
    COUNT = 200_000

    def test_nothing_is_lost_while_redis_is_killed_ten_times(self):
        """Prints how many messages came out twice."""
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            for first in range(0, self.COUNT, 10_000):
                redis.pipeline([("XADD", "in", f"0-{i + 1}", "value", f"message-{i:07d}")
                                for i in range(first, first + 10_000)])
            topology = cluster.write("Topology.toml", f"""
                name = "restarts"
                [source]
                type = "redis_stream"
                uri = "{redis.uri}"
                key = "in"
                field = "value"
                [[task]]
                name = "out"
                uses = "sink"
                sink = {{ type = "lines", path = "{cluster.path('out.txt')}" }}
                """)
            run = processes.Node(cluster.folder, "run", [cluster.program("tempest"), "run",
                                                         topology])
            cluster.nodes["run"] = run

            def acked():
                try:
                    group = redis.command("XINFO", "GROUPS", "in")[0]
                except (OSError, RuntimeError, IndexError):
                    return 0
                # The entries' ids count them.
                delivered = int(group[group.index("last-delivered-id") + 1].split("-")[1])
                return delivered - group[group.index("pending") + 1]

            for kill in range(10):
                before = kill * self.COUNT // 12
                processes.wait_until(lambda: acked() > before, f"more than {before} acked", 60)
                redis.kill()
                redis.start_again()
            processes.wait_until(lambda: acked() >= self.COUNT, "everything to be acked", 60)
            self.assertEqual(run.stop(), 0)
            lines = lines_of(cluster.path("out.txt"))
            self.assertEqual(set(lines), {f"message-{i:07d}" for i in range(self.COUNT)})
            print(f"{len(lines) - self.COUNT} duplicates", flush=True)


class Ends(unittest.TestCase):
    """When a run ends, and what that does to what was not done."""

    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))
        self.redis = self.cluster.start_redis()

    def topology(self, source, task='uses = "drop"', failure=""):
        return self.cluster.write("Topology.toml", f"""
            name = "ends"
            [source]
            uri = "{self.redis.uri}"
            key = "in"
            {source}
            [[task]]
            name = "a"
            {task}
            [failure]
            max_attempts = 5
            dead_letter = {{ type = "redis_list", uri = "{self.redis.uri}", key = "dead" }}
            {failure}
            """)

    def run_node(self, topology, *arguments):
        node = processes.Node(self.cluster.folder, "run",
                              [self.cluster.program("tempest"), "run", topology, *arguments])
        self.cluster.nodes["run"] = node
        return node

    def test_drained_is_when_every_idle_entry_of_a_dead_consumer_is_done(self):
        for first in range(0, 100_000, 10_000):
            fill_stream(self.redis, range(first, first + 10_000))
        self.redis.command("XGROUP", "CREATE", "in", "ends", "0")
        self.redis.command("XREADGROUP", "GROUP", "ends", "dead", "COUNT", "100000", "STREAMS",
                           "in", ">")
        topology = self.topology("""type = "redis_stream"
            field = "value"
            [[source.pending]]
            min_idle = "1s\"""")
        result = self.cluster.tempest("run", topology, "--exit-when-drained", "--json")
        self.assertEqual(json.loads(result.stdout)["acked"], 100_000)
        self.assertEqual(self.redis.command("XPENDING", "in", "ends")[0], 0)

    def test_a_second_interrupt_ends_a_run_at_once_while_redis_hangs(self):
        fill_stream(self.redis, range(100))
        node = self.run_node(self.topology('type = "redis_stream"\nfield = "value"'))
        processes.wait_until(lambda: self.redis.command("XINFO", "GROUPS", "in")
                             and self.redis.command("XPENDING", "in", "ends")[0] == 0
                             and self.redis.command("XINFO", "GROUPS", "in")[0][7] != "0-0",
                             "all to be acked")
        self.redis.process.send_signal(signal.SIGSTOP)
        try:
            node.process.send_signal(signal.SIGINT)
            node.process.send_signal(signal.SIGINT)
            node.wait(3)
        finally:
            self.redis.process.send_signal(signal.SIGCONT)

    def test_no_restart_of_a_source_blames_a_backlog(self):
        self.redis.pipeline([("RPUSH", "in", f"message-{i}") for i in range(3000)])
        slow = self.topology('type = "redis_list"\nmax_pending = 1000\nlease = "1s"',
                             'uses = "sleep"\nsleep = { time = "1h" }', 'task_timeout = "2h"')

        def scripts_run():
            stats = self.redis.command("INFO", "commandstats")
            found = re.search(r"cmdstat_eval:calls=(\d+)", stats)
            return int(found[1]) if found else 0

        for life in range(8):
            before = scripts_run()
            node = self.run_node(slow, "--drain-timeout", "0s")
            # It has begun, has taken what it may, and has been at work for a while.
            processes.wait_until(lambda: scripts_run() >= before + 10, "the reader to be at work")
            if life % 2 == 0:
                node.process.send_signal(signal.SIGTERM)
                node.wait(20)
            else:
                node.kill()
        result = self.cluster.tempest("run", self.topology('type = "redis_list"'),
                                      "--exit-when-drained", "--json")
        summary = json.loads(result.stdout)
        self.assertEqual((summary["acked"], summary["dead_lettered"]), (3000, 0))
        self.assertEqual(self.redis.command("LLEN", "dead"), 0)
        self.assertEqual(self.redis.command("HLEN", "in:payloads"), 0)


class Password(unittest.TestCase):
    def test_one_that_is_changed_for_a_while_costs_no_message_at_source_and_sink(self):
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            redis.command("ACL", "SETUSER", "tempest", "on", ">sesame", "~*", "+@all")
            uri = redis.uri.replace("redis://", "redis://tempest:sesame@")
            topology = cluster.write("Topology.toml", f"""
                name = "password"
                [source]
                type = "redis_stream"
                uri = "{uri}"
                key = "in"
                field = "value"
                [[task]]
                name = "out"
                uses = "sink"
                sink = {{ type = "redis_list", uri = "{uri}", key = "out" }}
                [failure]
                max_attempts = 2
                backoff = {{ initial = "1ms", max = "10ms" }}
                dead_letter = {{ type = "lines", path = "{cluster.path('dead')}" }}
                """)
            fill_stream(redis, range(100))
            node = processes.Node(cluster.folder, "run",
                                  [cluster.program("tempest"), "run", topology])
            cluster.nodes["run"] = node
            processes.wait_until(lambda: redis.command("LLEN", "out") == 100, "the first hundred")
            redis.command("ACL", "SETUSER", "tempest", "resetpass", ">tapioca")
            redis.command("CLIENT", "KILL", "USER", "tempest")
            fill_stream(redis, range(100, 200))
            processes.wait_until(lambda: node.log().count("WRONGPASS") > 0, "a word of it")
            refused = int(re.search(r"errorstat_WRONGPASS:count=(\d+)",
                                    redis.command("INFO", "errorstats"))[1])
            processes.wait_until(
                lambda: int(re.search(r"errorstat_WRONGPASS:count=(\d+)",
                                      redis.command("INFO", "errorstats"))[1]) >= refused + 4,
                "it to be tried again and again")
            self.assertTrue(node.running())
            redis.command("ACL", "SETUSER", "tempest", ">sesame")
            processes.wait_until(lambda: redis.command("LLEN", "out") == 200, "all the others")
            self.assertEqual(node.stop(), 0)
            self.assertEqual(redis.command("XPENDING", "in", "password")[0], 0)
            self.assertEqual(lines_of(cluster.path("dead")), [])


class Policies(unittest.TestCase):
    """Policy x cause x source: how often a message is attempted, and where it ends."""

    SOURCES = {
        "stream": 'type = "redis_stream"\nuri = "{uri}"\nkey = "{cell}.in"\nfield = "value"',
        "list": 'type = "redis_list"\nuri = "{uri}"\nkey = "{cell}.in"\nretry_delay = "1h"',
        "lines": 'type = "lines"\npath = "{folder}/{cell}.in"\ncheckpoint = "{folder}/{cell}.place"',
    }
    # The task, its timeout and the message's; the dead letter's kind, and how often the delivery
    # and the message as a whole were attempted.
    CAUSES = {
        "error": ('uses = "fail"', "10s", ("error", 2, 1)),
        "exception": ('uses = "fail"\nfail = { kind = "throw" }', "10s", ("error", 2, 1)),
        "for-good": ('uses = "fail"\nfail = { kind = "fail" }', "10s", ("error", 1, 1)),
        "task-timeout": ('uses = "sleep"\nsleep = { time = "1s" }\ntimeout = "100ms"', "10s",
                         ("task_timeout", 2, 1)),
        "tree-timeout": ('uses = "sleep"\nsleep = { time = "1s" }', "200ms", ("timeout", 1, 2)),
    }
    # [failure], and what the run's summary says of the one message.
    DEAD_LETTER = 'dead_letter = {{ type = "lines", path = "{folder}/{cell}.dead" }}'
    POLICIES = {
        "none": ('policy = "none"', (0, 0)),
        "best-effort": ('policy = "best_effort"', (1, 0)),
        "retry": ('policy = "retry"\n' + DEAD_LETTER, (1, 1)),
        "retry-without": ('policy = "retry"', (0, 0)),
        # Of the other kind of failure they say the opposite.
        "own": ('policy = "none"\n{own} = {{ policy = "retry" }}\n' + DEAD_LETTER, (1, 1)),
    }

    def test_each_policy_brings_each_failure_of_each_source_to_its_end(self):
        cells = [(policy, cause, source) for policy in self.POLICIES for cause in self.CAUSES
                 for source in self.SOURCES]
        with processes.Cluster(BINARIES) as cluster:
            self.cluster, self.redis = cluster, cluster.start_redis()
            # Eight at a time: most of them wait most of the time.
            while cells:
                runs = [(cell, self.begin(*cell)) for cell in cells[:8]]
                del cells[:8]
                for cell, run in runs:
                    out, _ = run.communicate(timeout=60)
                    with self.subTest(cell):
                        self.assertEqual(run.returncode, 0)
                        self.check(*cell, json.loads(out))

    def begin(self, policy, cause, source):
        cell = f"{policy}.{cause}.{source}"
        task, timeout, _ = self.CAUSES[cause]
        own = "on_timeout" if "timeout" in cause else "on_error"
        names = {"uri": self.redis.uri, "folder": self.cluster.folder, "cell": cell, "own": own}
        if source == "stream":
            self.redis.command("XADD", f"{cell}.in", "*", "value", "message")
        elif source == "list":
            self.redis.command("RPUSH", f"{cell}.in", "message")
        else:
            self.cluster.write(f"{cell}.in", "message\n")
        topology = self.cluster.write(f"{cell}.toml", "\n".join([
            'name = "cell"', "[source]", self.SOURCES[source].format(**names),
            "[[task]]", 'name = "a"', task,
            "[failure]", f'timeout = "{timeout}"', "max_attempts = 2",
            'backoff = { initial = "1ms" }', self.POLICIES[policy][0].format(**names)]))
        with open(self.cluster.path(f"{cell}.log"), "wb") as log:
            return processes.subprocess.Popen(
                [self.cluster.program("tempest"), "run", topology, "--exit-when-drained", "--json"],
                stdout=processes.subprocess.PIPE, stderr=log, text=True)

    def check(self, policy, cause, source, summary):
        cell = f"{policy}.{cause}.{source}"
        acked, dead = self.POLICIES[policy][1]
        self.assertEqual((summary["read"], summary["failed"]), (1, 1))
        self.assertEqual((summary["acked"], summary["dead_lettered"]), (acked, dead))
        if source == "stream":
            self.assertEqual(self.redis.command("XPENDING", f"{cell}.in", "cell")[0], 1 - acked)
        elif source == "list":
            self.assertEqual(self.redis.command("ZCARD", f"{cell}.in:delayed"), 1 - acked)
            self.assertEqual(self.redis.command("HLEN", f"{cell}.in:payloads"), 1 - acked)
        elif acked:
            self.assertIn("line 2 offset 8 ", lines_of(self.cluster.path(f"{cell}.place"))[0])
        else:
            self.assertIn("line 1 offset 0 ", lines_of(self.cluster.path(f"{cell}.place"))[0])
        if dead:
            letter = json.loads(lines_of(self.cluster.path(f"{cell}.dead"))[0])
            self.assertEqual((letter["kind"], letter["delivery_attempts"], letter["attempts"]),
                             self.CAUSES[cause][2])


if __name__ == "__main__":
    unittest.main()
