#!/usr/bin/env python3
"""Quarterdeck beside other terminal consoles, on one cluster, in one run.

Each tool shows the pods of all namespaces in a terminal of 160x48 that this
script owns. See README.md for what is measured and how.
"""

import argparse
import datetime
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CONTROLPLANE = ROOT / "tests/peers/controlplane/run.sh"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quarterdeck-peers"
COLUMNS, LINES = 160, 48
TICK = os.sysconf("SC_CLK_TCK")

# What to run and how to read it. `row` matches one line of the pod table;
# `count` has one group, the number of pods that the tool says it shows.
# {context} and {kubeconfig} are filled in; files are written below the tool's
# own, empty home.
ROW = r"\b[a-z]+-[a-z]+(-\d+)?-[0-9a-f]{6,10}-"
TOOLS = {
    "quarterdeck": {
        "binary": [ROOT / "target/release/quarterdeck", "quarterdeck"],
        "args": ["--context", "{context}", "--view", "tasks"],
        "version": ["--version"],
        "row": ROW,
        "count": r"nodes [\d,/]+\s+tasks ([\d,]+)",
        "files": {},
    },
    # The same program on its first screen, for the bytes that one costs.
    "quarterdeck-overview": {
        "binary": [ROOT / "target/release/quarterdeck", "quarterdeck"],
        "args": ["--context", "{context}", "--view", "overview"],
        "version": ["--version"],
        "row": r"nodes [\d,/]+\s+tasks [\d,]+",
        "count": r"nodes [\d,/]+\s+tasks ([\d,]+)",
        "files": {},
    },
    "sofka": {
        "binary": [CACHE / "tools/bin/sofka", "sofka"],
        "args": ["--kubeconfig", "{kubeconfig}", "--context", "{context}", "-A", "pods"],
        "version": ["--version"],
        "row": ROW,
        "count": r"pods \[([\d,]+)\]",
        "files": {".config/sofka/config.toml": "update_check = false\n"},
    },
    "k9s": {
        "binary": [CACHE / "tools/bin/k9s", "k9s"],
        "args": ["--kubeconfig", "{kubeconfig}", "--context", "{context}", "-A", "-c", "pods"],
        "version": None,  # taken from the module that it was built from
        "row": ROW,
        "count": r"(?i)pods\(all\)\[([\d,]+)\]",
        "files": {".config/k9s/config.yaml": "k9s:\n  skipLatestRevCheck: true\n"},
    },
}

# Figures of the table: key, heading, format, and whether a ratio makes sense.
FIGURES = [
    ("first_row_s", "first row on screen (s)", "{:.2f}"),
    ("all_rows_s", "all rows on screen (s)", "{:.2f}"),
    ("rss_steady_mib", "memory, steady (MiB RSS)", "{:.0f}"),
    ("rss_peak_mib", "memory, peak (MiB RSS)", "{:.0f}"),
    ("cpu_idle_pct", "CPU, idle (% of one core)", "{:.2f}"),
    ("cpu_busy_pct", "CPU at {rate} pod changes/s (%)", "{:.2f}"),
    ("requests_idle_per_min", "API requests/min, idle", "{:.1f}"),
    ("tty_idle_bytes_s", "bytes/s to the terminal, idle", "{:.0f}"),
    ("tty_busy_bytes_s", "bytes/s to the terminal, busy", "{:.0f}"),
]


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def need_pyte():
    """The terminal emulator is installed by pip, in a venv in the cache."""
    venv = CACHE / "bench-venv"
    if not (venv / "bin/python").exists() or not list(venv.glob("lib/*/site-packages/pyte")):
        say("making a venv with pyte ...")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "-q", "pyte==0.8.2"], check=True)
    sys.path[:0] = [str(p) for p in venv.glob("lib/*/site-packages")]
    import pyte

    return pyte


def find(tool):
    for b in TOOLS[tool]["binary"]:
        if isinstance(b, Path):
            if os.access(b, os.X_OK):
                return b
        elif shutil.which(b):
            return Path(shutil.which(b))
    return None


