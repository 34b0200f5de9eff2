//! Messages between groups of one home: what the group they come from and the group they go to each decide.
//!
//! A message to `alice@other` is appended in the sender's group, with `alice@other` among its recipients.
//! Then its copy is appended in `other`, by `lead@source`, for `alice`: there it is unread, and there is
//! owed what it asks for. An answer to the copy goes to `lead@source` and takes the same way back, where it
//! answers the original. So there is one rule for both ways, and nothing that knows of conversations.
//!
//! **Two appends, and what may come in between.** The first is durable before the second is tried. The copy
//! has a key made of the source's group and event, by which the other group knows it again however often
//! and by however many processes it is tried: `copy` then answers with the copy that is there. How it
//! ended is written in the source group as a `runtime.delivery` of the transport `relay` (`settle`);
//! until then the message stands in [`GroupState::relays`], and whoever looks after the group tries again
//! ([`due`]), in the end rarely and then no more: after [`MAX_TRIES`] only on request.
//!
//! **Whom it can reach** is looked up in the other group before the first append ([`look_up`]), so an
//! address that means nobody there is refused like one here. Who has left when the copy comes misses it
//! (`bounced`), also if somebody of the same name has come.
//!
//! **What holds it up.** A source that is paused or stopped hands nothing over, so nothing leaves it. A
//! destination that is paused stores the copy, as it stores everything. One that is archived refuses it.
//!
//! **Withdrawals** follow a copy: who cancels, retracts, redacts or replaces a message does the same to its
//! copies, as their sender. Where a copy cannot be reached that is an error, and doing it again is safe.
//!
//! **Loops.** Nothing is relayed further by itself: a copy has recipients in its own group only. What agents
//! make of it between two groups counts against the rate and the depth of [`rate`], which go along.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::command::{RelayCopy, RelayOutcome, SendMessage};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{
    Body, ChatMessage, ChatRetract, DeliveryState, Event, GroupMode, NotIf, RelayTarget, RuntimeDelivery,
    Transport, WithholdReason, key_hash,
};
use crate::id::{EventId, EventRef, GroupId, Principal, Remote, Seq};
use crate::ledger::Draft;
use crate::rule::address::{self, Address};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Needs, Resolved, delivery, message, rate, withdraw};
use crate::state::{GroupState, Passage, asked_by};
use crate::time::Timestamp;

/// How many messages of a group may be on their way to other groups.
pub const MAX_RELAYS: usize = 10_000;

/// How often copying a message is tried before somebody has to ask for it.
pub const MAX_TRIES: u32 = 8;

/// How long whoever sent a message is left to copy it before anybody else does.
pub const FIRST_RETRY: Duration = Duration::from_secs(10);

/// The longest time between two tries.
pub const MAX_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// A message that has not arrived in another group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RelayView {
    /// The message.
    pub event_id: EventId,
    /// The other group.
    pub group_id: GroupId,
    /// Whom it has not reached there.
    pub recipients: Vec<Principal>,
    /// How often copying it failed.
    pub tries: u32,
    /// When that was the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Why it failed; absent: it was not tried yet, or nobody knows how that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it is tried again by itself; absent: not before somebody asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

/// A message that is to be copied into another group now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DueRelay {
    /// The message.
    pub event_id: EventId,
    /// The other group.
    pub group_id: GroupId,
    /// How often it failed.
    pub tries: u32,
    /// Since when it is due.
    pub due_at: Timestamp,
}

/// What has not arrived in other groups, oldest first.
#[must_use]
pub fn list(state: &GroupState) -> Vec<RelayView> {
    let passages = state.relays().values().flatten();
    passages
        .map(|(group, passage)| RelayView {
            event_id: passage.event_id,
            group_id: group.clone(),
            recipients: passage.recipients.iter().cloned().collect(),
            tries: passage.tries,
            failed_at: passage.failed.as_ref().map(|(at, _)| *at),
            reason: passage.failed.as_ref().map(|(_, reason)| reason.clone()),
            next_at: next_try(passage).filter(|_| may_leave(state).is_ok()),
        })
        .collect()
}

