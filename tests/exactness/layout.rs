//! The same history in indices of different shape.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use gleaner_model::ChosenTemplates;
use gleaner_proto::write::{Condition, Update, WriteAction};
use gleaner_root::Root;
use gleaner_root::force_merge::ForceMerge;
use gleaner_root::ingest::{IngestItem, IngestOptions, RefreshPolicy};
use gleaner_root::plan::Target;
use gleaner_shard_router::shard_of;
use gleaner_testkit::Node;
use serde_json::{Value, json};

use crate::corpus::{Corpus, LONGEST, Step};

/// Refreshes while the history is played: at least this many segments, before merges.
const NUM_PARTS: usize = 6;

/// What is merged to one segment per shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merged {
    Nothing,
    /// The first half; deletes and updates of the second half then hit merged segments.
    FirstHalf,
    All,
}

/// The shape of an index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    num_shards: u32,
    num_replicas: u32,
    merged: Merged,
}

/// What is compared over the network: eight shards of several segments, two copies of each.
pub(crate) const SPREAD: Layout = Layout {
    num_replicas: 1,
    ..Layout::new("spread", 8, Merged::Nothing)
};

/// What is compared.
pub(crate) const LAYOUTS: [Layout; 7] = [
    Layout::new("one-merged", 1, Merged::All),
    Layout::new("one-parts", 1, Merged::Nothing),
    Layout::new("three-merged", 3, Merged::All),
    Layout::new("three-half", 3, Merged::FirstHalf),
    Layout::new("three-parts", 3, Merged::Nothing),
    Layout::new("eight-merged", 8, Merged::All),
    Layout::new("eight-parts", 8, Merged::Nothing),
];

impl Layout {
    const fn new(name: &'static str, num_shards: u32, merged: Merged) -> Self {
        Self {
            name,
            num_shards,
            num_replicas: 0,
            merged,
        }
    }

    /// Plays the history of `corpus` into a new index of `node` with `mapping`.
    pub(crate) async fn build(self, node: &Node, corpus: &Corpus, mapping: &Value) -> Result<()> {
        node.create(self.name, &self.body(corpus, mapping)).await?;
        self.play(&node.root, corpus).await
    }

    /// Returns the body that makes the index.
    pub(crate) fn body(self, corpus: &Corpus, mapping: &Value) -> Value {
        let settings = json!({
            "number_of_shards": self.num_shards,
            "number_of_replicas": self.num_replicas,
            "refresh_interval": -1,
            "similarity": corpus.similarity_settings(),
        });
        json!({"settings": settings, "mappings": mapping})
    }

    /// Plays the history of `corpus` into the index, which is empty.
    pub(crate) async fn play(self, root: &Root, corpus: &Corpus) -> Result<()> {
        let routing = self.routing_values(root)?;
        let part = corpus.history.len().div_ceil(NUM_PARTS);
        let options = IngestOptions {
            refresh: RefreshPolicy::Immediate,
            ..IngestOptions::default()
        };
        for (at, steps) in corpus.history.chunks(part).enumerate() {
            let items = steps.iter().map(|step| self.item(step, &routing)).collect();
            for result in root.ingester().ingest(items, &options).await {
                result
                    .outcome
                    .with_context(|| format!("{} `{}`", self.name, result.id))?;
            }
            let is_half = at + 1 == NUM_PARTS / 2;
            if self.merged == Merged::FirstHalf && is_half {
                self.merge(root).await?;
            }
        }
        if self.merged == Merged::All {
            self.merge(root).await?;
        }
        Ok(())
    }

    /// Finds a routing value for each class, so that neighbouring classes meet in different shards.
    fn routing_values(self, root: &Root) -> Result<Vec<String>> {
        let state = root.cluster().state();
        let mut indices = state.indices.values();
        let index = indices
            .find(|index| index.name.to_string() == self.name)
            .context("the index was just made")?;
        let slots = index.settings.routing_slots;
        let leads_to = |value: &String, class: usize| {
            shard_of(value, slots, self.num_shards).0 == class as u32 % self.num_shards
        };
        let value_of = |class| {
            let mut values = (0..).map(|number| format!("r{number}"));
            values
                .find(|value| leads_to(value, class))
                .context("numbers do not end")
        };
        (0..LONGEST.len()).map(value_of).collect()
    }

    fn item(self, step: &Step, routing: &[String]) -> IngestItem {
        let (id, class, action) = match step {
            Step::Put { id, class, source } => (id, class, index_action(source)),
            Step::Update { id, class, part } => (id, class, update_action(part)),
            Step::Delete { id, class } => (id, class, WriteAction::Delete),
        };
        IngestItem {
            index: self.name.to_owned(),
            id: Some(id.clone()),
            routing: Some(routing[*class].clone()),
            action,
            condition: Condition::None,
            require_alias: false,
            require_data_stream: false,
            templates: ChosenTemplates::default(),
        }
    }

    async fn merge(self, root: &Root) -> Result<()> {
        let target = Target {
            expression: Some(self.name.to_owned()),
            ..Target::default()
        };
        let merged = root.force_merge(&ForceMerge::new(target, 1)).await?;
        ensure!(merged.len() >= self.num_shards as usize, "{merged:?}");
        for merged in merged {
            let shard = merged.shard;
            merged
                .outcome
                .with_context(|| format!("merging {shard:?}"))?;
        }
        Ok(())
    }
}

fn index_action(source: &Value) -> WriteAction {
    WriteAction::Index {
        source: Bytes::from(source.to_string()),
        create: false,
    }
}

fn update_action(part: &Value) -> WriteAction {
    WriteAction::Update(Update {
        doc: Some(Bytes::from(part.to_string())),
        detect_noop: true,
        ..Update::default()
    })
}
