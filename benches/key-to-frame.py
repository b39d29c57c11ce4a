#!/usr/bin/env python3
"""Key to frame through the whole program: a key pressed in a real terminal,
the time until the frame that answers it begins to arrive.

The console reads the embedded fleet from `quarterdeck sim` in a process of its
own: 50,000 pods of which 1,000 change every second. The key opens help, which
no change of data can do, so the answer is told from frames that data asked
for. Machine, fleet and console share the cores; the figures say how it was.

    cargo build --release && benches/key-to-frame.py
"""

import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUARTERDECK = ROOT / "target/release/quarterdeck"
COLUMNS, LINES = 160, 48


class Screen:
    """The console in a terminal; keeps only the newest of what it wrote."""

    def __init__(self, kubeconfig, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8",
                   "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "XDG_DATA_HOME": home, "XDG_CACHE_HOME": home}
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
            os.execve(QUARTERDECK, ["quarterdeck", "--kubeconfig", kubeconfig, "--view", "tasks"], env)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.tail, self.bytes = b"", 0

    def read(self, patience):
        ready, _, _ = select.select([self.fd], [], [], patience)
        if ready:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                sys.exit(f"the console ended; the last it wrote was {self.tail[-500:]!r}")
            self.bytes += len(data)
            self.tail = (self.tail + data)[-200_000:]
        return bool(ready)

    def until(self, pattern, patience):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if re.search(pattern, self.tail):
                return True
            self.read(max(0.0, end - time.monotonic()))
        return False

    def rest(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)


def busy(pid):
    f = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--nodes", type=int, default=1500)
    p.add_argument("--pods", type=int, default=50_000)
    p.add_argument("--changes", type=float, default=1000)
    p.add_argument("--keys", type=int, default=300)
    args = p.parse_args()
    home = tempfile.mkdtemp(prefix="key-to-frame-")
    sim = subprocess.Popen(
        [QUARTERDECK, "sim", "--scenario", "big", "--nodes", str(args.nodes), "--pods", str(args.pods),
         "--changes", str(args.changes)], stdout=subprocess.PIPE, text=True)
    try:
        lines = []
        for line in sim.stdout:
            lines.append(line)
            if line.strip().startswith("token:"):
                break
        kubeconfig = Path(home) / "kubeconfig"
        kubeconfig.write_text("".join(lines))
        screen = Screen(str(kubeconfig), home)
        if not screen.until(rb"live", 120):
            sys.exit("the list was not complete within two minutes")
        screen.rest(5)
        took, before, at = [], busy(screen.pid), time.monotonic()
        sim_before = busy(sim.pid)
        for n in range(args.keys):
            screen.rest(0.05 + (n * 37 % 100) / 1000)
            screen.tail = b""
            pressed = time.monotonic()
            os.write(screen.fd, b"?")
            if not screen.until(rb"(?i)close|help", 5):
                sys.exit(f"no answer to key {n + 1} within 5 s")
            took.append((time.monotonic() - pressed) * 1000)
            screen.rest(0.03)
            os.write(screen.fd, b"\x1b")
        seconds = time.monotonic() - at
        took.sort()
        rank = lambda q: took[min(len(took) - 1, int(q * len(took)))]
        print(f"{args.pods:,} pods on {args.nodes:,} nodes, {args.changes:g} changes/s, {len(took)} keys, "
              f"{COLUMNS}x{LINES}, {os.cpu_count()} cores shared with the fleet")
        print(f"key to frame: median {statistics.median(took):.1f} ms, p90 {rank(0.9):.1f} ms, "
              f"p99 {rank(0.99):.1f} ms, most {took[-1]:.1f} ms")
        print(f"CPU: console {100 * (busy(screen.pid) - before) / seconds:.0f} %, "
              f"fleet {100 * (busy(sim.pid) - sim_before) / seconds:.0f} % of one core")
        os.kill(screen.pid, signal.SIGTERM)
        # Who does not read holds up whoever writes, and what it wrote last.
        while os.waitpid(screen.pid, os.WNOHANG)[0] == 0:
            if select.select([screen.fd], [], [], 0.1)[0]:
                try:
                    os.read(screen.fd, 65536)
                except OSError:
                    pass
    finally:
        sim.terminate()
        sim.wait()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
