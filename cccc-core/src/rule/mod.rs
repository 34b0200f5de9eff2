//! The rules of coordination, pure: state, command and time go in, events come out.
//!
//! Nothing here reads a clock, a random source, a file or the network.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::error::Result;
use crate::event::Event;
use crate::id::{EventId, Principal, Seq};
use crate::ledger::Draft;
use crate::state::GroupState;
use crate::time::Timestamp;

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Call {
    /// The principal the handle is bound to.
    pub by: Principal,
    /// The writer's clock.
    pub now: Timestamp,
}

/// What has to be read from the ledger before a command can be decided.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Events whose content is needed.
    pub events: Vec<Seq>,
    /// Events whose facts (what later events say of them) are needed too.
    pub facts_of: Vec<Seq>,
    /// The key hash under which an earlier message of the same client_id would be found.
    pub key: Option<u64>,
}

/// An event that was read, with the hash of its data as it was first written.
#[derive(Clone, Debug)]
pub struct Known {
    /// The event.
    pub event: Event,
    /// BLAKE3 of its data.
    pub data_hash: [u8; 32],
}

/// What was read for a command's [`Needs`]. What does not exist is not in it.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// The needed events.
    pub events: BTreeMap<Seq, Known>,
    /// For each event of `facts_of`: the events that target it, ascending.
    pub facts: BTreeMap<Seq, Vec<Event>>,
    /// Events with the needed key, newest first. Hashes collide: compare.
    pub keyed: Vec<Event>,
}

/// What a rule decided. A refusal is an `Err` and writes nothing.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// What to append: all of it or nothing.
    pub drafts: Vec<Draft>,
    /// The command was carried out before; this is the event that did. Nothing is appended.
    pub duplicate: Option<EventId>,
}

/// What to read before [`decide`].
#[must_use]
pub fn needs(_state: &GroupState, _call: &Call, _command: &Command) -> Needs {
    todo!()
}

/// Decides a command on the state so far.
pub fn decide(
    _state: &GroupState,
    _call: &Call,
    _command: &Command,
    _resolved: &Resolved,
) -> Result<Decision> {
    todo!()
}
