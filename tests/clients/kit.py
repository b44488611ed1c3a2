"""What differs between the Python clients, behind one face, and how a check says what is wrong.

elasticsearch-py takes the members of a body as arguments, opensearch-py takes the body; some calls
have other names. Everything else the checks call on the unmodified client itself.
"""

import importlib

# Members of a body whose arguments have other names in elasticsearch-py.
RENAMED = {"from": "from_", "_source": "source"}

MAPPINGS = {
    "properties": {
        "title": {"type": "text"},
        "tag": {"type": "keyword"},
        "n": {"type": "integer"},
        "at": {"type": "date"},
        "price": {"type": "double"},
    }
}


def document(n):
    """Returns the document of that number; every fourth has the same tag, every second the same words."""
    parity = "even" if n % 2 == 0 else "odd"
    return {
        "title": f"document number {n} is {parity}",
        "tag": f"tag{n % 4}",
        "n": n,
        "at": f"2024-{1 + n % 3:02}-10T00:00:00Z",
        "price": n / 4,
    }


def equal(got, wanted, what="it"):
    """Fails unless both are equal."""
    if got != wanted:
        raise AssertionError(f"{what} is {got!r}, not {wanted!r}")


def true(fact, told):
    """Fails with what was told unless the fact holds; `assert` would be silent under `python -O`."""
    if not fact:
        raise AssertionError(f"not expected: {told!r}")


def sources(answer, field):
    """Returns a field of all hits, in their order."""
    return [hit["_source"][field] for hit in answer["hits"]["hits"]]


def total(answer):
    """Returns how many documents match, which must be exact."""
    equal(answer["hits"]["total"]["relation"], "eq", "the relation of the total")
    return answer["hits"]["total"]["value"]


class Kit:
    """A client of one library, and the name of the index that a check has for itself."""

    def __init__(self, library, urls, index, ca=None):
        self.library = importlib.import_module(library)
        self.helpers = importlib.import_module(f"{library}.helpers")
        self.is_opensearch = library == "opensearchpy"
        self.index = index
        if self.is_opensearch:
            self.client = self.library.OpenSearch(urls, timeout=20, max_retries=0, ca_certs=ca)
            self.error = self.library.TransportError
        else:
            self.client = self.library.Elasticsearch(urls, request_timeout=20, max_retries=0, ca_certs=ca)
            self.error = self.library.ApiError

    def ask(self, method, body, **parameters):
        """Calls a method of the client with a body, given as the library wants it."""
        if self.is_opensearch:
            return method(body=body, **parameters)
        members = {RENAMED.get(name, name): value for name, value in body.items()}
        return method(**members, **parameters)

    def with_query(self, method, **query):
        """Calls a method with parameters of the URL that opensearch-py does not all take by name."""
        if not self.is_opensearch:
            return method(**query)
        named = {name: query.pop(name) for name in ("task_id",) if name in query}
        return method(**named, params=query)

    def remove(self, method, **parameters):
        """Calls a method that deletes what may not be there."""
        try:
            method(**parameters)
        except self.library.NotFoundError:
            pass

    def make(self, num_documents=0, **body):
        """Makes the check's index, with documents that searches see."""
        self.ask(self.client.indices.create, {"mappings": MAPPINGS, **body}, index=self.index)
        if num_documents:
            written, _ = self.helpers.bulk(self.client, self.actions(range(num_documents)), refresh=True)
            equal(written, num_documents, "the number of documents that were written")

    def actions(self, numbers):
        """Returns the documents of these numbers for the helpers of bulks."""
        return ({"_index": self.index, "_id": str(n), "_source": document(n)} for n in numbers)

    def put(self, identifier, source, **parameters):
        """Indexes a document in the check's index; without an identifier where it is `None`."""
        name = "body" if self.is_opensearch else "document"
        if identifier is not None:
            parameters["id"] = identifier
        return self.client.index(index=self.index, **{name: source}, **parameters)

    def create(self, identifier, source):
        """Creates a document, which must not be there."""
        name = "body" if self.is_opensearch else "document"
        return self.client.create(index=self.index, id=identifier, **{name: source})

    def search(self, body, **parameters):
        """Searches the check's index, unless the parameters name others or the body has a point in time."""
        if "pit" not in body:
            parameters.setdefault("index", self.index)
        return self.ask(self.client.search, body, **parameters)

    def msearch(self, lines):
        """Sends several searches at once."""
        return self.client.msearch(**{"body" if self.is_opensearch else "searches": lines})["responses"]

    def open_pit(self):
        """Opens a point in time of the check's index and returns its identifier."""
        if self.is_opensearch:
            return self.client.create_pit(index=self.index, params={"keep_alive": "1m"})["pit_id"]
        return self.client.open_point_in_time(index=self.index, keep_alive="1m")["id"]

    def close_pit(self, pit):
        """Closes a point in time and returns the answer."""
        if self.is_opensearch:
            return self.client.delete_pit(body={"pit_id": [pit]})
        return self.client.close_point_in_time(id=pit)

    def refused(self, status, kind, call):
        """Returns the exception of a call that must be refused with this status and type of error.

        `kind` is `None` where the body is no error: a document that is not found.
        """
        try:
            answer = call()
        except self.error as error:
            meta = error if self.is_opensearch else error.meta
            equal(meta.status_code if self.is_opensearch else meta.status, status, "the status")
            if kind is not None:
                equal(error.info["error"]["type"], kind, "the type of the error")
                equal(error.info["status"], status, "the status in the body")
                true(error.info["error"]["root_cause"][0]["reason"], error.info)
            return error
        raise AssertionError(f"no error where {status} was due, but {answer!r}")
