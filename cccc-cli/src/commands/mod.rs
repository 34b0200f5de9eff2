//! One file per command or small family: its arguments, whose doc comment is the manual, and `cmd_x`.

pub(crate) mod actor;
pub(crate) mod attach;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod doctor;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod inbox;
pub(crate) mod join;
pub(crate) mod label;
pub(crate) mod ledger;
pub(crate) mod mark;
pub(crate) mod notices;
pub(crate) mod obligations;
pub(crate) mod policy;
pub(crate) mod receipts;
pub(crate) mod reserve;
pub(crate) mod runtime;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod send;
pub(crate) mod setup;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod task;
pub(crate) mod version;
pub(crate) mod vote;
pub(crate) mod waits;
pub(crate) mod who;
pub(crate) mod withdraw;

use cccc_core::{EventId, Executed, Seq};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::output::Outcome;

/// What became of a command that writes at most one fact.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Done {
    /// The event that says so; absent if it was so already and no single event made it so.
    event_id: Option<EventId>,
    /// Its place.
    seq: Option<Seq>,
    /// Whether anything was written now.
    changed: bool,
}

impl Done {
    pub(crate) fn of(done: &Executed) -> Self {
        let event = done.event();
        Self {
            event_id: event.map(|event| event.id),
            seq: event.map(|event| event.seq),
            changed: !done.events.is_empty(),
        }
    }
}

/// Prints what became of such a command.
pub(crate) fn answer_done(context: &Context, done: &Executed, what: &str) -> Outcome {
    let done = Done::of(done);
    context.out.answer(&done, || match (done.changed, done.seq) {
        (true, Some(seq)) => format!("{what} (event {seq})"),
        (true, None) => what.to_owned(),
        (false, _) => format!("{what} already: nothing changed"),
    })
}