/// What is to be copied when; also what is not due yet, and nothing while nothing may leave the group.
#[must_use]
pub fn due(state: &GroupState) -> Vec<DueRelay> {
    if may_leave(state).is_err() {
        return Vec::new();
    }
    let entry = |(group, passage): (&GroupId, &Passage)| {
        Some(DueRelay {
            event_id: passage.event_id,
            group_id: group.clone(),
            tries: passage.tries,
            due_at: next_try(passage)?,
        })
    };
    state.relays().values().flatten().filter_map(entry).collect()
}

/// A minute after the first failure, then four times as long each time.
fn next_try(passage: &Passage) -> Option<Timestamp> {
    match &passage.failed {
        None => Some(passage.sent_at.after(FIRST_RETRY)),
        Some(_) if passage.tries >= MAX_TRIES => None,
        Some((at, _)) => {
            let wait = Duration::from_secs(60) * 4_u32.saturating_pow(passage.tries.saturating_sub(1));
            Some(at.after(wait.min(MAX_RETRY)))
        }
    }
}

/// Whether anything may leave the group now.
///
/// # Errors
/// `Unavailable` while it is paused or stopped, `Refused` while it is archived.
pub fn may_leave(state: &GroupState) -> Result<()> {
    if state.mode() == GroupMode::Archived {
        return Err(Error::refused("the group is archived, so nothing leaves it"));
    }
    delivery::open_group(state, true)
}

/// Whom an address of somebody in another group means here. Asked of the other group, before anything is
/// written anywhere.
///
/// # Errors
/// As for an address in the same group; `Refused` if this group is archived, so that nothing can come.
pub fn look_up(state: &GroupState, from: &Remote, address: &str) -> Result<Vec<Principal>> {
    if state.mode() == GroupMode::Archived {
        return Err(Error::refused("that group is archived, and so read-only")
            .hint("the user can open it again with `cccc group resume`"));
    }
    if let Some((seq, kind)) = state.unsupported() {
        return Err(Error::unsupported(format!("event {seq} ({kind}) there is of a newer version"))
            .hint("upgrade cccc, then try again"));
    }
    let address: Address = address.parse()?;
    let from = Principal::Remote(from.clone());
    Ok(address::resolve(state, &from, &[address], &[])?.recipients)
}

/// What must hold for a message to other groups besides what must hold for any.
pub(super) fn may_go(state: &GroupState, send: &SendMessage, targets: &[RelayTarget]) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    if send.not_if.iter().any(|condition| *condition != NotIf::DeadlineOver) {
        return Err(Error::invalid("a precondition about this group means nothing in another")
            .hint("use expires_at, or not_if deadline_over with a deadline"));
    }
    if state.relays().len() >= MAX_RELAYS {
        return Err(Error::refused(format!(
            "{MAX_RELAYS} messages wait to be copied into other groups, which is the most"
        ))
        .hint("`cccc relay list` says why; `cccc relay retry`, or retract them"));
    }
    Ok(())
}

/// The key by which a group knows a copy again.
fn key_of(copy: &RelayCopy) -> String {
    format!("relay/{}/{}", copy.src_group_id, copy.src_event_id)
}

pub(super) fn needs_of_copy(call: &Call, copy: &RelayCopy) -> Needs {
    Needs {
        events: copy.reply_to.iter().map(|id| id.seq).collect(),
        facts_of: copy.supersedes.iter().map(|id| id.seq).collect(),
        key: Some(key_hash(&call.by, &key_of(copy))),
    }
}

