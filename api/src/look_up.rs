//! The documents that the queries of a search name: read, where its sender may read them, before it is handed on.
//!
//! Does: check the right to each index that is named, read all documents at once, put what they say into the search. Does
//! not: know which queries name documents (`gleaner-query` does). Called by: every route that takes queries; the root
//! refuses a search that still names documents. A scroll takes the documents along, for its other pages. Read first:
//! [`Request::look_up`].

use gleaner_model::IndexPrivilege;
use gleaner_query::json;
use gleaner_query::search::{NamedDocuments, SearchRequest};
use gleaner_root::memory::HeldMemory;
use gleaner_root::plan::Target;
use gleaner_root::read::GetRequest;

use crate::error::ApiError;
use crate::request::Request;
use crate::security::Action;

/// What reading a document needs. Filters of aliases are not applied to it.
const READ: Action = Action {
    name: "indices:data/read/get",
    privilege: IndexPrivilege::Read,
    ignores_filters: true,
};

/// Documents that were read for a search.
#[derive(Debug, Default)]
pub(crate) struct ReadDocuments {
    pub(crate) named: NamedDocuments,
    /// The memory that they take, and what they say in the place of their names.
    pub(crate) memory: Vec<HeldMemory>,
}

impl Request {
    /// Reads the documents that the queries of `search` name, and puts what they say in their place: those that were
    /// acknowledged, visible to searches or not. Returns the memory that they take.
    ///
    /// # Errors
    /// As [`Self::read_named`].
    pub(crate) async fn look_up(
        &self,
        search: &mut SearchRequest,
        target: &Target,
    ) -> Result<Vec<HeldMemory>, ApiError> {
        let read = self.read_named(search, target).await?;
        read.named.answer(search);
        Ok(read.memory)
    }

    /// Reads the documents that the queries of `search` name, and leaves the queries as they are.
    ///
    /// # Errors
    /// 403 for an index without a right, 404 for one that is not there, 429 when there is no memory for a document or
    /// for what it says in all its places, 400 for a list of too many values.
    pub(crate) async fn read_named(
        &self,
        search: &mut SearchRequest,
        target: &Target,
    ) -> Result<ReadDocuments, ApiError> {
        if !search.names_documents() && search.collapse.is_none() {
            return Ok(ReadDocuments::default());
        }
        let index = single(target);
        let mut found = search.look_ups(index)?;
        if found.is_empty() {
            return Ok(ReadDocuments::default());
        }
        let mut wanted = Vec::with_capacity(found.len());
        for name in found.keys() {
            self.check_name(&READ, &name.index)?;
            wanted.push(GetRequest {
                index: name.index.clone(),
                id: name.id.clone(),
                routing: name.routing.clone(),
                realtime: true,
                refresh: false,
            });
        }
        let answers = self.root().reader().multi_get(&wanted).await;
        let limits = self.root().cluster().limits();
        let mut memory = Vec::new();
        for (source, answer) in found.values_mut().zip(answers) {
            if let Some(document) = answer?.document {
                let parse = move |body: &[u8]| json::read(body, &limits);
                let (value, held) = self.making.parsed(&document.source, parse).await?;
                *source = Some(value);
                memory.extend(held);
            }
        }
        let index = index.map(str::to_owned);
        let named = NamedDocuments { index, found };
        // Before anything is copied: many queries may name one document.
        let num_bytes = named.answer_bytes(search, &limits)?;
        memory.push(self.making.memory.reserve(num_bytes)?);
        Ok(ReadDocuments { named, memory })
    }
}

/// Returns the only name of a target, if it is one.
fn single(target: &Target) -> Option<&str> {
    let name = target.expression.as_deref()?;
    let is_plain = !name.is_empty() && !name.contains(['*', ',', '<']) && name != "_all";
    is_plain.then_some(name)
}
