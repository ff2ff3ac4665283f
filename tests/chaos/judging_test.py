#!/usr/bin/env python3
"""That what judges a run of chaos finds what it is there to find."""

import os
import random
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
# pylint: disable=wrong-import-position
import faults
import processes
import recovery
import workload


class JudgingWhatIsLost(unittest.TestCase):
    """The oracle, on a real Redis, with entries acked and put out by hand."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tempest-test-")
        self.addCleanup(self.folder.cleanup)
        self.redis = processes.Redis(self.folder.name)
        self.addCleanup(self.redis.stop)
        self.connection = self.redis.connect()
        self.addCleanup(self.connection.close)
        self.command("XGROUP", "CREATE", workload.STREAM, workload.GROUP, "0", "MKSTREAM")
        self.oracle = workload.Oracle(self.redis, os.path.join(self.folder.name, "received.log"))
        self.addCleanup(self.oracle.log.close)

    def command(self, *words):
        return self.connection.command(*words)

    def produce(self, count):
        for number in range(1, count + 1):
            self.command("XADD", workload.STREAM, f"{number}-0", "value", number)

    def deliver(self, count):
        self.command("XREADGROUP", "GROUP", workload.GROUP, "source", "COUNT", count, "STREAMS",
                     workload.STREAM, ">")

    def ack(self, *numbers):
        self.command("XACK", workload.STREAM, workload.GROUP, *(f"{n}-0" for n in numbers))

    def put_out(self, *numbers):
        for number in numbers:
            self.command("XADD", workload.OUTPUT, "*", "value", number)

    def judge(self):
        for _ in range(10):  # Each tenth turn looks at everything that is pending.
            self.oracle.turn(self.connection)

    def test_acked_and_put_out_is_well_and_a_second_time_is_a_duplicate(self):
        self.produce(5)
        self.deliver(5)
        self.put_out(1, 2, 3, 4, 5, 5)
        self.ack(1, 2, 3, 4, 5)
        self.judge()
        self.assertEqual(self.oracle.lost, set())
        self.assertEqual(self.oracle.acked, 5)
        self.assertEqual(self.oracle.duplicates, 1)

    def test_acked_before_it_was_put_out_is_lost(self):
        self.produce(5)
        self.deliver(5)
        self.put_out(1, 2, 4, 5)
        self.ack(1, 2, 3, 4, 5)
        self.judge()
        self.assertEqual(self.oracle.lost, {3})

    def test_acked_behind_one_that_is_pending_is_lost_just_the_same(self):
        self.produce(5)
        self.deliver(4)
        self.ack(3)
        self.judge()
        self.assertEqual(self.oracle.lost, {3})

    def test_what_is_pending_or_not_delivered_is_not_lost(self):
        self.produce(5)
        self.deliver(3)
        self.put_out(1)
        self.ack(1)
        self.judge()
        self.assertEqual(self.oracle.lost, set())
        self.assertEqual(self.oracle.state.acked, 1)
        self.assertEqual(self.oracle.state.pending, 2)
        self.assertEqual(self.oracle.state.lag, 2)

    def test_what_was_judged_is_taken_from_the_streams(self):
        self.produce(5)
        self.deliver(5)
        self.put_out(1, 2, 3)
        self.ack(1, 2, 3)
        self.judge()
        self.assertEqual(self.command("XLEN", workload.STREAM), 2)

    def test_a_batch_whose_reply_was_lost_is_not_added_twice(self):
        log = os.path.join(self.folder.name, "produced.log")
        producer = workload.Producer(self.redis, 1_000_000, log)
        producer.began = -1_000.0
        producer.turn(self.connection)
        produced = producer.produced
        self.assertEqual(produced, workload.BATCH_LIMIT)
        producer.produced = 0
        producer.turn(self.connection)
        self.assertEqual(self.command("XLEN", workload.STREAM), produced)
        producer.log.close()
        self.assertEqual(workload.numbers_in(log), set(range(1, produced + 1)))


class JudgingTheFlow(unittest.TestCase):
    RATE = 1000

    def samples(self, *flows):
        """Samples each 0.1 s; flows: (seconds, messages per second)."""
        times, acked, count = [0.0], [0], 0.0
        for seconds, per_second in flows:
            for _ in range(round(seconds * 10)):
                count += per_second / 10
                times.append(round(times[-1] + 0.1, 3))
                acked.append(int(count))
        return times, acked

    def full(self, since, *flows):
        return recovery.full_flow_from(*self.samples(*flows), since, self.RATE)

    def test_an_undisturbed_flow_is_full_at_once(self):
        self.assertEqual(self.full(1.0, (5, 1000)), 1.0)

    def test_after_a_gap_it_is_full_when_the_gap_ends(self):
        self.assertAlmostEqual(self.full(1.0, (1, 1000), (2, 0), (3, 1000)), 3.0, delta=0.11)

    def test_a_burst_before_the_next_gap_is_no_full_flow(self):
        self.assertGreater(self.full(1.0, (1, 1000), (0.2, 5000), (2, 0), (3, 1000)), 3.0)

    def test_less_than_80_percent_is_not_full(self):
        self.assertIsNone(self.full(1.0, (9, 700)))
        self.assertIsNotNone(self.full(1.0, (9, 900)))

    def test_what_has_not_been_seen_yet_is_not_judged(self):
        self.assertIsNone(self.full(4.5, (5, 1000)))

    def test_percentiles_are_values_that_occurred(self):
        self.assertEqual(recovery.percentile(range(1, 101), 0.99), 99)
        self.assertEqual(recovery.percentile([3, 1, 2], 0.5), 2)
        self.assertEqual(recovery.percentile([7], 0.99), 7)


class DrawingFaults(unittest.TestCase):
    NAMES = {kind: [f"{kind}-{i}" for i in range(2)] for kind in faults.KINDS}

    def plan(self, seed, what=faults.FAULTS):
        return faults.Plan(seed, self.NAMES, faults.KINDS, what, 3.0)

    def test_a_seed_draws_the_same_again(self):
        first, second = self.plan(7), self.plan(7)
        self.assertEqual([first.episode() for _ in range(100)],
                         [second.episode() for _ in range(100)])
        self.assertNotEqual(self.plan(7).episode(), self.plan(8).episode())

    def test_every_kind_meets_every_fault_within_the_stated_lengths(self):
        plan = self.plan(random.randrange(1 << 30))
        drawn = [fault for _ in range(300) for fault in plan.episode()]
        self.assertEqual({(fault.what, fault.kind) for fault in drawn},
                         {(what, kind) for what in faults.FAULTS for kind in faults.KINDS})
        for fault in drawn:
            if fault.what == "pause":
                self.assertTrue(1.5 <= fault.lasts_s <= 9.0)
            if fault.what == "partition":
                self.assertTrue(1.0 <= fault.lasts_s <= 10.0)
                self.assertNotEqual(fault.peer, fault.victim)

    def test_without_partitions_none_are_drawn(self):
        plan = self.plan(1, ("kill", "pause"))
        drawn = {fault.what for _ in range(100) for fault in plan.episode()}
        self.assertEqual(drawn, {"kill", "pause"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
