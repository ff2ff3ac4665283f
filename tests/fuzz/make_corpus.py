#!/usr/bin/env python3
"""Writes the seeds of the fuzzers that begin with frames: from the golden frames of
docs/protocol.md. And those that begin with a text. Run it again when either has changed."""

import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# In the order of kChecks in frame_fuzzer.cpp.
FRAMES = ["hello", "welcome", "heartbeat", "reset", "bye", "data", "registration", "directory",
          "query", "snapshot", "slot_settlement", "attach", "window", "messages", "outcomes",
          "deliveries", "results", "stats", "watch", "sightings"]


def golden_frames():
    document = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    frames = {}
    for name, block in re.findall(r"```golden (\w+)\n(.*?)```", document, re.DOTALL):
        digits = "".join(line.split("#")[0] for line in block.splitlines())
        frames[name] = bytes.fromhex(digits)
    return frames


def piece(data):
    return len(data).to_bytes(2, "little") + data


def write(fuzzer, name, data):
    folder = HERE / "corpus" / fuzzer
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def write_frames(frames):
    for kind, name in enumerate(FRAMES):
        write("frame", name, bytes([kind]) + frames[name])


def write_links(frames):
    everything_arrives = bytes([4, 0, 1, 0, 0])
    for name in ("hello", "heartbeat", "reset", "bye"):
        write("link", name, everything_arrives + bytes([14, 1]) + piece(frames[name]))
    write("link", "bodies", everything_arrives + bytes([8, 0, 5, 9, 0, 5, 0, 0]) * 3)
    write("link", "loss", everything_arrives + bytes([8, 0, 5, 6, 0, 0, 0, 4, 0, 255, 4, 0, 100,
                                                      0, 0]))
    write("link", "late", everything_arrives + bytes([8, 1, 3, 10, 1, 2, 2, 1, 2, 1]))
    write("link", "lease", everything_arrives + bytes([5, 0, 0, 16, 0, 0]))
    write("link", "restart", everything_arrives + bytes([12, 0, 4, 0, 1, 0, 0, 12, 2, 4, 0, 1, 0,
                                                         0]))
    for kind in range(6):
        for to_client in range(2):
            write("link", f"forged-{kind}-{to_client}", everything_arrives +
                  bytes([15, 1, 1, 0, 1, kind, 0, to_client]))


def write_connections():
    """Of the bytes of ZMTP. The first byte: kind of `zmtp_fuzzer.cpp`; the second: cuts."""
    greeting = bytes([255] + [0] * 7 + [1, 127, 3, 1]) + b"NULL".ljust(20, b"\0") + bytes(32)
    socket_type = b"\x0bSocket-Type" + (6).to_bytes(4, "big")
    identity = b"\x08Identity" + (4).to_bytes(4, "big") + b"peer"
    for kind, name in ((0, b"DEALER"), (1, b"ROUTER")):
        ready = b"\x05READY" + socket_type + name + identity
        introduction = greeting + bytes([4, len(ready)]) + ready
        write("zmtp", f"introduction-{kind}", bytes([kind, 7]) + introduction)
        write("zmtp", f"ready-{kind}", bytes([kind + 2, 63]) + bytes([4, len(ready)]) + ready)
        write("zmtp", f"frames-{kind}", bytes([kind + 4, 3]) + b"\x00\x05hello" + b"\x00\x00" +
              b"\x02" + (300).to_bytes(8, "big") + b"x" * 300)
        write("zmtp", f"parts-{kind}", bytes([kind + 4, 1]) + b"\x01\x03one\x00\x03two")
        write("zmtp", f"ping-{kind}", bytes([kind + 4, 9]) + b"\x04\x0a\x04PING\x00\x1eabc")
        write("zmtp", f"large-{kind}", bytes([kind + 4, 5]) + b"\x02" + b"\x7f" * 8)


def write_registry(frames):
    for kind, name in enumerate(["registration", "query", "slot_settlement", "directory"]):
        write("registry", name, bytes([0, 0, 200, 7, 0, kind]) + piece(frames[name]) +
              bytes([0, 0, 100]))
    write("registry", "frame", bytes([11, 0]) + piece(frames["hello"]) + bytes([12, 0]) +
          piece(frames["welcome"]))
    write("registry", "stranger", bytes([4, 0, 3, 5, 0, 0, 2, 2, 3, 0, 0, 50, 6, 0, 1, 0, 0]))
    write("registry", "second", bytes([13, 0, 1, 0, 0, 0, 2, 9, 8, 2, 1, 0, 2, 1, 1, 3, 0, 0, 0,
                                       50]))
    write("registry", "restarts", bytes([10, 0, 0, 0, 0, 200, 10, 1, 1, 1, 0, 0, 32]))


