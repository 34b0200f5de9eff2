//! What an agent is told at which moment of its work.
//!
//! A hook of the agent's program asks at the moments that there are; what is worth interrupting it for is
//! decided here. What is handed over is claimed first and is handed over once in a session; messages of low
//! priority and those beyond a limit are never pushed. Nothing is said while the group rests.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{GroupMode, Transport};
use crate::id::{Principal, Seq};
use crate::rule::obligation::{self, Filter, ObligationView};
use crate::rule::{delivery, reading};
use crate::state::{FlightState, GroupState, Mailbox, ObligationKind};
use crate::time::Timestamp;

/// The most messages that are handed over at a time.
pub const MAX_HANDED: usize = 20;
/// The most of what is owed that is named at a time.
pub const MAX_NAMED: usize = 6;
/// What is due within this time is worth an interruption.
pub const DUE_SOON: Duration = Duration::from_secs(10 * 60);
/// How often in a row the end of a turn is put off.
pub const MAX_STOPS: u32 = 5;
/// How often a tool is denied for the same unread mail.
pub const MAX_DENIALS: u32 = 3;

/// A moment in the work of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Its session begins, goes on after its context was cleared or shortened, or is resumed.
    Start,
    /// The person said something, and its turn begins.
    Prompt,
    /// It is about to use a tool, and may not before it has its mail.
    BeforeTool,
    /// It has used a tool and works on.
    Tool,
    /// It is about to end its turn.
    Stop,
}

/// What was said before, in the same session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// What was named as owed; in mid-turn it is not named again.
    pub owed: BTreeSet<(Seq, ObligationKind)>,
    /// What was named as owed at the end of a turn; there it is not named again.
    pub owed_at_stop: BTreeSet<(Seq, ObligationKind)>,
    /// How often in a row the end of a turn was put off.
    pub stops: u32,
    /// The newest message for which tools were denied, and how often.
    pub denied: Option<(Seq, u32)>,
}

impl Said {
    /// Takes note of what was named as owed. What an agent was told earlier in its turn does not count at the end:
    /// there it has had its time.
    pub fn named(&mut self, moment: Moment, debts: impl IntoIterator<Item = (Seq, ObligationKind)>) {
        for debt in debts {
            self.owed.insert(debt);
            if moment == Moment::Stop {
                self.owed_at_stop.insert(debt);
            }
        }
    }
}

/// What shall be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Messages to hand over, the urgent ones first, then by age.
    pub hand: Vec<Seq>,
    /// Unread messages that are only named: they were handed over before, or may have been.
    pub again: Vec<Seq>,
    /// What is owed and worth naming, the most urgent first.
    pub owed: Vec<ObligationView>,
    /// How many unread messages were not handed over to this session, with those that shall be.
    pub waiting: u64,
    /// Whether a tool is to wait until that is read.
    pub denies: bool,
}

impl Chosen {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.hand.is_empty() && self.again.is_empty() && self.owed.is_empty() && !self.denies
    }
}

