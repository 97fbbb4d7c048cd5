"""Servers on this machine for tests of URLs: a web server with byte ranges that counts bytes, and an S3 server."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Web:
    """A folder served over HTTP."""

    url: str
    sent: list[tuple[str, int]] = field(default_factory=list)
    """(path, bytes of the body) of every answer."""

    def total(self) -> int:
        return sum(size for _, size in self.sent)


@contextmanager
def web_server(
    folder: Path,
    *,
    ranges: bool = True,
    fails: Callable[[int], object] = lambda number: False,
    down: Callable[[], object] = lambda: False,
) -> Iterator[Web]:
    """Serve a folder over HTTP.

    Args:
        folder: the folder.
        ranges: whether byte ranges are supported.
        fails: ``fails(number)`` says whether a GET, counted from 0, is answered with a server error.
        down: says whether all requests are answered with a server error.
    """
    web, requests = Web(""), itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = folder / self.path.lstrip("/")
            if down():
                self.send_error(503)
                return
            if not path.is_file():
                self.send_error(404)
                return
            if body and fails(next(requests)):
                self.send_error(503)
                return
            content, first, code = path.read_bytes(), 0, 200
            size, last = len(content), len(content) - 1
            if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", ranges * self.headers.get("Range", "")):
                first, last = int(wanted[1]), min(int(wanted[2] or last), last)
                code = 206 if first <= last else 416
            self.send_response(code)
            self.send_header("Accept-Ranges", "bytes" if ranges else "none")
            self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
            if code == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Content-Length", str(max(0, last - first + 1)))
            self.end_headers()
            if body:
                self.wfile.write(content[first : last + 1])
                web.sent.append((self.path, last - first + 1))

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of an empty S3 server, which accepts any credentials."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()
