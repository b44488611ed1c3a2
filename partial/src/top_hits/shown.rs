//! What a hit of `top_hits` shows of its values, as JSON text: fields, and how the score came about.
//!
//! ```text
//! {"field": [value, …], …}          without an explanation
//! [{"field": …}, [node, …]]         with one: its nodes, each after those that it is made of
//! ```
//!
//! An explanation nests as deep as a query does, deeper than JSON may; a list of nodes does not nest.

use gleaner_query::answer::Explanation;
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
}

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
        let text = match &self.explanation {
            None => serde_json::to_string(&self.fields),
            Some(explanation) => {
                let mut nodes = Vec::new();
                push(explanation, &mut nodes);
                serde_json::to_string(&(&self.fields, nodes))
            }
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
                explanation: None,
            });
        }
        let both: (IndexMap<String, Vec<Value>>, Vec<Node>) =
            serde_json::from_str(text).map_err(no_json)?;
        let (fields, nodes) = both;
        let explanation = tree(nodes).ok_or_else(|| unreadable("no explanation".to_owned()))?;
        Ok(Self {
            fields,
            explanation: Some(explanation),
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
            json!(7),
        ] {
            assert!(ShownValues::of_text(&wrong.to_string()).is_err(), "{wrong}");
        }
    }
}
