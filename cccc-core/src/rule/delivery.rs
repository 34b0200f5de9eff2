//! Handing over: claims, their outcomes, and what must not be handed over any more.
//!
//! Every door takes the same durable claim per (message, recipient, generation) before it does anything
//! that can be seen outside, so a message goes through one door at a time. A pull is claim and outcome
//! in one event: the answer to the caller is the handoff. Whoever has to pass the answer on takes it
//! instead, which is a claim, and settles when it has gone out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::command::Outcome;
use crate::error::{Error, Result};
use crate::event::{
    Body, DeliveryState, Event, GroupMode, Priority, RuntimeDelivery, Transport, WithholdReason, Witness,
};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::ladder::{self, Adds};
use crate::rule::permission::{self, Rank};
use crate::rule::reading::{MAX_EVENTS, reader};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Needs, Resolved, bounded, few, notice};
use crate::state::{Flight, FlightState, GroupState, Mailbox};
use crate::time::Timestamp;

/// Most deliveries to one recipient that were begun and have not succeeded.
pub const MAX_FLIGHTS: usize = 10_000;
/// What is known of a delivery whose deliverer died.
pub(super) const DELIVERER_DIED: &str = "the deliverer ended before it said how this went";
/// The evidence of whoever looked into its inbox.
const INBOX: &str = "inbox";
/// Longest evidence, as JSON, in bytes.
pub const MAX_EVIDENCE_BYTES: usize = 4 << 10;

/// Why an unread message may no longer be handed over, if so. Conditions are of the first handoff:
/// what was handed over once stays in the inbox.
#[must_use]
pub fn withheld(state: &GroupState, mailbox: &Mailbox, seq: Seq, now: Timestamp) -> Option<WithholdReason> {
    let conditions = mailbox.waiting.get(&seq)?;
    if conditions.expires_at.is_some_and(|expires| now > expires) {
        return Some(WithholdReason::Expired);
    }
    let late = conditions.deadline.is_some_and(|(due, paused_before_ms)| {
        let paused =
            state.paused_until(now).saturating_sub(std::time::Duration::from_millis(paused_before_ms));
        now > due.after(paused)
    });
    let closed = conditions.tasks.iter().any(|task| state.is_task_closed(*task));
    (late || closed || conditions.broken).then_some(WithholdReason::Precondition)
}

/// Nothing is handed over while the group rests.
pub(crate) fn open_group(state: &GroupState, stopped_too: bool) -> Result<()> {
    let word = match state.mode() {
        GroupMode::Paused => "paused",
        GroupMode::Stopped if stopped_too => "stopped",
        GroupMode::Active | GroupMode::Idle | GroupMode::Stopped | GroupMode::Archived => return Ok(()),
    };
    Err(Error::unavailable(format!("the group is {word}: messages are kept, and nothing is handed over"))
        .hint("resume it with `cccc group resume`"))
}

/// Messages that may no longer be handed over, by the reason, as events.
#[derive(Default)]
struct Withheld(Vec<(WithholdReason, Vec<EventId>)>);

impl Withheld {
    fn add(&mut self, reason: WithholdReason, id: EventId) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(id),
            None => self.0.push((reason, vec![id])),
        }
    }

    fn drafts(self, recipient: &Principal, generation: u64, transport: Transport) -> Vec<Draft> {
        let draft = |(reason, event_ids)| {
            Draft::from(RuntimeDelivery {
                delivery_id: None,
                actor_id: recipient.clone(),
                generation,
                event_ids,
                again: Vec::new(),
                state: DeliveryState::Withheld { reason },
                transport,
            })
        };
        self.0.into_iter().map(draft).collect()
    }
}

/// The caller takes messages itself. What another deliverer is at is passed over; what may have been
/// handed over before is taken, because the caller knows best what it has seen.
///
/// While the group is stopped no agent runs, and only people still pull.
pub(super) fn pull(state: &GroupState, call: &Call, events: &[EventId], mark_read: bool) -> Result<Decision> {
    let mailbox = reader(state, &call.by)?;
    let at_it = |flight: &Flight| flight.by != call.by;
    let Pulled { withheld, handed, read } = pulled(state, call, mailbox, events, at_it)?;
    let mut drafts = withheld.drafts(&call.by, mailbox.generation, Transport::Pull);
    if !handed.is_empty() {
        drafts.push(Draft::from(RuntimeDelivery {
            delivery_id: None,
            actor_id: call.by.clone(),
            generation: mailbox.generation,
            event_ids: handed,
            again: Vec::new(),
            state: DeliveryState::Accepted { by: None, evidence: INBOX.into() },
            transport: Transport::Pull,
        }));
    }
    if mark_read && !read.is_empty() {
        drafts.push(Draft::from(crate::event::ChatRead {
            actor_id: call.by.clone(),
            event_ids: read,
            through_seq: None,
        }));
    }
    Ok(Decision::write(drafts))
}

