#!/usr/bin/env python3
"""`tempest up` beside a person: on a terminal, behind a pipe, with a source that gives only once.

Usage: terminal_test.py FOLDER_OF_PROGRAMS [unittest arguments]
"""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
import processes

BINARIES = os.path.abspath(sys.argv.pop(1))

TOPOLOGY = """
name = "typed"
[source]
type = "lines"
path = "-"
max_pending = 500
{task}
[[task]]
name = "out"
uses = "sink"
{after}
sink = {{ type = "lines", path = "{out}" }}
"""

SLOW = """
[[task]]
name = "slow"
uses = "sleep"
sleep = { time = "5ms" }
"""


def topology_text(out, slow=False):
    return TOPOLOGY.format(out=out, task=SLOW if slow else "", after='after = ["slow"]' if slow else "")


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


class Up:
    """`tempest up` of a topology in `cluster`, however its streams are connected."""

    def __init__(self, cluster, topology, *arguments):
        self.command = [cluster.program("tempest"), "up", topology, "--broker", cluster.broker_url,
                        "--http", f"127.0.0.1:{processes.free_ports(1)}", *arguments]
        self.process = None
        self.output = b""
        self.terminal = -1

    def on_terminal(self, stop_writers):
        """In a session of its own, whose terminal is a pty."""
        self.terminal, child_end = pty.openpty()
        if stop_writers:
            modes = termios.tcgetattr(child_end)
            modes[3] |= termios.TOSTOP
            termios.tcsetattr(child_end, termios.TCSANOW, modes)

        def take_terminal():
            os.setsid()
            fcntl.ioctl(child_end, termios.TIOCSCTTY, 0)

        # The terminal's end is a parameter of the one call that is made in the child.
        # pylint: disable=subprocess-popen-preexec-fn
        self.process = subprocess.Popen(self.command, stdin=child_end, stdout=child_end,
                                        stderr=child_end, preexec_fn=take_terminal)
        os.close(child_end)
        return self

    def behind_pipes(self, **streams):
        self.process = subprocess.Popen(self.command, **streams)
        return self

    def type(self, text):
        os.write(self.terminal, text)

    def seen(self):
        """All that has come out of the terminal."""
        while select.select([self.terminal], [], [], 0)[0]:
            try:
                data = os.read(self.terminal, 65536)
            except OSError:  # The last who had the other end is gone.
                break
            if not data:
                break
            self.output += data
        return self.output.decode(errors="replace")

    def children(self):
        """The pids of those that it has started, by program."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
                if parent == self.process.pid:
                    program = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
                    found.setdefault(program, []).append(int(entry))
            except (OSError, ValueError):
                continue
        return found

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.terminal >= 0:
            os.close(self.terminal)


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class OnATerminal(unittest.TestCase):
    def test_what_is_typed_is_read_and_ctrl_c_is_one_orderly_stop(self):
        for stop_writers in (False, True):
            with self.subTest(tostop=stop_writers), processes.Cluster(BINARIES) as cluster:
                out = cluster.path("out.txt")
                up = Up(cluster, cluster.write("Topology.toml", topology_text(out)))
                up.on_terminal(stop_writers)
                try:
                    up.type(b"one\ntwo\n")
                    processes.wait_until(lambda: sorted(lines_of(out)) == ["one", "two"],
                                         "what was typed")
                    up.type(b"\x03")
                    processes.wait_until(lambda: up.seen() and up.process.poll() is not None,
                                         "the end after Ctrl-C", 20)
                    self.assertEqual(up.process.returncode, 0, up.seen())
                    self.assertEqual(up.seen().count("stopping: the source drains"), 1)
                    self.assertNotIn("stopping at once", up.seen())
                    self.assertIn("why=drained", up.seen())
                finally:
                    up.end()


class BehindAPipe(unittest.TestCase):
    def test_it_outlives_whoever_reads_its_log_and_leaves_nobody_behind(self):
        with processes.Cluster(BINARIES) as cluster:
            out = cluster.path("out.txt")
            up = Up(cluster, cluster.write("Topology.toml", topology_text(out)))
            up.behind_pipes(stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                up.process.stdin.write(b"one\n")
                up.process.stdin.flush()
                processes.wait_until(lambda: lines_of(out) == ["one"], "the first line")
                up.process.stderr.close()
                children = up.children()
                # It says that a worker has ended, to nobody, and starts another.
                victim = children["tempest-task"][0]
                os.kill(victim, signal.SIGKILL)
                processes.wait_until(
                    lambda: len(set(up.children().get("tempest-task", [])) - {victim}) == 2,
                    "another worker")
                up.process.stdin.write(b"two\n")
                up.process.stdin.flush()
                processes.wait_until(lambda: sorted(lines_of(out)) == ["one", "two"], "the second line")
                last = sum(up.children().values(), [])
                up.process.terminate()
                self.assertEqual(up.process.wait(20), 0)
                processes.wait_until(lambda: all(is_gone(pid) for pid in last), "no child is left")
            finally:
                up.end()
                up.process.stdin.close()


class WhatIsGivenOnce(unittest.TestCase):
    def test_a_source_of_standard_input_that_is_killed_ends_the_run_with_1(self):
        with processes.Cluster(BINARIES) as cluster:
            out = cluster.path("out.txt")
            up = Up(cluster, cluster.write("Topology.toml", topology_text(out, slow=True)))
            log = cluster.path("up.log")
            with open(log, "wb") as log_file, subprocess.Popen(
                    ["seq", "200000"], stdout=subprocess.PIPE) as numbers:
                up.behind_pipes(stdin=numbers.stdout, stderr=log_file)
                numbers.stdout.close()
                try:
                    processes.wait_until(lambda: len(lines_of(out)) > 50, "some lines")
                    os.kill(up.children()["tempest-source"][0], signal.SIGKILL)
                    self.assertEqual(up.process.wait(30), 1)
                finally:
                    up.end()
                    numbers.kill()
            text = "\n".join(lines_of(log))
            self.assertIn("standard input cannot be read again", text)
            told = re.search(r"source is lost, with (\d+) of the (\d+) messages", text)
            self.assertIsNotNone(told, text)
            held, read = int(told[1]), int(told[2])
            self.assertGreater(held, 0)
            # What was acked at the moment of the kill is out, and more may be.
            self.assertGreaterEqual(len(lines_of(out)), read - held)

    def test_a_source_that_keeps_what_is_not_acked_is_started_again(self):
        with processes.Cluster(BINARIES) as cluster:
            out = cluster.path("out.txt")
            numbers = cluster.write("in.txt", "".join(f"{i}\n" for i in range(2000)))
            text = topology_text(out, slow=True).replace('path = "-"', f'path = "{numbers}"', 1)
            up = Up(cluster, cluster.write("Topology.toml", text))
            log = cluster.path("up.log")
            with open(log, "wb") as log_file:
                up.behind_pipes(stderr=log_file)
            try:
                processes.wait_until(lambda: len(lines_of(out)) > 50, "some lines")
                os.kill(up.children()["tempest-source"][0], signal.SIGKILL)
                self.assertEqual(up.process.wait(60), 0)
            finally:
                up.end()
            self.assertEqual(set(lines_of(out)), {str(i) for i in range(2000)})


class Measured(unittest.TestCase):
    def test_a_bench_that_is_ended_by_a_signal_leaves_no_folder_and_no_process(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number), processes.Cluster(BINARIES) as cluster:
                scratch = cluster.path("scratch")
                os.mkdir(scratch)
                bench = subprocess.Popen(
                    [cluster.program("tempest"), "bench", "relay", "--time", "60s"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env={**os.environ, "TMPDIR": scratch})
                try:
                    processes.wait_until(lambda: sum(len(files) for _, _, files in os.walk(scratch)),
                                         "files of the measurement")
                    bench.send_signal(number)
                    self.assertEqual(bench.wait(20), 128 + number)
                finally:
                    bench.kill()
                    bench.wait()
                self.assertEqual(os.listdir(scratch), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
