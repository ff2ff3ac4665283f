#!/usr/bin/env python3
"""Kills, stops and cuts off real processes under load, and checks that nothing acked is lost."""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
# pylint: disable=wrong-import-position
import faults
import network
import processes
import recovery
import report
import supervision
import workload

LEASE_S = 3.0
# After so long without full flow, or without progress of the oldest message, a run is stuck.
STUCK_S = 90.0
ENCLOSED = "TEMPEST_CHAOS_ENCLOSED"

TOPOLOGY = """
name = "chaos"

[source]
type = "redis_stream"
uri = "{uri}"
key = "{stream}"
group = "{group}"
field = "value"

[[task]]
name = "copy"
uses = "identity"

[[task]]
name = "flaky"
uses = "fail"
after = ["copy"]
fail = {{ every = 50, times = 2 }}

[[task]]
name = "out"
uses = "sink"
after = ["flaky"]
sink = {{ type = "redis_stream", uri = "{uri}", key = "{output}" }}

[failure]
policy = "retry"
timeout = "30s"
max_attempts = 50
backoff = {{ initial = "20ms", max = "500ms" }}
dead_letter = {{ type = "redis_stream", uri = "{uri}", key = "{dead}" }}
"""


class Stuck(Exception):
    """Nothing moves any more."""


class Interrupted(BaseException):
    """SIGTERM."""