/// Takes a copy, once.
pub(super) fn copy(
    state: &GroupState,
    call: &Call,
    copy: &RelayCopy,
    resolved: &Resolved,
) -> Result<Decision> {
    if !matches!(&call.by, Principal::Remote(from) if *from.group() == copy.src_group_id) {
        return Err(Error::refused(format!("{} does not speak for group {}", call.by, copy.src_group_id))
            .hint("address somebody here from there: `cccc send --to ACTOR@GROUP`"));
    }
    let key = key_of(copy);
    let before = resolved.keyed.iter().find_map(|event| match &event.body {
        Body::ChatMessage(message) => {
            (event.by == call.by && message.client_id.as_ref() == Some(&key)).then_some(event.id)
        }
        Body::Redacted { .. } => (event.by == call.by).then_some(event.id),
        Body::ChatRedact(redact) => (redact.author.as_ref() == Some(&call.by)).then_some(redact.event_id),
        _ => None,
    });
    // However old: what was relayed once is never stored twice.
    if let Some(id) = before {
        return Ok(Decision::done_by(id));
    }
    let here = |who: &&Principal| match who {
        Principal::User => true,
        Principal::Person(_) | Principal::Actor(_) => state.present_since(who, copy.seq.next()),
        Principal::System | Principal::Service(_) | Principal::Remote(_) => false,
    };
    let recipients: Vec<Principal> = copy.recipients.iter().filter(here).cloned().collect();
    if recipients.is_empty() {
        let gone: Vec<String> = copy.recipients.iter().map(ToString::to_string).collect();
        return Err(Error::not_found(format!("{} left the group before it came", gone.join(", "))));
    }
    let own_seq = state.position().seq.next();
    let answered = copy.reply_to.and_then(|id| resolved.events.get(&id.seq).filter(|k| k.event.id == id));
    let replaced = copy.supersedes.and_then(|id| replaced(call, id, resolved));
    let source = &copy.message;
    let depth = match answered.and_then(|known| Some((known.event.seq, known.event.message()?.depth))) {
        // Where either group has begun anew, so has the conversation.
        Some((seq, depth)) => rate::depth(state, &call.by, seq, depth).min(source.depth),
        None => source.depth,
    };
    let mut message = ChatMessage {
        text: source.text.clone(),
        format: source.format,
        to: copy.to.clone(),
        recipients,
        priority: source.priority,
        reply_required: source.reply_required,
        due_at: source.due_at,
        reply_to: answered.map(|known| known.event.id),
        quote: source.quote.clone(),
        progress: source.progress,
        intent: source.intent.clone(),
        refs: source.refs.clone(),
        attachments: source.attachments.clone(),
        client_id: Some(key),
        expires_at: source.expires_at,
        supersedes: replaced,
        not_if: source.not_if.clone(),
        // A question is asked within its group: which of its answers is the first could not be told in two.
        options: Vec::new(),
        choice: None,
        root: answered.map_or(own_seq, |known| known.event.message().map_or(known.event.seq, |m| m.root)),
        depth,
        quiet: Vec::new(),
        task_id: None,
        relay_to: Vec::new(),
        src_group_id: Some(copy.src_group_id.to_string()),
        src_group_title: Some(copy.src_group_title.clone()).filter(|title| !title.is_empty()),
        src_event_id: Some(copy.src_event_id.to_string()),
    };
    message::check_room(state, &message)?;
    message.quiet = rate::quiet(state, call, &message);
    let over = rate::notice(state, call, &message, own_seq);
    let retract = replaced.map(|id| ChatRetract {
        event_id: id,
        recipients: withdraw::unread_by(state, id.seq),
        superseded_by: Some(own_seq),
        reason: String::new(),
    });
    let drafts = std::iter::once(Draft::from(message)).chain(retract.map(Draft::from));
    Ok(Decision::write(drafts.chain(over.map(Draft::from))))
}

/// The sender's earlier message here, unless it was withdrawn before.
fn replaced(call: &Call, id: EventId, resolved: &Resolved) -> Option<EventId> {
    let known = resolved.events.get(&id.seq)?;
    let own = known.event.id == id && known.event.by == call.by && known.event.message().is_some();
    (own && withdraw::withdrawal(resolved.facts_of(id.seq), id.seq).is_none()).then_some(id)
}

