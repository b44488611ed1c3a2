"""Checks of what most programs send: indices, documents, bulks, searches.

A check is a function of a kit, and has an index for itself, `kit.index`. To add one, write a function whose
name is a sentence and mark it with `@check`. `administration.py` and `wider_searches.py` have the others.
"""

from kit import document, equal, sources, total, true
from registry import check


# The cluster and its indices.


@check
def info_names_the_cluster_and_a_version(kit):
    told = kit.client.info()
    true(told["cluster_name"] and told["cluster_uuid"] and told["tagline"], told)
    numbers = told["version"]["number"].split(".")
    true(len(numbers) == 3 and all(number.isdigit() for number in numbers), told)
    equal(kit.client.ping(), True, "ping")


@check
def an_index_is_made_found_and_deleted(kit):
    equal(bool(kit.client.indices.exists(index=kit.index)), False, "exists, before")
    made = kit.client.indices.create(index=kit.index)
    equal((made["acknowledged"], made["shards_acknowledged"], made["index"]), (True, True, kit.index))
    equal(bool(kit.client.indices.exists(index=kit.index)), True, "exists")
    equal(kit.client.indices.delete(index=kit.index)["acknowledged"], True, "acknowledged")
    equal(bool(kit.client.indices.exists(index=kit.index)), False, "exists, after")


@check
def an_index_is_not_made_twice(kit):
    kit.make()
    kind = "resource_already_exists_exception"
    error = kit.refused(400, kind, lambda: kit.client.indices.create(index=kit.index))
    equal(error.info["error"]["index"], kit.index, "the index")


@check
def mappings_grow_and_are_read_back(kit):
    kit.make()

    def put(properties):
        return kit.ask(kit.client.indices.put_mapping, {"properties": properties}, index=kit.index)

    equal(put({"author": {"type": "keyword"}})["acknowledged"], True, "acknowledged")
    fields = kit.client.indices.get_mapping(index=kit.index)[kit.index]["mappings"]["properties"]
    equal((fields["author"], fields["n"]), ({"type": "keyword"}, {"type": "integer"}))
    kit.refused(400, "illegal_argument_exception", lambda: put({"n": {"type": "keyword"}}))


@check
def settings_are_read_back_and_changed(kit):
    kit.make(settings={"number_of_shards": 3, "number_of_replicas": 0})

    def read():
        return kit.client.indices.get_settings(index=kit.index)[kit.index]["settings"]["index"]

    equal((read()["number_of_shards"], read()["number_of_replicas"]), ("3", "0"))
    body = {"index": {"refresh_interval": "7s"}}
    name = "body" if kit.is_opensearch else "settings"
    kit.client.indices.put_settings(index=kit.index, **{name: body})
    equal(read()["refresh_interval"], "7s")


@check
def cluster_health_counts_the_shards_of_an_index(kit):
    kit.make(settings={"number_of_shards": 2, "number_of_replicas": 0})
    health = kit.client.cluster.health(index=kit.index, wait_for_status="green")
    told = (health["status"], health["timed_out"], health["active_primary_shards"])
    equal(told, ("green", False, 2))
    true(health["number_of_nodes"] >= 1, health["number_of_nodes"])


@check
def cat_indices_is_a_table_and_json(kit):
    kit.make(5)
    rows = kit.client.cat.indices(index=kit.index, format="json")
    equal([(row["index"], row["status"], row["docs.count"]) for row in rows], [(kit.index, "open", "5")])
    head, row = str(kit.client.cat.indices(index=kit.index, v=True, h="index,docs.count")).splitlines()
    equal((head.split(), row.split()), (["index", "docs.count"], [kit.index, "5"]))


@check
def aliases_are_put_moved_and_filtered(kit):
    kit.make(8)
    alias, other = f"{kit.index}-alias", f"{kit.index}-other"
    tagged = {"filter": {"term": {"tag": "tag1"}}}
    kit.ask(kit.client.indices.put_alias, tagged, index=kit.index, name=alias)
    equal(kit.client.count(index=alias)["count"], 2, "the filtered count")
    moved = [
        {"remove": {"index": kit.index, "alias": alias}},
        {"add": {"index": kit.index, "alias": other}},
    ]
    kit.ask(kit.client.indices.update_aliases, {"actions": moved})
    equal(bool(kit.client.indices.exists_alias(name=alias)), False, "exists, after it was removed")
    equal(dict(kit.client.indices.get_alias(name=other)), {kit.index: {"aliases": {other: {}}}})
    equal(kit.client.count(index=other)["count"], 8, "the whole count")