/// What a pull finds.
struct Pulled {
    withheld: Withheld,
    /// What is handed over by it.
    handed: Vec<EventId>,
    /// The same, with what was handed over before.
    read: Vec<EventId>,
}

/// Of these messages, what the caller can have; `at_it` says of a claim whether somebody else is at it.
fn pulled(
    state: &GroupState,
    call: &Call,
    mailbox: &Mailbox,
    events: &[EventId],
    at_it: impl Fn(&Flight) -> bool,
) -> Result<Pulled> {
    few("messages", events.len(), MAX_EVENTS)?;
    open_group(state, !call.by.is_person())?;
    let mut ids = events.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut pulled = Pulled { withheld: Withheld::default(), handed: Vec::new(), read: Vec::new() };
    for id in ids.into_iter().filter(|id| mailbox.unread.contains(id.seq.0)) {
        let flight = mailbox.flights.get(&id.seq);
        if flight.is_some_and(|flight| flight.state == FlightState::Claimed && at_it(flight)) {
            continue;
        }
        if let Some(reason) = withheld(state, mailbox, id.seq, call.now) {
            pulled.withheld.add(reason, id);
            continue;
        }
        if !mailbox.handed.contains(id.seq.0) {
            pulled.handed.push(id);
        }
        pulled.read.push(id);
    }
    Ok(pulled)
}

/// The caller reserves for itself what a pull would hand over, and says with [`settle_taken`] that it has it.
/// What anybody has claimed is passed over, the caller too: it may look twice at once.
pub(super) fn take(state: &GroupState, call: &Call, events: &[EventId]) -> Result<Decision> {
    let mailbox = reader(state, &call.by)?;
    let Pulled { withheld, handed, .. } = pulled(state, call, mailbox, events, |_| true)?;
    let mut drafts = withheld.drafts(&call.by, mailbox.generation, Transport::Pull);
    if !handed.is_empty() {
        let claim = RuntimeDelivery {
            delivery_id: None,
            actor_id: call.by.clone(),
            generation: mailbox.generation,
            again: perhaps_told(mailbox, &handed),
            event_ids: handed,
            state: DeliveryState::Claimed,
            transport: Transport::Pull,
        };
        drafts.insert(0, Draft::from(claim));
    }
    Ok(Decision::write(drafts))
}

/// The caller has what it took, and was shown beside it. That the group rests by now undoes none of it.
pub(super) fn settle_taken(
    state: &GroupState,
    call: &Call,
    delivery: Option<EventId>,
    read: &[EventId],
    notices: Option<Seq>,
    resolved: &Resolved,
) -> Result<Decision> {
    few("messages", read.len(), MAX_EVENTS)?;
    let mailbox = reader(state, &call.by)?;
    let mut drafts = match delivery {
        Some(delivery) => settle(call, delivery, &Outcome::accepted(INBOX), resolved)?.drafts,
        None => Vec::new(),
    };
    let mut event_ids: Vec<EventId> =
        read.iter().copied().filter(|id| mailbox.unread.contains(id.seq.0)).collect();
    event_ids.sort_unstable();
    event_ids.dedup();
    if !event_ids.is_empty() {
        let read = crate::event::ChatRead { actor_id: call.by.clone(), event_ids, through_seq: None };
        drafts.push(Draft::from(read));
    }
    drafts.extend(notices.and_then(|through| notice::seen(mailbox, &call.by, through)));
    Ok(Decision::write(drafts))
}

/// What these sessions claimed and nobody has settled.
fn claims_of(state: &GroupState, sessions: &[String]) -> BTreeSet<EventId> {
    let flights = state.mailboxes().values().flat_map(|mailbox| mailbox.flights.values());
    let open = flights.filter(|flight| {
        let theirs = flight.session.as_ref().is_some_and(|session| sessions.contains(session));
        theirs && flight.state.is_open()
    });
    open.map(|flight| flight.delivery).collect()
}

