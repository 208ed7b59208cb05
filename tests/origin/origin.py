"""A scriptable origin server that can misbehave in every way. Python's standard library only, one asyncio loop.

In a test (a thread of its own):         origin = Origin().start(); origin.url("/bytes/1000000/a?cc=max-age=60"); origin.stop()
By itself:                               python3 origin.py [--port N]; counters under /_control/stats

/bytes/SIZE/SEED gives SIZE bytes that depend on the seed and the offset alone (`content`), so any part of them can be checked.
It honours Range, If-Range, If-None-Match and If-Modified-Since. The query changes how it behaves:

  cc=TEXT          Cache-Control                     etag=TEXT|weak|none   validator (default from size and seed)
  lm=TEXT|none     Last-Modified                     status=N              another status, with the same content
  vary=FIELD       Vary; the content depends on it   type=TEXT             Content-Type
  rate=BYTES/S     pace of each connection           delay=S               before the head
  slow_head=S      the head in bytes, over S seconds piece=N               bytes per write (with gap=S between them)
  chunked=1        no Content-Length                 trailer=NAME:VALUE    after a chunked body
  until_close=1    no length at all, close ends it   close=1               Connection: close
  early=103|100    a 1xx first                       location=URL          Location (with status=30x)
  header=N:V       one more field, repeatable        length=N              a Content-Length that lies
  ranges=no        ignores Range, no Accept-Ranges   ranges=shy            honours Range but does not say so
  bad_range=1      every 206 to a part that does not start at 0 says a Content-Range that is wrong by one
  bad_size=1       such a 206 says another complete length
  die=PERCENT      the connection that would send the byte at PERCENT of the object is reset there; with die_once=1 only once,
                   with die_all=1 every later request on this path is reset too
  stall=PERCENT    the first response that comes to the byte at PERCENT of the object falls silent there
  change=PERCENT   once PERCENT of the object was sent in all, it is another version: new content, new ETag
  fail=N           the Nth request on this path gets 503 (with retry_after=S)
  fail_conn=N      the Nth connection that asks for this path gets 503 to its first request
  cut=N            the Nth request on this path is closed half-way through its answer

Everything a client sent, and what it was sent, is kept in `requests`, in order.
"""
import argparse
import asyncio
import dataclasses
import email.utils
import hashlib
import itertools
import json
import re
import socket
import struct
import threading
import time
import urllib.parse

PERIOD = 1_000_003  # prime, so that a piece put at a wrong offset never looks right
LAST_MODIFIED = "Mon, 02 Jan 2023 03:04:05 GMT"
_blocks = {}


def content(seed, first, last):
    """The bytes [first, last) of every object with this seed."""
    block = _blocks.get(seed)
    if block is None:
        if len(_blocks) > 32:
            _blocks.clear()
        block = _blocks[seed] = hashlib.shake_128(seed.encode()).digest(PERIOD)
    parts, at = [], first
    while at < last:
        start = at % PERIOD
        take = min(PERIOD - start, last - at)
        parts.append(block[start:start + take])
        at += take
    return b"".join(parts)


def sha256(seed, size):
    """SHA-256 of the whole object, in hex."""
    digest = hashlib.sha256()
    for at in range(0, size, PERIOD):
        digest.update(content(seed, at, min(size, at + PERIOD)))
    return digest.hexdigest()


@dataclasses.dataclass
class Request:
    connection: int
    method: str
    target: str
    fields: list
    body: bytes = b""
    sent: int = 0          # body bytes handed to the kernel
    status: int = 0
    version: str = "HTTP/1.1"
    complete: bool = False  # its body came whole
    at: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def path(self):
        return self.target.partition("?")[0]

    def field(self, name, default=None):
        """The field's lines joined by commas, or the default."""
        values = [v for n, v in self.fields if n.lower() == name.lower()]
        return ", ".join(values) if values else default


class Reset(Exception):
    """Ends the connection with a TCP reset."""


class Close(Exception):
    """Ends the connection."""