@check
def analyze_tells_tokens_with_their_places(kit):
    body = {"analyzer": "standard", "text": "The QUICK brown-fox"}
    tokens = kit.ask(kit.client.indices.analyze, body)["tokens"]
    told = [(t["token"], t["start_offset"], t["end_offset"], t["position"]) for t in tokens]
    equal(told, [("the", 0, 3, 0), ("quick", 4, 9, 1), ("brown", 10, 15, 2), ("fox", 16, 19, 3)])
    kit.make()
    body = {"field": "tag", "text": "Two Words"}
    tokens = kit.ask(kit.client.indices.analyze, body, index=kit.index)["tokens"]
    equal([token["token"] for token in tokens], ["Two Words"])


# Single documents.


@check
def documents_are_indexed_read_and_deleted(kit):
    kit.make()
    first, second = kit.put("a", document(1)), kit.put("a", document(2))
    equal((first["result"], first["_version"]), ("created", 1))
    equal((second["result"], second["_version"]), ("updated", 2))
    read = kit.client.get(index=kit.index, id="a")
    equal((read["_source"], read["_version"], read["found"]), (document(2), 2, True))
    gone = kit.client.delete(index=kit.index, id="a")
    equal((gone["result"], gone["_version"]), ("deleted", 3))
    equal(bool(kit.client.exists(index=kit.index, id="a")), False, "exists")
    for call in (kit.client.get, kit.client.delete):
        error = kit.refused(404, None, lambda call=call: call(index=kit.index, id="a"))
        true(isinstance(error, kit.library.NotFoundError), error)
    equal((error.info["result"], error.info["_id"]), ("not_found", "a"))


@check
def an_id_is_made_where_none_is_given(kit):
    kit.make()
    made = [kit.put(None, document(n))["_id"] for n in (1, 2)]
    true(made[0] != made[1] and all(made), made)
    equal(kit.client.get(index=kit.index, id=made[1])["_source"], document(2))


@check
def create_refuses_an_id_that_is_taken(kit):
    kit.make()
    equal(kit.create("a", document(1))["result"], "created")
    error = kit.refused(409, "version_conflict_engine_exception", lambda: kit.create("a", document(2)))
    true(isinstance(error, kit.library.ConflictError), error)
    equal(kit.client.get(index=kit.index, id="a")["_source"], document(1))


@check
def a_write_on_a_stale_state_is_a_conflict(kit):
    kit.make()
    first = kit.put("a", document(1))
    stamp = {"if_seq_no": first["_seq_no"], "if_primary_term": first["_primary_term"]}
    equal(kit.put("a", document(2), **stamp)["_version"], 2, "the version")
    kind = "version_conflict_engine_exception"
    kit.refused(409, kind, lambda: kit.put("a", document(3), **stamp))
    kit.refused(409, kind, lambda: kit.client.delete(index=kit.index, id="a", **stamp))
    equal(kit.client.get(index=kit.index, id="a")["_source"], document(2))


@check
def external_versions_only_grow(kit):
    kit.make()

    def put(version):
        return kit.put("a", document(version), version=version, version_type="external")

    equal(put(5)["_version"], 5, "the version")
    kit.refused(409, "version_conflict_engine_exception", lambda: put(5))
    equal(put(9)["_version"], 9, "the version")


@check
def updates_merge_do_nothing_and_upsert(kit):
    kit.make()
    kit.put("a", document(1))

    def update(identifier, body):
        return kit.ask(kit.client.update, body, index=kit.index, id=identifier)

    equal(update("a", {"doc": {"price": 9.5}})["result"], "updated")
    equal(update("a", {"doc": {"price": 9.5}})["result"], "noop")
    equal(kit.client.get(index=kit.index, id="a")["_source"], {**document(1), "price": 9.5})
    equal(update("b", {"doc": {"n": 3}, "doc_as_upsert": True})["result"], "created")
    kit.refused(404, "document_missing_exception", lambda: update("c", {"doc": {"n": 3}}))


@check
def a_write_that_waits_for_a_refresh_is_seen(kit):
    kit.make()
    kit.put("a", document(1), refresh="wait_for")
    equal(total(kit.search({"query": {"term": {"n": 1}}})), 1, "the total")


@check
def mget_tells_which_documents_are_there(kit):
    kit.make(3)
    docs = kit.ask(kit.client.mget, {"ids": ["2", "x", "0"]}, index=kit.index)["docs"]
    equal([(doc["_id"], doc["found"]) for doc in docs], [("2", True), ("x", False), ("0", True)])
    equal(docs[0]["_source"], document(2))