/// What has to be read before [`lose`] can decide.
pub(super) fn needs_of_lost(state: &GroupState, sessions: &[String]) -> Needs {
    let claims = claims_of(state, sessions).into_iter();
    Needs { events: claims.map(|claim| claim.seq).collect(), ..Needs::default() }
}

/// What dead sessions claimed and did not settle may have been handed over or not.
pub(super) fn lose(
    state: &GroupState,
    call: &Call,
    sessions: &[String],
    resolved: &Resolved,
) -> Result<Decision> {
    permission::owner(state, call, "say that a deliverer has died")?;
    let mut drafts = Vec::new();
    for delivery in claims_of(state, sessions) {
        let known = resolved.known(&delivery.into())?;
        if let Body::RuntimeDelivery(claim) = &known.event.body {
            drafts.push(Draft::from(RuntimeDelivery {
                delivery_id: Some(delivery),
                again: Vec::new(),
                state: DeliveryState::Ambiguous { reason: DELIVERER_DIED.into() },
                ..claim.clone()
            }));
        }
    }
    Ok(Decision::write(drafts))
}

/// Whether a principal may hand over to a recipient.
fn deliverer(state: &GroupState, by: &Principal, recipient: &Principal) -> bool {
    matches!(permission::rank(state, by), Rank::Owner | Rank::Service) || by == recipient
}

/// Reserves messages for the caller. Those that cannot be had are passed over; if none can, and none
/// had to be withheld, it is refused with the first reason.
///
/// The `claimed` event comes first in the decision, and its id is the delivery's.
pub(super) fn claim(
    state: &GroupState,
    call: &Call,
    recipient: &Principal,
    events: &[EventRef],
    transport: Transport,
    resolved: &Resolved,
) -> Result<Decision> {
    few("messages", events.len(), MAX_EVENTS)?;
    if transport == Transport::Pull {
        return Err(Error::invalid("a pull claims nothing").hint("use the pull command"));
    }
    if !deliverer(state, &call.by, recipient) {
        return Err(Error::refused(format!("{} may not deliver to {recipient}", call.by))
            .hint("deliverers are the host, services, the user, and the recipient itself"));
    }
    let mailbox = reader(state, recipient)?;
    open_group(state, true)?;
    let (mut withheld_ids, mut claimed, mut refusal) = (Withheld::default(), Vec::new(), None);
    for reference in events {
        let event = &resolved.known(reference)?.event;
        match (may_claim(mailbox, event, transport), withheld(state, mailbox, event.seq, call.now)) {
            (Ok(()), Some(reason)) => withheld_ids.add(reason, event.id),
            (Ok(()), None) => claimed.push(event.id),
            (Err(error), _) => {
                refusal.get_or_insert(error);
            }
        }
    }
    claimed.sort_unstable();
    claimed.dedup();
    if mailbox.flights.len() + claimed.len() > MAX_FLIGHTS {
        return Err(Error::refused(format!(
            "{recipient} has {MAX_FLIGHTS} deliveries without success, which is the most"
        ))
        .hint("it can read them with `cccc inbox`"));
    }
    let mut drafts = withheld_ids.drafts(recipient, mailbox.generation, transport);
    if !claimed.is_empty() {
        let claim = RuntimeDelivery {
            delivery_id: None,
            actor_id: recipient.clone(),
            generation: mailbox.generation,
            again: perhaps_told(mailbox, &claimed),
            event_ids: claimed,
            state: DeliveryState::Claimed,
            transport,
        };
        drafts.insert(0, Draft::from(claim));
    }
    match refusal {
        Some(refusal) if drafts.is_empty() => Err(refusal),
        _ => Ok(Decision::write(drafts)),
    }
}

/// Whether a message may be pushed to a recipient now, as far as a deliverer that would claim it can tell.
pub(crate) fn may_push(
    state: &GroupState,
    recipient: &Principal,
    event: &Event,
    transport: Transport,
) -> bool {
    let mailbox = state.mailbox(recipient);
    open_group(state, true).is_ok()
        && mailbox.is_some_and(|mailbox| may_claim(mailbox, event, transport).is_ok())
}

