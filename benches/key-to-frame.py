#!/usr/bin/env python3
"""Key to frame through the whole program: a key pressed in a real terminal,
the time until the frame that answers it begins to arrive.

The console reads the embedded fleet from `quarterdeck sim` in a process of its
own: 50,000 pods of which 1,000 change every second. The key opens help, which
no change of data can do, so the answer is told from frames that data asked
for. Machine, fleet and console share the cores; the figures say how it was.
With --alarms and --slos a small Prometheus of its own has so many alerts that
fire, and answers for so many objectives, a tenth of which page. With --notices
so many spot nodes are interrupted within ten seconds, and Karpenter evicts
what runs on them: keys are pressed from the first notice on.

What a host gives to others is in every figure: the first line says how much
that is before anything runs. On a machine that takes 5 ms away from half a
millisecond of arithmetic once in a hundred times, so it does from a key. With
--watch, where real-time priority is allowed, a watch on each core, before which
no process of this machine goes, notes when the same work took more than three
times as long as usual; the figures are said once more for the keys in whose
time it did not. A key that takes long meets such a moment more easily than a
short one, and with few keys left the second line says little. The watches take
2 to 5 % of each core, and a third of it in the moments that they look for: what
all keys took is to be read from runs without them.

    cargo build --release && benches/key-to-frame.py
"""

import argparse
import fcntl
import http.server
import json
import multiprocessing
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
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUARTERDECK = ROOT / "target/release/quarterdeck"
COLUMNS, LINES = 160, 48


class Screen:
    """The console in a terminal; keeps only the newest of what it wrote."""

    def __init__(self, kubeconfig, home, view):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            env = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8",
                   "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "XDG_DATA_HOME": home, "XDG_CACHE_HOME": home}
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
            os.execve(QUARTERDECK, ["quarterdeck", "--kubeconfig", kubeconfig, "--view", view], env)
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


def machine(rounds=2000):
    """What half a millisecond of arithmetic takes here, with a pause before each: median, p99 and most, in ms. What is far
    above the median was given to somebody else, by the scheduler or by a host that this machine shares."""
    loops, took = 1000, []
    while True:
        began = time.perf_counter()
        sum(range(loops))
        if time.perf_counter() - began > 0.0005:
            break
        loops = loops * 5 // 4
    for _ in range(rounds):
        time.sleep(0.002)
        began = time.perf_counter()
        sum(range(loops))
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return statistics.median(took), took[int(0.99 * rounds)], took[-1]


class Watch:
    """Says when a core was slow though nothing of this machine could keep it: a process on each, with real-time priority,
    that sleeps for two milliseconds, works for a twentieth of one, and notes when either took much longer."""

    NAP, LATE, TIMES = 0.002, 0.0005, 3

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self.stop, self.told, self.cores = context.Event(), context.Queue(), sorted(os.sched_getaffinity(0))
        self.ready = context.Barrier(len(self.cores) + 1)
        self.slow, before = [], (os.sched_getscheduler(0), os.sched_getparam(0))
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            os.sched_setscheduler(0, *before)
        except OSError:
            self.cores = []
            return
        for core in self.cores:
            context.Process(target=self.look, args=(core,), daemon=True).start()
        self.ready.wait(timeout=10)

    def look(self, core):
        os.sched_setaffinity(0, {core})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        # Spread over a second: it may be slow just now.
        slow, usual = [], statistics.median(self.work() for _ in range(500) if time.sleep(self.NAP) is None)
        self.ready.wait(timeout=10)
        while not self.stop.is_set():
            began = time.monotonic()
            time.sleep(self.NAP)
            late = time.monotonic() - began - self.NAP
            if self.work() > self.TIMES * usual or late > self.LATE:
                slow.append((began, time.monotonic()))
        self.told.put(slow)

    @staticmethod
    def work():
        began = time.monotonic()
        sum(range(4000))
        return time.monotonic() - began

    def end(self):
        self.stop.set()
        self.slow = [s for _ in self.cores for s in self.told.get(timeout=10)]

    def was_fast(self, began, ended):
        return not any(since < ended and until > began for since, until in self.slow)


