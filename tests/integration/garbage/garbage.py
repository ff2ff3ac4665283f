"""Garbage for listening sockets: what one connection says, from a number, and a process that makes
many such connections to one socket.
"""

import random
import socket
import struct
import sys
import threading
import time

# Linux: a port is chosen when the connection is made, so that one may be used once for each peer.
IP_BIND_ADDRESS_NO_PORT = 24
GREETING = (b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0").ljust(64, b"\0")


# --- ZMTP 3.1 ---

def zmtp_frame(body, more=False, command=False):
    flags = (1 if more else 0) | (4 if command else 0)
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def zmtp_ready(socket_type, identity):
    def metadata(name, value):
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return zmtp_frame(b"\x05READY" + metadata(b"Socket-Type", socket_type) +
                      metadata(b"Identity", identity), command=True)


# --- Tempest's frames, as far as garbage needs them (docs/protocol.md) ---

def text(value):
    return b"\xd9" + bytes([len(value)]) + value


def number(value):
    return b"\xcf" + struct.pack(">Q", value)


def hello(draw, name, role, topology, lease_ms):
    return (b"\x9a\x01\x02" + number(draw.getrandbits(64)) + bytes([role]) + text(name) +
            b"\xc4\x10" + draw.randbytes(16) + text(topology) + number(lease_ms) +
            text(b"") + b"\xc4\x10" + bytes(16))


def data(session, sequence, kind, body):
    return b"\x95\x03" + number(session) + number(sequence) + number(0) + bytes([kind]) + body


def session_of(stream):
    """The session of the WELCOME that stands in what a node sent; None if there is none."""
    at = stream.find(b"\x99\x02\x02\xcf")
    if at < 0 or len(stream) < at + 22:
        return None
    return struct.unpack(">Q", stream[at + 13:at + 21])[0]


BODY_KINDS = (1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21, 99)


def random_bytes(draw):
    return draw.randbytes(draw.choice((1, 5, 20, 64, 65, 200, 2000)))


class Attack:
    """Connections to one socket, each of one of several kinds."""

    def __init__(self, host, port, kind, seed):
        self.address = (host, port)
        self.kind = kind
        self.draw = random.Random(seed)
        self.welcomed = 0
        self.refused = 0
        says = {"router": (b"DEALER", self.router_kinds()), "sub": (b"PUB", self.bus_kinds()),
                "pub": (b"SUB", self.bus_kinds()), "http": (None, self.http_kinds())}
        self.socket_type, self.kinds = says[kind]

    def router_kinds(self):
        return (self.nothing, self.noise, self.half_greeting, self.noise_after_greeting,
                self.random_frames, self.multipart, self.huge_header, self.unknown_sessions,
                self.nonsense_in_a_session)

    def bus_kinds(self):
        return (self.nothing, self.noise, self.half_greeting, self.noise_after_greeting,
                self.random_frames, self.multipart, self.huge_header, self.reports)

    def http_kinds(self):
        return (self.nothing, self.noise, self.half_request, self.wrong_request,
                self.endless_header)

    def one(self):
        connection = self.connect()
        try:
            self.draw.choice(self.kinds)(connection)
        except (ConnectionError, TimeoutError):
            self.refused += 1  # Which is the best that can be done with garbage.
        finally:
            self.close(connection)

    def connect(self):
        connection = socket.socket()
        connection.settimeout(5)
        connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        # Many addresses, lest the ports of one run out.
        connection.bind((f"127.0.{self.draw.randrange(1, 200)}.1", 0))
        connection.connect(self.address)
        return connection

    def close(self, connection):
        if self.draw.randrange(3) == 0:  # By a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def handshake(self, connection):
        identity = b"garbage#" + self.draw.randbytes(8)
        connection.sendall(GREETING + zmtp_ready(self.socket_type, identity))
        # Frames before the other side's READY are the end of a connection.
        stream = b""
        while b"\x05READY" not in stream:
            received = connection.recv(4096)
            if not received:
                raise ConnectionError("no handshake")
            stream += received

    # --- What a connection says ---

    def nothing(self, connection):
        pass

    def noise(self, connection):
        connection.sendall(random_bytes(self.draw))

    def half_greeting(self, connection):
        connection.sendall(GREETING[:self.draw.randrange(1, 64)])

    def noise_after_greeting(self, connection):
        connection.sendall(GREETING + random_bytes(self.draw))

    def random_frames(self, connection):
        self.handshake(connection)
        for _ in range(self.draw.randrange(1, 20)):
            connection.sendall(zmtp_frame(random_bytes(self.draw)))

    def multipart(self, connection):
        self.handshake(connection)
        parts = b"".join(zmtp_frame(random_bytes(self.draw), more=True) for _ in range(50))
        connection.sendall(parts)
        if self.draw.randrange(2) == 0:
            connection.sendall(zmtp_frame(b"the last"))

    def huge_header(self, connection):
        self.handshake(connection)
        size = self.draw.choice((1 << 26, (1 << 26) + 1, 1 << 31, 1 << 40, (1 << 63) - 1,
                                 (1 << 64) - 1))
        connection.sendall(b"\x02" + struct.pack(">Q", size) + random_bytes(self.draw))

    def unknown_sessions(self, connection):
        self.handshake(connection)
        session = self.draw.getrandbits(64)
        body = random_bytes(self.draw)
        for frame in (data(session, 1, self.draw.choice(BODY_KINDS), body),
                      b"\x94\x04" + number(session) + number(5) + b"\xc2",
                      b"\x92\x05" + number(session), b"\x93\x06" + number(session) + text(b"bye"),
                      b"\x99\x07\x02" + random_bytes(self.draw)):
            connection.sendall(zmtp_frame(frame))

    def nonsense_in_a_session(self, connection):
        """Says HELLO as a node does, and nothing sensible once it is welcomed."""
        self.handshake(connection)
        name = b"garbage-%d" % self.draw.randrange(100)
        # Of the topology that runs, mostly: others are refused.
        topology = self.draw.choice((b"busy", b"busy", b"busy", b"", b"rubbish"))
        connection.sendall(zmtp_frame(hello(self.draw, name, self.draw.randrange(1, 6), topology,
                                            self.draw.randrange(1, 1000))))
        stream = b""
        while (session := session_of(stream)) is None:
            received = connection.recv(4096)
            if not received:
                return
            stream += received
        self.welcomed += 1
        for sequence in range(1, 4):
            connection.sendall(zmtp_frame(data(session, sequence, self.draw.choice(BODY_KINDS),
                                               random_bytes(self.draw))))

    def reports(self, connection):
        self.handshake(connection)
        connection.sendall(zmtp_frame(b"\x01report"))  # A subscription, to a publisher.
        for _ in range(5):
            connection.sendall(zmtp_frame(b"report/x/y", more=True) +
                               zmtp_frame(b"\x99\x07\x02" + random_bytes(self.draw)))

    def half_request(self, connection):
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x"[:self.draw.randrange(1, 30)])

    def wrong_request(self, connection):
        verb = self.draw.choice((b"GET", b"POST", b"\xff\xfe", b"PUT"))
        path = b"/" + self.draw.randbytes(20).replace(b"\n", b"") * self.draw.randrange(1, 100)
        connection.sendall(verb + b" " + path + b" HTTP/1.1\r\nContent-Length: " +
                           self.draw.choice((b"-1", b"99999999999999999999", b"4")) +
                           b"\r\n\r\nbody")

    def endless_header(self, connection):
        connection.sendall(b"GET /stats HTTP/1.1\r\n" +
                           b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(100)))


