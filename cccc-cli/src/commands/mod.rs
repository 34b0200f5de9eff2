//! One file per command or small family: its arguments, whose doc comment is the manual, and `cmd_x`.

pub(crate) mod actor;
pub(crate) mod approval;
pub(crate) mod attach;
pub(crate) mod bundle;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod doctor;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod hook;
pub(crate) mod inbox;
pub(crate) mod join;
pub(crate) mod label;
pub(crate) mod ledger;
pub(crate) mod mark;
pub(crate) mod mcp;
pub(crate) mod memory;
pub(crate) mod notices;
pub(crate) mod obligations;
pub(crate) mod person;
pub(crate) mod pin;
pub(crate) mod policy;
pub(crate) mod question;
pub(crate) mod receipts;
pub(crate) mod relay;
pub(crate) mod reserve;
pub(crate) mod retry;
pub(crate) mod runtime;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod send;
pub(crate) mod setup;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod statusline;
pub(crate) mod tail;
pub(crate) mod task;
pub(crate) mod version;
pub(crate) mod vote;
pub(crate) mod waits;
pub(crate) mod who;
pub(crate) mod withdraw;

use cccc_core::Executed;
use cccc_core::answer::Done;

use crate::context::Context;
use crate::output::Outcome;

/// Prints what became of such a command.
pub(crate) fn answer_done(context: &Context, done: &Executed, what: &str) -> Outcome {
    let done = Done::of(done);
    context.out.answer(&done, || match (done.changed, done.seq) {
        (true, Some(seq)) => format!("{what} (event {seq})"),
        (true, None) => what.to_owned(),
        (false, _) => format!("{what} already: nothing changed"),
    })
}