/// What a principal is told at a moment.
#[must_use]
pub fn choose(state: &GroupState, by: &Principal, moment: Moment, said: &Said, now: Timestamp) -> Chosen {
    let (Some(mailbox), GroupMode::Active | GroupMode::Idle) = (state.mailbox(by), state.mode()) else {
        return Chosen::default();
    };
    let soon = |seq: Seq| is_urgent(state, mailbox, seq, now);
    // Worked out on the sets, because an inbox may have a million messages and a hook a few milliseconds.
    let fresh = &(&mailbox.unread - &mailbox.handed) - &mailbox.quiet;
    let pushed = |seq: &Seq| may_be_pushed(state, mailbox, *seq, now);
    let mut hand: Vec<Seq> = if moment == Moment::Tool {
        // Nothing is urgent that asks for nothing.
        let asked = mailbox.owed.keys().map(|(seq, _)| *seq).filter(|seq| fresh.contains(seq.0));
        asked.filter(|seq| soon(*seq)).filter(pushed).take(MAX_HANDED * 4).collect()
    } else {
        fresh.iter().map(Seq).filter(pushed).take(MAX_HANDED * 4).collect()
    };
    // One that asks for two things is one.
    hand.dedup();
    hand.sort_by_key(|seq| (!soon(*seq), *seq));
    hand.truncate(MAX_HANDED);
    let mut owed = owed(state, by, now);
    // What comes with its message is said by the message.
    owed.retain(|one| !hand.contains(&one.source.seq));
    let before = if moment == Moment::Stop { &said.owed_at_stop } else { &said.owed };
    let named = |one: &ObligationView| before.contains(&(one.source.seq, one.kind));
    match moment {
        Moment::Start => {}
        Moment::Prompt | Moment::BeforeTool => owed.clear(),
        Moment::Tool => {
            owed.retain(|one| !named(one) && one.due_at.is_some_and(|at| at <= now.after(DUE_SOON)))
        }
        Moment::Stop => owed.retain(|one| !named(one)),
    }
    if moment == Moment::Stop && said.stops >= MAX_STOPS {
        return Chosen::default();
    }
    owed.truncate(MAX_NAMED);
    let denies = moment == Moment::BeforeTool && denies(mailbox, said, &hand);
    let names = moment == Moment::Start || (denies && hand.is_empty());
    let again = if names { told_before(state, mailbox, now) } else { Vec::new() };
    let waiting = reading::unread_count(state, by, now).saturating_sub(mailbox.handed.len());
    Chosen { hand, again, owed, waiting, denies }
}

/// Whether tools wait: there is mail that may be pushed and is not read, and that was not held against the
/// agent too often. An agent that does not read is annoyed, never locked out.
fn denies(mailbox: &Mailbox, said: &Said, hand: &[Seq]) -> bool {
    let handed = (&mailbox.handed - &mailbox.quiet).max().map(Seq);
    let newest = hand.iter().copied().chain(handed).max();
    newest.is_some_and(|newest| match said.denied {
        Some((seq, times)) if seq >= newest => times < MAX_DENIALS,
        _ => true,
    })
}

/// The message for which tools are denied, to be counted.
#[must_use]
pub fn denied_for(state: &GroupState, by: &Principal) -> Option<Seq> {
    let mailbox = state.mailbox(by)?;
    (&mailbox.unread - &mailbox.quiet).max().map(Seq)
}

/// What a principal owes, the most urgent first.
fn owed(state: &GroupState, by: &Principal, now: Timestamp) -> Vec<ObligationView> {
    let filter = Filter { debtor: Some(by.clone()), ..Filter::default() };
    let mut owed = obligation::list(state, &filter, now);
    owed.sort_by_key(|one| (one.due_at.is_none(), one.due_at, one.source.seq));
    owed
}

/// Whether a message asks for attention, or for an answer soon.
fn is_urgent(state: &GroupState, mailbox: &Mailbox, seq: Seq, now: Timestamp) -> bool {
    ObligationKind::OF_MESSAGE.iter().any(|kind| {
        mailbox.owed.get(&(seq, *kind)).is_some_and(|owed| {
            let due_soon = state.due_at(owed, now).is_some_and(|at| at <= now.after(DUE_SOON));
            *kind == ObligationKind::Ack || due_soon
        })
    })
}

/// Whether an unread message that this session was not handed may be handed over without being asked for.
fn may_be_pushed(state: &GroupState, mailbox: &Mailbox, seq: Seq, now: Timestamp) -> bool {
    let flight = mailbox.flights.get(&seq);
    let free =
        flight.is_none_or(|flight| delivery::may_try_again(mailbox, seq, flight, Transport::Hook).is_ok());
    free && delivery::withheld(state, mailbox, seq, now).is_none()
}

/// What is unread although this session has it or may have it, oldest first.
fn told_before(state: &GroupState, mailbox: &Mailbox, now: Timestamp) -> Vec<Seq> {
    let lost = mailbox.flights.iter().filter(|(_, flight)| flight.state == FlightState::Ambiguous);
    let lost = lost.map(|(seq, _)| *seq).filter(|seq| !may_be_pushed(state, mailbox, *seq, now));
    let mut told: Vec<Seq> = mailbox.handed.iter().map(Seq).take(MAX_HANDED).collect();
    told.extend(lost.take(MAX_HANDED));
    told.sort_unstable();
    told.dedup();
    told.truncate(MAX_HANDED);
    told
}

#[cfg(test)]
mod tests;
