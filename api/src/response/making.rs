//! What an answer is made with: memory that its bytes are charged to, threads for what takes long.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_query::{QueryError, json};
use gleaner_root::Root;
use gleaner_root::memory::{AnswerMemory, HeldMemory};

use super::buffer::{Buffer, KeepOn};
use crate::error::ApiError;

/// Steps, of a byte that is read or written each, that are done where the request is: some 0.2 ms.
const INLINE_STEPS: usize = 64 << 10;

/// The means of one request. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AnswerMaker {
    root: Arc<Root>,
    pub(crate) memory: AnswerMemory,
}

/// How much there is to a body before it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Bytes that are read or written for it.
    pub(crate) work_bytes: usize,
    /// Bytes that most of it will have: they are reserved at once, and more as it grows.
    pub(crate) body_bytes: usize,
}

impl From<usize> for Extent {
    /// All that is read is written.
    fn from(num_bytes: usize) -> Self {
        Self {
            work_bytes: num_bytes,
            body_bytes: num_bytes,
        }
    }
}

impl AnswerMaker {
    /// Opens the account of a request.
    pub(crate) fn new(root: &Arc<Root>) -> Self {
        Self {
            root: Arc::clone(root),
            memory: root.accounts().answer_memory(),
        }
    }

    /// Does work of some `num_steps`: off the runtime's threads unless they are few. It is given what says
    /// whether to go on.
    ///
    /// # Errors
    /// 503 when there was no thread in time.
    pub(crate) async fn work<T, F>(&self, num_steps: usize, job: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(KeepOn<'_>) -> T + Send + 'static,
    {
        if num_steps < INLINE_STEPS {
            return Ok(job(&|| true));
        }
        Ok(self.root.searcher().work(job).await?)
    }

    /// Parses JSON: values take many times their text, so what they take is reserved before.
    ///
    /// # Errors
    /// Those of `parse`; 429 when there is no memory for it, 503 when there is no time.
    pub(crate) async fn parsed<T, F>(
        &self,
        body: &Bytes,
        parse: F,
    ) -> Result<(T, Option<HeldMemory>), ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> Result<T, QueryError> + Send + 'static,
    {
        if body.len() < INLINE_STEPS {
            return Ok((parse(body)?, None));
        }
        let (body, memory) = (body.clone(), self.memory.clone());
        let job = move |_: KeepOn<'_>| -> Result<_, ApiError> {
            let held = memory.reserve(json::tree_bytes(&body))?;
            Ok((parse(&body)?, Some(held)))
        };
        self.work(INLINE_STEPS, job).await?
    }

    /// Writes a body, whose bytes count until they are sent.
    ///
    /// # Errors
    /// 429 when there is no memory for it, 503 when there is no time.
    pub(crate) async fn written<F>(
        &self,
        extent: impl Into<Extent>,
        write: F,
    ) -> Result<Bytes, ApiError>
    where
        F: FnOnce(&mut Buffer<'_>) -> io::Result<()> + Send + 'static,
    {
        let Extent {
            work_bytes,
            body_bytes,
        } = extent.into();
        let memory = self.memory.clone();
        let job = move |keep_on: KeepOn<'_>| {
            let mut buffer = Buffer::new(&memory, keep_on);
            let written = buffer.reserve(body_bytes).and_then(|()| write(&mut buffer));
            buffer.finish(written)
        };
        self.work(work_bytes, job).await?
    }
}
