# /// script
# dependencies = ["langchain-elasticsearch", "langchain-community"]
# ///
"""LangChain: the BM25 strategy of its Elasticsearch store, and the older BM25 retriever. Vectors are refused by name."""

from elasticsearch import Elasticsearch
from langchain_community.retrievers import ElasticSearchBM25Retriever
from langchain_core.documents import Document
from langchain_elasticsearch import BM25Strategy, ElasticsearchStore

from drill import URL, equal, run

TEXTS = ["The cat sat on the mat", "A dog barked at the cat", "Shards are spread over leaves"]
CLIENT = Elasticsearch(URL)


def documents_are_stored_found_and_deleted():
    CLIENT.indices.delete(index="lang-store", ignore_unavailable=True)
    store = ElasticsearchStore(client=CLIENT, index_name="lang-store", strategy=BM25Strategy())
    documents = [Document(page_content=text, metadata={"n": n}) for n, text in enumerate(TEXTS)]
    ids = store.add_documents(documents, ids=["a", "b", "c"])
    equal(ids, ["a", "b", "c"], "the ids")
    found = store.similarity_search("shards on leaves", k=2)
    equal(found[0].metadata["n"], 2, "the best")
    filtered = store.similarity_search("cat", k=5, filter=[{"term": {"metadata.n": 1}}])
    equal([document.page_content for document in filtered], [TEXTS[1]], "what is filtered")
    scored = store.similarity_search_with_score("dog", k=1)
    equal(scored[0][1] > 0, True, "the score")
    store.delete(ids=["b"])
    CLIENT.indices.refresh(index="lang-store")
    equal(len(store.similarity_search("cat", k=5)), 1, "what is left")


def the_older_retriever_finds():
    CLIENT.indices.delete(index="lang-bm25", ignore_unavailable=True)
    retriever = ElasticSearchBM25Retriever.create(URL, "lang-bm25")
    retriever.add_texts(TEXTS)
    equal(retriever.invoke("barked")[0].page_content, TEXTS[1], "the best")


run(documents_are_stored_found_and_deleted, the_older_retriever_finds)
