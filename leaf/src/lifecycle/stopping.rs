//! The end of a leaf.

use futures::future::join_all;

use crate::Leaf;
use crate::copy::registry::OpenCopy;

impl Leaf {
    /// Stops without a last durable commit, as a crash would: the log has what was acknowledged.
    /// Returns when nothing of this leaf runs any more.
    pub async fn abandon(&self) {
        self.node.begin_stop();
        join_all(self.copies.open().iter().map(OpenCopy::close)).await;
        self.node.wait_for_tasks().await;
        self.end_streams();
    }

    /// Stops: writes are refused, those under way are finished, everything applied is made durable
    /// and writers are closed. Returns when nothing of this leaf runs any more.
    pub async fn stop(&self) {
        self.node.begin_stop();
        let copies = self.copies.open();
        let drivers = self
            .node
            .agreeing
            .as_ref()
            .map(|agreeing| agreeing.drivers());
        join_all(copies.iter().map(OpenCopy::shut_down)).await;
        drop(copies);
        self.node.wait_for_tasks().await;
        if let (Some(agreeing), Some(drivers)) = (&self.node.agreeing, drivers) {
            agreeing.note_last_marks(&drivers, self.node.now_ms()).await;
        }
        self.end_streams();
    }

    /// Nobody follows what has stopped. Not sooner: writes under way are answered once other copies have them.
    fn end_streams(&self) {
        if let Some(agreeing) = &self.node.agreeing {
            agreeing.end_streams();
        }
    }
}
