"""Checks of what teams send to keep indices in order: copies, tasks, templates, streams, policies, statistics.

`checks.py` says how a check is written.
"""

from kit import equal, true
from registry import check, check_of

# Members of the statistics of an index that watchers read.
PARTS = ("indexing", "search", "merges", "refresh", "flush", "segments", "translog", "request_cache", "recovery")

# Tables of `_cat` that have no check of their own.
TABLES = (
    "templates",
    "recovery",
    "segments",
    "tasks",
    "plugins",
    "fielddata",
    "thread_pool",
    "nodeattrs",
    "pending_tasks",
    "allocation",
)


# Copies, and tasks that make them.


@check
def reindex_copies_and_leaves_out_what_is_there(kit):
    kit.make(30)
    copy = f"{kit.index}-copy"
    source = {"index": kit.index, "query": {"range": {"n": {"lt": 20}}}, "size": 4}
    body = {"source": source, "dest": {"index": copy}}
    try:
        answer = kit.ask(kit.client.reindex, body, refresh=True)
        equal((answer["created"], answer["total"], answer["failures"]), (20, 20, []))
        equal(kit.client.count(index=copy)["count"], 20, "the count")
        again = {**body, "conflicts": "proceed", "dest": {"index": copy, "op_type": "create"}}
        equal(kit.ask(kit.client.reindex, again)["version_conflicts"], 20, "the conflicts")
    finally:
        kit.client.indices.delete(index=copy, ignore_unavailable=True)


@check
def a_task_is_listed_throttled_and_cancelled(kit):
    kit.make(30)
    copy = f"{kit.index}-copy"
    tasks = kit.client.tasks
    body = {"source": {"index": kit.index, "size": 4}, "dest": {"index": copy}}
    try:
        begun = kit.ask(kit.client.reindex, body, wait_for_completion=False, requests_per_second=1, slices=2)
        task = begun["task"]
        answer = tasks.get(task_id=task)
        equal((answer["completed"], answer["task"]["cancellable"]), (False, True))
        listed = kit.with_query(tasks.list, actions="*reindex", detailed="true")
        true(any(task in node["tasks"] for node in listed["nodes"].values()), listed)
        kit.client.reindex_rethrottle(task_id=task, requests_per_second=2)
        kit.with_query(tasks.cancel, task_id=task, wait_for_completion="true")
        ended = tasks.get(task_id=task)
        equal((ended["completed"], ended["response"]["canceled"]), (True, "by user request"))
    finally:
        kit.client.indices.delete(index=copy, ignore_unavailable=True)


@check
def update_by_query_reads_documents_anew(kit):
    kit.make(12)
    query = {"query": {"term": {"tag": "tag1"}}}
    answer = kit.ask(kit.client.update_by_query, query, index=kit.index, refresh=True, slices=2)
    equal((answer["updated"], answer["version_conflicts"]), (3, 0))
    equal(kit.client.get(index=kit.index, id="1")["_version"], 2, "the version")


@check
def an_index_is_split_shrunk_and_cloned(kit):
    kit.make(12, settings={"number_of_shards": 2, "number_of_replicas": 0})
    indices = kit.client.indices
    indices.add_block(index=kit.index, block="write")
    made = []
    try:
        for method, shards in [("split", 4), ("shrink", 1), ("clone", 2)]:
            target = f"{kit.index}-{method}"
            made.append(target)
            body = {"settings": {"index.number_of_shards": shards, "index.blocks.write": None}}
            kit.ask(getattr(indices, method), body, index=kit.index, target=target)
            indices.refresh(index=target)
            equal(kit.client.count(index=target)["count"], 12, method)
            settings = indices.get_settings(index=target)[target]["settings"]["index"]
            equal(settings["number_of_shards"], str(shards), method)
    finally:
        indices.delete(index=made, ignore_unavailable=True)


# Streams and lifecycles.