class Run:
    """One run, from the first process to the summary."""

    def __init__(self, options, folder, net):
        self.options = options
        self.folder = folder
        self.network = net
        self.started = time.monotonic()
        self.events = open(os.path.join(folder, "events.log"), "w", encoding="utf-8")
        self.names = {
            "redis": ["redis"],
            "broker": ["broker"],
            "pipeline": ["pipeline-1", "pipeline-2"],
            "task": [f"task-{i + 1}" for i in range(4)],
            "source": ["source-1", "source-2"],
            "stats": ["stats"],
        }
        self.supervisor = supervision.Supervisor(options.seed, self.note)
        self.nodes = {}
        self.redis = self.producer = self.oracle = self.sampler = None
        self.broker_url = ""
        self.done = []
        self.recoveries = collections.defaultdict(list)
        self.next_line = 0.0
        self.executor = faults.Executor(self.supervisor, net, self.note, self.sleep_until,
                                        lambda: self.producer.produced)

    def note(self, text):
        self.events.write(f"{utc()} {time.monotonic() - self.started:8.2f} {text}\n")
        self.events.flush()

    # --- the processes ---

    def start(self):
        for names in self.names.values():
            for name in names:
                self.network.add(name)
        os.mkdir(os.path.join(self.folder, "redis"))
        self.redis = processes.Redis(
            os.path.join(self.folder, "redis"), self.network.host("redis"), self.network.port(6379),
            self.network.prefix("redis"),
            ["--protected-mode", "no", "--appendfsync", "always", "--logfile", "redis.log",
             # What is in it is little; a short file is loaded soon.
             "--auto-aof-rewrite-min-size", "4mb"])
        # So that the sampler and the oracle have a group to look at from the start.
        self.redis.command("XGROUP", "CREATE", workload.STREAM, workload.GROUP, "0", "MKSTREAM")
        self.supervisor.watch("redis", self.redis)
        topology = os.path.join(self.folder, "Topology.toml")
        with open(topology, "w", encoding="utf-8") as file:
            file.write(TOPOLOGY.format(uri=self.redis.uri, stream=workload.STREAM,
                                       group=workload.GROUP, output=workload.OUTPUT,
                                       dead=workload.DEAD))
        self.broker_url = f"tcp://{self.network.host('broker')}:{self.network.port(5550)}"
        self.start_node("broker", "tempest-broker", "--bind", self.broker_url)
        http = ["--http", "127.0.0.1:9100"] if self.network.can_partition else ["--http="]
        self.start_node("stats", "tempest-stats", *http)
        for name in self.names["pipeline"]:
            host = self.network.host(name)
            self.start_node(name, "tempest-pipeline", "--topology", topology, "--advertise", host,
                            "--bind", f"tcp://{host}:{self.network.port(5560)}")
        for name in self.names["task"]:
            self.start_node(name, "tempest-task", "--topology", "chaos")
        for name in self.names["source"]:
            self.start_node(name, "tempest-source", "--topology", "chaos")
        self.supervisor.start()
        self.producer = workload.Producer(self.redis, self.options.rate, self.path("produced.log"))
        self.oracle = workload.Oracle(self.redis, self.path("received.log"))
        self.sampler = workload.Sampler(self.redis)
        for worker in (self.producer, self.oracle, self.sampler):
            worker.start()

    def start_node(self, name, program, *arguments):
        command = [*self.network.prefix(name), os.path.join(self.options.binaries, program),
                   "--name", name, "--lease", f"{LEASE_S}s", *arguments]
        if program != "tempest-broker":
            command += ["--broker", self.broker_url]
        self.nodes[name] = processes.Node(self.folder, name, command)
        self.supervisor.watch(name, self.nodes[name])

    def path(self, name):
        return os.path.join(self.folder, name)

    def clean_up(self):
        if self.supervisor.is_alive():
            self.supervisor.stop()
        for process in [*self.nodes.values(), *([self.redis] if self.redis else [])]:
            if process.running():
                process.kill()
        if self.sampler:
            self.sampler.save(self.path("samples.csv"), self.started)
        self.events.close()

    # --- the middle ---

    def await_flow(self, since):
        """The first moment from `since` on at which the flow was full."""
        while True:
            self.watch_over()
            with self.sampler.lock:
                full = recovery.full_flow_from(self.sampler.times, self.sampler.acked, since,
                                               self.options.rate)
            if full is not None:
                return full
            if time.monotonic() - since > STUCK_S:
                raise Stuck(f"no full flow for {STUCK_S:.0f} s")
            time.sleep(0.05)

    def sleep_until(self, moment):
        while (left_s := moment - time.monotonic()) > 0:
            self.watch_over()
            time.sleep(min(left_s, 0.1))

    def watch_over(self):
        for worker in (self.producer, self.oracle, self.sampler):
            if worker.failure:
                raise worker.failure
        idle_s = time.monotonic() - self.sampler.progressed
        if idle_s > STUCK_S:
            raise Stuck(f"message {self.sampler.unacked_from} has been unacked for {idle_s:.0f} s "
                        "since those before it were acked")
        if time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + 5.0
            self.print_progress()

    def print_progress(self):
        counts = collections.Counter()
        for (what, _), count in self.executor.counts.items():
            counts[what] += count
        acked = self.sampler.acked[-1] if self.sampler.acked else 0
        line = (f"{time.monotonic() - self.started:6.0f} s  produced {self.producer.produced}  "
                f"acked {acked}  pending {self.sampler.last_pending}  kills {counts['kill']}  "
                f"pauses {counts['pause']}  partitions {counts['partition']}  "
                f"lost {len(self.oracle.lost)}  duplicates {self.oracle.duplicates}  "
                f"dead {self.oracle.dead}  ended by themselves {len(self.supervisor.unexpected)}")
        print(line, flush=True)
        disk_s = max(self.producer.log.take_slowest_s(), self.oracle.log.take_slowest_s())
        self.note(f"{line}  slowest sync {disk_s:.2f} s")

    def disturb(self):
        """Episodes of faults, until the time is over."""
        options = self.options
        what = [fault for fault in options.faults
                if fault != "partition" or self.network.can_partition]
        plan = faults.Plan(options.seed, self.names, options.kinds, what, LEASE_S)
        gaps = random.Random(f"gaps {options.seed}")
        end = time.monotonic() + options.minutes * 60
        while time.monotonic() < end:
            done = self.executor.carry_out(plan.episode())
            self.await_flow(max((each.over for each in done), default=time.monotonic()))
            for each in done:
                self.record_recovery(each, done)
            self.done += done
            self.sleep_until(time.monotonic() + gaps.uniform(0, 0.5))

    def record_recovery(self, each, episode):
        """From the fault's end to full flow; while another holds it back, from that one's end."""
        full = self.await_flow(each.over)
        since = max(other.over for other in episode
                    if other is each or (other.fault.what != "kill" and other.begun <= full and
                                         each.over < other.over <= full))
        fault = each.fault
        took_s = full - since
        self.recoveries[fault.what].append(took_s)
        self.recoveries[f"{fault.what} of {fault.kind}"].append(took_s)
        self.note(f"full flow {took_s:.2f} s after {fault}")

    def backlogs(self):
        """How long after each fault all that was produced until then was acked, whatever came."""
        took = collections.defaultdict(list)
        for fault, _, over, produced in self.done:
            at = recovery.acked_entirely_at(self.sampler.times, self.sampler.acked_up_to, produced)
            took_s = STUCK_S if at is None else max(0.0, at - over)
            took[fault.what].append(took_s)
            took[f"{fault.what} of {fault.kind}"].append(took_s)
        return took

    # --- the end ---

    def drain(self):
        """Nothing is disturbed any more: everything produced must come to its end."""
        self.producer.stop()
        self.note("drain")
        began = time.monotonic()

        def until(condition, what):
            while not condition():
                self.watch_over()
                if time.monotonic() - began > STUCK_S:
                    raise Stuck(f"not within {STUCK_S:.0f} s of the end: {what}")
                time.sleep(0.1)

        until(self.supervisor.all_running, "all processes run")
        until(self.is_drained, "all is acked, nothing pending, no lag")
        until(self.nothing_in_flight, "nothing in flight at any node, as they report")
        turns = self.oracle.turns
        until(lambda: self.oracle.turns >= turns + 11, "the oracle has read everything")
        self.oracle.stop()
        self.sampler.stop()
        return time.monotonic() - began

    def is_drained(self):
        state = self.oracle.state
        return (state and state.delivered == self.producer.produced and state.pending == 0 and
                state.lag == 0)

    def nothing_in_flight(self):
        aggregate = self.aggregate()
        topology = (aggregate or {}).get("topologies", {}).get("chaos")
        return topology and topology["in_flight"] == 0 and topology["pending"] == 0

    def aggregate(self):
        try:
            result = subprocess.run(
                [os.path.join(self.options.binaries, "tempest"), "stats", "--broker",
                 self.broker_url, "--json", "--count", "1"],
                capture_output=True, text=True, timeout=20, check=True)
            return json.loads(result.stdout)
        except (subprocess.SubprocessError, ValueError):
            return None

    def end_nodes(self):
        """SIGTERM to all; those that do not end well."""
        self.supervisor.stop()
        bad = []
        for name in sorted(self.nodes, key=lambda name: not name.startswith("source")):
            try:
                code = self.nodes[name].stop()
            except processes.Failed:
                code = "no end"
            if code != 0:
                bad.append(f"{name}: {code}")
        return bad


