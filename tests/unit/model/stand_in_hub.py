"""A model hub on 127.0.0.1 that speaks what huggingface_hub's downloads need, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class StandInHub:
    """Serves `files` (repository, file) -> bytes.

    Attributes:
        requests: (method, path, Range header or None) in the order they came.
        status: answered to everything when set.
        cut_after: the next download stops after so many bytes, once.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    status: int | None = None
    cut_after: int | None = None
    endpoint: str = ""


@contextmanager
def stand_in_hub() -> Iterator[StandInHub]:
    """Run one in a thread."""
    hub = StandInHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            wanted = self.headers.get("Range")
            hub.requests.append((self.command, self.path, wanted))
            if hub.status is not None:
                return self.refuse(hub.status, "")
            repository, _, rest = self.path.strip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            if not any(repository == known for known, _ in hub.files):
                return self.refuse(404, "RepoNotFound")
            if revision not in ("main", COMMIT):
                return self.refuse(404, "RevisionNotFound")
            if (repository, file) not in hub.files:
                return self.refuse(404, "EntryNotFound")
            self.serve(hub.files[repository, file], wanted, with_body)

        def serve(self, content: bytes, wanted: str | None, with_body: bool) -> None:
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if with_body and hub.cut_after is not None:
                self.wfile.write(content[start : start + hub.cut_after])
                hub.cut_after = None
                self.close_connection = True
            elif with_body:
                self.wfile.write(content[start:])

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
