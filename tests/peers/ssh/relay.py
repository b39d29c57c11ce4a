#!/usr/bin/env python3
"""A line as a phone's hotspot has it, as ssh's ProxyCommand: standard input and output on
one side, a server on the other, each direction held to so many bytes a second and so late.

    ssh -o 'ProxyCommand=relay.py HOST PORT --rate 8000 --delay 0.15 --counts FILE' ...

What came from the server is counted in FILE, so that whoever measures need not ask the line.
"""

import argparse
import collections
import os
import select
import socket
import sys
import time

SMALL = 4096


class Way:
    """One direction: what came waits its delay, then for its turn at the rate."""

    def __init__(self, source, sink, rate, delay):
        self.source, self.sink, self.rate, self.delay = source, sink, rate, delay
        self.waiting = collections.deque()
        self.held = 0
        self.free_at = 0.0
        self.count = 0
        self.ended = False

    def wants(self):
        # A line holds little: what it cannot carry stays with the sender, and shows there.
        return not self.ended and self.held < max(SMALL, int(self.rate * self.delay))

    def take(self):
        data = os.read(self.source, SMALL)
        if not data:
            self.ended = True
            return
        now = time.monotonic()
        self.free_at = max(self.free_at, now) + len(data) / self.rate
        self.waiting.append((self.free_at + self.delay, data))
        self.held += len(data)
        self.count += len(data)

    def due(self):
        return self.waiting[0][0] if self.waiting else None

    def pass_on(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, data = self.waiting.popleft()
            self.held -= len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self.sink, view):]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=8000, help="bytes a second, each way")
    parser.add_argument("--delay", type=float, default=0.15, help="seconds, each way")
    parser.add_argument("--counts")
    args = parser.parse_args()
    server = socket.socket()
    # Else the kernel takes for the line what the line has not carried yet.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    server.connect((args.host, args.port))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    up = Way(0, server.fileno(), args.rate, args.delay)
    down = Way(server.fileno(), 1, args.rate, args.delay)
    told = 0
    while not (up.ended and not up.waiting) and not (down.ended and not down.waiting):
        now = time.monotonic()
        due = [w.due() for w in (up, down) if w.due() is not None]
        patience = max(0.0, min(due) - now) if due else 1.0
        ready, _, _ = select.select([w.source for w in (up, down) if w.wants()], [], [], patience)
        for way in (up, down):
            if way.source in ready:
                way.take()
            way.pass_on()
        if args.counts and down.count != told:
            told = down.count
            with open(args.counts + ".new", "w", encoding="ascii") as file:
                file.write(str(told))
            os.replace(args.counts + ".new", args.counts)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionError):
        sys.exit(1)
