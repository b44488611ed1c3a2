//! What the copies of a shard hold, as it is shown to operators.

use gleaner_root::losses::{CopyTold, ForcedCopy, Loss, ShardCopies};
use serde_json::{Value, json};

use crate::render::units::date_text;

/// Shows each copy: where it is, what it holds and held, and what would be lost if it led.
pub(in crate::routes::cluster) fn copies_shown(copies: &ShardCopies) -> Value {
    let shown = copies.copies.iter().map(|copy| shown(copy, copies));
    shown.collect::<Vec<Value>>().into()
}

fn shown(copy: &CopyTold, copies: &ShardCopies) -> Value {
    let entry = copies.entry();
    let (until, noted_ms) = copies.known();
    let loss = |kind| {
        let from = match kind {
            ForcedCopy::Stale => copy.next(),
            ForcedCopy::Empty => gleaner_model::SeqNo(0),
        };
        let loss = Loss {
            from,
            until,
            noted_ms,
        };
        loss.to_string()
    };
    let disk = copy.disk.as_ref();
    json!({
        "node": copy.called(),
        "allocation_id": copy.copy.map(|copy| copy.to_string()),
        "alive": copy.is_alive,
        "in_sync": copy.is_in_sync,
        "primary": copy.is_primary,
        "state": copy.state.as_ref().map(|state| format!("{:?}", state.phase).to_lowercase()),
        "reason": copy.silence.clone().or_else(|| copy.state.as_ref()?.reason.clone()),
        "lack": copy.lack(entry),
        "holds": disk.map(|disk| json!({
            "next": disk.next().0,
            "end": disk.end.map(|end| end.0),
            "committed": disk.committed.map(|committed| committed.0),
            "agreed": disk.agreed.0,
            "term": disk.last_term.0,
            "history": disk.history.to_string(),
            "damage": disk.damage,
        })),
        "mark": copy.mark.map(|mark| json!({
            "position": mark.position.0,
            "noted": date_text(mark.noted_ms),
        })),
        "lost_if_primary": disk.map(|_| loss(ForcedCopy::Stale)),
        "lost_if_empty": loss(ForcedCopy::Empty),
    })
}
