# /// script
# dependencies = ["elasticsearch-curator==8.0.21"]
# ///
"""Curator: indices by age and by pattern, aliases, rollover, settings, snapshots refused."""

import pathlib
import subprocess
import sys
import tempfile

from drill import URL, equal, run, send, true

FOLDER = pathlib.Path(tempfile.mkdtemp())
CURATOR = pathlib.Path(sys.executable).with_name("curator")


def act(actions, code=0):
    config, file = FOLDER / "curator.yml", FOLDER / "actions.yml"
    config.write_text(f"elasticsearch:\n  client:\n    hosts: {URL}\n    request_timeout: 60\n")
    file.write_text(actions)
    done = subprocess.run([CURATOR, "--config", config, file], capture_output=True, text=True, timeout=120)
    equal(done.returncode, code, f"the exit code; {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return done.stdout + done.stderr


def names(pattern):
    return sorted(send("GET", f"/{pattern}"))


def old_indices_are_deleted():
    for day in ["2020.01.01", "2020.01.02", "2999.01.01"]:
        send("PUT", f"/cur-{day}", {"settings": {"number_of_shards": 1, "number_of_replicas": 0}})
        for n in range(3):
            send("PUT", f"/cur-{day}/_doc/{n}?refresh=true", {"n": n})
    act(
        """
actions:
  1:
    action: delete_indices
    options: {ignore_empty_list: true}
    filters:
    - {filtertype: pattern, kind: prefix, value: cur-}
    - {filtertype: age, source: name, direction: older, timestring: '%Y.%m.%d', unit: days, unit_count: 30}
"""
    )
    equal(names("cur-*"), ["cur-2999.01.01"], "what is left")


def an_alias_moves():
    send("PUT", "/cur-a")
    act(
        """
actions:
  1:
    action: alias
    options: {name: cur-now, warn_if_no_indices: true}
    add:
      filters: [{filtertype: pattern, kind: prefix, value: cur-}]
"""
    )
    equal(sorted(send("GET", "/_alias/cur-now")), ["cur-2999.01.01", "cur-a"], "what it names")


def an_index_is_made_and_its_settings_change():
    act(
        """
actions:
  1:
    action: create_index
    options: {name: cur-made, extra_settings: {settings: {number_of_shards: 1, number_of_replicas: 0}}}
  2:
    action: index_settings
    options: {index_settings: {index: {refresh_interval: 5s}}}
    filters: [{filtertype: pattern, kind: regex, value: '^cur-made$'}]
  3:
    action: replicas
    options: {count: 0, wait_for_completion: false}
    filters: [{filtertype: pattern, kind: prefix, value: cur-a}]
  4:
    action: forcemerge
    options: {max_num_segments: 1}
    filters: [{filtertype: pattern, kind: prefix, value: cur-2999}]
"""
    )
    settings = send("GET", "/cur-made/_settings")["cur-made"]["settings"]["index"]
    equal(settings["refresh_interval"], "5s", "the interval")
    equal(send("GET", "/cur-a/_settings")["cur-a"]["settings"]["index"]["number_of_replicas"], "0", "the replicas")


def an_alias_rolls_over():
    send("PUT", "/cur-log-000001", {"aliases": {"cur-log": {"is_write_index": True}}})
    send("PUT", "/cur-log-000001/_doc/1?refresh=true", {"n": 1})
    act("actions:\n  1:\n    action: rollover\n    options: {name: cur-log, conditions: {max_docs: 1}}\n")
    equal(names("cur-log-*"), ["cur-log-000001", "cur-log-000002"], "the indices")


def documents_are_copied():
    act(
        """
actions:
  1:
    action: reindex
    options:
      wait_interval: 1
      max_wait: 60
      request_body: {source: {index: cur-log-000001}, dest: {index: cur-copy}}
    filters: [{filtertype: none}]
"""
    )
    send("POST", "/cur-copy/_refresh")
    equal(send("GET", "/cur-copy/_count")["count"], 1, "the count")


def indices_are_closed_and_opened():
    actions = "actions:\n  1:\n    action: {}\n    filters: [{{filtertype: pattern, kind: prefix, value: cur-made}}]\n"
    act(actions.format("close"))
    equal(send("GET", "/_cat/indices/cur-made?h=status").strip(), "close", "the status")
    act(actions.format("open"))
    equal(send("GET", "/_cat/indices/cur-made?h=status").strip(), "open", "the status")


def snapshots_are_refused_by_name():
    told = act("actions:\n  1:\n    action: snapshot\n    options: {repository: r}\n    filters: [{filtertype: none}]\n", 1)
    true("repository: r" in told, told[-2000:])


for name in names("cur-*"):
    send("DELETE", f"/{name}")
run(
    old_indices_are_deleted,
    an_alias_moves,
    an_index_is_made_and_its_settings_change,
    an_alias_rolls_over,
    documents_are_copied,
    indices_are_closed_and_opened,
    snapshots_are_refused_by_name,
)
