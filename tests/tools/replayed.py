"""Tools that can't be installed everywhere: the requests of their published sources and documentation, sent again.

Replayed: Fluent Bit (output `es`), Logstash (output `elasticsearch` 11), elasticsearch-dump 6, Grafana's data source for
Elasticsearch (logs, metrics, raw data, annotations, variables).
"""

import gzip
import json
import urllib.error
import urllib.request

from drill import URL, equal, run, send, true

NDJSON = "application/x-ndjson"
START_MS = 1_767_225_600_000
MINUTE_MS = 60_000

# What Grafana wants around words that were found.
MARKS = {"fields": {"*": {}}, "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"], "fragment_size": 2147483647}


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def status(method, path):
    try:
        with urllib.request.urlopen(urllib.request.Request(URL + path, method=method), timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def clean(*names):
    for name in names:
        for index in send("GET", f"/{name}?ignore_unavailable=true&allow_no_indices=true"):
            send("DELETE", f"/{index}")


def fluent_bit_sends_lines():
    clean("fluent-bit", "logstash-2026*")
    records = [{"@timestamp": "2026-01-01T00:00:00.000Z", "log": f"line {n}", "k8s": {"pod": "a"}} for n in range(3)]
    suppressed = [part for record in records for part in ({"create": {"_index": "fluent-bit"}}, record)]
    told = send("POST", "/_bulk", lines(*suppressed), NDJSON)
    equal(told["errors"], False, "errors")
    # `Logstash_Format On`, with an id of its own by `Generate_ID On`.
    dated = [part for n, record in enumerate(records) for part in ({"create": {"_index": "logstash-2026.01.01", "_id": f"g{n}"}}, record)]
    equal(send("POST", "/_bulk?filter_path=errors,items.*.error", lines(*dated), NDJSON), {"errors": False}, "the answer")
    again = send("POST", "/_bulk", lines(*dated), NDJSON)
    equal({item["create"]["status"] for item in again["items"]}, {409}, "what is there already")


def logstash_starts_and_sends():
    clean("logs-*", "ecs-logstash*")
    cluster = send("GET", "/")
    true(cluster["version"]["number"].split(".")[0] == "8" and cluster["tagline"] == "You Know, for Search", cluster)
    licence = send("GET", "/_license")["license"]
    equal((licence["status"], licence["type"]), ("active", "basic"), "the licence")
    true(send("GET", "/_xpack")["license"]["status"] == "active", "the licence")
    equal(status("HEAD", "/"), 200, "the pool's look")
    if status("HEAD", "/_index_template/ecs-logstash") == 404:
        template = {
            "index_patterns": ["ecs-logstash-*"],
            "priority": 200,
            "template": {
                "settings": {"index.refresh_interval": "5s"},
                "mappings": {
                    "date_detection": False,
                    # Texts without norms, as its own template has them.
                    "dynamic_templates": [
                        {
                            "message_field": {
                                "path_match": "message",
                                "match_mapping_type": "string",
                                "mapping": {"type": "text", "norms": False},
                            }
                        },
                        {"strings": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}},
                    ],
                    "properties": {"@timestamp": {"type": "date"}},
                },
            },
        }
        equal(send("PUT", "/_index_template/ecs-logstash", template)["acknowledged"], True, "the template")
    events = [{"@timestamp": "2026-01-01T00:00:00.000Z", "@version": "1", "message": f"event {n}"} for n in range(4)]
    actions = [part for event in events for part in ({"index": {"_index": "ecs-logstash-2026.01.01"}}, event)]
    packed = gzip.compress(lines(*actions))
    path = "/_bulk?filter_path=errors,items.*.error,items.*.status"
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    request = urllib.request.Request(URL + path, data=packed, method="POST", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        told = json.load(answer)
    equal(told, {"errors": False, "items": [{"index": {"status": 201}}] * 4}, "the answer")
    fields = send("GET", "/ecs-logstash-2026.01.01/_mapping")["ecs-logstash-2026.01.01"]["mappings"]["properties"]
    equal(fields["message"], {"type": "text", "norms": False}, "the field by the template")


def logstash_manages_its_lifecycle():
    clean("drill-log-*")
    if status("HEAD", "/_ilm/policy/drill-policy") == 405 or status("GET", "/_ilm/policy/drill-policy") == 404:
        rollover = {"rollover": {"max_size": "50gb", "max_age": "30d"}}
        policy = {"policy": {"phases": {"hot": {"actions": rollover}}}}
        equal(send("PUT", "/_ilm/policy/drill-policy", policy)["acknowledged"], True, "the policy")
    if status("HEAD", "/_alias/drill-log") == 404:
        made = {"aliases": {"drill-log": {"is_write_index": True}}}
        name = "%3Cdrill-log-%7Bnow%2Fd%7D-000001%3E"
        equal(send("PUT", f"/{name}", made)["acknowledged"], True, "the first index")
    (first,) = send("GET", "/_alias/drill-log")
    send("PUT", f"/{first}/_settings", {"index.lifecycle.name": "drill-policy", "index.lifecycle.rollover_alias": "drill-log"})
    told = send("POST", "/_bulk", lines({"index": {"_index": "drill-log"}}, {"message": "one"}), NDJSON)
    equal(told["items"][0]["index"]["_index"], first, "the index written to")
    explained = send("GET", "/drill-log/_ilm/explain")["indices"][first]
    equal((explained["managed"], explained["policy"]), (True, "drill-policy"), "what is explained")


def logstash_appends_to_a_stream():
    """The default output of Logstash 8 relies on a template that Elasticsearch has built in; it is sent first here."""
    # Not found: none was there.
    status("DELETE", "/_data_stream/logs-generic-default")
    clean("logs-generic-default")
    template = {"index_patterns": ["logs-*-*"], "priority": 100, "data_stream": {}}
    equal(send("PUT", "/_index_template/logs", template)["acknowledged"], True, "the template")
    event = {
        "@timestamp": "2026-01-01T00:00:00.000Z",
        "@version": "1",
        "message": "one",
        "data_stream": {"type": "logs", "dataset": "generic", "namespace": "default"},
    }
    parts = [{"create": {"_index": "logs-generic-default"}}, event]
    told = send("POST", "/_bulk", lines(*parts), NDJSON)
    equal(told["errors"], False, "errors")
    written = told["items"][0]["create"]["_index"]
    true(written.startswith(".ds-logs-generic-default-"), written)
    (stream,) = send("GET", "/_data_stream/logs-generic-default")["data_streams"]
    told = (stream["generation"], stream["template"], [index["index_name"] for index in stream["indices"]])
    equal(told, (1, "logs", [written]), "the stream")
    fields = send("GET", f"/{written}/_mapping")[written]["mappings"]["properties"]
    equal(fields["@timestamp"]["type"], "date", "the type of the time")
    send("DELETE", "/_data_stream/logs-generic-default")
    send("DELETE", "/_index_template/logs")


def elasticdump_copies_an_index():
    clean("dump-*")
    mapping = {"properties": {"t": {"type": "text"}, "n": {"type": "integer"}}}
    send("PUT", "/dump-from", {"mappings": mapping, "settings": {"index": {"number_of_shards": 2}}})
    made = [part for n in range(250) for part in ({"index": {"_id": str(n)}}, {"t": f"text {n}", "n": n})]
    send("POST", "/dump-from/_bulk?refresh=true", lines(*made), NDJSON)
    settings = send("GET", "/dump-from/_settings")
    kept = {key: settings["dump-from"]["settings"]["index"][key] for key in ("number_of_shards", "number_of_replicas")}
    send("PUT", "/dump-to", {"settings": {"index": kept}})
    properties = send("GET", "/dump-from/_mapping")["dump-from"]["mappings"]
    send("PUT", "/dump-to/_mapping", properties)
    body = {"query": {"match_all": {}}, "fields": ["*"], "_source": True, "size": 100}
    page = send("GET", "/dump-from/_search?scroll=10m&from=0", body)
    equal(page["hits"]["total"]["value"], 250, "the total")
    while page["hits"]["hits"]:
        copied = []
        for hit in page["hits"]["hits"]:
            copied += [{"index": {"_index": "dump-to", "_id": hit["_id"]}}, hit["_source"]]
        equal(send("PUT", "/dump-to/_bulk", lines(*copied), NDJSON)["errors"], False, "errors")
        page = send("POST", "/_search/scroll", {"scroll": "10m", "scroll_id": page["_scroll_id"]})
    send("DELETE", "/_search/scroll", {"scroll_id": [page["_scroll_id"]]})
    send("POST", "/dump-to/_refresh")
    equal(send("GET", "/dump-to/_count")["count"], 250, "the count")


def msearch(*bodies):
    """Sends bodies as Grafana does, each with its head."""
    head = {"ignore_unavailable": True, "index": "grafana-*", "search_type": "query_then_fetch"}
    parts = [part for body in bodies for part in (head, body)]
    told = send("POST", "/_msearch?max_concurrent_shard_requests=5", lines(*parts), NDJSON)
    for answer in told["responses"]:
        equal(answer["status"], 200, f"the status of {json.dumps(answer)[:500]}")
    return told["responses"]


def within(query="*"):
    bounds = {"gte": START_MS, "lte": START_MS + 10 * MINUTE_MS, "format": "epoch_millis"}
    text = {"query_string": {"analyze_wildcard": True, "query": query}}
    return {"bool": {"filter": [{"range": {"@timestamp": bounds}}, text]}}


def per_minute(**inner):
    bounds = {"min": START_MS, "max": START_MS + 10 * MINUTE_MS}
    histogram = {
        "field": "@timestamp",
        "fixed_interval": "60000ms",
        "min_doc_count": 0,
        "extended_bounds": bounds,
        "format": "epoch_millis",
    }
    return {"date_histogram": histogram, "aggs": inner}


def by_time(order):
    return [{"@timestamp": {"order": order, "unmapped_type": "boolean"}}, {"_doc": {"order": order}}]


def grafana_knows_the_source():
    clean("grafana-*")
    kinds = {"@timestamp": "date", "level": "keyword", "took": "float", "message": "text", "place": "geo_point"}
    send("PUT", "/grafana-1", {"mappings": {"properties": {name: {"type": kind} for name, kind in kinds.items()}}})
    made = []
    for n in range(20):
        made += [
            {"index": {}},
            {
                "@timestamp": START_MS + n * 30_000,
                "level": "error" if n % 4 == 0 else "info",
                "took": n,
                "message": f"request {n} was slow",
                "place": "48,11" if n < 10 else "52.5,13.4",
            },
        ]
    send("POST", "/grafana-1/_bulk?refresh=true", lines(*made), NDJSON)
    # The pattern of the source finds an index without its fields, too.
    send("PUT", "/grafana-bare/_doc/1?refresh=true", {"note": "no line"})
    true(send("GET", "/")["version"]["number"], "the version")
    equal(send("GET", "/grafana-1/_mapping")["grafana-1"]["mappings"]["properties"]["took"]["type"], "float", "the type")
    health = send("GET", "/_cluster/health?wait_for_status=yellow")
    true(health["status"] in ("green", "yellow"), health)
    fields = send("GET", "/grafana-*/_field_caps?fields=*")["fields"]
    took = fields["took"]["float"]
    equal((took["searchable"], took["aggregatable"]), (True, True), "what the number can do")
    equal(fields["message"]["text"]["aggregatable"], False, "whether texts are grouped")


def grafana_draws_metrics():
    terms = {"terms": {"field": "level", "size": 10, "order": {"_key": "desc"}, "min_doc_count": 1}}
    average = {"avg": {"field": "took"}}
    change = {"derivative": {"buckets_path": "1"}}
    moving = {"moving_fn": {"buckets_path": "1", "window": 2, "script": "MovingFunctions.unweightedAvg(values)", "shift": 0}}
    total = {"cumulative_sum": {"buckets_path": "1", "format": ""}}
    spread = {"extended_stats": {"field": "took", "sigma": 2}, "meta": {}}
    percentiles = {"percentiles": {"field": "took", "percents": ["50", "95"]}}
    inner = per_minute(**{"1": average, "3": change, "4": moving, "5": total, "6": spread, "7": percentiles})
    by_level = {**terms, "aggs": {"2": inner}}
    (answer,) = msearch({"size": 0, "query": within(), "aggs": {"9": by_level}})
    info, error = answer["aggregations"]["9"]["buckets"]
    equal((info["key"], error["key"]), ("info", "error"), "the levels")
    equal(len(info["2"]["buckets"]), 11, "the minutes")
    equal(info["2"]["buckets"][1]["1"]["value"], 2.5, "the average")
    equal(info["2"]["buckets"][1]["key"], START_MS + MINUTE_MS, "the minute")
    filters = {"filters": {"filters": {q: {"query_string": {"query": q, "analyze_wildcard": True}} for q in ("level:error", "*")}}}
    (answer,) = msearch({"size": 0, "query": within("took:>5"), "aggs": {"2": {**filters, "aggs": {"3": per_minute()}}}})
    equal({name: b["doc_count"] for name, b in answer["aggregations"]["2"]["buckets"].items()}, {"level:error": 3, "*": 14}, "the filters")


def grafana_draws_more_metrics():
    """Forms send numbers as texts, which are kept."""
    inner = {
        "1": {"avg": {"field": "took"}},
        "3": {"bucket_script": {"buckets_path": {"var1": "1"}, "script": "params.var1 * 2"}},
        "4": {"cardinality": {"field": "level", "precision_threshold": "100"}},
        "5": {"max": {"field": "took", "missing": "1"}},
        "6": {"serial_diff": {"buckets_path": "5", "lag": "1"}},
        "7": {"top_metrics": {"metrics": [{"field": "took"}], "size": "1", "sort": [{"@timestamp": "desc"}]}},
        "8": {"rate": {"unit": "minute", "mode": "sum", "field": "took"}},
        "9": {"extended_stats": {"field": "took"}},
        "10": {"percentiles": {"field": "took", "percents": ["50"]}},
    }
    five_minutes = per_minute(**inner)
    changed = {"fixed_interval": "300000ms", "min_doc_count": "0", "time_zone": "America/New_York"}
    five_minutes["date_histogram"] |= changed
    (answer,) = msearch({"size": 0, "query": within(), "aggs": {"2": five_minutes}})
    buckets = answer["aggregations"]["2"]["buckets"]
    # The numbers 0 to 9, then 10 to 19; the third is there for the bounds.
    equal([bucket["key"] for bucket in buckets], [START_MS + n * 5 * MINUTE_MS for n in range(3)], "the times")
    equal([bucket["doc_count"] for bucket in buckets], [10, 10, 0], "the documents")
    filled = buckets[:2]
    for name, what, wanted in [
        ("1", "the average", [4.5, 14.5]),
        ("3", "twice the average", [9.0, 29.0]),
        ("4", "the levels", [2, 2]),
        ("5", "the largest", [9.0, 19.0]),
        ("8", "the sum of a minute", [9.0, 29.0]),
    ]:
        equal([bucket[name]["value"] for bucket in filled], wanted, what)
    equal("6" in buckets[0], False, "whether the first differs from one before")
    equal(buckets[1]["6"]["value"], 10.0, "the difference")
    equal([bucket["7"]["top"][0]["metrics"] for bucket in filled], [{"took": 9.0}, {"took": 19.0}], "the last")
    spread = [(bucket["9"]["sum_of_squares"], bucket["9"]["variance"]) for bucket in filled]
    equal(spread, [(285.0, 8.25), (2185.0, 8.25)], "the spread")
    equal([bucket["10"]["values"]["50.0"] for bucket in filled], [4.5, 14.5], "the medians")


def grafana_groups_by_place_number_and_word():
    average = {"avg": {"field": "took"}}
    terms = {"field": "level", "size": "500", "order": {"1": "desc"}, "missing": "none"}
    aggs = {
        "3": {"geohash_grid": {"field": "place", "precision": "3"}, "aggs": {"1": average}},
        "4": {"histogram": {"field": "took", "interval": "5", "min_doc_count": "0"}},
        "5": {"terms": terms, "aggs": {"1": average}},
    }
    (answer,) = msearch({"size": 0, "query": within(), "aggs": aggs})
    found = answer["aggregations"]
    cells = {cell["key"]: (cell["doc_count"], cell["1"]["value"]) for cell in found["3"]["buckets"]}
    equal(cells, {"u0x": (10, 4.5), "u33": (10, 14.5)}, "the cells")
    steps = [(bucket["key"], bucket["doc_count"]) for bucket in found["4"]["buckets"]]
    equal(steps, [(0.0, 5), (5.0, 5), (10.0, 5), (15.0, 5)], "the steps")
    # 0, 4, 8, 12, 16 are errors: 40 of 190.
    levels = [(bucket["key"], bucket["doc_count"], bucket["1"]["value"]) for bucket in found["5"]["buckets"]]
    equal(levels, [("info", 15, 10.0), ("error", 5, 8.0)], "the levels")


def grafana_shows_raw_data():
    shown = {
        "size": 2,
        "query": within("level:error"),
        "sort": by_time("desc"),
        "fields": ["*"],
        "docvalue_fields": ["@timestamp"],
        "highlight": MARKS,
        "script_fields": {},
    }
    (answer,) = msearch(shown)
    equal(answer["hits"]["total"], {"value": 5, "relation": "eq"}, "the total")
    first, second = answer["hits"]["hits"]
    equal((first["_source"]["took"], second["_source"]["took"]), (16, 12), "the numbers")
    equal(first["sort"][0], START_MS + 8 * MINUTE_MS, "the time it is sorted by")
    wanted = {
        "@timestamp": ["2026-01-01T00:08:00.000Z"],
        "level": ["error"],
        "took": [16.0],
        "message": ["request 16 was slow"],
        "place": [{"type": "Point", "coordinates": [13.4, 52.5]}],
    }
    equal(first["fields"], wanted, "the fields")
    equal(first["highlight"], {"level": ["@HIGHLIGHT@error@/HIGHLIGHT@"]}, "what is marked")


def grafana_shows_lines_around_one():
    (found,) = msearch({"size": 1, "query": within("message:8"), "sort": by_time("desc"), "script_fields": {}})
    (line,) = found["hits"]["hits"]
    around = {"size": 3, "query": within(), "script_fields": {}, "search_after": line["sort"]}
    later, earlier = msearch(*({**around, "sort": by_time(order)} for order in ("asc", "desc")))
    equal([hit["_source"]["took"] for hit in later["hits"]["hits"]], [9, 10, 11], "the lines after it")
    equal([hit["_source"]["took"] for hit in earlier["hits"]["hits"]], [7, 6, 5], "the lines before it")


def grafana_shows_logs_and_documents():
    shown = {
        "size": 500,
        "query": within("message:slow"),
        "sort": by_time("desc"),
        "highlight": MARKS,
        "docvalue_fields": ["@timestamp"],
        "fields": [{"field": "@timestamp", "format": "strict_date_optional_time_nanos"}],
        "script_fields": {},
    }
    counted = {"size": 0, "query": within("message:slow"), "aggs": {"1": per_minute()}}
    logs, volume = msearch(shown, counted)
    equal(len(logs["hits"]["hits"]), 20, "the logs")
    first = logs["hits"]["hits"][0]
    true("@HIGHLIGHT@slow@/HIGHLIGHT@" in first["highlight"]["message"][0], first)
    equal(first["fields"]["@timestamp"], ["2026-01-01T00:09:30.000Z"], "the time")
    equal(volume["aggregations"]["1"]["buckets"][0]["doc_count"], 2, "the volume")


def grafana_asks_for_annotations_and_variables():
    times = [{"range": {"@timestamp": {"from": START_MS, "to": START_MS + MINUTE_MS, "format": "epoch_millis"}}}]
    text = {"query_string": {"query": "level:error"}}
    annotated = {"query": {"bool": {"filter": [{"bool": {"should": times, "minimum_should_match": 1}}, text]}}, "size": 10000}
    (answer,) = msearch(annotated)
    equal(len(answer["hits"]["hits"]), 1, "the annotations")
    terms = {"terms": {"field": "level", "size": 500, "order": {"_key": "asc"}}}
    (answer,) = msearch({"size": 0, "query": within(), "aggs": {"1": terms}})
    equal([bucket["key"] for bucket in answer["aggregations"]["1"]["buckets"]], ["error", "info"], "the values")


run(
    fluent_bit_sends_lines,
    logstash_starts_and_sends,
    logstash_manages_its_lifecycle,
    logstash_appends_to_a_stream,
    elasticdump_copies_an_index,
    grafana_knows_the_source,
    grafana_draws_metrics,
    grafana_draws_more_metrics,
    grafana_groups_by_place_number_and_word,
    grafana_shows_raw_data,
    grafana_shows_lines_around_one,
    grafana_shows_logs_and_documents,
    grafana_asks_for_annotations_and_variables,
)
