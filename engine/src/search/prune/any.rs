//! Any of several terms: MaxScore in windows of 4,096 documents.
//!
//! Terms whose bounds together do not reach the threshold cannot bring a document in by themselves:
//! they *follow*, the others *lead* (Turtle and Flood, *Query Evaluation: Strategies and
//! Optimizations*, 1995). In a window the leading lists are added up, and their sums are completed
//! from the following lists where that can still matter. Bounds in a window are those of its blocks
//! (Dimopoulos, Nepomnyachiy and Suel, *Optimizing Top-k Document Retrieval Strategies for Block-Max
//! Indexes*, 2013), so that more terms follow than by the bounds of whole lists, and windows are
//! skipped.

mod followers;
mod replays;
mod window;

use smallvec::SmallVec;
use tantivy::TERMINATED;

use super::leaf::Leaf;
use super::sink::Sink;
use crate::EngineError;
use crate::blocks::BLOCK;
use crate::score::bound::least;
use followers::Followers;
use replays::Replays;
use window::{WIDTH, Window};

/// Walks lists of which the one with the least bound comes first.
pub(super) fn drive(leaves: &mut [Leaf<'_>], sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
    let mut any = Any {
        replays: Replays::default(),
        window: None,
        parts: SmallVec::from_elem(0.0, leaves.len()),
        leaves,
    };
    any.take_all(sink)?;
    any.replays.recycle();
    if let Some(window) = any.window {
        window.give_back();
    }
    Ok(())
}

struct Any<'l, 'a> {
    /// By bound, the least first.
    leaves: &'l mut [Leaf<'a>],
    replays: Replays<'a>,
    /// Made when it is needed first.
    window: Option<Box<Window>>,
    /// What the terms add to a document's score, in the order in which that is added up.
    parts: SmallVec<[f64; 8]>,
}

impl Any<'_, '_> {
    fn take_all(&mut self, sink: &mut Sink<'_, '_>) -> Result<(), EngineError> {
        loop {
            let followers = self.followers(sink);
            let leaders = self.leaves[followers.len()..].iter();
            let num_leaders = leaders.len();
            let start = leaders.map(Leaf::head).min().unwrap_or(TERMINATED);
            if start == TERMINATED {
                return Ok(());
            }
            if num_leaders == 1 && !sink.is_counting() {
                return self.lead_alone((start, TERMINATED), followers.len(), &followers, sink);
            }
            self.take_window(start, followers, sink)?;
        }
    }

    /// Returns the lists that follow whatever the window: some number of the first ones.
    fn followers(&self, sink: &mut Sink<'_, '_>) -> Followers {
        let mut followers = Followers::default();
        if !sink.is_counting() {
            let reach = sink.update_reach();
            let bounds = self.leaves.iter().map(|leaf| leaf.scale().most());
            for (at, bound) in bounds.enumerate() {
                if !followers.add_below(at, bound, reach) {
                    break;
                }
            }
        }
        followers
    }

    /// Takes the documents of the window from `start` on.
    fn take_window(
        &mut self,
        start: u32,
        mut followers: Followers,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let end = start.saturating_add(WIDTH).min(TERMINATED);
        let mut leaders: SmallVec<[(f32, usize); 8]> = SmallVec::new();
        for at in followers.len()..self.leaves.len() {
            let leaf = &mut self.leaves[at];
            if leaf.head() < end {
                leaf.approach(start, sink)?;
                leaders.push((leaf.bound_below(end), at));
            }
        }
        let is_counting = sink.is_counting();
        let mut num_following = 0;
        if !is_counting {
            leaders.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let follows =
                |&&(bound, at): &&(f32, usize)| followers.add_below(at, bound, sink.reach());
            num_following = leaders.iter().take_while(follows).count();
        }
        match &leaders[num_following..] {
            [] => {}
            [(_, only)] if !is_counting => {
                self.lead_alone((start, end), *only, &followers, sink)?;
            }
            several => self.add_up((start, end), several, &followers, sink)?,
        }
        for (_, at) in leaders {
            self.leaves[at].go_behind(end, sink)?;
        }
        Ok(())
    }

    /// Takes documents that only the list at `lead` can bring in.
    fn lead_alone(
        &mut self,
        (start, end): (u32, u32),
        lead: usize,
        followers: &Followers,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let mut candidates: SmallVec<[(u32, u32); BLOCK]> = SmallVec::new();
        self.leaves[lead].approach(start, sink)?;
        loop {
            let leaf = &mut self.leaves[lead];
            leaf.leave_taken_block();
            if leaf.is_behind(end) {
                return Ok(());
            }
            sink.passed(BLOCK as u32)?;
            let need = sink.update_reach() - followers.bound();
            if leaf.scale().most() < need {
                return Ok(());
            }
            if leaf.block_bound() < need {
                // What the block has from `end` on is bounded by other followers.
                if leaf.place().last >= end {
                    return Ok(());
                }
                leaf.cursor().next_block();
                continue;
            }
            leaf.seek_in_block(start)?;
            if !leaf.select_below(end, need, &mut candidates)? {
                return Ok(());
            }
            for &found in &candidates {
                self.take_led(found, lead, followers, sink)?;
            }
        }
    }

    /// Takes a document of the list at `lead` with its frequency there, if the followers make it
    /// good enough.
    fn take_led(
        &mut self,
        (doc, frequency): (u32, u32),
        lead: usize,
        followers: &Followers,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        let bound = self.leaves[lead].scale().of_document(doc, frequency);
        let bound = followers.complete(self.leaves, doc, bound, sink)?;
        if bound < sink.reach() || !sink.admits(doc) {
            return Ok(());
        }
        self.parts.fill(0.0);
        let leader = &self.leaves[lead];
        self.parts[leader.order()] = leader.scale().score(doc, frequency);
        for at in followers.iter() {
            let leaf = &mut self.leaves[at];
            if leaf.document() == doc {
                self.parts[leaf.order()] = leaf.score()?;
            }
        }
        let mut sum = 0.0;
        for part in &self.parts {
            sum += part;
        }
        debug_assert!(sum as f32 <= bound && sum as f32 >= least(bound));
        sink.offer(doc, sum as f32)
    }

    /// Adds several lists up over a window.
    fn add_up(
        &mut self,
        (start, end): (u32, u32),
        leaders: &[(f32, usize)],
        followers: &Followers,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), EngineError> {
        self.replays.note(self.leaves);
        let mut window = self.window.take().unwrap_or_else(Window::take);
        for (_, at) in leaders {
            let leaf = &mut self.leaves[*at];
            leaf.seek(start, sink)?;
            while let Some(postings) = leaf.take_below(end)? {
                window.add(start, &postings);
                sink.passed(BLOCK as u32)?;
            }
        }
        let is_counting = sink.is_counting();
        window.drain(start, |doc, bound| {
            if is_counting {
                if sink.admits(doc) && bound >= sink.reach() {
                    sink.offer_unsettled(doc, bound);
                }
            } else if bound + followers.bound() >= sink.reach() {
                let bound = followers.complete(self.leaves, doc, bound, sink)?;
                if bound >= sink.reach() && sink.admits(doc) {
                    sink.offer_unsettled(doc, bound);
                }
            }
            Ok(())
        })?;
        self.window = Some(window);
        let (leaves, replays, parts) = (&*self.leaves, &mut self.replays, &mut self.parts);
        sink.settle(|doc| replays.score(leaves, doc, parts))
    }
}
