# /// script
# dependencies = ["elasticsearch>=8.18,<9"]
# ///
"""elasticsearch.dsl: documents as classes, searches, aggregations, facets, changes by query."""

from elasticsearch import dsl
from elasticsearch.dsl import A, Q, connections

from drill import URL, equal, run, true

connections.create_connection(hosts=[URL])


class Post(dsl.Document):
    title = dsl.Text(analyzer="snowball", fields={"raw": dsl.Keyword()})
    tags = dsl.Keyword(multi=True)
    lines = dsl.Integer()
    published = dsl.Date()

    class Index:
        name = "dsl-posts"
        settings = {"number_of_shards": 2}


def documents_are_saved_and_found():
    Post._index.delete(ignore_unavailable=True)
    Post.init()
    for n in range(12):
        tags = ["even" if n % 2 == 0 else "odd"]
        Post(meta={"id": n}, title=f"Sharded engine {n}", tags=tags, lines=n, published=f"2026-{n + 1:02}-01").save()
    Post._index.refresh()
    found = Post.search().query("match", title="engines").filter("term", tags="odd").sort("-lines")[:3]
    equal([hit.lines for hit in found.execute()], [11, 9, 7], "the lines")
    equal(Post.get(id=3).title, "Sharded engine 3", "the title")


def searches_are_put_together():
    search = Post.search().query(Q("match", title="sharded") & ~Q("term", tags="odd")).highlight("title")
    search = search.source(["lines"]).extra(track_total_hits=True)
    answer = search.execute()
    equal(answer.hits.total.value, 6, "the total")
    true("<em>" in answer[0].meta.highlight.title[0], answer[0].meta.to_dict())
    equal(search.count(), 6, "the count")
    equal(len(list(Post.search().scan())), 12, "all that are scanned")


def aggregations_are_read():
    search = Post.search()[:0]
    months = A("date_histogram", field="published", calendar_interval="quarter")
    search.aggs.bucket("quarters", months).metric("lines", "sum", field="lines")
    search.aggs.bucket("tags", "terms", field="tags")
    answer = search.execute()
    equal([bucket.lines.value for bucket in answer.aggregations.quarters], [3.0, 12.0, 21.0, 30.0], "the sums")
    equal({bucket.key: bucket.doc_count for bucket in answer.aggregations.tags}, {"even": 6, "odd": 6}, "the tags")


def facets_are_chosen():
    class Posts(dsl.FacetedSearch):
        index = "dsl-posts"
        doc_types = [Post]
        fields = ["title"]
        facets = {
            "tags": dsl.TermsFacet(field="tags"),
            "lines": dsl.RangeFacet(field="lines", ranges=[("few", (None, 5)), ("many", (5, None))]),
        }

    answer = Posts("engine", {"tags": "even"}).execute()
    equal(answer.hits.total.value, 6, "the total")
    equal([(name, count) for name, count, _ in answer.facets.lines], [("few", 3), ("many", 3)], "the facets")


def documents_are_changed_and_deleted():
    post = Post.get(id=1)
    post.update(lines=100, refresh=True)
    equal(Post.get(id=1).lines, 100, "the lines")
    gone = Post.search().query("range", lines={"gte": 10}).params(refresh=True).delete()
    equal(gone.deleted, 3, "what is deleted")
    equal(Post.search().count(), 9, "the count")


run(
    documents_are_saved_and_found,
    searches_are_put_together,
    aggregations_are_read,
    facets_are_chosen,
    documents_are_changed_and_deleted,
)
