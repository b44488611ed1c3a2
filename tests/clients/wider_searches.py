"""Checks of what teams ask beside plain searches: types of fields, scores, groups, aggregations, ratings.

`checks.py` says how a check is written.
"""

from kit import equal, total
from registry import check

# Fields of types that hold more than words and numbers.
TYPES = {
    "span": {"type": "integer_range"},
    "net": {"type": "ip_range"},
    "exact": {"type": "date_nanos"},
    "typed": {"type": "search_as_you_type"},
    "weight": {"type": "rank_feature"},
    "any": {"type": "flattened"},
    "line": {"type": "wildcard"},
    "big": {"type": "unsigned_long"},
    "price": {"type": "scaled_float", "scaling_factor": 100},
    "place": {"type": "geo_point"},
    "same": {"type": "constant_keyword", "value": "v"},
    "cost": {"type": "alias", "path": "price"},
}

# A document with a value of each type.
TYPED = {
    "span": {"gte": 1, "lt": 5},
    "net": "10.0.0.0/24",
    "exact": "2026-01-01T00:00:00.123456789Z",
    "typed": "quick brown fox",
    "weight": 5,
    "any": {"a": "b"},
    "line": "GET /index.html",
    "big": 18446744073709551615,
    "price": 1.239,
    "place": "48.1,11.5",
}

# Each finds that document.
FINDS_TYPED = [
    {"term": {"span": 4}},
    {"range": {"span": {"gte": 0, "lte": 9, "relation": "within"}}},
    {"term": {"net": "10.0.0.7"}},
    {"range": {"exact": {"gt": "2026-01-01T00:00:00.123456788Z"}}},
    {"multi_match": {"query": "quick bro", "type": "bool_prefix", "fields": ["typed", "typed._2gram", "typed._3gram"]}},
    {"rank_feature": {"field": "weight"}},
    {"term": {"any.a": "b"}},
    {"wildcard": {"line": "*index*"}},
    {"term": {"big": 18446744073709551615}},
    {"term": {"cost": 1.24}},
    {"geo_distance": {"distance": "10km", "place": [11.5, 48.1]}},
    {"term": {"same": "v"}},
]

# None finds it.
MISSES_TYPED = [
    {"term": {"span": 5}},
    {"term": {"net": "10.0.1.0"}},
    {"range": {"exact": {"gt": "2026-01-01T00:00:00.123456789Z"}}},
    {"term": {"big": 18446744073709551614}},
    {"term": {"same": "w"}},
]


@check
def types_are_indexed_and_queried(kit):
    kit.ask(kit.client.indices.create, {"mappings": {"properties": TYPES}}, index=kit.index)
    kit.put("1", TYPED, refresh=True)
    for query in FINDS_TYPED:
        equal(total(kit.search({"query": query})), 1, str(query))
    for query in MISSES_TYPED:
        equal(total(kit.search({"query": query})), 0, str(query))


@check
def functions_score_and_words_are_near(kit):
    kit.make(12)
    by_number = {"function_score": {"field_value_factor": {"field": "n"}, "boost_mode": "replace"}}
    hits = kit.search({"query": by_number, "size": 3})["hits"]["hits"]
    equal([hit["_score"] for hit in hits], [11.0, 10.0, 9.0])
    near = {"intervals": {"title": {"match": {"query": "number even", "ordered": True, "max_gaps": 2}}}}
    equal(total(kit.search({"query": near})), 6, "the intervals")


@check
def terms_of_a_document_are_looked_up(kit):
    kit.make(12)
    kit.put("list", {"tags": ["tag1", "tag2"]}, refresh=True)
    listed = {"terms": {"tag": {"index": kit.index, "id": "list", "path": "tags"}}}
    equal(total(kit.search({"query": listed})), 6, "the total")


@check
def scans_take_lookups(kit):
    kit.make(12)
    kit.put("list", {"tags": ["tag1", "tag2"]}, refresh=True)
    listed = {"query": {"terms": {"tag": {"index": kit.index, "id": "list", "path": "tags"}}}}
    hits = kit.helpers.scan(kit.client, index=kit.index, query=listed, size=4)
    equal(sorted(hit["_source"]["n"] for hit in hits), [1, 2, 5, 6, 9, 10])


@check
def hits_are_collapsed_with_the_others_of_their_group(kit):
    kit.make(12)
    collapse = {"field": "tag", "inner_hits": {"name": "all", "size": 5}}
    groups = kit.search({"sort": [{"n": "desc"}], "collapse": collapse})["hits"]["hits"]
    equal([hit["fields"]["tag"] for hit in groups], [["tag3"], ["tag2"], ["tag1"], ["tag0"]])
    equal({total(hit["inner_hits"]["all"]) for hit in groups}, {3}, "the inner hits")


@check
def composite_aggregations_are_paged(kit):
    kit.make(40)
    tens = {"histogram": {"field": "n", "interval": 20}}
    composite = {"size": 3, "sources": [{"tag": {"terms": {"field": "tag"}}}, {"n": tens}]}
    keys = []
    while True:
        page = kit.search({"size": 0, "aggs": {"page": {"composite": composite}}})["aggregations"]["page"]
        keys += [tuple(bucket["key"].values()) for bucket in page["buckets"]]
        if "after_key" not in page:
            break
        composite["after"] = page["after_key"]
    equal(keys, [(f"tag{tag}", float(n)) for tag in range(4) for n in (0, 20)])


@check
def wider_aggregations_are_read(kit):
    kit.make(40)
    inner = {
        "sum": {"sum": {"field": "n"}},
        "so_far": {"cumulative_sum": {"buckets_path": "sum"}},
        "mean": {"bucket_script": {"buckets_path": {"s": "sum", "c": "_count"}, "script": "params.s / params.c"}},
    }
    aggs = {
        "months": {"date_histogram": {"field": "at", "calendar_interval": "month"}, "aggs": inner},
        "best": {"max_bucket": {"buckets_path": "months>sum"}},
        "middle": {"percentiles": {"field": "n", "percents": [50]}},
        "ranks": {"percentile_ranks": {"field": "n", "values": [19.5, 60]}},
        "last": {"top_metrics": {"metrics": {"field": "tag"}, "sort": {"n": "desc"}}},
    }
    found = kit.search({"size": 0, "aggs": aggs})["aggregations"]
    months = [[bucket[name]["value"] for name in ("sum", "so_far", "mean")] for bucket in found["months"]["buckets"]]
    equal(months, [[273.0, 273.0, 19.5], [247.0, 520.0, 19.0], [260.0, 780.0, 20.0]])
    equal(found["best"]["value"], 273.0, "the largest sum")
    equal(found["middle"]["values"]["50.0"], 19.5, "the median")
    equal(found["ranks"]["values"], {"19.5": 50.0, "60.0": 100.0}, "the ranks")
    equal(found["last"]["top"][0]["metrics"], {"tag": "tag3"}, "the last")


@check
def hits_are_rated_and_their_words_are_counted(kit):
    kit.make(8)
    vectors = kit.client.termvectors(index=kit.index, id="1", fields="title")["term_vectors"]["title"]["terms"]
    equal(vectors["odd"]["term_freq"], 1, "how often the word is in the field")
    rating = {"_index": kit.index, "_id": "3", "rating": 1}
    request = {"id": "q", "request": {"query": {"term": {"n": 3}}}, "ratings": [rating]}
    rated = {"requests": [request], "metric": {"dcg": {"normalize": True}}}
    equal(kit.ask(kit.client.rank_eval, rated, index=kit.index)["metric_score"], 1.0, "the score")
