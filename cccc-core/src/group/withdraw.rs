//! Taking note, and taking back.

use super::{Group, IntoEventRef};
use crate::command::Command;
use crate::engine::Executed;
use crate::error::Result;
use crate::event::Body;

impl Group {
    /// Takes note of a message. Doing so again changes nothing.
    pub async fn ack(&self, message: impl IntoEventRef) -> Result<Executed> {
        self.execute(Command::Ack { event: message.into_event_ref()? }).await
    }

    /// Marks one message as read.
    pub async fn read(&self, message: impl IntoEventRef) -> Result<Executed> {
        self.execute(Command::MarkRead { events: vec![message.into_event_ref()?] }).await
    }

    /// Marks everything up to and including an event as read: moves the read cursor.
    pub async fn read_through(&self, event: impl IntoEventRef) -> Result<Executed> {
        self.execute(Command::MarkReadThrough { event: event.into_event_ref()? }).await
    }

    /// Ends what a message asked for; the message stays.
    ///
    /// # Errors
    /// `Refused` unless it is this principal's own, or this is the user, or the foreman between peers.
    pub async fn cancel(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        let event = message.into_event_ref()?;
        self.execute(Command::Cancel { event, recipients: Vec::new(), reason: reason.into() }).await
    }

    /// Withdraws a message from those who have not read it, and ends what it asked for.
    ///
    /// # Errors
    /// As for [`cancel`](Self::cancel).
    pub async fn retract(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        self.execute(Command::Retract { event: message.into_event_ref()?, reason: reason.into() }).await
    }

    /// Removes a message's data and the bytes of its attachments for ever, also where another message
    /// has attached the same bytes. The ledger keeps the data's hash, and still verifies.
    ///
    /// # Errors
    /// `Refused` for anyone but the user.
    pub async fn redact(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        let command = Command::Redact { event: message.into_event_ref()?, reason: reason.into() };
        let done = self.execute(command).await?;
        if let Some(Body::ChatRedact(redact)) = done.event().map(|event| &event.body) {
            // The event is on the ledger first, so that a crash in between leaves a redaction that can
            // be repeated, never data that nobody knows was to go.
            if let Some(hash) = crate::ledger::codec::parse_hex(redact.data_hash.as_bytes()) {
                self.ledger().redact(redact.event_id.seq, hash).await?;
            }
            for blob in &redact.blobs {
                self.blobs().remove(blob)?;
            }
        }
        Ok(done)
    }
}