@check
def a_stream_is_made_by_templates_and_rolls_over(kit):
    name, part, whole = kit.index, f"{kit.index}-part", f"{kit.index}-whole"
    client = kit.client
    make_part = {"template": {"mappings": {"properties": {"@timestamp": {"type": "date"}}}}}
    pattern = {"index_patterns": [f"{name}*"], "composed_of": [part], "priority": 900, "data_stream": {}}
    try:
        kit.ask(client.cluster.put_component_template, make_part, name=part)
        kit.ask(client.indices.put_index_template, pattern, name=whole)
        shown = client.indices.simulate_index_template(name=name)
        equal(shown["template"]["mappings"]["properties"]["@timestamp"]["type"], "date", "the simulated mapping")
        client.indices.create_data_stream(name=name)
        lines = [{"create": {}}, {"@timestamp": "2026-01-01", "n": 1}]
        written = client.bulk(index=name, refresh=True, **{"body" if kit.is_opensearch else "operations": lines})
        equal(written["errors"], False, "errors")
        rolled = kit.ask(client.indices.rollover, {"conditions": {"max_docs": 1}}, alias=name)
        equal(rolled["rolled_over"], True, "rolled over")
        (stream,) = client.indices.get_data_stream(name=name)["data_streams"]
        equal((stream["generation"], len(stream["indices"]), stream["template"]), (2, 2, whole))
        resolved = client.indices.resolve_index(name=name)["data_streams"]
        equal([found["name"] for found in resolved], [name], "what the name stands for")
    finally:
        kit.remove(client.indices.delete_data_stream, name=name)
        kit.remove(client.indices.delete_index_template, name=whole)
        kit.remove(client.cluster.delete_component_template, name=part)


@check_of("elasticsearch")
def an_index_follows_its_lifecycle_policy(kit):
    policy, alias = f"{kit.index}-policy", f"{kit.index}-written"
    ilm = kit.client.ilm
    hot = {"actions": {"rollover": {"max_docs": 1000}}}
    phases = {"hot": hot, "delete": {"min_age": "30d", "actions": {"delete": {}}}}
    try:
        equal(ilm.put_lifecycle(name=policy, policy={"phases": phases})["acknowledged"], True, "acknowledged")
        shown = ilm.get_lifecycle(name=policy)[policy]
        equal((shown["version"], shown["policy"]["phases"]["hot"]["actions"]), (1, hot["actions"]))
        settings = {"index.lifecycle.name": policy, "index.lifecycle.rollover_alias": alias}
        kit.make(settings=settings, aliases={alias: {"is_write_index": True}})
        explained = ilm.explain_lifecycle(index=kit.index)["indices"][kit.index]
        told = (explained["managed"], explained["policy"], explained["phase"], explained["action"])
        equal(told, (True, policy, "hot", "rollover"))
        kit.refused(400, "illegal_argument_exception", lambda: ilm.delete_lifecycle(name=policy))
        removed = ilm.remove_policy(index=kit.index)
        equal((removed["has_failures"], removed["failed_indexes"]), (False, []))
        explained = ilm.explain_lifecycle(index=kit.index)["indices"][kit.index]
        equal(explained["managed"], False, "managed, after the policy was removed")
    finally:
        kit.client.indices.delete(index=kit.index, ignore_unavailable=True)
        kit.remove(ilm.delete_lifecycle, name=policy)


# Operations.


@check
def statistics_and_tables_are_read(kit):
    kit.make(8)
    client = kit.client
    stats = client.indices.stats(index=kit.index)["indices"][kit.index]["primaries"]
    equal(stats["docs"]["count"], 8, "the documents")
    equal([part for part in PARTS if part not in stats], [], "what is missing")
    true(client.indices.segments(index=kit.index)["indices"][kit.index]["shards"], "segments")
    true(client.indices.recovery(index=kit.index)[kit.index]["shards"], "recovery")
    true(client.search_shards(index=kit.index)["shards"], "search_shards")
    true(client.nodes.stats()["nodes"] and client.nodes.info()["nodes"], "nodes")
    true(client.cluster.stats()["indices"], "the statistics of the cluster")
    for table in TABLES:
        rows = getattr(client.cat, table)(format="json")
        true(isinstance(list(rows), list) and all("error" not in row for row in rows), table)


@check
def an_index_is_not_made_by_a_write_where_settings_forbid_it(kit):
    missing = f"{kit.index}-no"
    name = "body" if kit.is_opensearch else "document"
    put = kit.client.cluster.put_settings
    try:
        kit.ask(put, {"transient": {"action.auto_create_index": f"-{missing},+*"}})
        write = {"index": missing, name: {"n": 1}}
        kit.refused(404, "index_not_found_exception", lambda: kit.client.index(**write))
    finally:
        kit.ask(put, {"transient": {"action.auto_create_index": None}})