def version(tool, binary):
    args = TOOLS[tool]["version"]
    try:
        if args is None:
            out = subprocess.run(["go", "version", "-m", binary], capture_output=True, text=True, timeout=20).stdout
            m = re.search(r"^\s*(?:mod|dep)\s+\S*/%s\s+(\S+)" % tool, out, re.M)
            return m.group(1) if m else "?"
        out = subprocess.run([binary, *args], capture_output=True, text=True, timeout=20).stdout
        return out.split()[-1] if out.split() else "?"
    except (OSError, subprocess.TimeoutExpired):
        return "?"


# Sequences that pyte would print, and the questions a tool may ask of its
# terminal with what an ordinary one answers.
NOISE = re.compile(rb"\x1b[P_^X].*?\x1b\\|\x1b\[[<>=][0-9;:]*[a-zA-Z]|\x1b\[[0-9;:]*[ $\"'!][a-zA-Z]", re.S)
SUBPARAMS = re.compile(rb"\x1b\[([0-9;]*:[0-9;:]*)m")
QUESTIONS = [
    (re.compile(rb"\x1b\[0?c"), b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[5n"), b"\x1b[0n"),
    (re.compile(rb"\x1b\[6n"), b"\x1b[1;1R"),
    (re.compile(rb"\x1b\]10;\?(\x07|\x1b\\)"), b"\x1b]10;rgb:d0d0/d0d0/d0d0\x1b\\"),
    (re.compile(rb"\x1b\]11;\?(\x07|\x1b\\)"), b"\x1b]11;rgb:1010/1010/1010\x1b\\"),
]


class Terminal:
    """A tool in a terminal of its own."""

    def __init__(self, pyte, argv, env):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.emulate = True  # off while only bytes are counted
        self.bytes = 0
        self.pending = []
        self.lock = threading.Lock()
        self.started = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
                os.execve(argv[0], argv, env)
            finally:
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return
            if not data:
                return
            now = time.monotonic()
            # In the order asked: the last one often only marks the end.
            asked = [(m.start(), answer) for question, answer in QUESTIONS for m in question.finditer(data)]
            for _, answer in sorted(asked):
                os.write(self.fd, answer)
            with self.lock:
                self.bytes += len(data)
                if self.emulate:
                    self.pending.append((now, data))

    def advance(self):
        """Feeds what has come, one read at a time; yields when each was read."""
        with self.lock:
            pending, self.pending = self.pending, []
        held = b""
        for i, (at, data) in enumerate(pending):
            data = held + data
            # A sequence cut in two by the read goes with the next one.
            cut = data.rfind(b"\x1b")
            held = b""
            if i + 1 < len(pending) and cut >= 0 and len(data) - cut < 32:
                data, held = data[:cut], data[cut:]
            data = NOISE.sub(b"", data)
            data = SUBPARAMS.sub(b"", data)
            self.stream.feed(data)
            yield at

    def text(self):
        return "\n".join(self.screen.display)

    def alive(self):
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

    def end(self):
        for sig, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            if not self.alive():
                break
            os.kill(self.pid, sig)
            until = time.monotonic() + patience
            while time.monotonic() < until and self.alive():
                time.sleep(0.05)
        os.close(self.fd)


def family(pid):
    """The process and everything it started."""
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                todo += [int(c) for c in Path(f"/proc/{p}/task/{t}/children").read_text().split()]
        except OSError:
            pass
    return out


def cpu_seconds(pid):
    total = 0
    for p in family(pid):
        try:
            f = Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()
            # With the children it has waited for.
            total += sum(int(f[i]) for i in (11, 12, 13, 14))
        except OSError:
            pass
    return total / TICK


def rss_mib(pid, field="VmRSS"):
    total = 0
    for p in family(pid):
        try:
            m = re.search(field + r":\s+(\d+)", Path(f"/proc/{p}/status").read_text())
            total += int(m.group(1)) if m else 0
        except OSError:
            pass
    return total / 1024


def machine_busy():
    f = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(f[:3]) + sum(f[5:8])) / TICK


class Cluster:
    """The cluster that is looked at, and what only our own control plane gives."""

    def __init__(self, args):
        self.ours = args.kubeconfig is None
        self.state = args.state
        self.audit = None
        self.started = False
        if self.ours:
            self.started = not re.search(r"^etcd\s+pid", self.sh("status", capture=True), re.M)
            self.kubeconfig = self.sh("start", capture=True).strip().splitlines()[-1]
            self.audit = Path(self.state) / "logs/audit.log"
            if self.count() < args.pods:
                say(f"seeding {args.nodes} nodes and {args.pods} pods ...")
                self.sh("seed", "--nodes", str(args.nodes), "--pods", str(args.pods))
        else:
            self.kubeconfig = args.kubeconfig
            self.audit = Path(args.audit_log) if args.audit_log else None
        self.context = self.kubectl("config", "current-context").strip()
        self.server = json.loads(self.kubectl("get", "--raw", "/version"))["gitVersion"]
        self.pods = self.count()
        self.nodes = self.count("nodes")

    def sh(self, *argv, capture=False):
        r = subprocess.run([CONTROLPLANE, argv[0], "--state", self.state, *argv[1:]],
                           stdout=subprocess.PIPE if capture else sys.stderr, text=True, check=True)
        return r.stdout or ""

    def kubectl(self, *argv):
        # As the seeding user where there is one: the audit log leaves it out.
        config = Path(self.state) / "seed.kubeconfig" if self.ours else self.kubeconfig
        if argv[0] == "config" or not self.ours:
            config = self.kubeconfig
        tool = ["kubectl"]
        if self.ours or not shutil.which("kubectl"):
            bindir = subprocess.run([CONTROLPLANE, "build"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            tool = [f"{bindir}/kubectl"]
        env = {**os.environ, "KUBECONFIG": str(config)}
        return subprocess.run([*tool, *argv], stdout=subprocess.PIPE, text=True, check=True, env=env).stdout

    def count(self, what="pods"):
        page = json.loads(self.kubectl("get", "--raw", f"/api/v1/{what}?limit=1"))
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def churn(self, rate, seconds):
        if not self.ours:
            return None
        return subprocess.Popen([CONTROLPLANE, "churn", "--state", self.state, "--rate", str(rate), "--seconds", str(seconds)],
                                stdout=subprocess.PIPE, text=True)

    def audit_offset(self):
        return self.audit.stat().st_size if self.audit and self.audit.exists() else 0

    def requests_since(self, offset):
        """Requests in the audit log, by user agent, verb and resource."""
        if not self.audit or not self.audit.exists():
            return None
        counts = {}
        with open(self.audit, "rb") as f:
            f.seek(offset)
            for line in f:
                try:
                    e = json.loads(line)
                except ValueError:
                    continue
                ref = e.get("objectRef") or {}
                # A watch or a log stream counts when it starts.
                stream = e["verb"] == "watch" or ref.get("subresource") in ("log", "exec", "attach", "portforward")
                if (e["stage"] == "ResponseStarted") != stream:
                    continue
                what = ref.get("resource") or e["requestURI"].split("?")[0]
                if ref.get("subresource"):
                    what += "/" + ref["subresource"]
                key = (e.get("userAgent", "").split(" ")[0], e["verb"], what)
                counts[key] = counts.get(key, 0) + 1
        return counts


def launch(pyte, tool, binary, cluster):
    spec = TOOLS[tool]
    home = Path(tempfile.mkdtemp(prefix=f"side-by-side-{tool}-"))
    for name, text in spec["files"].items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    env = {
        "HOME": str(home), "PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLORTERM": "truecolor",
        "LANG": "C.UTF-8", "KUBECONFIG": str(cluster.kubeconfig), "SHELL": "/bin/sh", "USER": "bench",
        "XDG_CONFIG_HOME": str(home / ".config"), "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_DATA_HOME": str(home / ".local/share"), "XDG_CACHE_HOME": str(home / ".cache"),
    }
    fill = {"context": cluster.context, "kubeconfig": str(cluster.kubeconfig)}
    argv = [str(binary)] + [a.format(**fill) for a in spec["args"]]
    return Terminal(pyte, argv, env), home


def until_rows(term, tool, want, timeout):
    """Seconds from the start to the first row, and to all of them."""
    row, count = re.compile(TOOLS[tool]["row"]), re.compile(TOOLS[tool]["count"])
    first = full = None
    while full is None and time.monotonic() - term.started < timeout and term.alive():
        fed = False
        for at in term.advance():
            fed = True
            text = term.text()
            if first is None and row.search(text):
                first = at - term.started
            m = count.search(text)
            if first is not None and m and int(m.group(1).replace(",", "")) >= want:
                full = at - term.started
                break
        if not fed:
            time.sleep(0.005)
    return first, full


def window(term, seconds):
    """CPU, bytes and memory over a stretch of time."""
    with term.lock:
        bytes0 = term.bytes
    cpu0, busy0, t0 = cpu_seconds(term.pid), machine_busy(), time.monotonic()
    rss = []
    while time.monotonic() - t0 < seconds:
        time.sleep(min(1.0, max(0.0, seconds - (time.monotonic() - t0))))
        rss.append(rss_mib(term.pid))
    took = time.monotonic() - t0
    cpu = cpu_seconds(term.pid) - cpu0
    with term.lock:
        out = term.bytes - bytes0
    return {
        "seconds": took,
        "cpu_pct": 100 * cpu / took,
        "bytes_s": out / took,
        "rss_mib": statistics.median(rss or [rss_mib(term.pid)]),
        "machine_busy_pct": 100 * (machine_busy() - busy0) / took / os.cpu_count(),
    }


def measure(pyte, tool, binary, cluster, args, long):
    offset0 = cluster.audit_offset()
    term, home = launch(pyte, tool, binary, cluster)
    got = {"load_before": os.getloadavg()[0]}
    try:
        first, full = until_rows(term, tool, cluster.pods, args.timeout)
        got["first_row_s"], got["all_rows_s"] = first, full
        if args.screens:
            time.sleep(1)
            for _ in term.advance():
                pass
            Path(args.screens).mkdir(parents=True, exist_ok=True)
            (Path(args.screens) / f"{tool}.txt").write_text(term.text())
        if full is None:
            got["error"] = "ended by itself" if not term.alive() else f"not all rows within {args.timeout}s"
            got["screen"] = term.text()
            return got
        if not long:
            time.sleep(1)
            got["rss_peak_mib"] = rss_mib(term.pid, "VmHWM")
            return got
        with term.lock:
            term.emulate, term.pending = False, []
        time.sleep(args.settle)
        start = cluster.requests_since(offset0)
        got["requests_start"] = sum(start.values()) if start is not None else None
        offset = cluster.audit_offset()
        idle = window(term, args.idle)
        requests = cluster.requests_since(offset)
        got["cpu_idle_pct"], got["tty_idle_bytes_s"], got["rss_steady_mib"] = idle["cpu_pct"], idle["bytes_s"], idle["rss_mib"]
        got["idle"] = idle
        if requests is not None:
            got["requests_idle_per_min"] = sum(requests.values()) * 60 / idle["seconds"]
            got["requests_idle"] = {" ".join(k): n for k, n in sorted(requests.items())}
        churn = cluster.churn(args.rate, args.busy + 4)
        if churn:
            time.sleep(2)  # it lists the pods first
            busy = window(term, args.busy)
            out, _ = churn.communicate()
            got["churn"] = out.strip()
            got["busy"] = busy
            got["cpu_busy_pct"], got["tty_busy_bytes_s"], got["rss_busy_mib"] = busy["cpu_pct"], busy["bytes_s"], busy["rss_mib"]
        got["rss_peak_mib"] = rss_mib(term.pid, "VmHWM")
        if not term.alive():
            got["error"] = "ended by itself while it was measured"
        return got
    finally:
        term.end()
        shutil.rmtree(home, ignore_errors=True)


def table(results, cluster, args):
    tools = list(results)
    us = "quarterdeck" if "quarterdeck" in tools else None
    head = ["", *[f"{t} {results[t]['version']}" for t in tools]] + (["quarterdeck / best peer"] if us and len(tools) > 1 else [])
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for key, title, fmt in FIGURES:
        values = {t: results[t]["figures"].get(key) for t in tools}
        if all(v is None for v in values.values()):
            continue
        row = [title.format(rate=f"{args.rate:g}")] + [fmt.format(values[t]) if values[t] is not None else "n/a" for t in tools]
        peers = [v for t, v in values.items() if not t.startswith("quarterdeck") and v is not None]
        best = min(peers) if peers else None
        if us and len(tools) > 1:
            row.append(f"{values[us] / best:.2f}" if best and values[us] is not None else "equal" if best == values[us] == 0 else "n/a")
        elif best is not None:
            row = [row[0]] + [c if values[t] is None or not best else f"{c} ({values[t] / best:.1f}x)" for c, t in zip(row[1:], tools)]
        rows.append(row)
    lines = ["| " + " | ".join(r) + " |" for r in rows]
    where = f"{cluster.pods:,} pods on {cluster.nodes} nodes, Kubernetes {cluster.server}, {os.cpu_count()} cores shared with the control plane"
    how = (f"terminal {COLUMNS}x{LINES}, median of {args.runs} starts, {args.idle:g}s idle, {args.busy:g}s busy; "
           f"{datetime.date.today().isoformat()}; less is better in every row")
    return "\n".join(lines) + f"\n\n{where}; {how}.\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kubeconfig", help="an existing cluster (default: our own control plane, started and seeded as needed)")
    p.add_argument("--audit-log", help="with --kubeconfig: that API server's audit log, for the request counts")
    p.add_argument("--state", default=str(CACHE / "controlplane/side-by-side"), help="state directory of our own control plane")
    p.add_argument("--nodes", type=int, default=300)
    p.add_argument("--pods", type=int, default=10000)
    p.add_argument("--tools", default=",".join(TOOLS), help="comma-separated, of: " + ", ".join(TOOLS))
    p.add_argument("--runs", type=int, default=3, help="starts of each tool; the last is also measured idle and busy")
    p.add_argument("--idle", type=float, default=60, help="seconds")
    p.add_argument("--busy", type=float, default=30, help="seconds")
    p.add_argument("--settle", type=float, default=15, help="seconds between all rows on screen and the idle stretch")
    p.add_argument("--rate", type=float, default=100, help="pod changes per second")
    p.add_argument("--timeout", type=float, default=120, help="seconds to wait for all rows")
    p.add_argument("--json", help="write everything measured to this file")
    p.add_argument("--markdown", help="write the table to this file too")
    p.add_argument("--screens", help="write each tool's screen, as text, to this folder")
    p.add_argument("--keep", action="store_true", help="leave a control plane that this run started running")
    args = p.parse_args()

    chosen = {}
    for tool in args.tools.split(","):
        if tool not in TOOLS:
            p.error(f"no such tool: {tool}")
        binary = find(tool)
        if binary is None:
            say(f"*** {tool} IS SKIPPED: not found at any of {', '.join(map(str, TOOLS[tool]['binary']))} (see README.md)")
            continue
        chosen[tool] = binary
    if not chosen:
        sys.exit("none of the tools is there")

    pyte = need_pyte()
    cluster = Cluster(args)
    if cluster.audit is None:
        say("*** API REQUESTS ARE NOT COUNTED: there is no audit log")
    results = {t: {"version": version(t, b), "runs": []} for t, b in chosen.items()}
    failed = False
    try:
        for n in range(args.runs):
            for tool, binary in chosen.items():
                long = n == args.runs - 1
                got = measure(pyte, tool, binary, cluster, args, long)
                results[tool]["runs"].append(got)
                if "error" in got:
                    failed = True
                    say(f"*** {tool}: {got['error']}; its screen was:\n{got.get('screen', '')}")
                else:
                    say(f"{tool} run {n + 1}/{args.runs}: first row {got['first_row_s']:.2f}s, all rows {got['all_rows_s']:.2f}s")
                time.sleep(2)
    finally:
        if cluster.started and not args.keep:
            cluster.sh("stop")

    for r in results.values():
        good = [g for g in r["runs"] if "error" not in g]
        figures = {}
        for key, _, _ in FIGURES:
            values = [g[key] for g in good if g.get(key) is not None]
            if not values:
                continue
            # Starts are repeated; the rest comes from the one long run.
            figures[key] = statistics.median(values) if key in ("first_row_s", "all_rows_s") else max(values) if key == "rss_peak_mib" else values[-1]
        r["figures"] = figures
    out = table(results, cluster, args)
    print(out)
    if args.markdown:
        Path(args.markdown).write_text(out)
    if args.json:
        Path(args.json).write_text(json.dumps({
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "cluster": {"server": cluster.server, "pods": cluster.pods, "nodes": cluster.nodes},
            "terminal": [COLUMNS, LINES], "settings": {k: getattr(args, k) for k in ("runs", "idle", "busy", "settle", "rate")},
            "cores": os.cpu_count(), "tools": results,
        }, indent=2) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
