//! An etcd that was restored from a backup gets the state back that a process still knows.
//!
//! A process that has seen a newer state than etcd holds keeps it, and follows nothing older. One that was started since
//! knows what the backup has, and nothing more.

use gleaner_coordinator::{BroughtBack, CoordinatorError};
use gleaner_proto::etcd::{Fault, Outcome};

use crate::EtcdCoordinator;
use crate::change::Change;
use crate::error_of;
use crate::follow::read_all;
use crate::mirror::View;

impl EtcdCoordinator {
    /// Writes the state that this process has seen where etcd holds an older one of the same cluster, under a version above
    /// both. `None` where etcd holds no older one. With `is_dry`, nothing is written.
    pub(crate) async fn write_back(
        &self,
        is_dry: bool,
    ) -> Result<Option<BroughtBack>, CoordinatorError> {
        let listing = read_all(&self.client, &self.keys).await.map_err(error_of)?;
        let view = View::of(self.keys.clone(), listing);
        let (held, known) = (view.state()?, self.mirror.states().borrow().clone());
        if held.cluster_uuid != known.cluster_uuid {
            return Err(CoordinatorError::Unreadable {
                path: self.keys.cluster(),
                reason: format!(
                    "it is that of the cluster [{}], this node belongs to [{}]",
                    held.cluster_uuid, known.cluster_uuid
                ),
            });
        }
        if held.version >= known.version {
            return Ok(None);
        }
        let differs = |uuid| held.indices.get(uuid) != known.indices.get(uuid);
        let brought = BroughtBack {
            held: held.version,
            known: known.version,
            indices: known
                .indices
                .values()
                .filter(|index| differs(&index.uuid))
                .map(|index| index.name.to_string())
                .collect(),
        };
        if is_dry {
            return Ok(Some(brought));
        }
        let version = known.version + 1;
        let change = Change::prepare_at(&self.keys, &view, (*known).clone(), version)?;
        match self.client.transaction(change.transaction).await {
            Ok(Outcome::Committed(_)) => Ok(Some(brought)),
            Ok(Outcome::Conflict) => Err(CoordinatorError::Unavailable {
                reason: "the state in etcd was changed meanwhile: look again".to_owned(),
            }),
            Err(fault @ Fault::Unknown { .. }) => Err(CoordinatorError::Unavailable {
                reason: format!(
                    "it is not known whether the state was written: {fault}; look again"
                ),
            }),
            Err(fault) => Err(error_of(fault)),
        }
    }
}
