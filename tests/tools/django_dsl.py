# /// script
# dependencies = ["django>=5,<6", "django-elasticsearch-dsl==8.2", "elasticsearch>=8.18,<9", "elasticsearch-dsl>=8.18,<9"]
# ///
"""django-elasticsearch-dsl: a model whose rows are indexed as they change, and `search_index`."""

import django
from django.conf import settings

from drill import URL, equal, run

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django_elasticsearch_dsl"],
    ELASTICSEARCH_DSL={"default": {"hosts": URL}},
    ELASTICSEARCH_DSL_AUTO_REFRESH=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.core.management import call_command
from django.db import connection, models
from django_elasticsearch_dsl import Document, fields
from django_elasticsearch_dsl.registries import registry


class Car(models.Model):
    name = models.CharField(max_length=40)
    color = models.CharField(max_length=20)
    made = models.DateField()

    class Meta:
        app_label = "django_elasticsearch_dsl"


@registry.register_document
class CarDocument(Document):
    color = fields.KeywordField()

    class Index:
        name = "dj-cars"
        settings = {"number_of_shards": 2, "number_of_replicas": 0}

    class Django:
        model = Car
        fields = ["name", "made"]


def the_index_is_made_of_the_rows():
    with connection.schema_editor() as editor:
        editor.create_model(Car)
    for n in range(20):
        Car.objects.create(name=f"Car number {n}", color="red" if n % 4 else "blue", made=f"2026-01-{n + 1:02}")
    call_command("search_index", "--rebuild", "-f", verbosity=0)
    CarDocument._index.refresh()
    equal(CarDocument.search().filter("term", color="blue").count(), 5, "the blue ones")


def rows_that_change_are_indexed_anew():
    car = Car.objects.get(name="Car number 3")
    car.color = "blue"
    car.save()
    equal(CarDocument.search().filter("term", color="blue").count(), 6, "the blue ones")
    car.delete()
    equal(CarDocument.search().filter("term", color="blue").count(), 5, "the blue ones")


def what_is_found_becomes_rows():
    found = CarDocument.search().query("match", name="7").to_queryset()
    equal([car.name for car in found], ["Car number 7"], "the rows")


run(the_index_is_made_of_the_rows, rows_that_change_are_indexed_anew, what_is_found_becomes_rows)
