//! Messages that the group keeps in sight.

use serde::{Deserialize, Serialize};

use super::GroupState;
use crate::event::{ChatPin, Event};
use crate::id::{EventId, Principal};
use crate::time::Timestamp;

/// A pinned message. Its text is on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pin {
    /// The message.
    pub event_id: EventId,
    /// The event that pinned it.
    pub pinned_by_event: EventId,
    /// Who did.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// Why, for people; may be empty.
    pub note: String,
}

impl GroupState {
    pub(super) fn pin(&mut self, event: &Event, pin: &ChatPin) {
        let pin = Pin {
            event_id: pin.event_id,
            pinned_by_event: event.id,
            by: event.by.clone(),
            at: event.ts,
            note: pin.note.clone(),
        };
        self.pins.entry(pin.event_id.seq).or_insert(pin);
    }
}