/// Whether the recipient of an unread message may have got it before, in a try that nobody saw arrive.
pub(crate) fn is_perhaps_told(mailbox: &Mailbox, seq: Seq) -> bool {
    use FlightState::{Ambiguous, Handed, Held, Queued, Retried, Withdrawn};
    let flight = mailbox.flights.get(&seq);
    flight.is_some_and(|flight| {
        matches!(flight.state, Handed | Queued | Held | Ambiguous | Retried | Withdrawn)
    })
}

fn perhaps_told(mailbox: &Mailbox, events: &[EventId]) -> Vec<EventId> {
    events.iter().copied().filter(|id| is_perhaps_told(mailbox, id.seq)).collect()
}

/// Whether one message can be had by a deliverer.
fn may_claim(mailbox: &Mailbox, event: &Event, transport: Transport) -> Result<()> {
    let (seq, id) = (event.seq, event.id);
    if !mailbox.unread.contains(seq.0) {
        return Err(Error::conflict(format!(
            "message {id} is read, withdrawn, or was never addressed to them"
        )));
    }
    if mailbox.handed.contains(seq.0) {
        return Err(Error::conflict(format!("message {id} was handed over in this session already")));
    }
    if event.message().is_some_and(|message| message.priority == Priority::Low) {
        return Err(Error::refused(format!("message {id} has low priority, which is never pushed"))
            .hint("it waits in the recipient's inbox"));
    }
    if mailbox.quiet.contains(seq.0) {
        return Err(Error::refused(format!(
            "message {id} is beyond the rate or depth at which {} is pushed",
            event.by
        ))
        .hint("it waits in the recipient's inbox"));
    }
    match mailbox.flights.get(&seq) {
        Some(flight) => may_try_again(mailbox, seq, flight, transport)
            .map_err(|why| Error::conflict(format!("message {id} {why} (delivery {})", flight.delivery)))
            .map_err(|error| match flight.state {
                FlightState::Ambiguous | FlightState::Handed | FlightState::Queued => {
                    error.hint("ask for another try explicitly, if twice is better than never")
                }
                _ => error,
            }),
        None => Ok(()),
    }
}

/// Whether an unread message of which there was a try may be tried by a door; if not, why.
pub(super) fn may_try_again(
    mailbox: &Mailbox,
    seq: Seq,
    flight: &Flight,
    transport: Transport,
) -> Result<(), String> {
    let of_this_session = flight.generation == mailbox.generation;
    let why = match flight.state {
        FlightState::Claimed => format!("is being delivered by {}", flight.by),
        FlightState::Held => format!("is with {}, which cannot go on", flight.by),
        FlightState::Failed | FlightState::Retried => return Ok(()),
        _ if !of_this_session => return Ok(()),
        FlightState::Handed | FlightState::Queued => {
            "is on its way, and nobody has seen it arrive".to_owned()
        }
        FlightState::Refused if flight.transport != transport => return Ok(()),
        FlightState::Refused => "was refused by this door".to_owned(),
        FlightState::Withdrawn if !mailbox.no_more.contains(seq.0) => return Ok(()),
        FlightState::Withdrawn => "was taken back twice".to_owned(),
        FlightState::Ambiguous => "may have been handed over".to_owned(),
        FlightState::Bounced => "found nobody in this session".to_owned(),
    };
    Err(why)
}

/// The deliverer, or the user or the system in its place, says how far a claimed delivery has come, as often as it
/// learns more: see [`ladder`](super::ladder).
pub(super) fn settle(
    call: &Call,
    delivery: EventId,
    outcome: &Outcome,
    resolved: &Resolved,
) -> Result<Decision> {
    let known = resolved.known(&delivery.into())?;
    let claim = match &known.event.body {
        Body::RuntimeDelivery(claim) if claim.state == DeliveryState::Claimed => claim,
        body => {
            return Err(Error::invalid(format!("event {delivery} is a {}, not a claim", body.kind()))
                .hint("the delivery's id is that of the event that claimed it"));
        }
    };
    let owner = matches!(call.by, Principal::User | Principal::System);
    if !owner && call.by != known.event.by {
        return Err(Error::refused(format!("delivery {delivery} is {}'s to settle", known.event.by)));
    }
    let state = checked(outcome)?;
    let next = RuntimeDelivery { delivery_id: Some(delivery), again: Vec::new(), state, ..claim.clone() };
    let earlier = resolved.facts_of(delivery.seq).iter().rev().find_map(|fact| match &fact.body {
        Body::RuntimeDelivery(step)
            if step.delivery_id == Some(delivery) && step.state != DeliveryState::Retried =>
        {
            Some((fact.id, step))
        }
        _ => None,
    });
    match earlier.map(|(id, last)| (id, ladder::adds(last, &next))) {
        Some((id, Adds::Nothing)) => Ok(Decision::done_by(id)),
        Some((id, Adds::Contradiction)) => {
            Err(Error::conflict(format!("delivery {delivery} was settled before, by event {id}")))
        }
        Some((_, Adds::News)) | None => Ok(Decision::write([Draft::from(next)])),
    }
}