def utc():
    return time.strftime("%H:%M:%S", time.gmtime())


def carry_out(options, folder, net):
    """True if nothing was found."""
    run = Run(options, folder, net)
    drained_s, stuck = None, []
    try:
        run.start()
        run.await_flow(time.monotonic())
        run.disturb()
        drained_s = run.drain()
        stuck = [f"did not end well: {end}" for end in run.end_nodes()]
    except Stuck as what:
        stuck = [f"stuck: {what}"]
        run.note(stuck[0])
        with open(run.path("aggregate.json"), "w", encoding="utf-8") as file:
            json.dump(run.aggregate(), file, indent=1)
    except Exception:  # pylint: disable=broad-except
        # A fault of this script is a finding too; what was seen until then is still worth reading.
        stuck = [traceback.format_exc()]
    finally:
        run.clean_up()
    found = report.findings(run) + stuck
    report.print_summary(run, LEASE_S, drained_s, found)
    return not found


def parse(arguments):
    root = os.path.join(HERE, "../..")
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__,
        epilog="Partitions need iproute2, iptables, and the right to make namespaces (root, or "
               "user namespaces); where these are missing there are only kills and pauses. "
               "Exit code: 0 nothing lost and everything done; 1 findings; 64 usage; 69 no Redis.")
    parser.add_argument("--minutes", type=float, default=1, help="of faults (default: 1)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31),
                        help="faults are drawn from it (default: at random)")
    parser.add_argument("--rate", type=int, default=1000,
                        help="messages per second (default: 1000)")
    parser.add_argument("--kinds", nargs="+", default=faults.KINDS, choices=faults.KINDS,
                        help="what is disturbed (default: everything)")
    parser.add_argument("--faults", nargs="+", default=faults.FAULTS, choices=faults.FAULTS,
                        help="how (default: in every way)")
    parser.add_argument("--binaries", default=os.path.join(root, "build/bin"),
                        help="the folder of the programs (default: build/bin)")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that is well")
    options = parser.parse_args(arguments)
    options.binaries = os.path.abspath(options.binaries)
    return options


def choose_network():
    if not os.environ.get(ENCLOSED):
        return network.Loopback(processes.free_ports)
    try:
        return network.Namespaces()
    except network.Unavailable as why:
        print(f"no partitions: {why}", flush=True)
        network.run("ip", "link", "set", "lo", "up")
        return network.Loopback(processes.free_ports)


def run_here(options):
    def end(*_):
        raise Interrupted
    signal.signal(signal.SIGTERM, end)
    net = choose_network()
    folder = tempfile.mkdtemp(prefix="tempest-chaos-")
    keep = True
    try:
        print(f"seed {options.seed}; logs in {folder}", flush=True)
        is_well = carry_out(options, folder, net)
        keep = options.keep or not is_well
        print("all is well" if is_well else "NOT well", end="", flush=True)
        print(f"; logs are in {folder}" if keep else "", flush=True)
        return 0 if is_well else 1
    except (Interrupted, KeyboardInterrupt):
        print(f"interrupted; logs are in {folder}", flush=True)
        return 1
    finally:
        if not keep:
            shutil.rmtree(folder)


def main():
    try:
        options = parse(sys.argv[1:])
    except SystemExit as end:
        return 64 if end.code else 0
    if not shutil.which("redis-server"):
        print("chaos: redis-server is not installed", file=sys.stderr)
        return 69
    if os.environ.get(ENCLOSED) or "partition" not in options.faults:
        return run_here(options)
    try:
        enclosure = network.Enclosure()
    except network.Unavailable as why:
        print(f"no partitions: {why}", flush=True)
        return run_here(options)

    def end(*_):
        raise Interrupted
    signal.signal(signal.SIGTERM, end)
    try:
        # With the seed given, the run inside draws what this one says it does.
        return enclosure.run([sys.executable, *sys.argv, "--seed", str(options.seed)],
                             {**os.environ, ENCLOSED: "1"})
    except (Interrupted, KeyboardInterrupt):
        return 1


if __name__ == "__main__":
    sys.exit(main())