# Bulks.


@check
def bulk_writes_all_but_the_refused_document(kit):
    kit.make()
    bad = {"_index": kit.index, "_id": "bad", "_source": {"n": "no number"}}
    actions = [*kit.actions(range(4)), bad, *kit.actions(range(4, 6))]
    written, errors = kit.helpers.bulk(kit.client, actions, raise_on_error=False, refresh=True)
    equal((written, len(errors)), (6, 1), "written and refused")
    told = errors[0]["index"]
    equal((told["_id"], told["status"]), ("bad", 400))
    true(told["error"]["type"] in ("document_parsing_exception", "mapper_parsing_exception"), told)
    equal(kit.client.count(index=kit.index)["count"], 6, "the count")


@check
def bulk_raises_what_was_refused(kit):
    kit.make(1)
    taken = [{"_op_type": "create", **action} for action in kit.actions(range(2))]
    try:
        kit.helpers.bulk(kit.client, taken)
    except kit.helpers.BulkIndexError as error:
        told = [item["create"] for item in error.errors]
        equal([(item["_id"], item["status"]) for item in told], [("0", 409)])
        equal(told[0]["error"]["type"], "version_conflict_engine_exception")
    else:
        raise AssertionError("a create of a document that is there was not refused")


@check
def streaming_bulk_tells_of_each_action(kit):
    kit.make(3)
    gone = ({"_op_type": "delete", "_index": kit.index, "_id": str(n)} for n in range(3))
    changed = {"_op_type": "update", "_index": kit.index, "_id": "7", "doc": {"price": 1.5}}
    actions = [*kit.actions(range(3, 20)), *gone, changed]
    told = list(kit.helpers.streaming_bulk(kit.client, actions, chunk_size=6))
    true(all(is_ok for is_ok, _ in told), told)
    results = [next(iter(item.items())) for _, item in told]
    results = [(action, item["result"]) for action, item in results]
    expected = [("index", "created")] * 17 + [("delete", "deleted")] * 3 + [("update", "updated")]
    equal(results, expected)


# Searches.


@check
def queries_filter_sort_and_page(kit):
    kit.make(40)
    odd_below_20 = {"bool": {"must": [{"match": {"title": "odd"}}], "filter": [{"range": {"n": {"lt": 20}}}]}}
    body = {"query": odd_below_20, "sort": [{"n": "desc"}], "from": 1, "size": 3, "_source": ["n"]}
    answer = kit.search(body)
    equal(total(answer), 10, "the total")
    equal([hit["_source"] for hit in answer["hits"]["hits"]], [{"n": 17}, {"n": 15}, {"n": 13}])
    equal(answer["hits"]["hits"][0]["sort"], [17], "the sort values")


@check
def the_best_match_comes_first(kit):
    kit.make(20)
    hits = kit.search({"query": {"match": {"title": "number 7"}}, "size": 2})["hits"]
    first, second = hits["hits"]
    equal(first["_id"], "7", "the first id")
    true(first["_score"] > second["_score"] > 0, hits)
    equal(hits["max_score"], first["_score"], "the largest score")


@check
def search_after_meets_each_document_once(kit):
    kit.make(40)
    body = {"size": 7, "sort": [{"tag": "asc"}, {"n": "desc"}]}
    seen = []
    while hits := kit.search(body)["hits"]["hits"]:
        seen += [hit["_source"]["n"] for hit in hits]
        body["search_after"] = hits[-1]["sort"]
        true(len(seen) <= 40, seen)
    equal(seen, sorted(range(40), key=lambda n: (n % 4, -n)))


@check
def highlights_mark_the_words(kit):
    kit.make(10)
    highlight = {"pre_tags": ["["], "post_tags": ["]"], "fields": {"title": {}}}
    answer = kit.search({"query": {"match": {"title": "odd 3"}}, "highlight": highlight, "size": 1})
    equal(answer["hits"]["hits"][0]["highlight"], {"title": ["document number [3] is [odd]"]})


