//! Trees from nodes in post-order.
//!
//! A node takes its parts from the end of what stands before it. So any list of nodes is a list of
//! trees, whatever a sender writes: there are no cycles, nothing is shared, and reading needs no
//! stack. Protobuf's own nesting ends at 100 levels, below what a query may reach.

use super::DecodeError;

/// Trees read so far.
pub(super) struct Forest<T> {
    what: &'static str,
    max_depth: usize,
    /// Each tree with its depth.
    trees: Vec<(T, usize)>,
}

impl<T> Forest<T> {
    /// Returns no trees; those to come may have `max_depth` levels, ≥ 1.
    pub(super) fn new(what: &'static str, max_depth: usize) -> Self {
        Self {
            what,
            max_depth,
            trees: Vec::new(),
        }
    }

    /// Makes a tree of the last `num_parts` ones.
    pub(super) fn add(
        &mut self,
        num_parts: usize,
        make: impl FnOnce(Vec<T>) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        let Some(start) = self.trees.len().checked_sub(num_parts) else {
            let reason = format!("a node of {num_parts} parts comes after fewer");
            return Err(DecodeError::field(self.what, reason));
        };
        let depth = 1 + self.trees[start..]
            .iter()
            .map(|(_, d)| *d)
            .max()
            .unwrap_or(0);
        if depth > self.max_depth {
            return Err(DecodeError::TooDeep {
                what: self.what,
                limit: self.max_depth,
            });
        }
        let parts = self.trees.drain(start..).map(|(tree, _)| tree).collect();
        self.trees.push((make(parts)?, depth));
        Ok(())
    }

    /// Returns all trees.
    pub(super) fn into_all(self) -> Vec<T> {
        self.trees.into_iter().map(|(tree, _)| tree).collect()
    }

    /// Returns the only tree.
    pub(super) fn into_one(mut self) -> Result<T, DecodeError> {
        match (self.trees.pop(), self.trees.len()) {
            (Some((tree, _)), 0) => Ok(tree),
            (None, _) => Err(DecodeError::Missing(self.what)),
            (Some(_), others) => {
                let reason = format!("{} trees where one is wanted", others + 1);
                Err(DecodeError::field(self.what, reason))
            }
        }
    }
}

/// Takes so many parts of a node.
pub(super) fn take<T>(parts: &mut std::vec::IntoIter<T>, count: u32) -> Vec<T> {
    parts.by_ref().take(count as usize).collect()
}

/// Takes the only part of a node.
pub(super) fn take_box<T>(
    parts: &mut std::vec::IntoIter<T>,
    what: &'static str,
) -> Result<Box<T>, DecodeError> {
    let part = parts.next().ok_or(DecodeError::Missing(what))?;
    Ok(Box::new(part))
}
