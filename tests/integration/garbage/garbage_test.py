#!/usr/bin/env python3
"""Garbage at every listening socket of a topology that runs.

Usage: garbage_test.py FOLDER_OF_PROGRAMS [--connections N] [--rounds N] [--per-second N] [--share X]
                       [--rate N] [--longest-pause-seconds N] [--sockets NAME...]

Makes N connections (default: 1,000) to each socket, in rounds with a pause as long (at most 30 s)
before each: what the topology does meanwhile, at --rate messages/s (default: as many as it can), is
compared. Fails if a process ends, if a file descriptor stays open, if a message is not acked in the
end, or if less than that share of the throughput is left.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))

import processes  # noqa: E402  (found by the line above)

TOPOLOGY = """
name = "busy"
[source]
type = "generator"
rate = {rate}
[[task]]
name = "copy"
uses = "identity"
[[task]]
name = "last"
uses = "identity"
after = ["copy"]
"""
NODES = ("broker", "stats", "source", "pipeline", "task-1", "task-2")
SOCKETS = ("broker", "stats-in", "stats-out", "pipeline", "stats-http")
DATA_NODES = ("source", "pipeline", "task-1", "task-2")


# Where there are several CPUs, one is the attackers' and the others are the topology's: what is
# measured is what garbage costs the nodes, not what making it costs.
CPUS = os.sched_getaffinity(0)
ATTACKERS_CPUS = {max(CPUS)}
TOPOLOGY_CPUS = CPUS - ATTACKERS_CPUS or CPUS


class Attackers:
    """A process for each socket that is to get garbage."""

    def __init__(self, sockets, per_second):
        self.processes = {}
        for seed, (name, (host, port, kind)) in enumerate(sockets.items()):
            self.processes[name] = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "garbage.py"), host, str(port), kind,
                 str(seed), str(per_second)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                # In a session of its own, its CPU time is not taken from the topology's share where
                # Linux gives each session one.
                text=True, start_new_session=True)
            os.sched_setaffinity(self.processes[name].pid, ATTACKERS_CPUS)
        self.totals = {name: [0, 0, 0] for name in sockets}

    def attack(self, connections):
        """All of them so many connections; returns when all are done."""
        for process in self.processes.values():
            process.stdin.write(f"{connections}\n")
            process.stdin.flush()
        for name, process in self.processes.items():
            line = process.stdout.readline()
            if not line:
                raise processes.Failed(f"the attacker of {name} has ended")
            made, welcomed, refused = map(int, line.split())
            self.totals[name] = [self.totals[name][0] + made, welcomed, refused]

    def stop(self):
        for process in self.processes.values():
            process.stdin.close()
            process.stdout.close()
            process.kill()
            process.wait()


class Measured:
    """A stretch of time: how long it was, and what was done in it."""

    def __init__(self, seconds, messages, cpu_s):
        self.seconds = seconds
        self.messages = messages
        self.cpu_s = cpu_s

    def per_second(self):
        return self.messages / self.seconds

    def per_cpu_second(self):
        """Of all nodes together."""
        return self.messages / sum(self.cpu_s.values())

    def data_per_cpu_second(self):
        """Of the nodes that messages pass through."""
        return self.messages / sum(self.cpu_s[name] for name in DATA_NODES)


class Topology:
    """`tempest up`, and what can be seen of it from outside."""

    def __init__(self, cluster, rate):
        self.cluster = cluster
        text = TOPOLOGY.format(rate=rate)
        self.http = f"127.0.0.1:{processes.free_ports(1)}"
        self.up = processes.Node(cluster.folder, "up", [
            cluster.program("tempest"), "up", cluster.write("Topology.toml", text), "--broker",
            cluster.broker_url, "--http", self.http])
        cluster.nodes["up"] = self.up
        processes.wait_until(lambda: self.progress()[0] > 0, "the first message acked", 60)
        self.pids = self.children()

    def stats(self):
        with urllib.request.urlopen(f"http://{self.http}/stats", timeout=10) as answer:
            return json.load(answer)

    def progress(self):
        """How many messages were acked after how many seconds of the source's life."""
        try:
            topology = self.stats()["topologies"]["busy"]
            uptime = {node["name"]: node["uptime_seconds"] for node in topology["nodes"]}
            return topology["acked"], uptime["source"]
        except (OSError, KeyError, ValueError):
            return 0, 0.0

    def reliable_progress(self):
        return processes.wait_until(lambda: (seen := self.progress())[0] > 0 and seen,
                                    "an answer of the stats node", 60)

    def children(self):
        """The nodes' process ids, by name."""
        listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.up.process.pid)],
                                capture_output=True, text=True, check=True).stdout
        pids = {}
        for line in listed.splitlines():
            pid, arguments = line.split(maxsplit=1)
            pids[re.search(r"--name (\S+)", arguments).group(1)] = int(pid)
        if sorted(pids) != sorted(NODES):
            raise processes.Failed(f"not the nodes that should be there: {pids}")
        return pids

    def descriptors(self):
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in self.pids.items()}

    def cpu_s(self):
        """The CPU time that each node has taken, by name."""
        seconds = {}
        for name, pid in self.pids.items():
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            seconds[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return seconds

    def resident_mib(self):
        page = os.sysconf("SC_PAGE_SIZE")
        mib = {}
        for name, pid in self.pids.items():
            with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
                mib[name] = int(file.read().split()[1]) * page >> 20
        return mib

    def sockets(self):
        """Every listening socket: host, port, and what speaks there."""
        host, port = self.cluster.broker_url.removeprefix("tcp://").rsplit(":", 1)
        endpoint = self.cluster.listed_nodes()["pipeline"]["endpoint"]
        pipeline_port = int(endpoint.rsplit(":", 1)[1])
        http_host, http_port = self.http.rsplit(":", 1)
        return {"broker": (host, int(port), "router"), "stats-in": (host, int(port) + 1, "sub"),
                "stats-out": (host, int(port) + 2, "pub"),
                "pipeline": (host, pipeline_port, "router"),
                "stats-http": (http_host, int(http_port), "http")}

    def measured(self, action):
        """What happened while action() ran."""
        acked, at = self.reliable_progress()
        cpu_s = self.cpu_s()
        action()
        acked_after, at_after = self.reliable_progress()
        if at_after <= at:
            raise processes.Failed("the source has reported nothing meanwhile, or is a new one")
        used_s = {name: after - cpu_s[name] for name, after in self.cpu_s().items()}
        return Measured(at_after - at, acked_after - acked, used_s)

    def check_alive(self):
        if self.children() != self.pids:
            raise processes.Failed(f"a node was started again: {self.pids}, {self.children()}")

    def stop(self):
        """Checks that whatever was begun is finished."""
        code = self.up.stop(40)
        log = self.up.log()
        if code != 0:
            raise processes.Failed(f"tempest up ended with {code}")
        if not re.search(r"finished why=drained read=\d+ acked=\d+ failed=0 ", log):
            raise processes.Failed("the source did not drain, or something failed")
        if "left_in_flight=0 " not in log:
            raise processes.Failed("the coordinator had something in flight at its end")


def pause(seconds):
    threading.Event().wait(seconds)


def run(arguments):
    os.sched_setaffinity(0, TOPOLOGY_CPUS)
    with processes.Cluster(os.path.abspath(arguments.programs)) as cluster:
        topology = Topology(cluster, arguments.rate)
        before = topology.descriptors()
        memory_before = topology.resident_mib()
        sockets = {name: socket for name, socket in topology.sockets().items()
                   if name in arguments.sockets}
        attackers = Attackers(sockets, arguments.per_second)
        try:
            quiet, attacked = [], []
            part = arguments.connections // arguments.rounds
            for round_number in range(arguments.rounds):
                quiet.append(topology.measured(lambda: pause(min(
                    part / arguments.per_second, arguments.longest_pause_seconds))))
                attacked.append(topology.measured(lambda: attackers.attack(part)))
                topology.check_alive()
                print(f"round {round_number + 1}: {quiet[-1].per_second():,.0f} messages/s without, "
                      f"{attacked[-1].per_second():,.0f} with", flush=True)
        finally:
            attackers.stop()

        def closed():
            now = topology.descriptors()
            return all(now[name] <= count for name, count in before.items())
        try:
            processes.wait_until(closed, "file descriptors as before", 30)
        except processes.Failed as failed:
            raise processes.Failed(f"{failed}: {before}, now {topology.descriptors()}") from failed
        topology.check_alive()
        if not cluster.listed_nodes():
            raise processes.Failed("the broker does not answer any more")
        memory_after = topology.resident_mib()
        topology.stop()

    for name, (made, welcomed, refused) in attackers.totals.items():
        print(f"{name:10}: {made:,} connections, {welcomed:,} welcomed, {refused:,} cut off")
    for name, count in before.items():
        print(f"{name:10}: {count} descriptors before and after; {memory_before[name]} MiB before, "
              f"{memory_after[name]} MiB after; {load(quiet, name):.1%} of a CPU without, "
              f"{load(attacked, name):.1%} with")
    share = report("messages/s", quiet, attacked, Measured.per_second)
    report("messages per CPU second of all nodes", quiet, attacked, Measured.per_cpu_second)
    report("messages per CPU second of source, coordinator and workers", quiet, attacked,
           Measured.data_per_cpu_second)
    if share < arguments.share:
        raise processes.Failed(f"only {share:.0%} of the throughput is left")


def load(stretches, name):
    """How much of a CPU a node has taken."""
    return sum(s.cpu_s[name] for s in stretches) / sum(s.seconds for s in stretches)


def report(what, quiet, attacked, value):
    without = statistics.median(map(value, quiet))
    with_garbage = statistics.median(map(value, attacked))
    print(f"{what}, median of {len(quiet)}: {without:,.0f} without, {with_garbage:,.0f} with: "
          f"{with_garbage / without:.0%}")
    return with_garbage / without


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--per-second", type=int, default=150)
    parser.add_argument("--longest-pause-seconds", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--sockets", nargs="+", choices=SOCKETS, default=SOCKETS)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
