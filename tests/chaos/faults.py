"""What is done to the processes: kills, pauses and partitions, drawn from a seed.

Faults come in episodes: some, at moments near each other, then a wait until the flow is full again.
"""

import collections
import dataclasses
import random
import signal
import time
import typing

KINDS = ("broker", "source", "pipeline", "task", "stats", "redis")
FAULTS = ("kill", "pause", "partition")
# With whom each kind speaks, and so whom it can be cut off from.
PEERS = {
    "broker": ("source", "pipeline", "task", "stats"),
    "source": ("redis", "pipeline", "broker"),
    "pipeline": ("source", "task", "broker"),
    "task": ("pipeline", "redis", "broker"),
    "stats": ("broker",),
    "redis": ("source", "task"),
}


@dataclasses.dataclass
class Fault:
    what: str
    victim: str
    kind: str
    begins_s: float  # From the episode's start.
    lasts_s: float = 0.0
    peer: str | None = None
    direction: str = ""

    def __str__(self):
        text = f"{self.what} {self.victim}"
        if self.what == "partition":
            text += f" from {self.peer or 'all'} ({self.direction})"
        return text + (f" for {self.lasts_s:.1f} s" if self.lasts_s else "")


class Plan:
    """Draws episodes. The same seed gives the same."""

    LONG_SHARE = 0.55  # Of the episodes, those with a pause or a partition.
    PAUSE_SHARE = 0.6  # Of these, the pauses.

    def __init__(self, seed, names, kinds, faults, lease_s):
        self.random = random.Random(f"faults {seed}")
        self.names = {kind: names[kind] for kind in kinds}
        self.everyone = names
        self.faults = faults
        self.lease_s = lease_s
        self.bags = {}

    def draw_kind(self, what):
        """Each kind once, in random order, before any comes again."""
        bag = self.bags.setdefault(what, [])
        if not bag:
            bag.extend(self.names)
            self.random.shuffle(bag)
        return bag.pop()

    def episode(self):
        faults = []
        long_ones = [what for what in self.faults if what != "kill"]
        if long_ones and ("kill" not in self.faults or self.random.random() < self.LONG_SHARE):
            pause = self.random.random() < self.PAUSE_SHARE
            what = "pause" if len(long_ones) == 2 and pause else long_ones[-1]
            faults.append(self.long_fault(what))
        if "kill" in self.faults:
            span_s = faults[0].lasts_s if faults else 1.5
            wanted = self.random.choice((0, 1, 1, 2) if faults else (1, 1, 1, 2, 3))
            paused = {fault.victim for fault in faults if fault.what == "pause"}
            for _ in range(wanted):
                kind = self.draw_kind("kill")
                victim = self.random.choice(self.names[kind])
                if victim not in paused:
                    faults.append(Fault("kill", victim, kind, self.random.uniform(0, span_s)))
        return faults

    def long_fault(self, what):
        kind = self.draw_kind(what)
        victim = self.random.choice(self.names[kind])
        if what == "pause":
            return Fault("pause", victim, kind, 0.0, self.random.uniform(0.5, 3) * self.lease_s)
        peer = None
        if self.random.random() < 0.6:
            peer = self.random.choice(self.everyone[self.random.choice(PEERS[kind])])
        return Fault("partition", victim, kind, 0.0, self.random.uniform(1, 10), peer,
                     self.random.choice(("in", "out", "both")))


class Done(typing.NamedTuple):
    """A fault that was carried out."""

    fault: Fault
    begun: float
    over: float  # Of a kill, the moment of it.
    produced: int  # Messages, until it was over.


class Executor:
    """Carries episodes out, and counts."""

    def __init__(self, supervisor, network, note, sleep_until, produced):
        self.supervisor = supervisor
        self.network = network
        self.note = note
        self.sleep_until = sleep_until
        self.produced = produced
        self.counts = collections.Counter()

    def carry_out(self, faults):
        """Blocks until all of an episode is over. What of it was done."""
        steps = []
        for fault in faults:
            steps.append((fault.begins_s, False, fault))
            if fault.lasts_s:
                steps.append((fault.begins_s + fault.lasts_s, True, fault))
        steps.sort(key=lambda step: step[:2])
        start = time.monotonic()
        done, undo = [], {}
        try:
            for at_s, is_end, fault in steps:
                self.sleep_until(start + at_s)
                now = time.monotonic()
                if is_end:
                    begun, action = undo.pop(id(fault))
                    action()
                    self.note(f"over: {fault}")
                    done.append(Done(fault, begun, time.monotonic(), self.produced()))
                elif fault.what != "kill":
                    undo[id(fault)] = now, self.begin(fault)
                elif self.supervisor.kill(fault.victim):
                    self.note(str(fault))
                    self.counts["kill", fault.kind] += 1
                    done.append(Done(fault, now, now, self.produced()))
        finally:
            for _, action in undo.values():
                action()
        return done

    def begin(self, fault):
        self.note(str(fault))
        self.counts[fault.what, fault.kind] += 1
        if fault.what == "pause":
            self.supervisor.signal(fault.victim, signal.SIGSTOP)
            return lambda: self.supervisor.signal(fault.victim, signal.SIGCONT)
        self.counts["direction", fault.direction] += 1
        rules = self.network.partition(fault.victim, fault.peer, fault.direction)
        return lambda: self.network.heal(rules)