class Origin:
    def __init__(self, address="127.0.0.1", port=0):
        self.address, self.port = address, port
        self._lock = threading.Lock()
        self._transports = []
        self._routes = {}
        self._ready, self._thread, self._loop = threading.Event(), None, None
        self._writers, self._numbers = set(), itertools.count(1)
        self._dead, self._sent, self._changed, self._conns = set(), {}, {}, {}
        self.reset()

    # The test's side, any thread.

    def start(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the origin did not start")
        return self

    def stop(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def url(self, target="/"):
        return f"http://{self.address}:{self.port}{target}"

    def reset(self):
        """Forget what was counted."""
        with self._lock:
            self.requests, self.connections, self.peak_connections = [], 0, 0

    def seen(self, path):
        """The requests for this path (without query), in order."""
        with self._lock:
            return [r for r in self.requests if r.path == path]

    def bytes_sent(self, path):
        return sum(r.sent for r in self.seen(path))

    def on(self, path, handler):
        """From now on `await handler(request, connection)` answers this path; it may raise Close or Reset."""
        self._routes[path] = handler

    def raw(self, path, *steps):
        """Answer this path with exact bytes. A step is bytes to send, a number of seconds to wait, Close or Reset."""
        async def handler(request, connection):
            for step in steps:
                if isinstance(step, bytes):
                    await connection.send(step)
                    if b"\r\n\r\n" in step and not request.status:
                        found = re.match(rb"HTTP/1\.\d (\d+)", step)
                        request.status = int(found.group(1)) if found else 0
                elif isinstance(step, (int, float)):
                    await asyncio.sleep(step)
                else:
                    raise step()
        self.on(path, handler)

    def close_idle(self):
        """Close every connection that is open now, as a server does whose keep-alive time is over."""
        def close():
            for writer in list(self._writers):
                writer.close()
        self._loop.call_soon_threadsafe(close)

    # The server's side, on the loop.

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Counted(self, self._loop), self.address, self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    def _opened(self, transport):
        """Counts a connection, and how many the client side has open now: by the kernel's word, which knows at once that a
        peer has closed, where our handlers notice later."""
        self._transports = [t for t in self._transports if not t.is_closing()] + [transport]
        established = 0
        for one in self._transports:
            try:
                state = one.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
                established += state == 1  # TCP_ESTABLISHED; after the peer's FIN it is CLOSE_WAIT
            except OSError:
                pass
        with self._lock:
            self.connections += 1
            self.peak_connections = max(self.peak_connections, established)

    async def _connection(self, reader, writer):
        number = next(self._numbers)
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.transport.set_write_buffer_limits(high=0)  # what counts as sent is in the kernel
        self._writers.add(writer)
        connection = Connection(number, reader, writer)
        try:
            while await self._exchange(connection):
                pass
        except (Close, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        except Reset:
            writer.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, connection):
        head = await connection.reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
        fields = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:] if line)]
        request = Request(connection.number, method, target, fields, version=version)
        with self._lock:
            self.requests.append(request)
        if request.field("expect", "").lower() == "100-continue":
            await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = await connection.read_body(request)
        request.complete = True
        handler = self._routes.get(request.path)
        if handler:
            await handler(request, connection)
        elif request.path.startswith("/bytes/"):
            await self._bytes(request, connection)
        elif request.path == "/_control/stats":
            await self._stats(request, connection)
        elif request.path == "/echo":
            await self._echo(request, connection)
        else:
            await connection.reply(request, 404, [], b"no such path\n")
        return request.field("connection", "").lower() != "close" and not connection.closing

    async def _stats(self, request, connection):
        with self._lock:
            numbers = {"connections": self.connections, "peak": self.peak_connections,
                       "requests": len(self.requests), "bytes": sum(r.sent for r in self.requests)}
        await connection.reply(request, 200, [("Cache-Control", "no-store")], json.dumps(numbers).encode())

    async def _echo(self, request, connection):
        """What arrived here, as JSON: method, target, fields, the body's size and SHA-256."""
        told = {"method": request.method, "target": request.target, "fields": request.fields,
                "version": request.version,
                "body_size": len(request.body), "body_sha256": hashlib.sha256(request.body).hexdigest()}
        await connection.reply(request, 200, [("Cache-Control", "no-store"), ("Content-Type", "application/json")],
                               json.dumps(told).encode())

    async def _bytes(self, request, connection):
        _, _, size, seed = request.path.split("/")
        asked = urllib.parse.parse_qs(request.target.partition("?")[2], keep_blank_values=True)
        plan = Plan(self, request, connection, int(size), seed, {k: v[-1] for k, v in asked.items()})
        plan.extra = [tuple(h.split(":", 1)) for h in asked.get("header", [])]
        await plan.answer()