/// What a deliverer says, as it is written.
fn checked(outcome: &Outcome) -> Result<DeliveryState> {
    let reason = |reason: &String| {
        bounded("the reason", reason, MAX_REASON_BYTES)?;
        Ok::<_, Error>(reason.clone())
    };
    let evidence = |evidence: &Value| {
        bounded("the evidence", &evidence.to_string(), MAX_EVIDENCE_BYTES)?;
        Ok::<_, Error>(evidence.clone())
    };
    let by = |by: &Option<Witness>, evidence: &Value| match by {
        Some(witness) if witness.is_proof() && evidence.is_null() => {
            Err(Error::invalid(format!("accepted by {witness} needs evidence of it"))
                .hint("say where it was seen, for example the transcript's entry"))
        }
        by => Ok(by.clone()),
    };
    Ok(match outcome {
        Outcome::Handed(seen) => DeliveryState::Handed { evidence: evidence(seen)? },
        Outcome::Queued(seen) => DeliveryState::Queued { evidence: evidence(seen)? },
        Outcome::Accepted { by: who, evidence: seen } => {
            DeliveryState::Accepted { by: by(who, seen)?, evidence: evidence(seen)? }
        }
        Outcome::Answered { by: who, evidence: seen } => {
            DeliveryState::Answered { by: by(who, seen)?, evidence: evidence(seen)? }
        }
        Outcome::Held(why) => DeliveryState::Held { reason: reason(why)? },
        Outcome::Refused(why) => DeliveryState::Refused { reason: reason(why)? },
        Outcome::Withdrawn(why) => DeliveryState::Withdrawn { reason: reason(why)? },
        Outcome::Failed(why) => DeliveryState::Failed { reason: reason(why)? },
        Outcome::Ambiguous(why) => DeliveryState::Ambiguous { reason: reason(why)? },
        Outcome::Bounced(why) => DeliveryState::Bounced { reason: reason(why)? },
    })
}

/// Allows another try at what may have been handed over.
pub(super) fn retry(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    recipient: &Principal,
    resolved: &Resolved,
) -> Result<Decision> {
    let (known, _) = resolved.message(event)?;
    let id = known.event.id;
    let leads = matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Foreman | Rank::Service);
    if !leads && call.by != known.event.by && call.by != *recipient {
        return Err(Error::refused(format!("delivery of {id} to {recipient} is not {}'s to retry", call.by))
            .hint("the sender, the recipient, the foreman and the user may"));
    }
    let mailbox = reader(state, recipient)?;
    let flight = mailbox.flights.get(&id.seq);
    // A door that holds a message may still go on.
    let again = |flight: &&Flight| {
        use FlightState::{Ambiguous, Handed, Queued, Refused};
        matches!(flight.state, Ambiguous | Handed | Queued | Refused)
    };
    if let Some(flight) = flight.filter(again) {
        return Ok(Decision::write([Draft::from(RuntimeDelivery {
            delivery_id: Some(flight.delivery),
            actor_id: recipient.clone(),
            generation: flight.generation,
            event_ids: vec![id],
            again: Vec::new(),
            state: DeliveryState::Retried,
            transport: flight.transport,
        })]));
    }
    let last = resolved.facts_of(id.seq).iter().rev().find(|fact| {
        matches!(&fact.body, Body::RuntimeDelivery(delivery)
            if delivery.actor_id == *recipient && state.present_since(recipient, fact.seq))
    });
    match last {
        Some(fact) if matches!(&fact.body, Body::RuntimeDelivery(d) if d.state == DeliveryState::Retried) => {
            Ok(Decision::done_by(fact.id))
        }
        _ => Err(Error::refused(format!("delivery of {id} to {recipient} is not in doubt"))
            .hint(format!("`cccc receipts {}` shows how it stands", id.seq))),
    }
}

#[cfg(test)]
mod tests;
