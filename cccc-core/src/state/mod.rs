//! What the events so far amount to, in bounded memory.

use crate::event::Event;
use crate::id::GroupId;
use crate::ledger::Position;

/// The projection of a group's ledger.
#[derive(Clone, Debug)]
pub struct GroupState {
    position: Position,
}

impl GroupState {
    /// Version of the saved form; checkpoints of another version are left alone.
    pub const SCHEMA: u32 = 1;

    /// Before the first event.
    #[must_use]
    pub fn new(group_id: &GroupId) -> Self {
        Self { position: Position::start(group_id) }
    }

    /// Up to where events have been applied.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Takes one more event into account; it must be the next.
    pub fn apply(&mut self, _event: &Event) {
        todo!()
    }
}
