# /// script
# dependencies = ["wagtail>=8,<9", "elasticsearch>=8.18,<9"]
# ///
"""Wagtail's backend for Elasticsearch 8: an index that is rebuilt behind an alias, search, completion, facets."""

import django
from django.conf import settings

from drill import URL, equal, run, send

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "taggit",
        "wagtail.search",
        "wagtail.images",
        "wagtail.documents",
        "wagtail.admin",
        "wagtail.users",
        "wagtail",
    ],
    WAGTAILSEARCH_BACKENDS={
        "default": {
            "BACKEND": "wagtail.search.backends.elasticsearch8",
            "URLS": [URL],
            "INDEX_PREFIX": "drill_",
            "ATOMIC_REBUILD": True,
        }
    },
    WAGTAIL_SITE_NAME="drill",
    WAGTAILADMIN_BASE_URL="http://127.0.0.1",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SECRET_KEY="drill",
    STATIC_URL="/static/",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from wagtail.models import Page
from wagtail.search.backends import get_search_backend

call_command("migrate", verbosity=0)
ROOT = Page.objects.get(depth=1)


def pages_are_indexed():
    for index in send("GET", "/_alias/drill_wagtail*"):
        send("DELETE", f"/{index}")
    for n in range(8):
        ROOT.add_child(instance=Page(title=f"Apple pie number {n}", slug=f"pie-{n}"))
    ROOT.add_child(instance=Page(title="Pears", slug="pears"))
    call_command("update_index", verbosity=0)
    send("POST", "/_refresh")
    found = Page.objects.live().search("apple pie", operator="and")
    equal(found.count(), 8, "the count")


def pages_are_completed_and_ordered():
    equal([page.slug for page in Page.objects.autocomplete("pea")], ["pears"], "what is completed")
    ordered = Page.objects.order_by("-title").search("apple", order_by_relevance=False)
    equal([page.slug for page in ordered[:2]], ["pie-7", "pie-6"], "the order")
    phrase = Page.objects.search("number 3", fields=["title"])
    equal(phrase[0].slug, "pie-3", "the best")


def facets_are_counted():
    backend = get_search_backend()
    facets = backend.search("apple", Page.objects.all()).facet("content_type_id")
    equal(sum(facets.values()), 8, "the facet")


def pages_that_change_are_indexed_anew():
    page = Page.objects.get(slug="pears")
    page.title = "Plums"
    page.save()
    send("POST", "/_refresh")
    equal(Page.objects.search("pears").count(), 0, "the old title")
    equal([found.slug for found in Page.objects.search("plums")], ["pears"], "the new title")
    page.delete()
    send("POST", "/_refresh")
    equal(Page.objects.search("plums").count(), 0, "the page")


def the_index_is_rebuilt_behind_its_alias():
    before = list(send("GET", "/_alias/drill_wagtailcore_page"))
    call_command("update_index", verbosity=0)
    after = list(send("GET", "/_alias/drill_wagtailcore_page"))
    equal((len(before), len(after), before == after), (1, 1, False), "the indices behind the alias")
    send("POST", "/_refresh")
    equal(Page.objects.search("apple").count(), 8, "the count")


run(
    pages_are_indexed,
    pages_are_completed_and_ordered,
    facets_are_counted,
    pages_that_change_are_indexed_anew,
    the_index_is_rebuilt_behind_its_alias,
)