class _Counted(asyncio.StreamReaderProtocol):

    def __init__(self, origin, loop):
        super().__init__(asyncio.StreamReader(limit=1 << 20, loop=loop), origin._connection, loop=loop)
        self._origin = origin

    def connection_made(self, transport):
        self._origin._opened(transport)
        super().connection_made(transport)


class Connection:
    """One client's connection: exact writes, bodies, pacing."""

    def __init__(self, number, reader, writer):
        self.number, self.reader, self.writer, self.closing = number, reader, writer, False
        self._started, self._paced = None, 0

    async def send(self, data, rate=0):
        step = max(512, min(len(data), int(rate / 50))) if rate else 1 << 18
        for at in range(0, len(data), step):
            part = data[at:at + step]
            self.writer.write(part)
            await self.writer.drain()
            if rate:
                self._started = self._started or time.monotonic()
                self._paced += len(part)
                ahead = self._paced / rate - (time.monotonic() - self._started)
                if ahead > 0:
                    await asyncio.sleep(ahead)

    async def read_body(self, request):
        if "chunked" in request.field("transfer-encoding", "").lower():
            body = b""
            while True:
                size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
                if size == 0:
                    while await self.reader.readuntil(b"\r\n") != b"\r\n":
                        pass
                    return body
                body += (await self.reader.readexactly(size + 2))[:-2]
        length = int(request.field("content-length", "0"))
        return await self.reader.readexactly(length) if length else b""

    async def reply(self, request, status, fields, body):
        head = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Status'}", f"Content-Length: {len(body)}"]
        head += [f"{n}: {v}" for n, v in fields]
        request.status = status
        await self.send(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
        if request.method != "HEAD":
            await self.send(body)
            request.sent += len(body)


class Plan:
    """How one /bytes request is answered."""

    def __init__(self, origin, request, connection, size, seed, query):
        self.origin, self.request, self.connection = origin, request, connection
        self.size, self.seed, self.query = size, seed, query
        key = request.target
        self.key = key
        if key in origin._changed:
            self.seed += "-changed"
        if query.get("vary"):
            self.seed += "|" + request.field(query["vary"], "")
        etag = query.get("etag", "")
        self.etag = None if etag == "none" else f'"{etag or size}-{self.seed.replace(" ", "_")}"'
        if etag == "weak":
            self.etag = "W/" + self.etag
        modified = query.get("lm", LAST_MODIFIED)
        self.modified = None if modified == "none" else modified

    def number(self, name, default=0.0):
        return float(self.query.get(name, default))

    def range(self):
        """The part to send, [first, last), and whether as 206; or None when it is not satisfiable."""
        asked = self.request.field("range")
        whole = (0, self.size, False)
        if not asked or self.query.get("ranges") == "no" or self.request.method != "GET":
            return whole
        condition = self.request.field("if-range")
        if condition and condition not in (self.etag, self.modified) or condition and condition.startswith("W/"):
            return whole
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.replace(" ", ""))
        if not found or found.group(1) == found.group(2) == "":
            return whole
        first, last = found.groups()
        if first == "":
            return max(0, self.size - int(last)), self.size, True
        if int(first) >= self.size:
            return None
        return int(first), min(self.size, int(last) + 1 if last else self.size), True

    def not_modified(self):
        tags = self.request.field("if-none-match")
        if tags is not None:
            return tags == "*" or bool(self.etag) and any(
                t.strip().removeprefix("W/") == self.etag.removeprefix("W/") for t in tags.split(","))
        since = self.request.field("if-modified-since")
        return since is not None and since == self.modified

    async def answer(self):
        query, request, connection, origin = self.query, self.request, self.connection, self.origin
        nth = sum(1 for r in origin.seen(request.path) if r.target == request.target)
        connections = origin._conns.setdefault(self.key, [])
        first_of_connection = connection.number not in connections
        if first_of_connection:
            connections.append(connection.number)
        if self.key in origin._dead:
            raise Reset
        if query.get("delay"):
            await asyncio.sleep(self.number("delay"))
        if query.get("fail") and nth == int(query["fail"]) or (
                query.get("fail_conn") and first_of_connection and len(connections) == int(query["fail_conn"])):
            wait = [("Retry-After", query["retry_after"])] if "retry_after" in query else []
            await connection.reply(request, 503, wait, b"busy\n")
            return
        if query.get("early"):
            line = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n" \
                if query["early"] == "103" else f"HTTP/1.1 {query['early']} Continue\r\n"
            await connection.send((line + "\r\n").encode())
        part = self.range()
        status = int(query.get("status", 200))
        fields = self.fields()
        if self.not_modified() and status == 200:
            await self.send_head(304, fields)
            return
        if part is None:
            await self.send_head(416, [*fields, ("Content-Range", f"bytes */{self.size}"), ("Content-Length", "0")])
            return
        first, last, partial = part
        if partial and status == 200:
            status = 206
            off = 1 if query.get("bad_range") and first > 0 else 0
            size = self.size + (7 if query.get("bad_size") and first > 0 else 0)
            fields.append(("Content-Range", f"bytes {first + off}-{last - 1 + off}/{size}"))
        chunked = query.get("chunked") or query.get("trailer")
        if chunked:
            fields.append(("Transfer-Encoding", "chunked"))
            if query.get("trailer"):
                fields.append(("Trailer", query["trailer"].split(":")[0]))
        elif not query.get("until_close"):
            fields.append(("Content-Length", query.get("length", str(last - first))))
        if query.get("close") or query.get("until_close"):
            fields.append(("Connection", "close"))
            connection.closing = True
        await self.send_head(status, fields)
        if request.method == "HEAD":
            return
        await self.send_body(first, last, nth, bool(chunked))
        if chunked:
            trailer = query.get("trailer", "").replace(":", ": ", 1)
            await connection.send(b"0\r\n" + (trailer.encode() + b"\r\n" if trailer else b"") + b"\r\n")

    def fields(self):
        fields = [("Date", email.utils.formatdate(usegmt=True)), ("Server", "origin")]
        if self.etag:
            fields.append(("ETag", self.etag))
        if self.modified:
            fields.append(("Last-Modified", self.modified))
        if self.query.get("ranges") not in ("no", "shy"):
            fields.append(("Accept-Ranges", "bytes"))
        for name, field in (("cc", "Cache-Control"), ("vary", "Vary"), ("location", "Location")):
            if self.query.get(name):
                fields.append((field, self.query[name]))
        fields.append(("Content-Type", self.query.get("type", "application/octet-stream")))
        return fields + self.extra

    async def send_head(self, status, fields):
        self.request.status = status
        head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n"
        slow = self.number("slow_head")
        if not slow:
            await self.connection.send(head.encode("latin-1"))
            return
        for byte in head.encode("latin-1"):
            await self.connection.send(bytes([byte]))
            await asyncio.sleep(slow / len(head))

    async def send_body(self, first, last, nth, chunked):
        query, origin, key = self.query, self.origin, self.key
        piece = int(query.get("piece", 1 << 17))
        rate = self.number("rate")
        die = int(self.size * self.number("die") / 100) if query.get("die") else None
        if die is not None and query.get("die_once") and key + "#died" in origin._dead:
            die = None
        stall = None
        if query.get("stall") and key + "#stalled" not in origin._dead:
            stall = int(self.size * self.number("stall") / 100)
        cut = (first + last) // 2 if query.get("cut") and nth == int(query["cut"]) else None
        at = first
        while at < last:
            end = min(last, at + piece)
            for limit in (die, cut, stall):
                if limit is not None and at <= limit < end:
                    end = limit
            if end == at:
                if stall == at:
                    origin._dead.add(key + "#stalled")
                    await self.connection.reader.read()  # until the peer goes
                    raise Close
                await asyncio.sleep(0.05)  # let what was sent arrive: a reset would take it back
                if cut == at:
                    raise Close
                origin._dead.add(key + "#died")
                if query.get("die_all"):
                    origin._dead.add(key)
                raise Close if query.get("die_by") == "close" else Reset
            data = content(self.seed, at, end)
            await self.connection.send(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data, rate)
            self.request.sent += len(data)
            origin._sent[key] = origin._sent.get(key, 0) + len(data)
            if query.get("change") and origin._sent[key] >= self.size * self.number("change") / 100:
                origin._changed[key] = True
            at = end
            if query.get("gap"):
                await asyncio.sleep(self.number("gap"))


def main():
    parser = argparse.ArgumentParser(description="a scriptable, misbehaving origin server")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--address", default="127.0.0.1")
    asked = parser.parse_args()
    origin = Origin(asked.address, asked.port).start()
    print(origin.url(), flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        origin.stop()


if __name__ == "__main__":
    main()
