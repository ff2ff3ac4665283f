#!/usr/bin/env python3
"""What takes long: a sink that stands still, and workers that come and go without end.

Usage: endurance_test.py FOLDER_OF_PROGRAMS [--pause-seconds N] [--reconnects N] [--workers-at-a-time N]
                         [unittest arguments]

Memory is resident memory as the kernel states it; a node's bound is what it may hold by its limits
(docs/ARCHITECTURE.md), and what a process has anyway.
"""

import argparse
import os
import signal
import sys
import threading
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import processes

parser = argparse.ArgumentParser(add_help=False)
parser.add_argument("programs")
parser.add_argument("--pause-seconds", type=int, default=20)
parser.add_argument("--reconnects", type=int, default=60)
parser.add_argument("--workers-at-a-time", type=int, default=4)
ARGUMENTS, REST = parser.parse_known_args()
BINARIES = os.path.abspath(ARGUMENTS.programs)

MIB = 1 << 20
# A process with its code, stacks and sockets, before it holds anything.
BARE_BYTES = 48 * MIB


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class SinkStandsStill(unittest.TestCase):
    def test_memory_stays_bounded_while_the_sink_does_not_write_and_all_drains_after_it(self):
        rate = 50_000
        pending = 20_000
        with processes.Cluster(BINARIES) as cluster:
            redis = cluster.start_redis()
            topology = cluster.write("Topology.toml", f"""
                name = "stopped"
                [source]
                type = "generator"
                size = 100
                rate = {rate}
                max_pending = {pending}
                [[task]]
                name = "out"
                uses = "sink"
                sink = {{ type = "redis_stream", uri = "{redis.uri}", key = "out", max_length = 10000 }}
                [failure]
                timeout = "10m"
                """)
            cluster.start_broker()
            cluster.start("pipeline", "tempest-pipeline", "--topology", topology, "--bind",
                          "tcp://127.0.0.1:0")
            for name in ("task-1", "task-2"):
                cluster.start(name, "tempest-task", "--topology", "stopped", "--threads", "1")
            source = cluster.start("source", "tempest-source", "--topology", "stopped")

            def written():
                """Entries ever added: the stream itself is kept short."""
                if not redis.command("EXISTS", "out"):
                    return 0
                information = redis.command("XINFO", "STREAM", "out")
                return information[information.index("entries-added") + 1]

            processes.wait_until(lambda: written() > rate, "a second's messages", 60)
            redis.process.send_signal(signal.SIGSTOP)
            peaks = {name: 0 for name in cluster.nodes}
            until = time.monotonic() + ARGUMENTS.pause_seconds
            pause = threading.Event()
            while time.monotonic() < until:
                for name, node in cluster.nodes.items():
                    self.assertTrue(node.running(), f"{name}: {node.log()}")
                    peaks[name] = max(peaks[name], resident_bytes(node.process.pid))
                pause.wait(0.2)
            redis.process.send_signal(signal.SIGCONT)
            before = written()
            print({name: f"{peak / MIB:.0f} MiB" for name, peak in peaks.items()}, flush=True)
            # Payloads of 100 bytes: what is pending, at every node and in frames under way.
            bound = BARE_BYTES + pending * (100 + 300) * 2
            for name, peak in peaks.items():
                self.assertLess(peak, bound, name)
            processes.wait_until(lambda: written() > before + 5 * rate, "messages again", 120)
            self.assertEqual(source.stop(30), 0)
            self.assertIn("failed=0", source.log())
            for node in cluster.nodes.values():
                self.assertEqual(node.stop(), 0, node.log())


class WorkersComeAndGo(unittest.TestCase):
    def test_memory_and_files_stay_flat_and_no_worker_that_comes_is_left_idle(self):
        at_a_time = ARGUMENTS.workers_at_a_time
        with processes.Cluster(BINARIES) as cluster:
            topology = cluster.write("Topology.toml", f"""
                name = "coming"
                [source]
                type = "generator"
                rate = {500 * at_a_time}
                [[task]]
                name = "pace"
                uses = "sleep"
                sleep = {{ time = "1ms" }}
                """)
            cluster.start_broker()
            cluster.start("pipeline", "tempest-pipeline", "--topology", topology, "--bind",
                          "tcp://127.0.0.1:0")
            cluster.start("source", "tempest-source", "--topology", "coming")
            watched = [cluster.nodes["broker"], cluster.nodes["pipeline"]]
            at_first = None
            for done in range(0, ARGUMENTS.reconnects, at_a_time):
                names = [f"task-{i}" for i in range(at_a_time)]
                for name in names:
                    cluster.start(name, "tempest-task", "--topology", "coming", "--threads", "1")
                seen = self.batches_seen(cluster, names)
                processes.wait_until(lambda seen=seen: all(seen()), "work for every worker", 30)
                for i, name in enumerate(names):
                    node = cluster.nodes[name]
                    # Half of them say goodbye, half die.
                    if i % 2 == 0:
                        self.assertEqual(node.stop(), 0, node.log())
                    else:
                        node.kill()
                    os.remove(node.log_path)
                if done >= 5 * at_a_time:
                    now = [(resident_bytes(node.process.pid), open_files(node.process.pid))
                           for node in watched]
                    at_first = at_first or now
            for node, first, last in zip(watched, at_first, now):
                print(f"{node.name}: {first[0] / MIB:.1f} to {last[0] / MIB:.1f} MiB, "
                      f"{first[1]} to {last[1]} files", flush=True)
                self.assertLess(last[0], first[0] + 8 * MIB, node.name)
                self.assertLessEqual(last[1], first[1] + 4 * at_a_time, node.name)
            for name in ("source", "pipeline", "broker"):
                self.assertEqual(cluster.nodes[name].stop(), 0, cluster.nodes[name].log())

    def batches_seen(self, cluster, names):
        """Gives a function that says, for each of these workers, whether it has had work."""
        switches_at_first = {}

        def switches(name):
            # Each message handled is a sleep, and so a switch: far more than an idle node makes.
            folder = f"/proc/{cluster.nodes[name].process.pid}/task"
            total = 0
            for thread in os.listdir(folder):
                with open(f"{folder}/{thread}/status", encoding="ascii") as file:
                    total += int(file.read().split("voluntary_ctxt_switches:")[1].split()[0])
            return total

        def works(name):
            if "attached to a coordinator" not in cluster.nodes[name].log():
                return False
            switches_at_first.setdefault(name, switches(name))
            return switches(name) > switches_at_first[name] + 100

        return lambda: [works(name) for name in names]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
