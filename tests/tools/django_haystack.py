# /// script
# dependencies = ["django>=5,<6", "django-haystack>=3.3,<4", "elasticsearch>=7.17,<8", "setuptools<81"]
# ///
"""django-haystack with its backend for Elasticsearch 7: filters, facets, highlights, similar documents, spans of dates."""

import datetime

import django
from django.conf import settings

from drill import URL, equal, run, true

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "haystack"],
    HAYSTACK_CONNECTIONS={
        "default": {
            "ENGINE": "haystack.backends.elasticsearch7_backend.Elasticsearch7SearchEngine",
            "URL": URL + "/",
            "INDEX_NAME": "haystack",
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=False,
)
django.setup()

from django.db import connection, models
from haystack import connections, indexes
from haystack.query import SQ, SearchQuerySet


class Note(models.Model):
    text = models.TextField()
    author = models.CharField(max_length=20)
    at = models.DateTimeField()

    class Meta:
        app_label = "haystack"


class NoteIndex(indexes.SearchIndex, indexes.Indexable):
    text = indexes.CharField(document=True, model_attr="text")
    author = indexes.CharField(model_attr="author", faceted=True)
    at = indexes.DateTimeField(model_attr="at", faceted=True)

    def get_model(self):
        return Note


def the_index_is_filled():
    with connection.schema_editor() as editor:
        editor.create_model(Note)
    for n in range(10):
        at = datetime.datetime(2026, 1, n + 1)
        text = f"Searching and more searching in shards, of number {n}"
        Note.objects.create(text=text, author="ann" if n % 2 else "bob", at=at)
    index = NoteIndex()
    connections["default"].get_unified_index().build(indexes=[index])
    backend = connections["default"].get_backend()
    backend.clear()
    backend.update(index, Note.objects.all())
    equal(SearchQuerySet().count(), 10, "the count")


def documents_are_found():
    found = SearchQuerySet().filter(content="search").filter(author="ann").order_by("-at")
    equal([result.object.id for result in found[:2]], [10, 8], "the rows")
    either = SearchQuerySet().filter(SQ(content="7") | SQ(content="8"))
    equal(either.count(), 2, "either")
    equal(SearchQuerySet().exclude(author="ann").count(), 5, "the others")
    equal(SearchQuerySet().filter(at__gte=datetime.datetime(2026, 1, 9)).count(), 2, "the late ones")
    equal(SearchQuerySet().filter(author__in=["ann", "eve"]).count(), 5, "of some")
    equal(SearchQuerySet().filter(content__startswith="shar").count(), 10, "by their beginning")


def facets_are_counted():
    facets = SearchQuerySet().facet("author").facet_counts()
    equal(sorted(facets["fields"]["author"]), [("ann", 5), ("bob", 5)], "the authors")
    begin, end = datetime.date(2026, 1, 1), datetime.date(2026, 1, 31)
    dates = SearchQuerySet().date_facet("at", begin, end, "day").facet_counts()["dates"]["at"]
    equal(sum(count for _, count in dates), 10, "the days")


def matches_are_marked():
    (result,) = SearchQuerySet().filter(content="5").highlight()
    true("<em>5</em>" in result.highlighted[0], result.highlighted)


def similar_notes_are_found():
    similar = SearchQuerySet().more_like_this(Note.objects.get(id=1))
    true(1 not in [result.object.id for result in similar], list(similar))
    equal(similar.count(), 9, "the others")


def a_note_is_taken_out():
    connections["default"].get_backend().remove(Note.objects.get(id=1))
    equal(SearchQuerySet().count(), 9, "the count")


run(
    the_index_is_filled,
    documents_are_found,
    facets_are_counted,
    matches_are_marked,
    similar_notes_are_found,
    a_note_is_taken_out,
)
