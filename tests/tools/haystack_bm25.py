# /// script
# dependencies = ["elasticsearch-haystack"]
# ///
"""Haystack: its document store with a mapping of one's own, filters, and the BM25 retriever."""

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.retrievers.elasticsearch import ElasticsearchBM25Retriever
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore

from drill import URL, equal, refuses, run, send

MAPPING = {"properties": {"content": {"type": "text"}, "lang": {"type": "keyword"}, "n": {"type": "integer"}}}


def documents_are_written_and_found():
    send("DELETE", "/hay-docs?ignore_unavailable=true")
    store = ElasticsearchDocumentStore(hosts=URL, index="hay-docs", custom_mapping=MAPPING)
    documents = [
        Document(id=str(n), content=f"Page {n} about sharded search", meta={"lang": "en" if n % 2 else "fr", "n": n})
        for n in range(10)
    ]
    equal(store.write_documents(documents), 10, "what is written")
    equal(store.count_documents(), 10, "the count")
    refuses(lambda: store.write_documents(documents[:1], policy=DuplicatePolicy.FAIL), "already exist")
    equal(store.write_documents(documents[:1], policy=DuplicatePolicy.OVERWRITE), 1, "what is written again")
    french = {"field": "meta.lang", "operator": "==", "value": "fr"}
    late = {"field": "meta.n", "operator": ">", "value": 5}
    both = {"operator": "AND", "conditions": [french, late]}
    equal(sorted(found.id for found in store.filter_documents(both)), ["6", "8"], "what is filtered")
    found = ElasticsearchBM25Retriever(document_store=store).run(query="page 7", top_k=3)["documents"]
    equal(found[0].id, "7", "the best")
    equal(found[0].score > 0, True, "the score")
    store.delete_documents(["7"])
    equal(store.count_documents(), 9, "the count")


def vectors_are_refused_by_name():
    send("DELETE", "/hay-vectors?ignore_unavailable=true")
    store = ElasticsearchDocumentStore(hosts=URL, index="hay-vectors")
    refuses(store.count_documents, "dense_vector")


run(documents_are_written_and_found, vectors_are_refused_by_name)