@check
def aggregations_group_and_measure(kit):
    kit.make(40)
    tags = {"terms": {"field": "tag", "order": {"_key": "asc"}, "size": 3}, "aggs": {"top": {"max": {"field": "n"}}}}
    months = {"date_histogram": {"field": "at", "calendar_interval": "month"}}
    aggs = {"tags": tags, "months": months, "mean": {"avg": {"field": "price"}}}
    found = kit.search({"size": 0, "aggs": aggs})["aggregations"]
    buckets = [(b["key"], b["doc_count"], b["top"]["value"]) for b in found["tags"]["buckets"]]
    equal(buckets, [("tag0", 10, 36.0), ("tag1", 10, 37.0), ("tag2", 10, 38.0)])
    equal(found["tags"]["sum_other_doc_count"], 10, "the others")
    buckets = [(b["key_as_string"][:7], b["doc_count"]) for b in found["months"]["buckets"]]
    equal(buckets, [("2024-01", 14), ("2024-02", 13), ("2024-03", 13)])
    equal(found["mean"]["value"], 4.875, "the mean")


@check
def count_counts_what_a_query_finds(kit):
    kit.make(12)
    query = {"query": {"terms": {"tag": ["tag0", "tag3"]}}}
    equal(kit.ask(kit.client.count, query, index=kit.index)["count"], 6, "the count of some")
    equal(kit.client.count(index=kit.index)["count"], 12, "the count of all")


@check
def msearch_answers_each_search_for_itself(kit):
    kit.make(8)
    lines = [
        {"index": kit.index},
        {"query": {"term": {"tag": "tag2"}}, "sort": ["n"]},
        {"index": f"{kit.index}-none"},
        {"query": {"match_all": {}}},
    ]
    first, second = kit.msearch(lines)
    equal((first["status"], sources(first, "n")), (200, [2, 6]))
    equal((second["status"], second["error"]["type"]), (404, "index_not_found_exception"))


@check
def scan_meets_each_document_once(kit):
    kit.make(40)
    seen = [hit["_source"]["n"] for hit in kit.helpers.scan(kit.client, index=kit.index, size=7)]
    equal(sorted(seen), list(range(40)))
    body = {"query": {"term": {"tag": "tag1"}}, "sort": [{"n": "desc"}]}
    hits = kit.helpers.scan(kit.client, index=kit.index, query=body, size=3, preserve_order=True)
    equal([hit["_source"]["n"] for hit in hits], list(range(37, 0, -4)))


@check
def a_scroll_that_is_cleared_is_gone(kit):
    kit.make(10)
    scroll = kit.search({"size": 4, "sort": ["n"]}, scroll="1m")["_scroll_id"]
    body = {"scroll_id": scroll, "scroll": "1m"}
    equal(sources(kit.ask(kit.client.scroll, body), "n"), [4, 5, 6, 7])
    equal(kit.ask(kit.client.clear_scroll, {"scroll_id": scroll})["succeeded"], True, "succeeded")
    error = kit.refused(404, None, lambda: kit.ask(kit.client.scroll, body))
    true("search_context_missing_exception" in str(error.info), error.info)


@check
def a_point_in_time_stays_as_it_was(kit):
    kit.make(6)
    pit = kit.open_pit()
    kit.put("6", document(6), refresh=True)
    body = {"pit": {"id": pit, "keep_alive": "1m"}, "sort": [{"n": "asc"}], "size": 20}
    equal(sources(kit.search(body), "n"), list(range(6)), "the point in time")
    equal(total(kit.search({})), 7, "the total of now")
    kit.close_pit(pit)
    kit.refused(404, None, lambda: kit.search(body))


@check
def delete_by_query_deletes_what_matches(kit):
    kit.make(12)
    query = {"query": {"range": {"n": {"gte": 9}}}}
    answer = kit.ask(kit.client.delete_by_query, query, index=kit.index, refresh=True)
    equal((answer["deleted"], answer["total"], answer["failures"]), (3, 3, []))
    equal(sources(kit.search({"size": 20, "sort": ["n"]}), "n"), list(range(9)))


# What is refused.


@check
def an_unknown_query_is_refused_by_name(kit):
    kit.make()
    query = {"query": {"no_such_query": {}}}
    error = kit.refused(400, "parsing_exception", lambda: kit.search(query))
    true("no_such_query" in error.info["error"]["reason"], error.info)


@check
def a_missing_index_is_refused_by_name(kit):
    missing = f"{kit.index}-none"
    for call in (lambda: kit.search({}, index=missing), lambda: kit.client.indices.delete(index=missing)):
        error = kit.refused(404, "index_not_found_exception", call)
        true(isinstance(error, kit.library.NotFoundError), error)
        equal(error.info["error"]["index"], missing, "the index")
    equal(total(kit.search({}, index=missing, ignore_unavailable=True)), 0, "the total without it")
