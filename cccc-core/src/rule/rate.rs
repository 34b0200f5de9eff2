//! How much one may write to another before it is no longer pushed.
//!
//! Two agents that thank each other must not run all night. Of the messages of one sender to one
//! recipient [`RATE`] within [`RATE_WINDOW`] are pushed, and a chain of answers is followed
//! [`MAX_DEPTH`] deep. What is beyond that is stored, and read by whoever looks into its inbox, but no
//! deliverer may claim it, and nobody is reminded of it. The user is told once of each such sender.
//!
//! Counting begins anew when the user says anything in the group, and for an actor when it gets on with
//! a task or gives evidence: then more happens than talk. A reply that is owed is always pushed, unless
//! it asks for something in turn, as otherwise two that ask each other would have no limit. The user and
//! the system have none.
//!
//! This decides nothing about storing: no message is ever refused for its rate.

use crate::event::{ChatMessage, Priority, SystemNotify};
use crate::id::{Principal, Seq};
use crate::rule::Call;
use crate::state::{GroupState, ObligationKind};

pub use crate::state::{RATE, RATE_WINDOW};

/// How many answers in a row are pushed.
pub const MAX_DEPTH: u32 = 40;

fn is_limited(by: &Principal) -> bool {
    matches!(by.at_home(), Principal::Actor(_) | Principal::Service(_))
}

/// The depth of an answer to the message at `answered`, which is `depth` deep.
pub(super) fn depth(state: &GroupState, by: &Principal, answered: Seq, depth: u32) -> u32 {
    if !is_limited(by) {
        0
    } else if answered < state.rates().since(by) {
        1
    } else {
        depth.saturating_add(1)
    }
}

/// The recipients to whom a message is not pushed.
pub(super) fn quiet(state: &GroupState, call: &Call, message: &ChatMessage) -> Vec<Principal> {
    // What is of low priority is never pushed, so there is nothing to hold back.
    if !is_limited(&call.by) || message.priority == Priority::Low {
        return Vec::new();
    }
    let over = |recipient: &&Principal| {
        let deep = message.depth > MAX_DEPTH;
        (deep || state.rates().recent(&call.by, recipient, call.now) >= RATE)
            && !answers(state, &call.by, recipient, message)
    };
    message.recipients.iter().filter(over).cloned().collect()
}

/// Whether a message gives a recipient the reply it is owed, and nothing but that.
fn answers(state: &GroupState, by: &Principal, recipient: &Principal, message: &ChatMessage) -> bool {
    let asks = message.reply_required || message.priority == Priority::Attention;
    let Some(answered) = message.reply_to.filter(|_| !message.progress && !asks) else { return false };
    let owed = state.mailbox(by).and_then(|mailbox| mailbox.owed.get(&(answered.seq, ObligationKind::Reply)));
    owed.is_some_and(|owed| owed.creditor == *recipient)
}

/// What the user is told in the same append as the message at `seq`, if that is the first such message of
/// its sender.
pub(super) fn notice(
    state: &GroupState,
    call: &Call,
    message: &ChatMessage,
    seq: Seq,
) -> Option<SystemNotify> {
    if message.quiet.is_empty() || state.rates().was_told(&call.by) {
        return None;
    }
    let notice = SystemNotify::new("rate", Principal::User, &format!("{},{seq}", call.by), 1);
    Some(SystemNotify { related: vec![seq], ..notice })
}

#[cfg(test)]
mod tests;
