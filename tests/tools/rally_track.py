# /// script
# dependencies = ["esrally>=2.12,<3"]
# ///
"""Rally with `--pipeline=benchmark-only`: a track of the operations that its geonames track has. The tracks themselves
are in a repository of their own, which this drill does not fetch."""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from drill import URL, equal, run, send, true

FOLDER = pathlib.Path(tempfile.mkdtemp())
NUM_DOCUMENTS = 5_000

INDEX = {
    "settings": {"index.number_of_shards": 3, "index.number_of_replicas": 0},
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "name": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
            "country_code": {"type": "text", "fields": {"raw": {"type": "keyword"}}, "fielddata": False},
            "population": {"type": "long"},
            "location": {"type": "geo_point"},
        },
    },
}


def search(name, body, **more):
    operation = {"operation-type": "search", "name": name, "body": body, **more}
    return {"operation": operation, "warmup-iterations": 5, "iterations": 20, "clients": 2}


BODIES = {
    "default": {"query": {"match_all": {}}},
    "term": {"query": {"term": {"country_code.raw": "AT"}}},
    "phrase": {"query": {"match_phrase": {"name": "lake of"}}},
    "country_agg": {
        "size": 0,
        "aggs": {"c": {"terms": {"field": "country_code.raw"}, "aggs": {"p": {"sum": {"field": "population"}}}}},
    },
    "decay": {"query": {"function_score": {"gauss": {"population": {"origin": 0, "scale": 500}}}}},
    "large_terms": {"query": {"terms": {"name.raw": [f"Lake of {n}" for n in range(500)]}}},
    "desc_sort_population": {"query": {"match_all": {}}, "sort": [{"population": "desc"}]},
    "near": {"query": {"geo_distance": {"distance": "200km", "location": {"lat": 48, "lon": 16}}}},
}

SCROLL = {"pages": 5, "results-per-page": 500}

TRACK = {
    "version": 2,
    "description": "drill",
    "indices": [{"name": "rally", "body": "index.json"}],
    "corpora": [{"name": "drill", "documents": [{"source-file": "documents.json", "document-count": NUM_DOCUMENTS}]}],
    "schedule": [
        {"operation": {"operation-type": "delete-index"}},
        {"operation": {"operation-type": "create-index"}},
        {"operation": {"operation-type": "cluster-health", "index": "rally", "request-params": {"wait_for_status": "green"}}},
        {"operation": {"operation-type": "bulk", "bulk-size": 500}, "clients": 4},
        {"operation": {"operation-type": "refresh"}},
        {"operation": {"operation-type": "force-merge", "max-num-segments": 1}},
        {"operation": {"operation-type": "index-stats"}, "iterations": 5},
        {"operation": {"operation-type": "node-stats"}, "iterations": 5},
        *[search(name, body) for name, body in BODIES.items()],
        search("scroll", {"query": {"match_all": {}}}, **SCROLL),
    ],
}


def a_track_is_raced():
    countries = ["AT", "DE", "FR", "IT", "CH"]
    with (FOLDER / "documents.json").open("w") as file:
        for n in range(NUM_DOCUMENTS):
            location = [16 + n % 7, 48 - n % 5]
            document = {"name": f"Lake of {n}", "country_code": countries[n % 5], "population": n, "location": location}
            file.write(json.dumps(document) + "\n")
    (FOLDER / "index.json").write_text(json.dumps(INDEX))
    (FOLDER / "track.json").write_text(json.dumps(TRACK))
    report = FOLDER / "report.csv"
    command = [pathlib.Path(sys.executable).with_name("esrally"), "race", "--pipeline=benchmark-only", "--offline"]
    command += [f"--track-path={FOLDER}", f"--target-hosts={URL.removeprefix('http://')}", "--on-error=abort"]
    command += ["--report-format=csv", f"--report-file={report}", "--kill-running-processes"]
    environment = {**os.environ, "RALLY_HOME": str(FOLDER), "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    equal(done.returncode, 0, f"the exit code; {done.stdout[-4000:]} {done.stderr[-2000:]}")
    rows = list(csv.DictReader(report.open()))
    errors = {row["Task"]: float(row["Value"]) for row in rows if row["Metric"] == "error rate"}
    true(set(BODIES) | {"bulk", "scroll"} <= set(errors), errors)
    equal([task for task, rate in errors.items() if rate > 0], [], "the tasks with errors")
    equal(send("GET", "/rally/_count")["count"], NUM_DOCUMENTS, "the count")


run(a_track_is_raced)
