#!/usr/bin/env python3
"""A log of numbered lines, rotated in every way while the node that follows it is killed again and
again: every line is delivered, or counted as lost and said where nobody could have had it.

Usage: rotation_test.py FOLDER_OF_PROGRAMS [unittest arguments]

Environment: TEMPEST_ROTATION_LINES (20000), TEMPEST_ROTATION_ROTATIONS (20), TEMPEST_ROTATION_KILLS
(8), TEMPEST_ROTATION_SEED: how much is done, and which choices are made.
"""

import gzip
import os
import random
import shutil
import subprocess
import sys
import threading
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))

LINES = int(os.environ.get("TEMPEST_ROTATION_LINES", "20000"))
ROTATIONS = int(os.environ.get("TEMPEST_ROTATION_ROTATIONS", "20"))
KILLS = int(os.environ.get("TEMPEST_ROTATION_KILLS", "8"))
SEED = int(os.environ.get("TEMPEST_ROTATION_SEED", str(random.randrange(1 << 30))))

TOPOLOGY = """
name = "rotation"
[source]
type = "lines"
path = "{log}"
checkpoint = "{place}"
follow = true
rotate_wait = "300ms"
max_pending = 2000
max_backoff = "20ms"
[[task]]
name = "out"
uses = "sink"
sink = {{ type = "lines", path = "{out}" }}
"""


class Node:
    """`tempest run`, killed and started again."""

    def __init__(self, folder, topology):
        self.command = [os.path.join(BINARIES, "tempest"), "run", topology, "--quiet"]
        self.log_path = os.path.join(folder, "node.log")
        self.process = None

    def start(self, *more):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.command, *more], stdout=log, stderr=log)

    def is_running(self):
        return self.process is not None

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()


class Writer:
    """Logs numbered lines, and rotates its log as others do."""

    def __init__(self, folder, chance):
        self.folder, self.chance = folder, chance
        self.next_line = 0
        self.raced = []  # Lines that were written between a copying and a cutting.
        self.file = open(self.path("log"), "ab", buffering=0)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, count, file=None):
        text = "".join(f"line {i:08d} {'.' * (i % 80)}\n"
                       for i in range(self.next_line, self.next_line + count))
        # In pieces that end anywhere, as buffered writers have them.
        data = text.encode()
        while data:
            size = self.chance.randrange(1, 5000)
            (file or self.file).write(data[:size])
            data = data[size:]
        numbers = range(self.next_line, self.next_line + count)
        self.next_line += count
        return numbers

    def shift(self):
        """log.1 becomes log.2, and so on; nine are kept."""
        for i in range(9, 0, -1):
            if os.path.exists(self.path(f"log.{i}")):
                os.rename(self.path(f"log.{i}"), self.path(f"log.{i + 1}"))

    def rename(self, late_lines=0):
        self.shift()
        os.rename(self.path("log"), self.path("log.1"))
        late = self.file
        self.file = open(self.path("log"), "ab", buffering=0)
        self.write(self.chance.randrange(1, 50))
        if late_lines:
            self.write(late_lines, late)
        late.close()

    def copy_and_cut(self, raced_lines=0, wait=lambda: None):
        self.shift()
        shutil.copyfile(self.path("log"), self.path("log.1"))
        if raced_lines:
            self.raced += self.write(raced_lines)
        wait()
        os.truncate(self.path("log"), 0)

    def make_anew(self):
        """The oldest file is removed, so that its inode is free for the next that is made."""
        kept = sorted((name for name in os.listdir(self.folder)
                       if name.startswith("log.") and name[4:].isdigit()),
                      key=lambda name: int(name[4:]))
        if len(kept) > 4:
            os.remove(self.path(kept[-1]))
        self.rename()

    def compress(self):
        """Those that were put aside three rotations ago or earlier."""
        for i in range(3, 11):
            plain = self.path(f"log.{i}")
            if not os.path.exists(plain):
                continue
            status = os.stat(plain)
            number = len([name for name in os.listdir(self.folder) if name.endswith(".gz")])
            packed = self.path(f"log-2026{number:04d}.gz")
            with open(plain, "rb") as source, gzip.open(packed, "wb") as target:
                shutil.copyfileobj(source, target)
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.remove(plain)


