//! A group without a ledger, for tests: commands in, events and answers out, all in memory.
//!
//! It does what the engine does around the rules (read what is needed, decide, encode, apply), with a
//! clock that the test sets, and everything found by looking through all events.

#![expect(clippy::indexing_slicing, reason = "a test that names a line that is not there should fail")]

use std::time::Duration;

use crate::command::{AddActor, Command, SendMessage};
use crate::error::Result;
use crate::event::{Body, Event, GroupCreate, GroupMode, GroupSetState, Via};
use crate::id::{EventId, EventRef, GroupId, Nonce, Principal, Seq};
use crate::ledger::{Encoder, RawLine, Stamp, codec};
use crate::rule::obligation::{self, Filter, ObligationView};
use crate::rule::receipt::{self, Receipt};
use crate::rule::{Call, Known, Resolved, decide, needs, reading};
use crate::state::GroupState;
use crate::time::Timestamp;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Desk {
    group_id: GroupId,
    state: GroupState,
    /// Lines as a ledger would hold them, by seq.
    lines: Vec<Vec<u8>>,
    /// What they say.
    events: Vec<Event>,
    /// The writer's clock.
    pub now: Timestamp,
    /// The session in whose name commands are given.
    pub session: Option<String>,
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// The events that were written.
    pub events: Vec<Event>,
    /// What had done it before.
    pub duplicate: Option<EventId>,
}

impl Done {
    /// The first event's seq, or the duplicate's; 0 if nothing was written.
    #[must_use]
    pub fn seq(&self) -> Seq {
        let first = self.events.first().map(|event| event.seq);
        first.or(self.duplicate.map(|id| id.seq)).unwrap_or_default()
    }

    /// The kinds of the events that were written.
    #[must_use]
    pub fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.body.kind()).collect()
    }
}

/// A principal, by the way it is written.
///
/// # Panics
/// If that is none.
#[must_use]
pub fn who(text: &str) -> Principal {
    text.parse().expect("a principal")
}

/// An event, by its number.
#[must_use]
pub fn event(seq: Seq) -> EventRef {
    seq.to_string().parse().expect("a seq above 0")
}

