//! The rules of coordination, pure: state, command and time go in, events come out.
//!
//! Nothing here reads a clock, a random source, a file or the network. Each rule has its file; this one
//! says what a rule is given, what it answers, and which rule decides which command. [`receipt`],
//! [`obligation`] and [`reading`] also hold the queries that frontends show.

pub mod actor;
pub mod address;
pub mod approval;
pub mod briefing;
pub mod context;
pub mod delivery;
#[cfg(any(test, feature = "testing"))]
pub mod desk;
pub mod digest;
mod estate;
#[cfg(test)]
mod found_tests;
pub mod glob;
pub mod group;
pub mod join;
pub mod label;
pub mod ladder;
pub mod message;
pub mod notice;
pub mod obligation;
pub mod permission;
pub mod person;
pub mod pin;
pub mod policy;
pub mod presence;
pub mod question;
pub mod rate;
pub mod reading;
pub mod receipt;
pub mod relay;
pub mod reservation;
pub mod schedule;
pub mod session;
pub mod suggest;
pub mod task;
pub mod vote;
pub mod wait;
pub mod withdraw;

use std::collections::BTreeMap;

use crate::command::Command;
use crate::error::{Error, Result};
use crate::event::{Body, ChatMessage, Event, key_hash};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::state::{Departure, GroupState};
use crate::time::Timestamp;

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Call {
    /// The principal the handle is bound to.
    pub by: Principal,
    /// The writer's clock; the events that are decided on bear exactly this time.
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

impl Decision {
    /// Append these.
    fn write(drafts: impl IntoIterator<Item = Draft>) -> Self {
        Self { drafts: drafts.into_iter().collect(), duplicate: None }
    }

    /// It is as wanted already, and it is not known or not one event that made it so.
    fn nothing() -> Self {
        Self::default()
    }

    /// It was done before, by this event.
    fn done_by(id: EventId) -> Self {
        Self { drafts: Vec::new(), duplicate: Some(id) }
    }
}

impl Resolved {
    /// The event that a caller named.
    fn known(&self, reference: &EventRef) -> Result<&Known> {
        let known = self.standing(reference)?;
        known.event.lost().map_or(Ok(known), Err)
    }

    /// What stands where the event belongs that a caller named: itself, or a gap, which has an id of its own.
    fn standing(&self, reference: &EventRef) -> Result<&Known> {
        let known = self.events.get(&reference.seq());
        let is_meant =
            |event: &Event| reference.matches(event.id) || matches!(event.body, Body::LedgerGap(_));
        known.filter(|known| is_meant(&known.event)).ok_or_else(|| {
            Error::not_found(format!("there is no event {reference} in this group"))
                .hint("`cccc tail` lists the newest events with their numbers")
        })
    }

    /// The message that a caller named.
    fn message(&self, reference: &EventRef) -> Result<(&Known, &ChatMessage)> {
        let known = self.known(reference)?;
        match &known.event.body {
            Body::ChatMessage(message) => Ok((known, message)),
            Body::Redacted { kind } if kind.as_ref() == "chat.message" => {
                Err(Error::refused(format!("message {} was redacted by the user", known.event.id)))
            }
            body => {
                Err(Error::invalid(format!("event {} is a {}, not a message", known.event.id, body.kind()))
                    .hint("name the message itself; `cccc inbox` shows the numbers of yours"))
            }
        }
    }

    /// What later events say of the event at `seq`, ascending.
    fn facts_of(&self, seq: Seq) -> &[Event] {
        self.facts.get(&seq).map_or(&[], Vec::as_slice)
    }
}

/// What to read before [`decide`].
#[must_use]
pub fn needs(state: &GroupState, call: &Call, command: &Command) -> Needs {
    let events = |references: &[EventRef]| Needs {
        events: references.iter().map(EventRef::seq).collect(),
        ..Needs::default()
    };
    let with_facts = |seq: Seq| Needs { events: vec![seq], facts_of: vec![seq], key: None };
    match command {
        Command::Send(send) => {
            let mut needs = message::needs(send);
            needs.key = send.client_id.as_deref().map(|client_id| key_hash(&call.by, client_id));
            needs
        }
        Command::AddTask(add) => task::needs_of_new(state, call, add),
        Command::UpdateTask(update) => task::needs_of_update(state, update),
        Command::TrackedSend { task, message } => {
            let mut needs = task::needs_of_new(state, call, task);
            let of_message = message::needs(message);
            needs.events.extend(of_message.events);
            needs.facts_of.extend(of_message.facts_of);
            needs.key = message.client_id.as_deref().map(|client_id| key_hash(&call.by, client_id));
            needs
        }
        Command::Ack { event }
        | Command::Retract { event, .. }
        | Command::Redact { event, .. }
        | Command::Cancel { event, .. }
        | Command::Retry { event, .. } => with_facts(event.seq()),
        Command::LoseClaims { sessions } => delivery::needs_of_lost(state, sessions),
        Command::Relay(copy) => relay::needs_of_copy(call, copy),
        Command::SettleRelay { event, .. } => events(std::slice::from_ref(event)),
        Command::Settle { delivery, .. } | Command::SettleTaken { delivery: Some(delivery), .. } => {
            with_facts(delivery.seq)
        }
        Command::InSession { command, .. } => needs(state, call, command),
        Command::MarkRead { events: references } => {
            // Only of what is not unread it may matter whether it once came from somebody who left.
            let unread = |seq: &Seq| state.mailbox(&call.by).is_some_and(|m| m.unread.contains(seq.0));
            let read = references.iter().map(EventRef::seq).filter(|seq| !unread(seq)).collect();
            Needs { facts_of: read, ..events(references) }
        }
        Command::Claim { events: references, .. } => events(references),
        Command::MarkReadThrough { event } => events(std::slice::from_ref(event)),
        Command::SetContext { base, .. } => {
            Needs { events: base.iter().copied().collect(), ..Needs::default() }
        }
        Command::CastVote { vote, .. } => {
            let mut needs = with_facts(vote.seq());
            if let Some(vote) = state.votes().get(vote)
                && let Some(released) = &vote.release
            {
                let departure = Departure {
                    who: released.clone().into(),
                    reason: String::new(),
                    successor: vote.successor.clone().map(Principal::Actor),
                };
                estate::needs(state, &departure, &mut needs);
            }
            needs
        }
        Command::RemoveActor(remove) => {
            let mut needs = Needs::default();
            estate::needs(state, &remove.into(), &mut needs);
            needs
        }
        Command::RemovePerson(remove) => {
            let mut needs = Needs::default();
            estate::needs(state, &remove.into(), &mut needs);
            needs
        }
        Command::RetireActor { actor_id } => {
            let mut needs = Needs::default();
            let departure =
                Departure { who: actor_id.clone().into(), reason: String::new(), successor: None };
            estate::needs(state, &departure, &mut needs);
            needs
        }
        Command::CloseVote { vote, .. } => with_facts(vote.seq()),
        Command::CloseQuestion { question } => with_facts(question.seq()),
        Command::OpenApproval { client_id, .. } => approval::needs_of_new(call, client_id.as_deref()),
        Command::DecideApproval { approval, .. } | Command::CloseApproval { approval, .. } => {
            with_facts(approval.seq())
        }
        Command::Pin { event, .. } | Command::Unpin { event, .. } => with_facts(event.seq()),
        Command::AppendContext { .. }
        | Command::SetAgentState { .. }
        | Command::Reserve { .. }
        | Command::ExtendReservation { .. }
        | Command::ReleaseReservation { .. }
        | Command::OpenVote { .. }
        | Command::ChangeLabels { .. } => Needs::default(),
        Command::CreateGroup(_)
        | Command::UpdateGroup(_)
        | Command::AttachScope(_)
        | Command::DetachScope { .. }
        | Command::SetState(_)
        | Command::AddActor(_)
        | Command::AddPerson(_)
        | Command::UpdateActor(_)
        | Command::OpenSession(_)
        | Command::CloseSession { .. }
        | Command::Join(_)
        | Command::Notify { .. }
        | Command::SeeNotices { .. }
        | Command::AddSchedule(_)
        | Command::EnableSchedule { .. }
        | Command::RemoveSchedule { .. }
        | Command::ClearSchedules
        | Command::FireSchedule { .. }
        | Command::Pull { .. }
        | Command::Take { .. }
        | Command::SettleTaken { delivery: None, .. } => Needs::default(),
    }
}

/// Decides a command on the state so far.
///
/// # Errors
/// `Refused` where a rule forbids it, `Invalid` and `TooLarge` for what could never be allowed,
/// `NotFound` for what is named and does not exist, `Conflict` for a key that was used for something
/// else or a place that is taken, `Unavailable` while the group hands nothing over, `Unsupported` where
/// a newer version wrote to the group. Nothing is to be written then.
pub fn decide(state: &GroupState, call: &Call, command: &Command, resolved: &Resolved) -> Result<Decision> {
    if let Command::InSession { session, command } = command {
        session::fence(state, call, session, command)?;
        return decide(state, call, command, resolved);
    }
    permission::admit(state, call, command)?;
    match command {
        Command::CreateGroup(create) => group::create(state, call, create),
        Command::UpdateGroup(update) => group::update(state, call, update),
        Command::AttachScope(attach) => group::attach(state, call, attach),
        Command::DetachScope { scope_key } => group::detach(state, call, scope_key),
        Command::SetState(set) => group::set_state(state, call, set),
        Command::AddActor(add) => actor::add(state, call, add),
        Command::UpdateActor(update) => actor::update(state, call, update),
        Command::RemoveActor(remove) => actor::remove(state, call, remove, resolved),
        Command::AddPerson(add) => person::add(state, call, add),
        Command::RemovePerson(remove) => person::remove(state, call, remove, resolved),
        Command::OpenSession(open) => session::open(state, call, open),
        Command::CloseSession { session, reason } => session::close(state, call, session, reason.as_deref()),
        Command::Join(join) => join::join(state, call, join),
        Command::RetireActor { actor_id } => presence::retire(state, call, actor_id, resolved),
        // Taken off above.
        Command::InSession { .. } => Ok(Decision::nothing()),
        Command::Send(send) => message::send(state, call, send, resolved),
        Command::Ack { event } => obligation::ack(state, call, event, resolved),
        Command::MarkRead { events } => reading::mark(state, call, events, resolved),
        Command::MarkReadThrough { event } => reading::mark_through(state, call, event, resolved),
        Command::Cancel { event, recipients, reason } => {
            withdraw::cancel(state, call, event, recipients, reason, resolved)
        }
        Command::Retract { event, reason } => withdraw::retract(state, call, event, reason, resolved),
        Command::Redact { event, reason } => withdraw::redact(state, call, event, reason, resolved),
        Command::Pull { events, mark_read } => delivery::pull(state, call, events, *mark_read),
        Command::Take { events } => delivery::take(state, call, events),
        Command::SettleTaken { delivery, read, notices } => {
            delivery::settle_taken(state, call, *delivery, read, *notices, resolved)
        }
        Command::LoseClaims { sessions } => delivery::lose(state, call, sessions, resolved),
        Command::Claim { recipient, events, transport } => {
            delivery::claim(state, call, recipient, events, *transport, resolved)
        }
        Command::SeeNotices { through } => notice::see(state, call, *through),
        Command::Notify { key } => policy::notify(state, call, key),
        Command::AddSchedule(add) => schedule::add(state, call, add),
        Command::EnableSchedule { schedule_id, enabled } => {
            schedule::enable(state, call, schedule_id, *enabled)
        }
        Command::RemoveSchedule { schedule_id } => schedule::remove(state, call, schedule_id),
        Command::ClearSchedules => schedule::clear(state, call),
        Command::FireSchedule { schedule_id, scheduled_at } => {
            schedule::fire(state, call, schedule_id, *scheduled_at)
        }
        Command::Relay(copy) => relay::copy(state, call, copy, resolved),
        Command::SettleRelay { event, group, outcome } => {
            relay::settle(state, call, event, group, outcome, resolved)
        }
        Command::Settle { delivery, outcome } => delivery::settle(call, *delivery, outcome, resolved),
        Command::Retry { event, recipient } => delivery::retry(state, call, event, recipient, resolved),
        Command::SetContext { key, base, value } => {
            context::set(state, call, key, *base, value.as_ref(), resolved)
        }
        Command::AppendContext { section, text } => context::append(state, call, section.as_str(), text),
        Command::SetAgentState { actor_id, focus, next, blocker, waiting_for, until, base } => {
            let (focus, next, blocker) = (focus.as_deref(), next.as_deref(), blocker.as_deref());
            let waiting_for = waiting_for.as_deref();
            let word = context::Word { focus, next, blocker, waiting_for, until: *until, base: *base };
            context::set_agent(state, call, actor_id.as_ref(), &word)
        }
        Command::Reserve { globs, purpose, lease } => reservation::take(state, call, globs, purpose, *lease),
        Command::ExtendReservation { reservation, lease } => {
            reservation::extend(state, call, *reservation, *lease)
        }
        Command::ReleaseReservation { reservation, reason } => {
            reservation::release(state, call, *reservation, reason)
        }
        Command::OpenVote { subject, voters, within } => {
            vote::open(state, call, &vote::Question { subject, voters, within: *within })
        }
        Command::CastVote { vote, choice, reason } => {
            vote::cast(state, call, *vote, *choice, reason, resolved)
        }
        Command::CloseVote { vote, reason } => vote::close(state, call, *vote, reason, resolved),
        Command::CloseQuestion { question } => question::close(state, call, question, resolved),
        Command::OpenApproval { subject, tool, input, within, client_id } => {
            let (tool, input) = (tool.as_deref(), input.as_deref());
            let request =
                approval::Request { subject, tool, input, within: *within, client_id: client_id.as_deref() };
            approval::open(state, call, &request, resolved)
        }
        Command::DecideApproval { approval, allow, reason } => {
            approval::decide(state, call, *approval, *allow, reason, resolved)
        }
        Command::CloseApproval { approval, reason } => {
            approval::close(state, call, *approval, reason, resolved)
        }
        Command::Pin { event, note } => pin::pin(state, call, event, note, resolved),
        Command::Unpin { event, reason } => pin::unpin(state, call, event, reason, resolved),
        Command::ChangeLabels { actor_id, add, remove } => {
            label::change(state, call, actor_id.as_ref(), add, remove)
        }
        Command::AddTask(add) => task::add(state, call, add, resolved),
        Command::UpdateTask(update) => task::update(state, call, update, resolved),
        Command::TrackedSend { task, message } => task::tracked_send(state, call, task, message, resolved),
    }
}

/// Refuses a text that is longer than it may be.
fn bounded(what: &str, text: &str, max_bytes: usize) -> Result<()> {
    if text.len() > max_bytes {
        return Err(Error::too_large(format!("{what} has {} bytes; at most {max_bytes} fit", text.len())));
    }
    Ok(())
}

/// Refuses a list that is longer than it may be.
fn few(what: &str, count: usize, max: usize) -> Result<()> {
    if count > max {
        return Err(Error::too_large(format!("{count} {what} are too many; at most {max} fit")));
    }
    Ok(())
}

/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1024;
