//! Explanations of scores.

use gleaner_query::answer::Explanation;

use super::tree::Forest;
use super::{DecodeError, Wire, v1};

/// Levels of an explanation: those of a clause, each of which may be explained by several.
const MAX_DEPTH: usize = 1_024;

impl Wire for Explanation {
    type Message = v1::Explanation;

    fn to_message(&self) -> v1::Explanation {
        let mut nodes = Vec::new();
        push(self, &mut nodes);
        v1::Explanation { nodes }
    }

    fn from_message(message: v1::Explanation) -> Result<Self, DecodeError> {
        let mut trees = Forest::new("Explanation", MAX_DEPTH);
        for node in message.nodes {
            let v1::ExplanationNode {
                value,
                description,
                num_details,
            } = node;
            trees.add(num_details as usize, |details| {
                Ok(Self {
                    value,
                    description,
                    details,
                })
            })?;
        }
        trees.into_one()
    }
}

fn push(explanation: &Explanation, nodes: &mut Vec<v1::ExplanationNode>) {
    let Explanation {
        value,
        description,
        details,
    } = explanation;
    details.iter().for_each(|detail| push(detail, nodes));
    nodes.push(v1::ExplanationNode {
        value: *value,
        description: description.clone(),
        num_details: details.len() as u32,
    });
}