class Crew:
    """Several attacks at once, since one mostly waits: for a second and more where the queue of
    connections is full, as that of an HTTP server often is."""

    SIZE = 64

    def __init__(self, host, port, kind, seed, per_second):
        self.attacks = [Attack(host, port, kind, seed * self.SIZE + i) for i in range(self.SIZE)]
        self.per_second = per_second

    def make(self, connections):
        """So many connections, evenly over the time they may take."""
        began = time.monotonic()
        lock = threading.Lock()
        numbers = iter(range(connections))

        def work(attack):
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                ahead_s = began + number / self.per_second - time.monotonic()
                if ahead_s > 0:
                    time.sleep(ahead_s)
                attack.one()

        threads = [threading.Thread(target=work, args=(attack,)) for attack in self.attacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def welcomed(self):
        return sum(attack.welcomed for attack in self.attacks)

    def refused(self):
        return sum(attack.refused for attack in self.attacks)


def main():
    """Arguments: host port kind seed per_second. Each line of the input is how many connections to
    make now; each line of the output says: made, welcomed so far, refused so far."""
    host, port, kind, seed, per_second = sys.argv[1:]
    crew = Crew(host, int(port), kind, int(seed), float(per_second))
    for line in sys.stdin:
        crew.make(int(line))
        print(int(line), crew.welcomed(), crew.refused(), flush=True)


if __name__ == "__main__":
    main()
