"""Real processes for tests: a Redis server, Tempest's nodes, and what waits for them.

Everything is started on free ports in a temporary folder, and stopped by its own pid.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time


class Failed(AssertionError):
    """What was waited for did not come."""


def wait_until(condition, what, timeout_s=30.0):
    """Polls until condition() is true; what it gave is returned. Fails after timeout_s."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failed(f"not within {timeout_s} s: {what}")
        pause.wait(0.02)


def free_ports(count):
    """The first of `count` ports in a row that nobody listens on now."""
    for _ in range(100):
        sockets = []
        try:
            first = socket.socket()
            sockets.append(first)
            first.bind(("127.0.0.1", 0))
            base = first.getsockname()[1]
            for port in range(base + 1, base + count):
                following = socket.socket()
                sockets.append(following)
                following.bind(("127.0.0.1", port))
            return base
        except (OSError, OverflowError):
            continue
        finally:
            for opened in sockets:
                opened.close()
    raise Failed(f"no {count} free ports in a row")


class ReplyError(RuntimeError):
    """An error that Redis replied."""


class Connection:
    """A connection to a Redis server, for many commands."""

    def __init__(self, host, port, timeout_s=30):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.replies = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.replies.close()
        self.socket.close()

    def command(self, *words):
        self.socket.sendall(_request(words))
        return _read_reply(self.replies)

    def pipeline(self, commands):
        """Sends few enough commands for the sockets' buffers at once; the replies, errors too."""
        self.socket.sendall(b"".join(_request(words) for words in commands))
        return [_read_value(self.replies) for _ in commands]

    def transaction(self, commands):
        """The replies to commands that are carried out with nothing in between."""
        replies = self.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]
        if isinstance(replies, ReplyError):
            raise replies
        return replies


class Redis:
    """A redis-server of its own, with its append-only file, and what asks it."""

    def __init__(self, folder, host="127.0.0.1", port=None, prefix=(), settings=()):
        self.folder = folder
        self.host = host
        self.port = port or free_ports(1)
        self.uri = f"redis://{host}:{self.port}/0"
        self.arguments = [*prefix, "redis-server", "--port", str(self.port), "--bind", host,
                          "--dir", folder, "--appendonly", "yes", "--save", "", *settings]
        self.process = None
        self.start()
        wait_until(self.answers, "an answer of redis-server")

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.DEVNULL)

    def start_again(self):
        self.start()
        wait_until(self.answers, "an answer of redis-server")

    def answers(self):
        try:
            return self.command("PING") == "PONG"
        except (OSError, RuntimeError):
            return False

    def connect(self, timeout_s=30):
        return Connection(self.host, self.port, timeout_s)

    def command(self, *words):
        with self.connect() as connection:
            return connection.command(*words)

    def pipeline(self, commands):
        """Sends many commands at once; checks the replies for errors and returns how many."""
        with socket.create_connection((self.host, self.port), timeout=60) as connection:
            payload = b"".join(_request(words) for words in commands)
            writer = threading.Thread(target=connection.sendall, args=(payload,))
            writer.start()
            replies = connection.makefile("rb")
            count = 0
            for _ in commands:
                _read_reply(replies)
                count += 1
            writer.join()
            return count

    def running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.running():
            self.process.terminate()
            self.process.wait()


def _request(words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def _read_reply(stream):
    reply = _read_value(stream)
    if isinstance(reply, ReplyError):
        raise reply
    return reply


def _read_value(stream):
    """One reply; errors as values, since a list may hold some."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("connection closed")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest.decode()
    if kind == b"-":
        return ReplyError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2].decode()
    if rest == b"-1":
        return None
    return [_read_value(stream) for _ in range(int(rest))]


class Node:
    """One program, with its log in a file of its own."""

    def __init__(self, folder, name, arguments, environment=None):
        self.name = name
        self.arguments = arguments
        self.log_path = os.path.join(folder, name + ".log")
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log,
                                            env=self.environment)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s=20):
        """SIGTERM; the exit code."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s):
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{self.name} did not end within {timeout_s} s:\n{self.log()}") from late


class Cluster:
    """Tempest's nodes on loopback around one broker, in a temporary folder."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.temporary = tempfile.TemporaryDirectory(prefix="tempest-test-")
        self.folder = self.temporary.name
        self.broker_url = f"tcp://127.0.0.1:{free_ports(3)}"
        self.nodes = {}
        self.redis = None

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        for node in self.nodes.values():
            if node.running():
                node.kill()
        if self.redis:
            self.redis.stop()
        if failure:
            for node in self.nodes.values():
                print(f"--- {node.name} ---\n{node.log()[-4000:]}", flush=True)
        self.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start_redis(self):
        self.redis = Redis(self.folder)
        return self.redis

    def program(self, name):
        return os.path.join(self.binaries, name)

    def start(self, name, program, *arguments):
        """Starts a node called `name`; those but the broker are given the broker's address."""
        command = [self.program(program), "--name", name, *arguments]
        if program != "tempest-broker":
            command += ["--broker", self.broker_url]
        self.nodes[name] = Node(self.folder, name, command)
        return self.nodes[name]

    def start_broker(self):
        return self.start("broker", "tempest-broker", "--bind", self.broker_url)

    def tempest(self, *arguments, timeout_s=120, check=True):
        """Runs `tempest`; its result, with stdout and stderr as text."""
        result = subprocess.run([self.program("tempest"), *arguments], capture_output=True,
                                text=True, timeout=timeout_s, check=False)
        if check and result.returncode != 0:
            raise Failed(f"tempest {' '.join(arguments)} ended with {result.returncode}:\n"
                         f"{result.stderr}")
        return result

    def listed_nodes(self):
        """What `tempest ls` says, by name; empty while no broker answers."""
        result = self.tempest("ls", "--broker", self.broker_url, "--json", check=False)
        if result.returncode != 0:
            return {}
        return {node["name"]: node for node in json.loads(result.stdout)["nodes"]}
