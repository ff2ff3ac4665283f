"""Where the processes of a run live: each in a network namespace of its own, or all on loopback.

`Namespaces` needs to run inside `unshare --net --mount --pid` (see `Enclosure`): all that it makes
is then gone with the last process, however the run ends.
"""

import os
import shutil
import subprocess

# The script's own address: the producer and the reader of the output are never cut off.
HUB = "10.77.0.1"


class Unavailable(Exception):
    """Namespaces cannot be used here; says why."""


class Loopback:
    """All processes on 127.0.0.1, on ports that are free: no partitions."""

    can_partition = False

    def __init__(self, free_ports):
        self.next_port = free_ports(40)

    def add(self, _name):
        pass

    def host(self, _name):
        return "127.0.0.1"

    def port(self, _usual):
        """A port for one server (the broker takes three in a row)."""
        port = self.next_port
        self.next_port += 3
        return port

    def prefix(self, _name):
        return ["setpriv", "--pdeathsig", "KILL"]


class Namespaces:
    """A namespace with one address for each process, on a bridge."""

    can_partition = True

    def __init__(self):
        self.addresses = {}
        # `ip netns` and iptables keep files there; a tmpfs of our own leaves the host's alone.
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "bridge0", "type", "bridge")
        run("ip", "addr", "add", HUB + "/24", "dev", "bridge0")
        run("ip", "link", "set", "bridge0", "up")
        self.add("trial")
        self.heal(self.partition("trial", None, "both"))

    def add(self, name):
        number = len(self.addresses) + 10
        outer = f"outer{number}"
        self.addresses[name] = f"10.77.0.{number}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", outer, "master", "bridge0", "up")
        run("ip", "-n", name, "addr", "add", self.addresses[name] + "/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")

    def host(self, name):
        return self.addresses[name]

    def port(self, usual):
        return usual

    def prefix(self, name):
        return ["nsenter", f"--net=/run/netns/{name}"]

    def partition(self, name, peer, direction):
        """Cuts `name` off from `peer`, or from all others if that is None.

        direction: "in" (nothing reaches `name`), "out" (nothing of it reaches others) or "both".
        Returns what heal() takes.
        """
        rules = []
        if direction in ("in", "both"):
            rules.append(self._drop(name, "INPUT", peer))
        if direction in ("out", "both"):
            rules.append(self._drop(name, "OUTPUT", peer))
        return rules

    def _drop(self, name, chain, peer):
        option = "-s" if chain == "INPUT" else "-d"
        whom = ["!", option, HUB] if peer is None else [option, self.addresses[peer]]
        rule = (name, [chain, "!", "-i" if chain == "INPUT" else "-o", "lo", *whom, "-j", "DROP"])
        self._iptables("-I", rule)
        return rule

    def heal(self, rules):
        for rule in rules:
            self._iptables("-D", rule)

    def _iptables(self, action, rule):
        name, words = rule
        run(*self.prefix(name), "iptables", "-w", action, *words)


def run(*command):
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise Unavailable(f"{command[0]} is not installed") from missing
    except subprocess.CalledProcessError as failed:
        raise Unavailable(f"{' '.join(command)}: {failed.stderr.strip()}") from failed


class Enclosure:
    """Runs a command as the first process of namespaces of its own (network, mounts, processes).

    When it ends, the kernel kills and takes down everything in them. It gets SIGTERM when the
    enclosure is closed or dies itself.
    """

    def __init__(self):
        for needed in ("unshare", "nsenter", "setpriv", "ip", "iptables", "mount"):
            if not shutil.which(needed, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                raise Unavailable(f"{needed} is not installed")
        self.options = ["--net", "--mount", "--pid", "--fork", "--mount-proc"]
        if os.geteuid() != 0:
            self.options += ["--user", "--map-root-user"]
        run("unshare", *self.options, "true")

    def run(self, command, environment):
        """Its exit code. Passes KeyboardInterrupt and SystemExit on when it has ended."""
        ended, alive = os.pipe()
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *self.options, "--kill-child=TERM",
             *command], pass_fds=[alive], env=environment)
        os.close(alive)
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            # The command's end of the pipe is closed when it has cleaned up and ended.
            os.read(ended, 1)
