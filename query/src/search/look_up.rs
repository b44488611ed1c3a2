//! The documents that the queries of a search name, read before it is resolved.
//!
//! Does: find their names in all queries of a request, count the memory that their answers take, and put what they say
//! in their place. Does not: read them, know who may, or reserve memory. Called by: `api`, before a search is handed
//! on, and `root`, for each page of a scroll. Read first: [`SearchRequest::look_ups`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::SearchRequest;
use crate::aggregation;
use crate::dsl::{Like, LookUp, Query, TermsLookupQuery, TermsQuery};
use crate::error::QueryError;
use crate::limits::Limits;
use crate::resolved::Scalar;
use crate::source::values_at;

/// Documents that one search may name.
const MAX_LOOK_UPS: usize = 1_024;

/// Documents by their names; `None` where there is none.
pub type FoundDocuments = BTreeMap<LookUp, Option<Value>>;

/// The documents that the queries of a search name, and what they say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedDocuments {
    /// The index of documents that are named without one, as for [`SearchRequest::look_ups`].
    pub index: Option<String>,
    /// The documents.
    pub found: FoundDocuments,
}

impl NamedDocuments {
    /// Puts what the documents say in the place of their names.
    pub fn answer(&self, search: &mut SearchRequest) {
        if !self.found.is_empty() {
            search.answer_look_ups(self.index.as_deref(), &self.found);
        }
    }

    /// Returns the bytes that [`Self::answer`] takes, with those of the lists that each `terms` query resolves to: no
    /// less than [`Self::excerpt`] takes. Nothing is copied for it.
    ///
    /// # Errors
    /// `illegal_argument_exception` for a list of more than [`Limits::terms`] values.
    pub fn answer_bytes(
        &self,
        search: &mut SearchRequest,
        limits: &Limits,
    ) -> Result<usize, QueryError> {
        let mut answer = AnswerBytes {
            named: self,
            limits,
            lists: BTreeMap::new(),
            documents: BTreeMap::new(),
            num_bytes: 0,
        };
        let mut counted = Ok(());
        if !self.found.is_empty() {
            search.each_query(&mut |query| {
                if counted.is_ok() {
                    counted = answer.add(query);
                }
            });
        }
        counted.map(|()| answer.num_bytes)
    }

    /// Returns the same documents with no more in them than the queries of `search` ask: of a document that is named
    /// for its values alone, only these, each list under its whole path as one key.
    #[must_use]
    pub fn excerpt(&self, search: &mut SearchRequest) -> Self {
        let index = self.index.as_deref();
        let mut values = FoundDocuments::new();
        let mut whole = FoundDocuments::new();
        search.each_query(&mut |query| match query {
            Query::TermsLookup(lookup) => {
                let source = self.found.get(&lookup.document).and_then(Option::as_ref);
                let said = values.entry(lookup.document.clone()).or_default();
                if let Some(source) = source {
                    let said = said.get_or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(lists) = said {
                        let list = lists.entry(lookup.path.clone());
                        list.or_insert_with(|| {
                            let values = values_of(lookup, source).into_iter();
                            values.cloned().collect()
                        });
                    }
                }
            }
            Query::MoreLikeThis(query) => {
                for name in query.places().filter_map(|place| place.look_up(index)) {
                    let source = self.found.get(&name).cloned().flatten();
                    whole.insert(name, source);
                }
            }
            _ => {}
        });
        values.extend(whole);
        Self {
            index: self.index.clone(),
            found: values,
        }
    }
}

impl SearchRequest {
    /// Returns the documents that its queries name; those that name no index are of `index`.
    ///
    /// # Errors
    /// `illegal_argument_exception` where there are too many, and where one names no index and `index` is `None`.
    pub fn look_ups(&mut self, index: Option<&str>) -> Result<FoundDocuments, QueryError> {
        let mut wanted = FoundDocuments::new();
        let mut refused = None;
        self.each_query(&mut |query| match query {
            Query::TermsLookup(query) => {
                wanted.insert(query.document.clone(), None);
            }
            Query::MoreLikeThis(query) => {
                for place in query.places() {
                    match place.look_up(index) {
                        Some(document) => {
                            wanted.insert(document, None);
                        }
                        None => refused = Some(place.id.clone()),
                    }
                }
            }
            _ => {}
        });
        if let Some(id) = refused {
            return Err(QueryError::illegal(format!(
                "[more_like_this] the document [{id}] must name its [_index]: the search is not of one \
                 index alone"
            )));
        }
        if wanted.len() > MAX_LOOK_UPS {
            return Err(QueryError::illegal(format!(
                "the queries name [{}] documents, at most [{MAX_LOOK_UPS}] are allowed",
                wanted.len()
            )));
        }
        Ok(wanted)
    }