/// A plain message to these addresses.
#[must_use]
pub fn message(text: &str, to: &[&str]) -> SendMessage {
    SendMessage {
        text: text.into(),
        to: to.iter().map(|address| (*address).to_owned()).collect(),
        ..SendMessage::default()
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// Nothing, not even a group.
    #[must_use]
    pub fn new() -> Self {
        let group_id = GroupId::new("g").expect("a valid id");
        Self {
            state: GroupState::new(&group_id),
            group_id,
            lines: Vec::new(),
            events: Vec::new(),
            now: Timestamp::from_millis(1_800_000_000_000),
            session: None,
        }
    }

    /// A group to which the user has added these actors; the first leads.
    #[must_use]
    pub fn with(actors: &[&str]) -> Self {
        let mut desk = Self::new();
        desk.run("user", Command::CreateGroup(GroupCreate::default())).expect("a group");
        for id in actors {
            let add = AddActor::new(id.parse().expect("an actor's id"));
            desk.run("user", Command::AddActor(add)).expect("an actor");
        }
        desk
    }

    /// Gives a command as `by`.
    ///
    /// # Errors
    /// The rule's refusal.
    pub fn run(&mut self, by: &str, command: Command) -> Result<Done> {
        let call = Call { by: who(by), now: self.now };
        let resolved = self.resolve(&call, &command);
        let decision = decide(&self.state, &call, &command, &resolved)?;
        let via = self.session.clone().map(|session| Via { door: "test".into(), session: Some(session) });
        let stamp = Stamp { ts: self.now, by: call.by, via, scope_key: "".into() };
        let mut encoder = Encoder::new(self.group_id.clone(), self.state.position(), Seq(u64::MAX));
        let mut bits = self.state.position().seq.0;
        let nonce = || {
            bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            Nonce::from_bits(bits >> 20)
        };
        let events = encoder.push(decision.drafts, &stamp, nonce)?;
        let batch = encoder.finish();
        let mut rest = batch.bytes.as_slice();
        for len in &batch.lens {
            let (line, after) = rest.split_at(usize::try_from(*len).expect("a length"));
            self.lines.push(line.to_vec());
            rest = after;
        }
        for event in &events {
            self.state.apply(event);
            self.events.push(event.clone());
        }
        Ok(Done { events, duplicate: decision.duplicate })
    }

    /// What the rules ask to be read.
    fn resolve(&self, call: &Call, command: &Command) -> Resolved {
        let needs = needs(&self.state, call, command);
        let known = |seq: Seq| {
            let line = RawLine::split(self.line(seq)?).expect("a line");
            Some((seq, Known { event: self.event(seq)?.clone(), data_hash: line.data_hash() }))
        };
        let keyed = |event: &&Event| needs.key.is_some() && event.index_terms().key == needs.key;
        Resolved {
            events: needs.events.iter().filter_map(|seq| known(*seq)).collect(),
            facts: needs.facts_of.iter().map(|seq| (*seq, self.facts(*seq))).collect(),
            keyed: self.events.iter().rev().filter(keyed).cloned().collect(),
        }
    }

    fn line(&self, seq: Seq) -> Option<&[u8]> {
        self.lines.get(usize::try_from(seq.0.checked_sub(1)?).ok()?).map(Vec::as_slice)
    }

    /// The event at a place.
    #[must_use]
    pub fn event(&self, seq: Seq) -> Option<&Event> {
        self.events.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
    }

    /// All events.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What later events say of the one at `seq`.
    #[must_use]
    pub fn facts(&self, seq: Seq) -> Vec<Event> {
        self.events.iter().filter(|event| event.index_terms().targets.contains(&seq)).cloned().collect()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    /// The state as somebody derives it who has only the lines.
    #[must_use]
    pub fn rebuilt(&self) -> GroupState {
        let mut state = GroupState::new(&self.group_id);
        for line in &self.lines {
            state.apply(
                &RawLine::split(line).and_then(|line| line.parse().map_err(|_| "event")).expect("an event"),
            );
        }
        state
    }

    /// Replaces the data of an event by its hash, as the ledger does after `chat.redact`.
    pub fn forget(&mut self, seq: Seq) {
        let at = usize::try_from(seq.0 - 1).expect("a seq");
        let line = &mut self.lines[at];
        let raw = RawLine::split(line).expect("a line");
        let (range, hash) = (raw.data_range(), raw.data_hash());
        let replacement = codec::redaction(&hash, range.len()).expect("enough room");
        line[range].copy_from_slice(&replacement);
        self.events[at].body = Body::Redacted { kind: self.events[at].body.kind().into() };
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    /// Sends a message that must be accepted; answers where it stands.
    pub fn send(&mut self, by: &str, send: SendMessage) -> Seq {
        self.run(by, Command::Send(send)).expect("to be sent").seq()
    }

    /// Answers a message; answers where the reply stands.
    pub fn reply(&mut self, by: &str, to: Seq, progress: bool) -> Seq {
        let reply = SendMessage { reply_to: Some(event(to)), progress, ..message("re", &[]) };
        self.send(by, reply)
    }

    /// Takes over the whole inbox.
    ///
    /// # Errors
    /// The rule's refusal.
    pub fn pull(&mut self, by: &str, mark_read: bool) -> Result<Done> {
        let unread = self.state.mailbox(&who(by)).map(|mailbox| mailbox.unread.clone()).unwrap_or_default();
        let ids = unread.iter().filter_map(|seq| Some(self.event(Seq(seq))?.id)).take(reading::MAX_EVENTS);
        let events = ids.collect();
        self.run(by, Command::Pull { events, mark_read })
    }

    /// Changes what the group is doing, as the user.
    pub fn mode(&mut self, state: GroupMode) {
        let set = GroupSetState { state, reason: String::new() };
        self.run("user", Command::SetState(set)).expect("to be allowed");
    }

    /// Receipts of a message.
    #[must_use]
    pub fn receipts(&self, seq: Seq) -> Vec<Receipt> {
        let Some(message) = self.event(seq) else { return Vec::new() };
        receipt::receipts(&self.state, message, &self.facts(seq), self.now)
    }

    /// The receipt of one recipient, as a line.
    #[must_use]
    pub fn receipt(&self, seq: Seq, recipient: &str) -> String {
        let found = self.receipts(seq).into_iter().find(|receipt| receipt.recipient == who(recipient));
        found.map_or_else(String::new, |receipt| receipt.to_string())
    }

    /// Everything that is owed, as `debtor kind source`.
    #[must_use]
    pub fn owed(&self) -> Vec<String> {
        let show =
            |view: ObligationView| format!("{} {} {}", view.debtor, view.kind.as_str(), view.source.seq);
        obligation::list(&self.state, &Filter::default(), self.now).into_iter().map(show).collect()
    }

    /// What a principal has not read.
    #[must_use]
    pub fn unread(&self, principal: &str) -> Vec<u64> {
        let unread = reading::unread(&self.state, &who(principal), Seq(1), usize::MAX, self.now);
        unread.into_iter().map(|seq| seq.0).collect()
    }
}
