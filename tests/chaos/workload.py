"""The world outside the nodes: a producer, a reader of the output, and the oracle between them.

Messages are numbers, from 1. Number n is the entry n-0 of the stream, so a write of which no reply
came can be repeated without making a second entry, and what is acked follows from the group's
state: delivered and not pending.
"""

import json
import os
import threading
import time

STREAM, OUTPUT, DEAD, GROUP = "in", "out", "dead", "chaos"
BATCH_LIMIT = 5_000
READ_COUNT = 5_000


class Log:
    """A file of numbers, one a line; written means on disk."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="ascii")  # pylint: disable=consider-using-with
        # Redis waits for the same disk: when that is slow, so is the flow, whatever else was done.
        self.slowest_s = 0.0

    def write(self, numbers):
        self.file.writelines(f"{number}\n" for number in numbers)
        self.file.flush()
        began = time.monotonic()
        os.fsync(self.file.fileno())
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def take_slowest_s(self):
        """The longest that the disk took since the last call."""
        slowest_s, self.slowest_s = self.slowest_s, 0.0
        return slowest_s

    def close(self):
        self.file.close()


class Worker(threading.Thread):
    """A thread with a connection to Redis of its own, which it makes again when it is lost."""

    def __init__(self, redis, period_s):
        super().__init__(daemon=True)
        self.redis = redis
        self.period_s = period_s
        self.ending = threading.Event()
        self.failure = None

    def run(self):
        connection = None
        try:
            while not self.ending.is_set():
                began = time.monotonic()
                try:
                    connection = connection or self.redis.connect(timeout_s=60)
                    self.turn(connection)
                except (OSError, RuntimeError):
                    # Killed, stopped, or loading what it had: try again until it is there.
                    if connection:
                        connection.close()
                    connection = None
                self.ending.wait(max(0.0, began + self.period_s - time.monotonic()))
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure
            raise
        finally:
            if connection:
                connection.close()

    def turn(self, connection):
        raise NotImplementedError

    def stop(self):
        self.ending.set()
        self.join(90)


class Producer(Worker):
    """Adds `rate` messages a second to the stream; those that are late come with the next."""

    def __init__(self, redis, rate, log_path):
        super().__init__(redis, 0.05)
        self.rate = rate
        self.log = Log(log_path)
        self.began = None
        self.produced = 0

    def turn(self, connection):
        now = time.monotonic()
        self.began = self.began or now
        due = min(int((now - self.began) * self.rate) - self.produced, BATCH_LIMIT)
        if due <= 0:
            return
        numbers = range(self.produced + 1, self.produced + due + 1)
        # All or none: a Redis that loads its file refuses some of a batch and then takes the rest.
        replies = connection.transaction([("XADD", STREAM, f"{n}-0", "value", n) for n in numbers])
        for reply in replies:
            # "smaller": it was added the last time, and only the reply was lost.
            if isinstance(reply, RuntimeError) and "equal or smaller" not in str(reply):
                raise reply
        self.log.write(numbers)
        self.produced += due


def number_of(entry_id):
    return int(entry_id.split("-")[0])


class GroupState:
    """What the group says: what it was given, and what of that is not acked yet."""

    def __init__(self, connection, pending_limit=0):
        commands = [("XINFO", "GROUPS", STREAM), ("XPENDING", STREAM, GROUP),
                    ("XINFO", "STREAM", STREAM)]
        if pending_limit:
            commands.append(("XPENDING", STREAM, GROUP, "-", "+", pending_limit))
        replies = connection.transaction(commands)
        for reply in replies:
            if isinstance(reply, RuntimeError):
                raise reply
        groups = [dict(zip(group[::2], group[1::2])) for group in replies[0]]
        group = next(group for group in groups if group["name"] == GROUP)
        self.delivered = number_of(group["last-delivered-id"])
        # Not Redis's own `lag`, which is wrong after some restarts.
        stream = dict(zip(replies[2][::2], replies[2][1::2]))
        self.lag = number_of(stream["last-generated-id"]) - self.delivered
        self.pending = replies[1][0]
        # Below this everything is acked.
        self.unacked_from = number_of(replies[1][1]) if self.pending else self.delivered + 1
        self.pending_numbers = None
        if pending_limit:
            self.pending_numbers = {number_of(entry[0]) for entry in replies[3]}

    @property
    def acked(self):
        return self.delivered - self.pending


class Sampler(Worker):
    """Keeps how many messages were acked, and up to which all were, over time."""

    def __init__(self, redis):
        super().__init__(redis, 0.05)
        self.lock = threading.Lock()
        self.times, self.acked, self.acked_up_to = [], [], []
        self.unacked_from = 1
        self.progressed = time.monotonic()
        self.last_pending = 0

    def turn(self, connection):
        state = GroupState(connection)
        now = time.monotonic()
        with self.lock:
            self.times.append(now)
            self.acked.append(state.acked)
            self.acked_up_to.append(state.unacked_from - 1)
            self.last_pending = state.pending
            if state.unacked_from != self.unacked_from:
                self.unacked_from, self.progressed = state.unacked_from, now

    def save(self, path, zero):
        """As a table, so that a slow recovery can be looked at afterwards."""
        with self.lock, open(path, "w", encoding="ascii") as file:
            file.write("seconds,acked,acked_up_to\n")
            for at, acked, up_to in zip(self.times, self.acked, self.acked_up_to):
                file.write(f"{at - zero:.2f},{acked},{up_to}\n")


class Oracle(Worker):
    """Reads what comes out, and checks that what is acked has come out.

    Takes what was read from the output, and what is acked from the stream: Redis stays small.
    """

    # Above this many pending entries only those before the first of them are checked.
    PENDING_LIMIT = 20_000

    def __init__(self, redis, log_path):
        super().__init__(redis, 0.1)
        self.log = Log(log_path)
        self.seen = bytearray()
        self.distinct = self.received = self.dead = 0
        self.checked = 0
        self.lost = set()
        self.acked = 0
        self.malformed = []
        self.cursors = {OUTPUT: "0-0", DEAD: "0-0"}
        self.state = None
        self.turns = 0

    def turn(self, connection):
        self.turns += 1
        # First what is acked, then what is out: everything of the former must be in the latter.
        thorough = self.turns % 10 == 0
        try:
            state = GroupState(connection, self.PENDING_LIMIT if thorough else 0)
        except RuntimeError:
            state = None  # The group is not there yet.
        self.read(connection, OUTPUT, lambda fields: fields[1])
        self.read(connection, DEAD, lambda fields: json.loads(fields[1])["payload"])
        if not state:
            return
        self.check(state)
        if thorough:
            connection.command("XTRIM", STREAM, "MINID", f"{state.unacked_from}-0")
            for key, cursor in self.cursors.items():
                connection.command("XTRIM", key, "MINID", "~", cursor)
        self.state = state

    def read(self, connection, key, payload_of):
        while True:
            reply = connection.command("XREAD", "COUNT", READ_COUNT, "STREAMS", key,
                                       self.cursors[key])
            if not reply:
                return
            entries = reply[0][1]
            numbers = []
            for _, fields in entries:
                payload = payload_of(fields)
                if payload.isdigit():
                    numbers.append(int(payload))
                else:
                    self.malformed.append(payload)
            self.log.write(numbers)
            self.take(numbers)
            if key == DEAD:
                self.dead += len(numbers)
            self.cursors[key] = entries[-1][0]
            if len(entries) < READ_COUNT:
                return

    def take(self, numbers):
        for number in numbers:
            if number >= len(self.seen):
                self.seen.extend(bytes(number + 100_000 - len(self.seen)))
            if not self.seen[number]:
                self.distinct += 1
            self.seen[number] = 1
        self.received += len(numbers)

    def has(self, number):
        return number < len(self.seen) and self.seen[number]

    def check(self, state):
        upto = state.unacked_from - 1
        for number in range(self.checked + 1, upto + 1):
            if not self.has(number):
                self.lost.add(number)
        self.checked = max(self.checked, upto)
        pending = state.pending_numbers
        if pending is not None and len(pending) < self.PENDING_LIMIT:
            for number in range(self.checked + 1, state.delivered + 1):
                if number not in pending and not self.has(number):
                    self.lost.add(number)
        self.acked = state.acked

    @property
    def duplicates(self):
        return self.received - self.distinct


def numbers_in(path):
    with open(path, encoding="ascii") as file:
        return {int(line) for line in file}
