//! A group as one file, and its ledger as one.

use std::io::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::blocking::aside;
use crate::bundle::{self, Exported};
use crate::error::{Error, Result};
use crate::ledger::{Position, copy, end_of_all};

/// What was exported of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ExportedLedger {
    /// How many events.
    pub events: u64,
    /// How many of them are gaps: lost, and marked as such by a repair.
    pub gaps: u64,
    /// The end.
    pub head: Position,
}

impl Group {
    /// Writes the group as one file, with which [`Home::import_group`](crate::Home::import_group) makes it
    /// again elsewhere: everything durable of its ledger, and the attachments that messages name.
    ///
    /// All of it is checked on the way. Others may go on writing; what comes after the beginning of the export
    /// is not in it. What is secret in messages is secret in the file.
    ///
    /// # Errors
    /// `Corrupt` if the ledger or an attachment is damaged; `Diverged` if the ledger is cut or replaced meanwhile;
    /// `Unavailable` if `to` refuses, or if another process holds the ledger. What was written by then is no whole
    /// file, and an import refuses it.
    pub async fn export(&self, to: impl Write + Send + 'static) -> Result<Exported> {
        let (shared, now) = (self.shared.clone(), self.shared.engine.clock().now());
        let work =
            async move { bundle::write(shared.engine.ledger().as_ref(), &shared.blobs, now, to).await };
        aside("exporting", work).await
    }

    /// Writes everything durable of the ledger as it is stored: JSON lines, of which an event is one.
    ///
    /// # Errors
    /// As for [`export`](Self::export). What was written by then is of no use.
    pub async fn export_ledger(&self, mut to: impl Write + Send + 'static) -> Result<ExportedLedger> {
        let ledger = self.ledger().clone();
        let copy = async move {
            let failed =
                |e: std::io::Error| Error::unavailable(format!("cannot write the copy: {e}")).source(e);
            let head = end_of_all(ledger.as_ref()).await?;
            let gaps =
                copy(ledger.as_ref(), head, |page, _| to.write_all(page.bytes()).map_err(failed)).await?;
            to.flush().map_err(failed)?;
            Ok(ExportedLedger { events: head.seq.0, gaps, head })
        };
        aside("exporting", copy).await
    }
}
