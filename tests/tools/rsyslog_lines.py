"""rsyslog's omelasticsearch (Debian: `rsyslog-elasticsearch`): lines of a log become documents, in bulks."""

import pathlib
import shutil
import subprocess
import tempfile
import time

from drill import URL, equal, run, send, true

HOST, PORT = URL.removeprefix("http://").split(":")
FOLDER = pathlib.Path(tempfile.mkdtemp())

CONFIG = """
global(workDirectory="{folder}")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="document" type="list" option.jsonf="on") {{
    property(outname="message" name="msg" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
}}
input(type="imfile" file="{log}" tag="drill")
if $syslogtag == "drill" then
    action(type="omelasticsearch" server="{host}" serverport="{port}" template="document" searchIndex="rsyslog"
           searchType="_doc" bulkmode="on" action.resumeRetryCount="-1" errorFile="{errors}")
"""


def lines_become_documents():
    true(shutil.which("rsyslogd"), "no rsyslogd: apt-get install rsyslog-elasticsearch")
    send("DELETE", "/rsyslog?ignore_unavailable=true")
    log, errors, config = FOLDER / "app.log", FOLDER / "errors.json", FOLDER / "rsyslog.conf"
    log.write_text("")
    config.write_text(CONFIG.format(folder=FOLDER, log=log, errors=errors, host=HOST, port=PORT))
    daemon = subprocess.Popen(["rsyslogd", "-n", "-f", config, "-i", FOLDER / "pid"])
    try:
        with log.open("a") as file:
            for n in range(500):
                file.write(f"request {n} took {n % 50} ms\n")
        until = time.monotonic() + 60
        while True:
            send("POST", "/rsyslog/_refresh?ignore_unavailable=true")
            count = send("GET", "/rsyslog/_count?ignore_unavailable=true")["count"]
            if count == 500 or time.monotonic() > until:
                break
            time.sleep(0.5)
        told = errors.read_text()[:500] if errors.exists() else "no errors"
        equal(count, 500, f"the count ({told})")
    finally:
        daemon.terminate()
        daemon.wait(30)
    found = send("POST", "/rsyslog/_search", {"query": {"match_phrase": {"message": "request 42 took"}}})
    equal(found["hits"]["total"]["value"], 1, "the line")


run(lines_become_documents)
