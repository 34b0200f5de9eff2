//! Taking note, and taking back.

use super::relay::Withdrawal;
use super::{Group, IntoEventRef};
use crate::blocking::aside;
use crate::command::Command;
use crate::engine::Executed;
use crate::error::Result;
use crate::event::Body;
use crate::id::{EventRef, Principal};

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
    /// `Refused` unless it is this principal's own, or this is the user, or the foreman between peers. Where a
    /// copy in another group cannot be reached, that group's error; doing it again is safe.
    pub async fn cancel(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        self.cancel_of(message, Vec::new(), reason).await
    }

    /// Ends what a message asked of these recipients; of none: of all of them.
    ///
    /// # Errors
    /// As for [`cancel`](Self::cancel); `Invalid` for one of whom it asked nothing.
    pub async fn cancel_of(
        &self,
        message: impl IntoEventRef,
        recipients: Vec<Principal>,
        reason: impl Into<String>,
    ) -> Result<Executed> {
        let (event, reason) = (message.into_event_ref()?, reason.into());
        let message = self.event(&event).await?;
        let command = Command::Cancel { event, recipients: recipients.clone(), reason: reason.clone() };
        let done = self.execute(command).await?;
        self.withdraw_copies(&message, &Withdrawal::Cancel { recipients, reason }).await?;
        Ok(done)
    }

    /// Withdraws a message from those who have not read it, and ends what it asked for.
    ///
    /// # Errors
    /// As for [`cancel`](Self::cancel).
    pub async fn retract(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        let (event, reason) = (message.into_event_ref()?, reason.into());
        let message = self.event(&event).await?;
        let done = self.execute(Command::Retract { event, reason: reason.clone() }).await?;
        self.withdraw_copies(&message, &Withdrawal::Retract { reason }).await?;
        Ok(done)
    }

    /// Removes a message's data and the bytes of its attachments for ever, also where another message
    /// has attached the same bytes, and in the groups to which it was copied. The ledger keeps the data's
    /// hash, and still verifies. What was set aside of the message in the ledger's directory goes as well.
    ///
    /// The hash has no salt: a short secret, like a PIN or a word of a list, can be guessed from it. Change such a
    /// secret, too.
    ///
    /// # Errors
    /// `Refused` for anyone but the user; `Corrupt` where the message is damaged: repair the ledger first, and what
    /// is left of the message lies in a file that the gap in its place names. As for [`cancel`](Self::cancel) where a copy cannot be reached: that
    /// copy is then to be redacted in its own group, as this one no longer says where it was for.
    pub async fn redact(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        let (event, reason) = (message.into_event_ref()?, reason.into());
        let message = self.event(&event).await?;
        let done = self.redact_here(event, &reason).await?;
        self.withdraw_copies(&message, &Withdrawal::Redact { reason }).await?;
        Ok(done)
    }

    pub(super) async fn redact_here(&self, event: EventRef, reason: &str) -> Result<Executed> {
        let command = Command::Redact { event, reason: reason.to_owned() };
        let done = self.execute(command).await?;
        if let Some(Body::ChatRedact(redact)) = done.event().map(|event| &event.body) {
            // The event is on the ledger first, so that a crash in between leaves a redaction that can
            // be repeated, never data that nobody knows was to go.
            if let Some(hash) = crate::ledger::codec::parse_hex(redact.data_hash.as_bytes()) {
                let (ledger, seq) = (self.ledger().clone(), redact.event_id.seq);
                // It waits for the disk, and for others who redact.
                aside("redacting", async move { ledger.redact(seq, hash).await }).await?;
            }
            for blob in &redact.blobs {
                self.blobs().remove(blob)?;
            }
        }
        Ok(done)
    }
}
