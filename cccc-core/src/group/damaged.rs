//! Looking back over a ledger that is damaged in places.

use super::Group;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Page, ReadLimit, Verdict};

impl Group {
    /// An error, or if it tells of damage, the same of the first damage that there is: what is met first depends on where
    /// one begins, as at a checkpoint. Reads the whole ledger then.
    pub async fn first_damage(&self, error: Error) -> Error {
        if error.damage().is_none() {
            return error;
        }
        match self.ledger().verify().await {
            Ok(Verdict::Damaged(damage)) => Error::corrupt(damage),
            _ => error,
        }
    }
}

/// Durable events from `from` on. Each that is damaged is a `ledger.gap`, which says where its bytes lie; what
/// can be read is read around it.
pub(super) async fn read(group: &Group, from: Seq, limit: ReadLimit) -> Result<Page> {
    match (group.ledger().read(from, limit).await, group.files()) {
        (Err(error), Some(files)) if error.kind() == ErrorKind::Corrupt => {
            // What cannot be read around is told as it was met.
            files.read_around(from, limit).await.map_err(|_| error)
        }
        (page, _) => page,
    }
}