class Rotation(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(processes.Cluster(BINARIES))
        self.out = self.cluster.path("out.txt")
        os.mkdir(self.cluster.path("logs"))
        topology = self.cluster.write("Topology.toml", TOPOLOGY.format(
            log=self.cluster.path("logs/log"), place=self.cluster.path("place"), out=self.out))
        self.node = Node(self.cluster.folder, topology)
        self.addCleanup(self.node.kill)
        self.chance = random.Random(SEED)
        self.writer = Writer(self.cluster.path("logs"), self.chance)
        self.addCleanup(lambda: self.writer.file.close())

    def delivered(self):
        """Of the numbered lines, how often each came; and what came that is none."""
        counts, others = {}, []
        if not os.path.exists(self.out):
            return counts, others
        with open(self.out, "rb") as file:
            for line in file.read().splitlines():
                words = line.split(b" ")
                number = int(words[1]) if len(words) == 3 and words[1].isdigit() else -1
                if line == f"line {number:08d} {'.' * (number % 80)}".encode():
                    counts[number] = counts.get(number, 0) + 1
                else:
                    others.append(line)
        return counts, others

    def test_no_line_is_silently_missing_through_rotations_of_every_kind_and_kills(self):
        print(f"seed {SEED}", flush=True)
        rotate = {
            "renamed": self.writer.rename,
            "renamed, with a late writer": lambda: self.writer.rename(self.chance.randrange(1, 200)),
            "copied and cut": self.writer.copy_and_cut,
            "copied and cut, with a race": lambda: self.writer.copy_and_cut(
                3, lambda: threading.Event().wait(self.chance.random() * 0.1)),
            "made anew": self.writer.make_anew,
        }
        steps = ROTATIONS
        kills = sorted(self.chance.sample(range(steps), min(KILLS, steps)))
        per_step = LINES // (steps + 1)
        done = {name: 0 for name in [*rotate, "compressed", "two in a row", "kill -9"]}
        self.node.start()
        # What was put aside before its first start would be none of its own.
        self.writer.write(10)
        self.wait_for_what_can_be_had()
        rotations = 0
        for step in range(steps):
            for _ in range(4):
                self.writer.write(self.chance.randrange(per_step // 4))
                threading.Event().wait(self.chance.random() * 0.02)
            if self.chance.random() < 0.5:
                self.wait_for_what_can_be_had()
            if step in kills:
                # Sometimes in the midst of a burst, sometimes when all was read.
                if self.chance.random() < 0.5:
                    time_to_read = self.chance.random() * 0.5
                    threading.Event().wait(time_to_read)
                self.node.kill()
                done["kill -9"] += 1
                self.writer.write(self.chance.randrange(1, 200))
                is_double = self.chance.random() < 0.5
            else:
                is_double = False
            for _ in range(2 if is_double else 1):
                name = self.chance.choice(list(rotate))
                rotate[name]()
                done[name] += 1
                rotations += 1
                self.writer.write(self.chance.randrange(1, 200))
            done["two in a row"] += is_double
            if not self.node.is_running():
                self.node.start()
            if self.chance.random() < 0.3:
                self.wait_for_what_can_be_had()
                self.writer.compress()
                done["compressed"] += 1
            left = per_step * (step + 1) - self.writer.next_line
            if left > 0:
                self.writer.write(left)
        self.writer.write(max(1, LINES - self.writer.next_line))
        self.wait_for_what_can_be_had()
        self.node.process.terminate()
        self.assertEqual(self.node.process.wait(30), 0)
        self.node.process = None

        counts, others = self.delivered()
        missing = sorted(set(range(self.writer.next_line)) - set(counts))
        duplicates = sum(counts.values()) - len(counts)
        print(f"{self.writer.next_line} lines, {rotations} rotations: {done}; missing "
              f"{len(missing)} of {len(self.writer.raced)} in races, {duplicates} given again",
              flush=True)
        self.assertEqual(others, [], "fragments")
        self.assertLessEqual(set(missing), set(self.writer.raced))
        if missing:
            self.assertIn("is lost", self.node.log())

    def wait_for_what_can_be_had(self):
        wanted = set(range(self.writer.next_line)) - set(self.writer.raced)
        try:
            processes.wait_until(lambda: wanted <= set(self.delivered()[0]), "all lines", 60)
        except Exception:
            missing = sorted(wanted - set(self.delivered()[0]))
            print(f"missing {len(missing)}: {missing[:20]}\n{self.node.log()[-4000:]}\n"
                  f"{sorted(os.listdir(self.writer.folder))}", flush=True)
            raise


class BackPressure(unittest.TestCase):
    def test_rotations_while_there_is_no_room_for_more_lose_nothing(self):
        """The default rotate_wait; lines that are larger than what the source may hold."""
        with processes.Cluster(BINARIES) as cluster:
            log, out = cluster.path("log"), cluster.path("out.txt")
            topology = cluster.write("Topology.toml", f"""
                name = "pressure"
                [source]
                type = "lines"
                path = "{log}"
                checkpoint = "{cluster.path('place')}"
                follow = true
                max_pending = 20
                [[task]]
                name = "slow"
                uses = "sleep"
                sleep = {{ time = "25ms" }}
                [[task]]
                name = "out"
                uses = "sink"
                after = ["slow"]
                sink = {{ type = "lines", path = "{out}" }}
                """)
            lines = [f"{i:05d} {'x' * 4000}" for i in range(390)]

            def write(first, last):
                with open(log, "a", encoding="utf-8") as file:
                    file.write("".join(line + "\n" for line in lines[first:last]))
            write(0, 1)
            run = subprocess.Popen([os.path.join(BINARIES, "tempest"), "run", topology, "--quiet",
                                    "--threads", "4"])
            self.addCleanup(run.kill)
            processes.wait_until(lambda: os.path.exists(out) and os.path.getsize(out), "a line")
            write(1, 100)
            for number in (1, 2, 3):
                threading.Event().wait(0.35)
                os.rename(log, cluster.path(f"aside-{'abc'[number - 1]}"))
                write(100 * number, min(100 * number + 100, len(lines)))

            def delivered():
                with open(out, encoding="utf-8") as file:
                    return set(file.read().splitlines())
            processes.wait_until(lambda: delivered() == set(lines), "all lines", 60)
            run.terminate()
            self.assertEqual(run.wait(20), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
