//! What a hit of `top_hits` shows of its values, as JSON text: fields, how the score came about, and the named queries
//! that it matches.
//!
//! ```text
//! {"field": [value, …], …}                            fields alone
//! [{"field": …}, [node, …]]                           with an explanation: its nodes, each after those that it is
//!                                                     made of
//! [{"field": …}, [node, …], [["name", score], …]]     with named queries; without an explanation there are no nodes
//! ```
//!
//! An explanation nests as deep as a query does, deeper than JSON may; a list of nodes does not nest.

use gleaner_query::answer::{Explanation, MatchedQuery};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::EvaluationError;

/// Levels of an explanation that are read: as many as travel beside other hits.
const MAX_DEPTH: usize = 1_024;

/// What is shown of a hit's values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShownValues {
    /// Doc values and `fields`, rendered per field.
    pub fields: IndexMap<String, Vec<Value>>,
    /// How the score came about, where that was asked for.
    pub explanation: Option<Explanation>,
    /// The named queries that it matches, in the order in which they were asked.
    pub matched_queries: Vec<MatchedQuery>,
}

/// The longer forms: fields, nodes, and the named queries with what each scores.
#[derive(Deserialize)]
struct Parts(
    IndexMap<String, Vec<Value>>,
    Vec<Node>,
    #[serde(default)] Vec<(String, Option<f32>)>,
);

/// A node of an explanation.
#[derive(Serialize, Deserialize)]
struct Node {
    /// `None` for what is no number.
    value: Option<f32>,
    description: String,
    /// Nodes before this one, of those that are no details yet, that it is made of.
    num_details: usize,
}

impl ShownValues {
    /// Returns it as text.
    ///
    /// # Errors
    /// [`EvaluationError::Internal`] when it cannot be encoded, which no value causes.
    pub fn to_text(&self) -> Result<String, EvaluationError> {
        let mut nodes = Vec::new();
        if let Some(explanation) = &self.explanation {
            push(explanation, &mut nodes);
        }
        let matched = self.matched_queries.iter();
        let matched: Vec<(&str, Option<f32>)> = matched
            .map(|matched| (matched.name.as_str(), matched.score))
            .collect();
        let text = match (nodes.is_empty(), matched.is_empty()) {
            (true, true) => serde_json::to_string(&self.fields),
            (false, true) => serde_json::to_string(&(&self.fields, nodes)),
            (_, false) => serde_json::to_string(&(&self.fields, nodes, matched)),
        };
        text.map_err(|error| EvaluationError::Internal(format!("fields not encoded: {error}")))
    }

    /// Reads it from text.
    ///
    /// # Errors
    /// [`EvaluationError::Unreadable`] for anything else than [`Self::to_text`] wrote.
    pub fn of_text(text: &str) -> Result<Self, EvaluationError> {
        let unreadable =
            |why: String| EvaluationError::Unreadable(format!("fields of `top_hits`: {why}"));
        let no_json = |error: serde_json::Error| unreadable(error.to_string());
        if !text.starts_with('[') {
            return Ok(Self {
                fields: serde_json::from_str(text).map_err(no_json)?,
                ..Self::default()
            });
        }
        let Parts(fields, nodes, matched) = serde_json::from_str(text).map_err(no_json)?;
        let explanation = match nodes.is_empty() && !matched.is_empty() {
            true => None,
            false => Some(tree(nodes).ok_or_else(|| unreadable("no explanation".to_owned()))?),
        };
        let matched = matched.into_iter();
        Ok(Self {
            fields,
            explanation,
            matched_queries: matched
                .map(|(name, score)| MatchedQuery { name, score })
                .collect(),
        })
    }
}

fn push(explanation: &Explanation, nodes: &mut Vec<Node>) {
    let details = explanation.details.iter();
    details.for_each(|detail| push(detail, nodes));
    nodes.push(Node {
        value: Some(explanation.value),
        description: explanation.description.clone(),
        num_details: explanation.details.len(),
    });
}

/// Makes the tree of its nodes; `None` where they are not of one tree, or it is too deep.
fn tree(nodes: Vec<Node>) -> Option<Explanation> {
    let mut trees: Vec<(Explanation, usize)> = Vec::new();
    for node in nodes {
        let start = trees.len().checked_sub(node.num_details)?;
        let depths = trees[start..].iter().map(|(_, depth)| *depth);
        let depth = 1 + depths.max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return None;
        }
        let explanation = Explanation {
            value: node.value.unwrap_or(f32::NAN),
            description: node.description,
            details: trees.drain(start..).map(|(tree, _)| tree).collect(),
        };
        trees.push((explanation, depth));
    }
    let only = trees.pop().map(|(tree, _)| tree);
    only.filter(|_| trees.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explained(value: f32, details: Vec<Explanation>) -> Explanation {
        Explanation {
            value,
            description: format!("of {}", details.len()),
            details,
        }
    }

    fn shown(explanation: Option<Explanation>) -> ShownValues {
        ShownValues {
            fields: [("n".to_owned(), vec![json!(1), json!("a")])].into(),
            explanation,
            matched_queries: Vec::new(),
        }
    }

    #[test]
    fn values_come_back_with_and_without_an_explanation() {
        let leaf = || explained(0.1, Vec::new());
        let two = explained(1.5, vec![leaf(), explained(3.0, vec![leaf()])]);
        for values in [shown(None), shown(Some(leaf())), shown(Some(two))] {
            let text = values.to_text().expect("plain data");
            assert_eq!(ShownValues::of_text(&text).expect("its own"), values);
        }
        // As it was before there were explanations.
        assert_eq!(
            shown(None).to_text().ok(),
            Some(r#"{"n":[1,"a"]}"#.to_owned())
        );
    }

    #[test]
    fn named_queries_come_back_with_what_they_score() {
        let matched = |name: &str, score| MatchedQuery {
            name: name.to_owned(),
            score,
        };
        for explanation in [None, Some(explained(0.1, Vec::new()))] {
            let mut values = shown(explanation);
            values.matched_queries = vec![matched("a", None), matched("b", Some(0.3))];
            let text = values.to_text().expect("plain data");
            assert_eq!(ShownValues::of_text(&text).expect("its own"), values);
        }
    }

    #[test]
    fn explanations_may_be_deeper_than_json() {
        let mut deep = explained(1.0, Vec::new());
        for _ in 1..MAX_DEPTH {
            deep = explained(1.0, vec![deep]);
        }
        let text = shown(Some(deep.clone())).to_text().expect("plain data");
        assert!(ShownValues::of_text(&text).is_ok());
        let deeper = shown(Some(explained(1.0, vec![deep]))).to_text();
        assert!(ShownValues::of_text(&deeper.expect("plain data")).is_err());
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let node = |details| json!({"value": 1.0, "description": "", "num_details": details});
        for wrong in [
            json!([{}, []]),
            json!([{}, [node(1)]]),
            json!([{}, [node(0), node(0)]]),
            json!([{}]),
            json!([{}, [], []]),
            json!([{}, [], [["a"]]]),
            json!(7),
        ] {
            assert!(ShownValues::of_text(&wrong.to_string()).is_err(), "{wrong}");
        }
    }
}
