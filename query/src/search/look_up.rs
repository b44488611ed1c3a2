//! The documents that the queries of a search name, read before it is resolved.
//!
//! Does: find their names in all queries of a request, and put what they say in their place. Does not: read them, or know
//! who may. Called by: `api`, before a search is handed on. Read first: [`SearchRequest::look_ups`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::SearchRequest;
use crate::aggregation;
use crate::dsl::{Like, LookUp, Query, TermsQuery};
use crate::error::QueryError;
use crate::source::values_at;

/// Documents that one search may name.
const MAX_LOOK_UPS: usize = 1_024;

/// Documents by their names; `None` where there is none.
pub type FoundDocuments = BTreeMap<LookUp, Option<Value>>;

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
                for place in query.like.iter().chain(&query.unlike).filter_map(place_of) {
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
        self.each_query(&mut |query| match query {
            Query::TermsLookup(lookup) => {
                let source = found.get(&lookup.document).and_then(Option::as_ref);
                let values = source.map(|source| values_at(source, &lookup.path));
                let values = values
                    .into_iter()
                    .flatten()
                    .filter(|value| !value.is_null());
                *query = Query::Terms(TermsQuery {
                    field: lookup.field.clone(),
                    values: values.cloned().collect(),
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
        all.any(names_documents)
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

fn names_documents(query: &Query) -> bool {
    match query {
        Query::TermsLookup(_) => true,
        Query::MoreLikeThis(query) => {
            let mut likes = query.like.iter().chain(&query.unlike);
            likes.any(|like| place_of(like).is_some())
        }
        other => other.children().into_iter().any(names_documents),
    }
}

fn place_of(like: &Like) -> Option<&crate::dsl::LikePlace> {
    match like {
        Like::Document(document) => document.place.as_ref(),
        Like::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::limits::Limits;
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
