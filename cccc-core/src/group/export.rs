//! A group as one file.

use std::io::Write;

use super::Group;
use crate::blocking::aside;
use crate::bundle::{self, Exported};
use crate::error::Result;

impl Group {
    /// Writes the group as one file, with which [`Home::import_group`](crate::Home::import_group) makes it
    /// again elsewhere: everything durable of its ledger, and the attachments that messages name.
    ///
    /// All of it is checked on the way. Others may go on writing; what comes after the beginning of the export
    /// is not in it. What is secret in messages is secret in the file.
    ///
    /// # Errors
    /// `Corrupt` if the ledger or an attachment is damaged; `Unavailable` if `to` refuses. What was written
    /// by then is no whole file, and an import refuses it.
    pub async fn export(&self, to: impl Write + Send + 'static) -> Result<Exported> {
        let (shared, now) = (self.shared.clone(), self.shared.engine.clock().now());
        let work =
            async move { bundle::write(shared.engine.ledger().as_ref(), &shared.blobs, now, to).await };
        aside("exporting", work).await
    }
}