    /// Puts what documents say in the place of their names; `index` as for [`SearchRequest::look_ups`].
    pub fn answer_look_ups(&mut self, index: Option<&str>, found: &FoundDocuments) {
        let mut lists: BTreeMap<ListName, Arc<[Value]>> = BTreeMap::new();
        self.each_query(&mut |query| match query {
            Query::TermsLookup(lookup) => {
                let list = lists.entry(ListName::of(lookup)).or_insert_with(|| {
                    let source = found.get(&lookup.document).and_then(Option::as_ref);
                    let values = source.into_iter();
                    let values = values.flat_map(|source| values_of(lookup, source));
                    values.cloned().collect()
                });
                let values = Arc::clone(list);
                *query = Query::Terms(TermsQuery {
                    field: lookup.field.clone(),
                    values,
                    boost: lookup.boost,
                });
            }
            Query::MoreLikeThis(query) => {
                for like in query.like.iter_mut().chain(&mut query.unlike) {
                    let Like::Document(document) = like else {
                        continue;
                    };
                    if let Some(place) = &mut document.place {
                        place.is_read = true;
                        let found = place.look_up(index).and_then(|name| found.get(&name));
                        document.source = found.cloned().flatten();
                    }
                }
            }
            _ => {}
        });
    }

    /// Returns whether its queries name documents, read or not; of those among collapsed hits nothing is said.
    pub fn names_documents(&self) -> bool {
        let rescores = self.rescores.iter().map(|rescore| &rescore.query);
        let of_aggregations = aggregation::queries(&self.aggregations);
        let highlight = self.highlight.iter();
        let of_highlight = highlight.flat_map(|highlight| {
            let fields = highlight.fields.iter();
            let of_fields = fields.filter_map(|(_, options)| options.query.as_deref());
            highlight.query.as_deref().into_iter().chain(of_fields)
        });
        let own = self.query.iter().chain(&self.post_filter);
        let mut all = own
            .chain(rescores)
            .chain(of_aggregations)
            .chain(of_highlight);
        all.any(|query| query.named_document().is_some())
    }

    /// Calls `visit` with every query of the request, those inside others before them.
    fn each_query(&mut self, visit: &mut dyn FnMut(&mut Query)) {
        let rescores = self.rescores.iter_mut().map(|rescore| &mut rescore.query);
        let own = self.query.iter_mut().chain(&mut self.post_filter);
        own.chain(rescores).for_each(|query| each(query, visit));
        let of_aggregations = aggregation::queries_mut(&mut self.aggregations);
        of_aggregations
            .into_iter()
            .for_each(|query| each(query, visit));
        if let Some(highlight) = &mut self.highlight {
            let fields = highlight.fields.iter_mut();
            let of_fields = fields.filter_map(|(_, options)| options.query.as_mut());
            let queries = highlight.query.iter_mut().chain(of_fields);
            queries.for_each(|query| each(query, visit));
        }
        let inner = self.collapse.iter_mut().flat_map(|c| &mut c.inner_hits);
        inner.for_each(|inner| inner.request.each_query(visit));
    }
}

fn each(query: &mut Query, visit: &mut dyn FnMut(&mut Query)) {
    for inside in query.children_mut() {
        each(inside, visit);
    }
    visit(query);
}

/// Returns the values that a `terms` query looks up in its document.
fn values_of<'v>(lookup: &TermsLookupQuery, source: &'v Value) -> Vec<&'v Value> {
    let mut values = values_at(source, &lookup.path);
    values.retain(|value| !value.is_null());
    values
}

/// The name of a list that `terms` queries look up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ListName {
    document: LookUp,
    path: String,
}

impl ListName {
    fn of(lookup: &TermsLookupQuery) -> Self {
        Self {
            document: lookup.document.clone(),
            path: lookup.path.clone(),
        }
    }
}

/// Counts the bytes of what is put in the place of names.
struct AnswerBytes<'a> {
    named: &'a NamedDocuments,
    limits: &'a Limits,
    /// Bytes of the resolved form of each list that was counted.
    lists: BTreeMap<ListName, usize>,
    /// Bytes of a copy of each document that was counted.
    documents: BTreeMap<LookUp, usize>,
    num_bytes: usize,
}

