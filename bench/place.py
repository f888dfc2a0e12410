# SPDX-License-Identifier: Apache-2.0
"""place.py - network namespaces and the programs that run in them

A House holds every namespace, program and folder that is made, from before it exists, and takes all of it down again on
the way out, whichever way that is. What it makes is named benchPID..., so that two harnesses never meet.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time


# In memory, as /run is, where podswitchd keeps its state by default: else each port would wait for a disk.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failed(Exception):
    """A measurement or a step that did not work; the text says which and why."""


@contextlib.contextmanager
def undisturbed():
    """A signal that comes meanwhile is handled at the end, so that nothing is made and then forgotten."""
    came = []
    handlers = {number: signal.signal(number, lambda *what: came.append(what)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came[:1]:
            handlers[number](number, frame)


class Program:
    """A program in the background whose standard output is read a line at a time, with a deadline."""

    def __init__(self, argv, log=None, environment=None):
        self.name = " ".join(argv)
        self.rest = b""
        # A session of its own: Ctrl-C is for the harness, which ends its programs in order.
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log or subprocess.PIPE, stderr=log or subprocess.PIPE,
            start_new_session=True, env=environment)

    @property
    def pid(self):
        return self.process.pid

    def line(self, timeout):
        deadline = time.monotonic() + timeout
        pipe = self.process.stdout
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise Failed(f"{self.name}: no answer within {timeout:.0f} s")
            data = os.read(pipe.fileno(), 65536)
            if not data:
                raise Failed(f"{self.name}: {self.process.stderr.read().decode().strip() or 'ended without a result'}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def expect(self, word, timeout):
        line = self.line(timeout)
        if line != word:
            raise Failed(f"{self.name}: said {line!r}, not {word!r}")

    def result(self, timeout):
        return json.loads(self.line(timeout))

    def stop(self):
        """SIGTERM, then SIGKILL; safe to call again."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        self.stop()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


def run(*argv, environment=None):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def wait_for(what, ready, timeout=10):
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {timeout} s")
        time.sleep(0.02)


class Place:
    """A network namespace."""

    def __init__(self, house, name):
        self.house = house
        self.name = name

    def ip(self, *words):
        run("ip", "-n", self.name, *words)

    def run(self, *argv):
        return run("ip", "netns", "exec", self.name, *argv)

    def start(self, *argv, log=None, environment=None):
        return self.house.start("ip", "netns", "exec", self.name, *argv, log=log, environment=environment)


class House:
    def __init__(self):
        self.prefix = f"bench{os.getpid()}"
        self.names = []
        self.programs = []
        self.folder = None

    def __enter__(self):
        try:
            with undisturbed():
                self.folder = tempfile.mkdtemp(prefix=f"podswitch-{self.prefix}.", dir=MEMORY)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *why):
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for program in reversed(self.programs):
            program.close()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder or "", ignore_errors=True)

    def place(self, name):
        full = f"{self.prefix}-{name}"
        self.names.append(full)
        run("ip", "netns", "add", full)
        run("ip", "-n", full, "link", "set", "lo", "up")
        return Place(self, full)

    def remove(self, place):
        run("ip", "netns", "del", place.name)
        self.names.remove(place.name)

    def start(self, *argv, log=None, environment=None):
        with undisturbed():
            program = Program(argv, log=log, environment=environment)
            self.programs.append(program)
        return program

    def end(self, program):
        program.close()
        if program in self.programs:
            self.programs.remove(program)

    def log(self, name):
        return open(os.path.join(self.folder, name + ".log"), "ab")
