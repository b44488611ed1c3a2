# /// script
# dependencies = ["eland"]
# ///
"""eland: an index as a data frame, as far as that needs no scripts: columns, filters, numbers, groups, all rows."""

import eland
import pandas
from elasticsearch import Elasticsearch

from drill import URL, equal, refuses, run, send, true

CLIENT = Elasticsearch(URL)


def a_frame_becomes_an_index():
    send("DELETE", "/eland?ignore_unavailable=true")
    frame = pandas.DataFrame({"carrier": ["A", "B"] * 10, "price": [n * 1.5 for n in range(20)], "n": range(20)})
    frame.index = frame.index.map(str)
    made = eland.pandas_to_eland(
        frame, CLIENT, "eland", es_if_exists="fail", es_refresh=True, es_type_overrides={"carrier": "keyword"}
    )
    equal(made.shape, (20, 3), "the shape")


def rows_are_chosen():
    frame = eland.DataFrame(CLIENT, "eland")
    equal(sorted(frame.columns), ["carrier", "n", "price"], "the columns")
    chosen = frame[(frame.carrier == "A") & (frame.n > 10)]
    equal(sorted(chosen.to_pandas()["n"]), [12, 14, 16, 18], "the numbers")
    equal(len(frame.head(3)), 3, "the head")
    equal(len(eland.eland_to_pandas(frame)), 20, "all rows")


def numbers_are_summed_up():
    frame = eland.DataFrame(CLIENT, "eland")
    equal(frame["n"].sum(), 190, "the sum")
    equal(frame["price"].max(), 28.5, "the largest")
    equal(dict(frame["carrier"].value_counts()), {"A": 10, "B": 10}, "the values")
    grouped = frame.groupby("carrier").max(numeric_only=True)
    equal([float(number) for number in grouped["n"]], [18.0, 19.0], "the largest of each")
    described = frame.describe()
    true(described["n"]["count"] == 20 and described["n"]["50%"] == 9.5, described)
    equal(frame.nunique()["carrier"], 2, "the carriers")


def arithmetic_needs_scripts_and_is_refused():
    frame = eland.DataFrame(CLIENT, "eland")
    refuses(lambda: (frame["n"] + 1).to_pandas(), "script")


run(a_frame_becomes_an_index, rows_are_chosen, numbers_are_summed_up, arithmetic_needs_scripts_and_is_refused)
