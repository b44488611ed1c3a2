# /// script
# dependencies = ["elastalert2>=2.19,<3", "pytz"]
# ///
"""ElastAlert2: its own indices, and rules that count, compare and meet new terms, each run once."""

import datetime
import pathlib
import subprocess
import sys
import tempfile
import time

from drill import URL, equal, run, send, true

HOST, PORT = URL.removeprefix("http://").split(":")
FOLDER = pathlib.Path(tempfile.mkdtemp())
BIN = pathlib.Path(sys.executable).parent
NOW = datetime.datetime.now(datetime.timezone.utc)

CONFIG = f"""
rules_folder: {FOLDER}/rules
run_every: {{minutes: 1}}
buffer_time: {{minutes: 30}}
es_host: {HOST}
es_port: {PORT}
writeback_index: elastalert
alert_time_limit: {{days: 2}}
"""

COMMON = """
index: logs-drill
timestamp_field: "@timestamp"
realert: {minutes: 0}
alert: [command]
command: ["sh", "-c", "echo %(rule)s >> FOLDER/alerts"]
""".replace("FOLDER", str(FOLDER)).replace("%(rule)s", "NAME")

RULES = {
    "frequency": "type: frequency\nnum_events: 5\ntimeframe: {minutes: 20}\nfilter: [{term: {level: error}}]\n",
    "flatline": "type: flatline\nthreshold: 100\ntimeframe: {minutes: 1}\nuse_count_query: true\n",
    "cardinality": "type: cardinality\ncardinality_field: user\nmax_cardinality: 3\ntimeframe: {minutes: 20}\n",
    "metric": (
        "type: metric_aggregation\nmetric_agg_key: took\nmetric_agg_type: avg\nmax_threshold: 50\n"
        "buffer_time: {minutes: 20}\n"
    ),
}


def the_indices_of_its_own_are_made():
    for index in send("GET", "/elastalert*,logs-drill*?expand_wildcards=all&ignore_unavailable=true"):
        send("DELETE", f"/{index}")
    (FOLDER / "rules").mkdir()
    (FOLDER / "config.yaml").write_text(CONFIG)
    command = [BIN / "elastalert-create-index", "--config", FOLDER / "config.yaml", "--index", "elastalert"]
    command += ["--old-index", ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    equal(done.returncode, 0, f"the exit code; {done.stdout} {done.stderr}")
    made = [name for name in send("GET", "/_all") if name.startswith("elastalert")]
    true(len(made) == 5, made)


def rules_alert():
    mapping = {"level": {"type": "keyword"}, "user": {"type": "keyword"}, "took": {"type": "integer"}}
    send("PUT", "/logs-drill", {"mappings": {"properties": {"@timestamp": {"type": "date"}, **mapping}}})
    for n in range(20):
        at = (NOW - datetime.timedelta(seconds=30 * n)).isoformat()
        line = {"@timestamp": at, "level": "error" if n % 2 else "info", "user": f"u{n}", "took": 100}
        send("POST", "/logs-drill/_doc?refresh=true", line)
    for name, rule in RULES.items():
        text = f"name: {name}\n{rule}{COMMON.replace('NAME', name)}"
        (FOLDER / "rules" / f"{name}.yaml").write_text(text)
    start = (NOW - datetime.timedelta(minutes=20)).isoformat()
    command = [BIN / "elastalert", "--config", FOLDER / "config.yaml", "--start", start, "--verbose"]
    with (FOLDER / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 90
        while not (told := alerted()) >= set(RULES) or not is_kept():
            if time.monotonic() > until:
                raise AssertionError(f"only {told} alerted: {(FOLDER / 'log').read_text()[-3000:]}")
            time.sleep(0.5)
    finally:
        process.terminate()
        process.wait(30)


def alerted():
    alerts = FOLDER / "alerts"
    return set(alerts.read_text().split()) if alerts.exists() else set()


def is_kept():
    """Returns whether the alerts and the states of all rules are in its indices."""
    send("POST", "/elastalert*/_refresh")
    sent = send("POST", "/elastalert/_search", {"query": {"term": {"alert_sent": True}}, "size": 100})
    states = send("POST", "/elastalert_status/_search", {"size": 100})
    names = [{hit["_source"]["rule_name"] for hit in found["hits"]["hits"]} for found in (sent, states)]
    return all(kept >= set(RULES) for kept in names)


run(the_indices_of_its_own_are_made, rules_alert)
