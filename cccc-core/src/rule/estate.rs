//! What becomes of the mail of an actor or a person who leaves.
//!
//! With a successor, what it had not read passes to that one by a `chat.move`, and is unread there; except
//! what the successor had written itself, has had already, or has answered. Without one it bounces, which the
//! receipts show. Whoever had written what bounces, or is owed what returns, and did not cause it, is told
//! by one notice that names the messages. What it owes for messages passes on by the removal itself.
//!
//! Only the newest [`MAX_MOVED`] unread messages are looked at; what is older bounces.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Body, ChatMove, Event, SystemNotify};
use crate::id::{EventId, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::{Call, Needs, Resolved};
use crate::state::{Departure, GroupState, ObligationKind};

/// Most unread messages that pass to a successor, the newest of them.
pub(super) const MAX_MOVED: usize = 1_000;

/// Most messages that one notice names, the newest of them.
const MAX_NAMED: usize = 16;

/// What has to be read before somebody can leave.
pub(super) fn needs(state: &GroupState, departure: &Departure, needs: &mut Needs) {
    let unread = unread(state, &departure.who);
    if departure.successor.is_some() {
        needs.facts_of.extend(&unread);
    }
    needs.events.extend(unread);
}

/// What somebody has not read, oldest first.
fn unread(state: &GroupState, gone: &Principal) -> Vec<Seq> {
    let Some(mailbox) = state.mailbox(gone) else { return Vec::new() };
    let mut newest: Vec<Seq> = mailbox.unread.iter().rev().take(MAX_MOVED).map(Seq).collect();
    newest.reverse();
    newest
}

/// The unread mail that passes to the successor, if any does.
pub(super) fn moved(state: &GroupState, departure: &Departure, resolved: &Resolved) -> Option<ChatMove> {
    let heir = departure.successor.clone()?;
    let of = |seq: Seq| resolved.events.get(&seq).map(|known| &known.event);
    let new = |event: &&Event| {
        let facts = resolved.facts_of(event.seq);
        let known = event.by == heir || has_had(state, &heir, event) || took_over(state, &heir, facts);
        !known && !answered(&heir, facts)
    };
    let passing = unread(state, &departure.who).into_iter().filter_map(of).filter(new);
    let event_ids: Vec<EventId> = passing.map(|event| event.id).collect();
    let from = departure.who.clone();
    (!event_ids.is_empty()).then_some(ChatMove { from, to: heir, event_ids })
}

/// Whether a message was for a principal itself.
fn has_had(state: &GroupState, principal: &Principal, event: &Event) -> bool {
    let named = event.message().is_some_and(|message| message.recipients.contains(principal));
    named && state.present_since(principal, event.seq)
}

/// Whether a message came to a principal from somebody who left.
pub(super) fn took_over(state: &GroupState, principal: &Principal, facts: &[Event]) -> bool {
    facts.iter().any(|fact| match &fact.body {
        Body::ChatMove(moved) => moved.to == *principal && state.present_since(principal, fact.seq),
        _ => false,
    })
}

/// Whether somebody of that name has answered a message. If that answer is redacted, the message stays
/// answered, so it must not come to that name again.
fn answered(principal: &Principal, facts: &[Event]) -> bool {
    facts.iter().any(|fact| fact.by == *principal && fact.message().is_some())
}

/// What is said of somebody's leaving to those who would not notice: one notice each.
pub(super) fn told(
    state: &GroupState,
    call: &Call,
    departure: &Departure,
    moved: Option<&ChatMove>,
    resolved: &Resolved,
) -> Vec<Draft> {
    let Departure { who: gone, successor: heir, .. } = departure;
    let mut concerned: BTreeMap<Principal, BTreeSet<Seq>> = BTreeMap::new();
    let moves = |seq: Seq| moved.is_some_and(|moved| moved.event_ids.iter().any(|id| id.seq == seq));
    for seq in unread(state, gone).into_iter().filter(|seq| !moves(*seq)) {
        let Some(event) = resolved.events.get(&seq).map(|known| &known.event) else { continue };
        // What the successor has had itself reached everybody it still can reach.
        if heir.as_ref().is_none_or(|heir| event.by == *heir) {
            concerned.entry(event.by.clone()).or_default().insert(seq);
        }
    }
    for ((source, kind), owed) in state.mailbox(gone).into_iter().flat_map(|mailbox| &mailbox.owed) {
        let returns = heir.as_ref().is_none_or(|heir| owed.creditor == *heir);
        if returns && ObligationKind::OF_MESSAGE.contains(kind) {
            concerned.entry(owed.creditor.clone()).or_default().insert(*source);
        }
    }
    let tell = |who: &Principal| *who != call.by && who != gone && state.mailbox(who).is_some();
    let notice = |(who, messages): (Principal, BTreeSet<Seq>)| {
        let batch = format!("{gone}.{}", state.position().seq.next());
        let mut related: Vec<Seq> = messages.into_iter().rev().take(MAX_NAMED).collect();
        related.reverse();
        Draft::from(SystemNotify { related, ..SystemNotify::new("returned", who, &batch, 1) })
    };
    concerned.into_iter().filter(|(who, _)| tell(who)).map(notice).collect()
}

#[cfg(test)]
mod tests;
