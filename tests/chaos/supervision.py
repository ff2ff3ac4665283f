"""Starts what has ended again, after a short random time, and tells of ends nobody asked for."""

import random
import threading
import time


class Supervisor(threading.Thread):
    """Watches processes with start(), running() and .process, by name."""

    RESTART_S = (0.05, 1.0)

    def __init__(self, seed, note):
        super().__init__(daemon=True)
        self.random = random.Random(f"supervisor {seed}")
        self.note = note
        self.lock = threading.Lock()
        self.watched = {}
        self.killed = set()
        self.due = {}
        self.unexpected = []
        self.restarts = 0
        self.ending = threading.Event()
        self.ended = threading.Event()

    def watch(self, name, process):
        with self.lock:
            self.watched[name] = process

    def kill(self, name):
        """kill -9. False if it was not running."""
        with self.lock:
            if not self.watched[name].running():
                return False
            self.killed.add(name)
            self.watched[name].process.kill()
            return True

    def signal(self, name, number):
        with self.lock:
            self.watched[name].process.send_signal(number)

    def all_running(self):
        with self.lock:
            return not self.due and all(p.running() for p in self.watched.values())

    def run(self):
        while not self.ending.wait(0.02):
            now = time.monotonic()
            with self.lock:
                for name, process in self.watched.items():
                    if name in self.due:
                        if now >= self.due[name]:
                            del self.due[name]
                            process.start()
                            self.restarts += 1
                    elif not process.running():
                        self._has_ended(name, process, now)

        self.ended.set()
        # Processes may be set to die with the thread that started them.
        threading.Event().wait()

    def _has_ended(self, name, process, now):
        if name in self.killed:
            self.killed.discard(name)
        else:
            self.unexpected.append((name, process.process.returncode))
            self.note(f"{name} ended by itself with {process.process.returncode}")
        self.due[name] = now + self.random.uniform(*self.RESTART_S)

    def stop(self):
        """From now on nothing is started again."""
        self.ending.set()
        self.ended.wait()