def write_coordinator(frames):
    # A worker attaches by itself when it is first mentioned; this is the second time.
    attached = bytes([8, 1, 1, 100, 201, 4, 0, 1, 2, 3])
    sent = bytes([2, 0, 4, 0, 1, 2, 0])
    done = bytes([4, 1, 1, 0, 0, 2, 1, 0, 1])
    retried = bytes([4, 1, 0, 0, 1, 10, 1, 0, 0, 200])
    write("coordinator", "done", sent + done * 3)
    write("coordinator", "gathered", sent[:2] + bytes([1, 0]) + done * 4)
    write("coordinator", "retried", sent + retried * 2)
    write("coordinator", "failed", sent + bytes([4, 1, 0, 0, 2, 1]) + done)
    write("coordinator", "returned", sent + bytes([4, 1, 0, 0, 3, 1]) + done)
    write("coordinator", "suspected", sent + bytes([11, 1, 11, 3, 8, 1, 0, 9, 9, 1, 0]) +
          bytes([4, 1, 0, 0, 4, 1]) + done)
    write("coordinator", "attached-again", sent + done + attached + done)
    write("coordinator", "timeout", sent + bytes([1, 0, 0, 8]) * 3)
    write("coordinator", "worker-lost", sent + done + bytes([11, 1]) + attached + done)
    write("coordinator", "source-lost", sent + done + bytes([11, 0]) + sent + done)
    write("coordinator", "slots", sent + bytes([12, 0, 1, 2, 1, 12, 0, 3, 3, 3]) + done)
    write("coordinator", "stops", sent + bytes([13, 0, 0, 0]) + done)
    for kind, name in enumerate(["attach", "window", "messages", "results", "outcomes"]):
        peer = 0 if name == "messages" else 1
        write("coordinator", name, bytes([9, peer, kind]) + piece(frames[name]))


def write_topologies():
    for path in sorted(ROOT.glob("examples/*/*.toml")):
        write("topology", f"{path.parent.name}-{path.name}", path.read_bytes())
    for path in sorted(ROOT.glob("tests/integration/*/*.toml")):
        write("topology", path.name, path.read_bytes())
    document = (ROOT / "docs/topology.md").read_text(encoding="utf-8")
    for i, block in enumerate(re.findall(r"```toml\n(.*?)```", document, re.DOTALL)):
        write("topology", f"documented-{i}.toml", block.encode())


def write_redis():
    opened = b"*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n+OK\r\n"
    nothing = b"*1\r\n*2\r\n$6\r\nstream\r\n*0\r\n"
    entry = (b"*1\r\n*2\r\n$6\r\nstream\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*4\r\n$5\r\nvalue\r\n$1\r\nx\r\n"
             b"$3\r\nkey\r\n$1\r\nk\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$2\r\n\xff\x00\r\n")
    deleted = b"*1\r\n*2\r\n$6\r\nstream\r\n*1\r\n*2\r\n$3\r\n5-6\r\n$-1\r\n:1\r\n"
    acked = b":2\r\n"
    write("redis", "new", bytes([0]) + opened + nothing + entry + acked + b"*-1\r\n")
    write("redis", "pending", bytes([12]) + opened + entry + acked + nothing + entry + acked)
    write("redis", "one-by-one", bytes([28]) + opened + nothing + entry + b":1\r\n:1\r\n")
    write("redis", "deleted", bytes([0]) + opened + deleted + nothing + entry + acked)
    write("redis", "greeted", bytes([3]) + b"+OK\r\n+OK\r\n" + opened + nothing + entry)
    write("redis", "refused", bytes([1]) + b"-WRONGPASS invalid\r\n")
    write("redis", "busy-group", bytes([0]) + opened[:-5] + b"-BUSYGROUP exists\r\n" + nothing)
    write("redis", "no-group", bytes([0]) + opened + b"-NOGROUP none\r\n+OK\r\n" + entry)
    write("redis", "errors", bytes([0]) + opened + nothing + b"-LOADING\r\n" + b"-MOVED 1 x\r\n")
    write("redis", "no-rights", bytes([0]) + b"-NOPERM\r\n-WRONGTYPE a\r\n")


def write_redis_list():
    version = b"$19\r\nredis_version:7.0.15\r\n"
    looked = b"+list\r\n*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n" + version
    opened = looked + b":0\r\n"
    nothing = b"*0\r\n"
    row = b"*3\r\n$1\r\n7\r\n$1\r\nx\r\n:1\r\n"
    given_up = b"*3\r\n$1\r\n8\r\n$0\r\n\r\n:0\r\n"
    done = b"$-1\r\n"
    for name, choices, replies in (
            ("new", 0, opened + nothing + b"*1\r\n" + row + done + nothing + done + nothing),
            ("own", 0, opened + b"*2\r\n" + row + given_up + done + nothing + nothing),
            ("left", 16, opened + b"*1\r\n" + row + done + b":1\r\n" + nothing),
            ("one-by-one", 8, opened + nothing + b"*2\r\n" + row + row + done + done),
            ("forgotten", 4, opened + nothing + b"*1\r\n" + row),
            ("greeted", 3, b"+OK\r\n+OK\r\n" + opened + nothing),
            ("old", 0, opened.replace(b"7.0.15", b"5.0.15") + nothing + nothing),
            ("no-list", 0, b"+stream\r\n"),
            ("careless", 0, opened.replace(b"$3\r\nyes", b"$2\r\nno") + nothing),
            ("number", 0, opened + nothing + b"*1\r\n" + row.replace(b"$1\r\n7", b"$2\r\n7x")),
            ("count", 0, opened + nothing + b"*1\r\n" + row.replace(b":1", b"+1")),
            ("huge", 0, opened + nothing + b"*2147483647\r\n" + row),
            ("errors", 0, opened + b"-LOADING\r\n-MOVED 1 x\r\n-NOSCRIPT\r\n")):
        write("redis_list", name, bytes([choices]) + replies)


def main():
    frames = golden_frames()
    write_frames(frames)
    write_links(frames)
    write_connections()
    write_registry(frames)
    write_coordinator(frames)
    write_topologies()
    write_redis()
    write_redis_list()


if __name__ == "__main__":
    main()
