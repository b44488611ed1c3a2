# /// script
# dependencies = ["llama-index-vector-stores-elasticsearch"]
# ///
"""LlamaIndex: its Elasticsearch store with the BM25 strategy, which needs no vectors."""

from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import ExactMatchFilter, MetadataFilters, VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.elasticsearch import AsyncBM25Strategy, ElasticsearchStore

from drill import URL, equal, run, send

TEXTS = ["The cat sat on the mat", "A dog barked at the cat", "Shards are spread over leaves"]


def nodes_are_stored_and_found():
    send("DELETE", "/llama?ignore_unavailable=true")
    store = ElasticsearchStore(es_url=URL, index_name="llama", retrieval_strategy=AsyncBM25Strategy())
    nodes = [TextNode(id_=f"node-{n}", text=text, metadata={"n": str(n)}) for n, text in enumerate(TEXTS)]
    equal(sorted(store.add(nodes)), ["node-0", "node-1", "node-2"], "the ids")
    send("POST", "/llama/_refresh")
    mode = VectorStoreQueryMode.TEXT_SEARCH
    found = store.query(VectorStoreQuery(query_str="shards of leaves", similarity_top_k=2, mode=mode))
    equal(found.nodes[0].get_content(), TEXTS[2], "the best")
    only = MetadataFilters(filters=[ExactMatchFilter(key="n", value="1")])
    found = store.query(VectorStoreQuery(query_str="cat", similarity_top_k=5, mode=mode, filters=only))
    equal([node.get_content() for node in found.nodes], [TEXTS[1]], "what is filtered")


run(nodes_are_stored_and_found)
