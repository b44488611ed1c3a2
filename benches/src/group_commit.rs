//! The least that durable appends cost: one file, and a thread that writes what waits and syncs.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::oneshot;

/// Appends that share syncs; no checksums, no order kept per shard, no recovery.
pub struct GroupCommit {
    sender: Sender<Request>,
}

struct Request {
    record: Bytes,
    done: oneshot::Sender<std::io::Result<()>>,
}

impl GroupCommit {
    /// Makes the file at `path` and starts the thread, which ends with the last handle.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let (sender, receiver) = channel();
        std::thread::Builder::new()
            .name("group-commit".to_owned())
            .spawn(move || commit(file, &receiver))?;
        Ok(Self { sender })
    }

    /// Appends `record`; returns once it is on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn append(&self, record: Bytes) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let sent = self.sender.send(Request { record, done });
        sent.ok().context("the commit thread has ended")?;
        Ok(answer.await.context("the commit thread has ended")??)
    }
}

fn commit(mut file: File, receiver: &Receiver<Request>) {
    let mut bytes = Vec::new();
    while let Ok(first) = receiver.recv() {
        let waiting: Vec<Request> = std::iter::once(first).chain(receiver.try_iter()).collect();
        bytes.clear();
        for request in &waiting {
            bytes.extend((request.record.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&request.record);
        }
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        for request in waiting {
            let answer = match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(error.kind().into()),
            };
            // A writer that no longer waits needs no answer.
            drop(request.done.send(answer));
        }
    }
}