/// Says in the source group how copying ended. What arrived, or never will, is said once.
pub(super) fn settle(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    group: &GroupId,
    outcome: &RelayOutcome,
    resolved: &Resolved,
) -> Result<Decision> {
    if call.by != Principal::System {
        return Err(Error::refused(format!("{} does not relay messages", call.by))
            .hint("`cccc relay retry` has it tried"));
    }
    let id = resolved.known(event)?.event.id;
    let found = state.relays_of(id.seq).find(|(to, _)| *to == group);
    let Some((_, passage)) = found else { return Ok(Decision::nothing()) };
    let ends = passage.recipients.iter().map(|recipient| {
        let state = match outcome {
            RelayOutcome::Copied { missed, .. } if missed.contains(recipient) => {
                DeliveryState::Bounced { reason: "left the group before it came".into() }
            }
            RelayOutcome::Copied { event_id, .. } => DeliveryState::Accepted {
                by: None,
                evidence: json!({ "group_id": group, "event_id": event_id }),
            },
            RelayOutcome::Failed(reason) => DeliveryState::Failed { reason: short(reason) },
            RelayOutcome::Withheld(reason) => DeliveryState::Withheld { reason: *reason },
            RelayOutcome::Bounced(reason) => DeliveryState::Bounced { reason: short(reason) },
        };
        Draft::from(RuntimeDelivery {
            delivery_id: None,
            actor_id: recipient.clone(),
            generation: 0,
            event_ids: vec![id],
            again: Vec::new(),
            state,
            transport: Transport::Relay,
        })
    });
    Ok(Decision::write(ends))
}

/// The beginning of a reason that is longer than it may be.
fn short(reason: &str) -> String {
    let end = reason.floor_char_boundary(MAX_REASON_BYTES);
    reason.get(..end).unwrap_or_default().to_owned()
}

/// How an attempt ended that failed with this error.
#[must_use]
pub fn outcome_of(error: &Error) -> RelayOutcome {
    let reason = error.to_string();
    match error.kind() {
        // Only who has left is not found in a group that is there.
        ErrorKind::NotFound => RelayOutcome::Bounced(reason),
        _ => RelayOutcome::Failed(reason),
    }
}

/// Whether a message may no longer be copied.
#[must_use]
pub fn withheld(message: &ChatMessage, now: Timestamp) -> Option<WithholdReason> {
    if message.expires_at.is_some_and(|expires| now > expires) {
        return Some(WithholdReason::Expired);
    }
    let late = message.not_if.contains(&NotIf::DeadlineOver) && message.due_at.is_some_and(|due| now > due);
    late.then_some(WithholdReason::Precondition)
}

/// Whether somebody in another group may owe something for a message, by what is known here: it asks for
/// something, and that has neither been cancelled nor been answered here.
pub(super) fn may_owe(debtor: &Principal, message: &ChatMessage, facts: &[Event]) -> bool {
    let over = |fact: &Event| match &fact.body {
        Body::ChatCancel(cancel) => cancel.recipients.contains(debtor),
        Body::ChatMessage(reply) => fact.by == *debtor && !reply.progress,
        Body::ChatRetract(_) | Body::ChatRedact(_) => true,
        _ => false,
    };
    matches!(debtor, Principal::Remote(_))
        && asked_by(message).iter().any(Option::is_some)
        && !facts.iter().any(over)
}

/// Where the copy of a message in another group stands, as the facts about the message say.
#[must_use]
pub fn copied_to(facts: &[Event], message: Seq, group: &GroupId) -> Option<EventId> {
    facts.iter().find_map(|fact| match &fact.body {
        Body::RuntimeDelivery(RuntimeDelivery {
            actor_id: Principal::Remote(remote),
            event_ids,
            state: DeliveryState::Accepted { evidence, .. },
            transport: Transport::Relay,
            ..
        }) if remote.group() == group && event_ids.iter().any(|id| id.seq == message) => {
            evidence.get("event_id")?.as_str()?.parse().ok()
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests;
