//! Pins.

use super::{Group, IntoEventRef};
use crate::command::Command;
use crate::engine::Executed;
use crate::error::Result;
use crate::rule::pin::PinView;
use crate::state::Pin;

impl Group {
    /// Keeps a message in the group's sight, with a word why (at most 1 KiB, or empty). What is pinned already stays
    /// as it was pinned.
    ///
    /// # Errors
    /// `Refused` beyond 64 pins, for a message that was withdrawn, and for services.
    pub async fn pin(&self, message: impl IntoEventRef, note: impl Into<String>) -> Result<Executed> {
        let event = message.into_event_ref()?;
        self.execute(Command::Pin { event, note: note.into() }).await
    }

    /// Takes a message off the pins; changes nothing if it is not pinned.
    ///
    /// # Errors
    /// `Refused` unless this principal pinned it, or is the foreman or the user.
    pub async fn unpin(&self, message: impl IntoEventRef, reason: impl Into<String>) -> Result<Executed> {
        let event = message.into_event_ref()?;
        self.execute(Command::Unpin { event, reason: reason.into() }).await
    }

    /// What is pinned, oldest message first.
    ///
    /// # Errors
    /// As for any look at the ledger.
    pub async fn pins(&self) -> Result<Vec<PinView>> {
        let engine = &self.shared.engine;
        let pins: Vec<Pin> = engine.query(|state| state.pins().values().cloned().collect()).await?;
        let messages = engine.events_at(pins.iter().map(|pin| pin.event_id.seq)).await?;
        let view = |pin: &Pin| Some(PinView::of(pin, messages.get(&pin.event_id.seq)?));
        Ok(pins.iter().filter_map(view).collect())
    }
}
