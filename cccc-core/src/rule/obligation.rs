//! Obligations: acknowledging, and the queries over what is owed.
//!
//! One lifecycle for all kinds: `open -> met | cancelled(reason) | returned(reason)`, and it ends once.
//! A final reply meets the reply and the acknowledgement that its sender owed for the answered message,
//! whoever the reply is addressed to; a reply with `progress`, and an `ack`, meet the acknowledgement
//! only. Whether one is overdue is computed when asked, never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{Body, ChatAck};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::{Call, Decision, Resolved, message};
use crate::state::{GroupState, Obligation, ObligationKind};
use crate::time::Timestamp;

/// What names an obligation: a message asks each recipient for each kind at most once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObligationId {
    /// The message that asked.
    pub source: Seq,
    /// For what.
    pub kind: ObligationKind,
    /// Who owes it.
    pub debtor: Principal,
}

/// An open obligation, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ObligationView {
    /// What is owed.
    pub kind: ObligationKind,
    /// Who owes it.
    pub debtor: Principal,
    /// To whom.
    pub creditor: Principal,
    /// The message that asked.
    pub source: EventId,
    /// When it is due, moved by the pauses so far; absent: whenever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whether that is over.
    pub overdue: bool,
    /// Who had owed it before and left it to the debtor; empty if the message was for the debtor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited_from: Vec<Principal>,
}

impl ObligationView {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> ObligationId {
        ObligationId { source: self.source.seq, kind: self.kind, debtor: self.debtor.clone() }
    }
}

/// Which obligations are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this debtor.
    pub debtor: Option<Principal>,
    /// Those to this creditor.
    pub creditor: Option<Principal>,
}

/// The open obligations, oldest message first.
#[must_use]
pub fn list(state: &GroupState, filter: &Filter, now: Timestamp) -> Vec<ObligationView> {
    let mut views: Vec<ObligationView> = state
        .mailboxes()
        .iter()
        .filter(|(debtor, _)| filter.debtor.as_ref().is_none_or(|wanted| wanted == *debtor))
        .flat_map(|(debtor, mailbox)| mailbox.owed.iter().map(move |((_, kind), owed)| (debtor, *kind, owed)))
        .filter(|(_, _, owed)| filter.creditor.as_ref().is_none_or(|wanted| *wanted == owed.creditor))
        .map(|(debtor, kind, owed)| view(state, debtor, kind, owed, now))
        .collect();
    views.sort_by_key(ObligationView::id);
    views
}

/// What a principal owes for one message.
#[must_use]
pub fn owed_by(state: &GroupState, principal: &Principal, message: Seq) -> Vec<ObligationKind> {
    let Some(mailbox) = state.mailbox(principal) else { return Vec::new() };
    let owed = |kind: &ObligationKind| mailbox.owed.contains_key(&(message, *kind));
    ObligationKind::ALL.into_iter().filter(owed).collect()
}

fn view(
    state: &GroupState,
    debtor: &Principal,
    kind: ObligationKind,
    owed: &Obligation,
    now: Timestamp,
) -> ObligationView {
    let due_at = state.due_at(owed, now);
    let before = owed.lineages.iter().filter_map(|lineage| lineage.split_last());
    let mut inherited_from: Vec<Principal> =
        before.flat_map(|(_, former)| former.iter().map(|(holder, _)| holder.clone())).collect();
    inherited_from.sort();
    inherited_from.dedup();
    ObligationView {
        kind,
        debtor: debtor.clone(),
        creditor: owed.creditor.clone(),
        source: owed.source,
        due_at,
        overdue: due_at.is_some_and(|due| now > due),
        inherited_from,
    }
}

/// A recipient takes note of a message; once, also of one that did not ask for it.
pub(super) fn ack(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    resolved: &Resolved,
) -> Result<Decision> {
    let (known, _) = resolved.message(event)?;
    let id = known.event.id;
    let done = resolved.facts_of(id.seq).iter().find(|fact| {
        matches!(&fact.body, Body::ChatAck(ack) if ack.actor_id == call.by)
            && state.present_since(&call.by, fact.seq)
    });
    if let Some(done) = done {
        return Ok(Decision::done_by(done.id));
    }
    if known.event.by == call.by {
        return Err(Error::refused(format!("message {id} is your own: only its recipients acknowledge it"))
            .hint(format!("`cccc receipts {}` shows who has", id.seq)));
    }
    if !message::is_recipient(state, &call.by, &known.event) {
        return Err(not_addressed(&call.by, id, "acknowledge"));
    }
    Ok(Decision::write([Draft::from(ChatAck { actor_id: call.by.clone(), event_id: id })]))
}

/// The refusal of what only a recipient may do.
pub(super) fn not_addressed(by: &Principal, id: EventId, verb: &str) -> Error {
    Error::refused(format!("message {id} was not addressed to {by}, so there is nothing to {verb}"))
        .hint("`cccc inbox` lists what was")
}