impl AnswerBytes<'_> {
    /// Counts what is put into `query`, without the queries inside.
    fn add(&mut self, query: &Query) -> Result<(), QueryError> {
        let named = self.named;
        match query {
            Query::TermsLookup(lookup) => self.add_list(lookup),
            Query::MoreLikeThis(query) => {
                let index = named.index.as_deref();
                for name in query.places().filter_map(|place| place.look_up(index)) {
                    self.add_document(name);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts a list once for all queries that share it, and its resolved form for each of them.
    fn add_list(&mut self, lookup: &TermsLookupQuery) -> Result<(), QueryError> {
        let source = self.named.found.get(&lookup.document);
        let Some(source) = source.and_then(Option::as_ref) else {
            return Ok(());
        };
        let resolved_bytes = match self.lists.entry(ListName::of(lookup)) {
            Entry::Occupied(counted) => *counted.get(),
            Entry::Vacant(new) => {
                let values = values_of(lookup, source);
                self.limits.check_terms(values.len())?;
                let num_bytes: usize = values.iter().copied().map(copy_bytes).sum();
                self.num_bytes = self.num_bytes.saturating_add(num_bytes);
                let text_bytes = num_bytes - values.len() * size_of::<Value>();
                *new.insert(values.len() * size_of::<Scalar>() + text_bytes)
            }
        };
        self.num_bytes = self.num_bytes.saturating_add(resolved_bytes);
        Ok(())
    }

    /// Counts a document: each query has a copy of its own.
    fn add_document(&mut self, name: LookUp) {
        let source = self.named.found.get(&name).and_then(Option::as_ref);
        let num_bytes = self.documents.entry(name);
        let num_bytes = num_bytes.or_insert_with(|| source.map_or(0, copy_bytes));
        self.num_bytes = self.num_bytes.saturating_add(*num_bytes);
    }
}

/// Returns the bytes that a copy of `value` takes.
fn copy_bytes(value: &Value) -> usize {
    let inside: usize = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(copy_bytes).sum(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let bytes = |(name, value): (&String, &Value)| {
                size_of::<String>() + name.len() + copy_bytes(value)
            };
            fields.map(bytes).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::search::parse_search_value;

    #[test]
    fn documents_are_found_in_all_queries_and_replaced() {
        let lookup = |id: &str| json!({"terms": {"f": {"index": "i", "id": id, "path": "a.b"}}});
        let body = json!({
            "query": {"bool": {"filter": [lookup("1"), {"constant_score": {"filter": lookup("2")}}]}},
            "post_filter": lookup("3"),
            "aggs": {"x": {"filter": lookup("4"), "aggs": {"y": {"filters": {"filters": {"z": lookup("1")}}}}}},
            "rescore": {"query": {"rescore_query": lookup("5")}},
            "highlight": {"fields": {"f": {"highlight_query": lookup("6")}}},
        });
        let mut request = parse_search_value(&body, &Limits::default()).expect("read");
        let mut wanted = request.look_ups(None).expect("few");
        let ids: Vec<&str> = wanted.keys().map(|name| name.id.as_str()).collect();
        assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
        for (name, source) in &mut wanted {
            *source = (name.id != "3").then(|| json!({"a": {"b": [name.id.clone(), null, 7]}}));
        }
        request.answer_look_ups(None, &wanted);
        assert!(request.look_ups(None).expect("none").is_empty());
        let Some(Query::Terms(terms)) = &request.post_filter else {
            panic!("{:?}", request.post_filter);
        };
        assert!(terms.values.is_empty());
        let shown = format!("{:?}", request.query);
        assert!(shown.contains(r#"[String("2"), Number(7)]"#), "{shown}");
    }

    #[test]
    fn an_excerpt_answers_as_the_documents_do() {
        let lookup =
            |id: &str, path: &str| json!({"terms": {"f": {"index": "i", "id": id, "path": path}}});
        let like = json!({"more_like_this": {"like": [{"_id": "2"}], "unlike": [{"_id": "4"}]}});
        let queries = [
            lookup("1", "a"),
            lookup("1", "a.b"),
            lookup("2", "a.b"),
            lookup("3", "a"),
            like,
        ];
        let body = json!({"query": {"bool": {"should": queries}}});
        let request = parse_search_value(&body, &Limits::default()).expect("read");
        let mut named = NamedDocuments {
            index: Some("i".to_owned()),
            found: request.clone().look_ups(Some("i")).expect("few"),
        };
        let said = json!({"a": [1, {"b": [2, null, [3]]}, {"c": 4}], "a.b": 5, "unasked": "x"});
        for (name, source) in &mut named.found {
            *source = (name.id.as_str() < "3").then(|| said.clone());
        }
        let excerpt = named.excerpt(&mut request.clone());
        let ids: Vec<&str> = excerpt.found.keys().map(|name| name.id.as_str()).collect();
        assert_eq!(ids, ["1", "2", "3", "4"]);
        let sources: Vec<_> = excerpt.found.values().cloned().collect();
        let values = json!({"a": [1], "a.b": [2, 3, 5]});
        assert_eq!(sources, [Some(values), Some(said), None, None]);
        let (mut by_whole, mut by_excerpt) = (request.clone(), request);
        named.answer(&mut by_whole);
        excerpt.answer(&mut by_excerpt);
        assert_eq!(by_whole, by_excerpt);
        assert!(by_whole.look_ups(None).is_err(), "places are kept");
    }

    /// Returns a search with this many queries of each list `a` and `b`, and the document that has them.
    fn sharing(num_queries: usize, num_values: usize) -> (SearchRequest, NamedDocuments) {
        let lookup = |path: &str| json!({"terms": {"f": {"index": "i", "id": "1", "path": path}}});
        let mut queries = vec![lookup("a"); num_queries];
        queries.extend(vec![lookup("b"); num_queries]);
        let body = json!({"query": {"bool": {"should": queries}}});
        let mut request = parse_search_value(&body, &Limits::default()).expect("read");
        let mut named = NamedDocuments {
            index: None,
            found: request.look_ups(None).expect("one"),
        };
        for source in named.found.values_mut() {
            *source = Some(json!({"a": vec![7; num_values], "b": ["some text"]}));
        }
        (request, named)
    }

    #[test]
    fn queries_that_look_up_the_same_list_share_it() {
        let (mut request, named) = sharing(100, 1_000);
        let limits = Limits::default();
        let num_bytes = named.answer_bytes(&mut request, &limits).expect("few");
        let shared = 1_001 * size_of::<Value>() + "some text".len();
        let resolved = 1_001 * size_of::<Scalar>() + "some text".len();
        assert_eq!(num_bytes, shared + 100 * resolved);
        named.answer(&mut request);
        let mut lists = Vec::new();
        request.each_query(&mut |query| {
            if let Query::Terms(terms) = query {
                lists.push(Arc::clone(&terms.values));
            }
        });
        assert_eq!(lists.len(), 200);
        let (of_a, of_b) = lists.split_at(100);
        assert!(of_a.iter().all(|list| Arc::ptr_eq(list, &of_a[0])));
        assert!(of_b.iter().all(|list| Arc::ptr_eq(list, &of_b[0])));
        assert_eq!((of_a[0].len(), of_b[0].len()), (1_000, 1));
    }

    #[test]
    fn a_list_of_too_many_values_is_refused_before_it_is_copied() {
        let limits = Limits::default();
        let (mut request, named) = sharing(1, limits.terms);
        assert!(named.answer_bytes(&mut request, &limits).is_ok());
        let (mut request, named) = sharing(1, limits.terms + 1);
        let refused = named.answer_bytes(&mut request, &limits);
        let refused = refused.expect_err("too many").reason;
        let expected = "The number of terms [65537] used in the Terms Query request has exceeded";
        assert!(refused.starts_with(expected), "{refused}");
    }

    #[test]
    fn each_query_like_a_document_counts_a_copy_of_it() {
        let num_bytes = |like: Value| {
            let body = json!({"query": {"more_like_this": {"like": like}}});
            let mut request = parse_search_value(&body, &Limits::default()).expect("read");
            let mut named = NamedDocuments {
                index: Some("i".to_owned()),
                found: request.look_ups(Some("i")).expect("one"),
            };
            for source in named.found.values_mut() {
                *source = Some(json!({"title": "x".repeat(1_000)}));
            }
            named.answer_bytes(&mut request, &Limits::default())
        };
        let place = json!({"_id": "1"});
        let once = num_bytes(json!([place])).expect("few");
        assert!(once > 1_000, "{once}");
        let thrice = num_bytes(json!([place, place, place])).expect("few");
        assert_eq!(thrice, 3 * once);
    }

    #[test]
    fn a_document_without_an_index_is_of_the_one_that_is_searched() {
        let body = json!({"query": {"more_like_this": {"like": [{"_id": "1"}, "text"]}}});
        let mut request = parse_search_value(&body, &Limits::default()).expect("read");
        let refused = request.look_ups(None).expect_err("of no index");
        assert!(
            refused.reason.contains("must name its [_index]"),
            "{refused:?}"
        );
        let wanted = request.look_ups(Some("books")).expect("one");
        assert_eq!(wanted.keys().next().expect("one").index, "books");
    }
}