SLO = """apiVersion: openslo/v1
kind: SLO
metadata: {{name: slo-{0:03}}}
spec:
  service: shop
  budgetingMethod: Occurrences
  timeWindow: [{{duration: 30d, isRolling: true}}]
  indicator:
    metadata: {{name: i}}
    spec:
      ratioMetric:
        counter: true
        bad: {{metricSource: {{type: Prometheus, spec: {{query: 'bad_requests_total{{job="s{0:03}"}}'}}}}}}
        total: {{metricSource: {{type: Prometheus, spec: {{query: 'all_requests_total{{job="s{0:03}"}}'}}}}}}
  objectives: [{{target: 0.999}}]
"""


class Prometheus(http.server.BaseHTTPRequestHandler):
    """Alerts, and an answer to each question of a batch."""

    alarms = 0

    def do_GET(self):
        self.answer("")

    def do_POST(self):
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.answer(urllib.parse.parse_qs(form).get("query", [""])[0])

    def answer(self, query):
        path = self.path.partition("?")[0]
        data = {"resultType": "matrix" if "range" in path else "vector", "result": []}
        if path.endswith("/rules"):
            alert = lambda i: {"labels": {"alertname": f"Alert{i % 40:02}", "severity": "warning", "instance": f"10.0.0.{i}"},
                               "annotations": {"summary": "it burns"}, "state": "firing",
                               "activeAt": "2026-01-02T03:04:05Z", "value": "1e+00"}
            rule = {"type": "alerting", "name": "Alert", "query": "x > 0.5", "health": "ok",
                    "alerts": [alert(i) for i in range(self.alarms)]}
            data = {"groups": [{"name": "g", "rules": [rule]}]}
        elif path.endswith("/query"):
            for part in query.split("label_replace(")[1:]:
                expr, _, rest = part.partition(', "quarterdeck_question", "')
                value = "100000" if "all_" in expr else "2000" if 'job="s' in expr and '0"' in expr else "1"
                if rest:
                    data["result"].append({"metric": {"quarterdeck_question": rest.partition('"')[0]}, "value": [1, value]})
        elif path.endswith("/buildinfo"):
            data = {"version": "3.5.0"}
        body = json.dumps({"status": "success", "data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def with_alarms(home, alarms, slos):
    """Settings that read a Prometheus with so many of both, and the process that is it."""
    Prometheus.alarms = alarms
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    config = Path(home) / "quarterdeck"
    (config / "slo").mkdir(parents=True)
    for i in range(slos):
        (config / "slo" / f"{i:03}.yaml").write_text(SLO.format(i))
    (config / "config.toml").write_text(
        f'slo.files = ["{config / "slo"}"]\n[[prometheus]]\nname = "prom"\n'
        f'url = "http://127.0.0.1:{server.server_address[1]}"\n')
    return process


STORM = """description = "A fleet of which a part is taken back at once."
seed = 23
[generate]
nodes = 300
pods = 10000
changes_per_second = 20.0
[[at]]
t = "{wait}s"
action = "spot-interrupt"
group = "spot"
count = {notices}
handler = "karpenter"
spread = "10s"
"""


def figures(keys):
    if not keys:
        return "nothing to say"
    took = sorted((ended - began) * 1000 for began, ended in keys)
    rank = lambda q: took[min(len(took) - 1, int(q * len(took)))]
    return f"median {statistics.median(took):.1f} ms, p90 {rank(0.9):.1f} ms, p99 {rank(0.99):.1f} ms, most {took[-1]:.1f} ms"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--nodes", type=int, default=1500)
    p.add_argument("--pods", type=int, default=50_000)
    p.add_argument("--changes", type=float, default=1000)
    p.add_argument("--keys", type=int, default=300)
    p.add_argument("--alarms", type=int, default=0)
    p.add_argument("--slos", type=int, default=0)
    p.add_argument("--notices", type=int, default=0, help="a third of the nodes are spot ones")
    p.add_argument("--wait", type=int, default=30, help="seconds from the fleet's start to the first notice")
    p.add_argument("--view", default="tasks")
    p.add_argument("--nice", action="store_true", help="the fleet gets what the console leaves of the cores")
    p.add_argument("--watch", action="store_true", help="say also what keys took while no core was slowed from outside")
    args = p.parse_args()
    if sys.platform != "linux":
        sys.exit("this reads /proc: it needs Linux")
    median, p99, most = machine()
    print(f"the machine, before: half a millisecond of arithmetic takes {median:.1f} ms, p99 {p99:.1f} ms, most {most:.1f} ms")
    home = tempfile.mkdtemp(prefix="key-to-frame-")
    prometheus = with_alarms(home, args.alarms, args.slos) if args.alarms or args.slos else None
    scenario = "big"
    if args.notices:
        scenario = str(Path(home) / "storm.toml")
        Path(scenario).write_text(STORM.format(wait=args.wait, notices=args.notices))
    sim = subprocess.Popen(
        [QUARTERDECK, "sim", "--scenario", scenario, "--nodes", str(args.nodes), "--pods", str(args.pods),
         "--changes", str(args.changes)], stdout=subprocess.PIPE, text=True,
        # In life the fleet is other machines: what it does with both cores is not the console's wait.
        preexec_fn=(lambda: os.nice(19)) if args.nice else None, start_new_session=True)
    # Where the scheduler shares the cores among sessions first, niceness counts within one only.
    autogroup = Path(f"/proc/{sim.pid}/autogroup")
    if args.nice and autogroup.exists():
        autogroup.write_text("19")
    try:
        lines = []
        for line in sim.stdout:
            lines.append(line)
            if line.strip().startswith("token:"):
                break
        kubeconfig = Path(home) / "kubeconfig"
        kubeconfig.write_text("".join(lines))
        screen = Screen(str(kubeconfig), home, args.view)
        if not screen.until(rb"live", 120):
            sys.exit("the list was not complete within two minutes")
        if args.notices and not screen.until(rb"spot [0-9]+ machines? go", args.wait + 30):
            sys.exit("no notice is on the screen")
        screen.rest(0 if args.notices else 5)
        watch = Watch() if args.watch else None
        took, before, at = [], busy(screen.pid), time.monotonic()
        sim_before = busy(sim.pid)
        for n in range(args.keys):
            screen.rest(0.05 + (n * 37 % 100) / 1000)
            screen.tail = b""
            pressed = time.monotonic()
            os.write(screen.fd, b"?")
            if not screen.until(rb"(?i)close|help", 5):
                sys.exit(f"no answer to key {n + 1} within 5 s")
            took.append((pressed, time.monotonic()))
            screen.rest(0.03)
            os.write(screen.fd, b"\x1b")
        seconds = time.monotonic() - at
        if watch:
            watch.end()
        more = f"{args.alarms:,} alarms, {args.slos:,} SLOs, " if prometheus else ""
        more += f"{args.notices:,} notices in 10 s, " if args.notices else ""
        print(f"{args.pods:,} pods on {args.nodes:,} nodes, {args.changes:g} changes/s, {more}{args.view}, {len(took)} keys, "
              f"{COLUMNS}x{LINES}, {os.cpu_count()} cores shared with the fleet")
        print(f"key to frame: {figures(took)}")
        if watch and watch.cores:
            fast = [key for key in took if watch.was_fast(*key)]
            print(f"  {len(fast)} of them while the cores were as fast as usual: {figures(fast)}")
        elif watch:
            print("  (no real-time priority here: nobody knows how much of that a host took)")
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
        if prometheus:
            prometheus.terminate()
        sim.terminate()
        sim.wait()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
