//! `terms` with a document's values, `terms_set`.

use serde_json::Value;

use super::value::minimum_should_match;
use super::{exact, one_field};
use crate::dsl::{LookUp, SetMinimum, TermsLookupQuery, TermsSetQuery};
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::limits::Limits;

/// Reads where the values of a `terms` query on `field` are.
pub(super) fn terms_lookup(
    field: &str,
    value: &Value,
    boost: f32,
) -> Result<TermsLookupQuery, QueryError> {
    let mut reader = ObjectReader::query("terms", value)?;
    // Mapping types are gone; clients still name them.
    reader.ignore(&["type"]);
    let mut required = |key: &'static str| {
        let given = reader.text(key)?.filter(|text| !text.is_empty());
        given.ok_or_else(|| {
            QueryError::illegal(format!(
                "[terms] query lookup element requires specifying the [{key}], after [{field}]"
            ))
        })
    };
    let (index, id, path) = (required("index")?, required("id")?, required("path")?);
    let routing = reader.text("routing")?;
    reader.unsupported(&["store", "query"])?;
    reader.finish()?;
    Ok(TermsLookupQuery {
        field: field.to_owned(),
        document: LookUp { index, id, routing },
        path,
        boost,
    })
}

/// Reads `terms_set`.
pub(super) fn terms_set(body: &Value, limits: &Limits) -> Result<TermsSetQuery, QueryError> {
    let name = "terms_set";
    let (field, value) = one_field(name, body)?;
    let mut reader = ObjectReader::query(name, value)?;
    let terms = reader
        .take("terms")
        .ok_or_else(|| QueryError::parsing("No terms specified".to_owned()))?;
    let terms = exact::term_values(field, terms, limits)?;
    reader.unsupported(&["minimum_should_match_script"])?;
    let field_of_minimum = reader.text("minimum_should_match_field")?;
    let field_of_minimum = field_of_minimum.filter(|field| !field.is_empty());
    let minimum = match (field_of_minimum, minimum_should_match(&mut reader)?) {
        (Some(field), None) => SetMinimum::Field(field),
        (None, Some(minimum)) => SetMinimum::Given(minimum),
        (None, None) => {
            let reason = "No minimum should match has been specified";
            return Err(QueryError::parsing(reason));
        }
        (Some(_), Some(_)) => {
            let reason =
                "[terms_set] takes one of [minimum_should_match_field] and [minimum_should_match]";
            return Err(QueryError::illegal(reason));
        }
    };
    let boost = reader.boost()?;
    reader.finish()?;
    if terms.len() > limits.clauses {
        return Err(super::too_many_clauses(limits));
    }
    Ok(TermsSetQuery {
        field: field.to_owned(),
        terms,
        minimum,
        boost,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dsl::{Query, parse_query};

    fn parsed(query: &Value) -> Result<Query, String> {
        parse_query(query, &Limits::default()).map_err(|error| error.reason)
    }

    #[test]
    fn a_lookup_names_index_document_and_path() {
        let lookup = json!({"index": "users", "id": 2, "path": "followers", "routing": "r"});
        let read = parsed(&json!({"terms": {"user": lookup, "boost": 3}}));
        let Ok(Query::TermsLookup(query)) = read else {
            panic!("{read:?}");
        };
        assert_eq!(query.document.id, "2");
        assert_eq!((query.path.as_str(), query.boost), ("followers", 3.0));
        assert_eq!(query.document.routing.as_deref(), Some("r"));
        for missing in ["index", "id", "path"] {
            let mut lookup = json!({"index": "users", "id": "2", "path": "followers"});
            let entries = lookup.as_object_mut().expect("an object");
            entries.remove(missing);
            let refused = parsed(&json!({"terms": {"user": lookup}})).expect_err("refused");
            let wanted = format!("requires specifying the [{missing}], after [user]");
            assert!(refused.ends_with(&wanted), "{refused}");
        }
    }

    #[test]
    fn a_set_of_terms_says_where_the_number_is() {
        let set = |body: Value| parsed(&json!({"terms_set": {"tags": body}}));
        let good = json!({"terms": ["a", "b"], "minimum_should_match_field": "n"});
        assert!(matches!(set(good), Ok(Query::TermsSet(set)) if set.terms.len() == 2));
        let given = json!({"terms": ["a", "b"], "minimum_should_match": "50%"});
        let read = set(given);
        assert!(
            matches!(&read, Ok(Query::TermsSet(set)) if matches!(set.minimum, SetMinimum::Given(_))),
            "{read:?}"
        );
        let both =
            json!({"terms": ["a"], "minimum_should_match": 1, "minimum_should_match_field": "n"});
        assert!(set(both).is_err());
        let script = json!({"terms": ["a"], "minimum_should_match_script": {"source": "1"}});
        let refused = set(script).expect_err("refused");
        assert_eq!(
            refused,
            "[terms_set] [minimum_should_match_script] is not supported"
        );
        let bare = set(json!({"terms": ["a"]})).expect_err("refused");
        assert_eq!(bare, "No minimum should match has been specified");
    }
}
