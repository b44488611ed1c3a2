# /// script
# dependencies = ["schemathesis>=4.32,<5"]
# ///
"""Requests that schemathesis makes of `/_openapi.json`: no answer is a fault of ours, or one that the page does not have.

With every right, with those of a reader, and with none: the last two at a server of its own that asks for keys, started
from `GLEANER_BINARY`. Each of four runs is bounded by `SECONDS` (60).
"""

import base64
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

from drill import URL, run, send, true

SECONDS = int(os.environ.get("SECONDS", "60"))

#: What ends the server, or waits on purpose for what does not come.
LEFT_OUT = ["/_cluster/health", "/_cluster/health/{index}"]

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


#: Schemathesis has no words for lines of JSON.
HOOKS = """
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_, value):
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
"""


def requests_of(page, url, *flags):
    """Runs schemathesis; fails with what it found."""
    command = [str(pathlib.Path(sys.executable).parent / "schemathesis"), "run", str(page), "--url", url, "--checks", CHECKS]
    command += ["--phases", "coverage,fuzzing", "--max-time", str(SECONDS), "--seed", "1", "--workers", "2", "--no-color"]
    command += ["--no-shrink", "--warnings", "off", "--request-timeout", "60", "--suppress-health-check", "all"]
    for path in LEFT_OUT:
        command += ["--exclude-path", path]
    with tempfile.TemporaryDirectory() as folder:
        # It keeps examples in the folder that it runs in.
        hooks = pathlib.Path(folder) / "lines_of_json.py"
        hooks.write_text(HOOKS)
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "lines_of_json", "PYTHONPATH": folder}
        command += flags
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS * 5 + 120)
    print(done.stdout[-2_000:])
    true(done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:])


def page_in(folder, page):
    path = pathlib.Path(folder) / "openapi.json"
    path.write_text(json.dumps(page))
    return path


def with_every_right():
    send("PUT", "/string", {"mappings": {"properties": {"a": {"type": "keyword"}}}})
    send("PUT", "/string/_doc/1?refresh=true", {"a": "b"})
    with tempfile.TemporaryDirectory() as folder:
        requests_of(page_in(folder, send("GET", "/_openapi.json")), URL)
    true(send("GET", "/_health/ready") is not None, "it is gone")


class Secured:
    """A server that asks for keys."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        data = pathlib.Path(self.folder.name) / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"https://localhost:{port}"
        command = [os.environ["GLEANER_BINARY"], "serve", "--secure", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        self.authority = data / "tls" / "ca.pem"
        deadline = time.monotonic() + 60
        while True:
            try:
                self.key = (data / "admin.key").read_text().strip()
                self.send("GET", "/")
                return self
            except OSError:
                true(time.monotonic() < deadline, "it does not start")
                time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "authorization": f"ApiKey {self.key}"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        context = ssl.create_default_context(cafile=self.authority)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return json.loads(answer.read())

    def requests_with(self, key):
        flags = ["--tls-verify", str(self.authority)]
        if key is not None:
            flags += ["-H", f"Authorization: ApiKey {key}"]
        requests_of(page_in(self.folder.name, self.send("GET", "/_openapi.json")), self.url, *flags)


def with_the_rights_of_a_reader():
    with Secured() as server:
        server.send("PUT", "/mine", {})
        roles = {"r": {"indices": [{"names": "mine", "privileges": ["read"]}]}}
        made = server.send("POST", "/_security/api_key", {"name": "reader", "role_descriptors": roles})
        server.requests_with(made["encoded"])


def with_no_rights():
    with Secured() as server:
        server.requests_with(None)
        server.requests_with(base64.b64encode(b"nobody:wrong").decode())


run(with_every_right, with_the_rights_of_a_reader, with_no_rights)
