//! What the events so far amount to, in bounded memory.
//!
//! The state holds what is still going on: who is in the group, what is unread, on its way or owed. Of
//! a message that everybody has read and that owes nothing, nothing is left here; facts about it are
//! found on the ledger. The state decides nothing (that is [`rule`](crate::rule)) and never looks at a
//! clock: two processes that apply the same events have equal states.

mod actor;
mod apply;
mod approval;
mod context;
mod mailbox;
mod person;
mod pin;
mod policy;
mod question;
mod rate;
mod relay;
mod reservation;
mod schedule;
mod task;
mod times;
mod vote;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use actor::Departure;
pub use actor::{Actor, Session, Tombstone};
pub(crate) use apply::{asked_by, met_by_reply};
pub use approval::{Approval, MAX_DECIDED_APPROVALS};
pub use context::{AgentWord, Entry, EntryValue};
pub use mailbox::{
    Conditions, Flight, FlightState, Lineage, MAX_NOTICES, Mailbox, Obligation, ObligationKind, Told,
};
pub use person::Person;
pub use pin::Pin;
pub(crate) use policy::{ActorMemory, Memory};
pub use question::Question;
pub(crate) use rate::Rates;
pub use rate::{RATE, RATE_WINDOW};
pub use relay::Passage;
pub use reservation::Reservation;
pub use schedule::Schedule;
pub use task::{CheckItem, MAX_SETTLED_TASKS, MAX_UNCHECKED, Task, TaskStatus};
pub use vote::{MAX_CLOSED_VOTES, Vote};

use crate::error::{Error, Result};
use crate::event::{GroupMode, JoinPolicy, Role};
use crate::id::{
    ActorId, ApprovalId, ContextKey, GroupId, Label, PersonId, Principal, ReservationId, ScheduleId, Seq,
    TaskId, VoteId,
};
use crate::ledger::Position;
use crate::time::Timestamp;

/// How many removed actors and people are remembered, newest first to stay.
pub const MAX_TOMBSTONES: usize = 256;

/// Every so many messages the state notes where it is, see [`GroupState::remembers_key_at`].
const MARK_EVERY: u64 = 1_000;

/// How many marks are kept: together they span at least 100,000 messages.
const MAX_MARKS: usize = 101;

/// The projection of a group's ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    position: Position,
    created: bool,
    title: String,
    default_to: Vec<String>,
    join: JoinPolicy,
    /// Values as JSON text, which the saved form can hold.
    settings: BTreeMap<String, String>,
    mode: GroupMode,
    /// Directories by key.
    scopes: BTreeMap<String, String>,
    actors: BTreeMap<ActorId, Actor>,
    foreman: Option<ActorId>,
    /// Those beside the home's owner.
    people: BTreeMap<PersonId, Person>,
    tombstones: VecDeque<Tombstone>,
    /// Of every person and of every actor.
    mailboxes: BTreeMap<Principal, Mailbox>,
    paused_total_ms: u64,
    paused_since: Option<Timestamp>,
    messages: u64,
    gaps: u64,
    marks: VecDeque<Seq>,
    unsupported: Option<(Seq, String)>,
    /// The shared context.
    context: BTreeMap<ContextKey, Entry>,
    /// What actors of the group say of themselves.
    agents: BTreeMap<ActorId, AgentWord>,
    reservations: BTreeMap<ReservationId, Reservation>,
    votes: BTreeMap<VoteId, Vote>,
    /// The newest that were closed, in the order of their closing.
    closed_votes: VecDeque<VoteId>,
    /// Questions to which an answer is owed, by the message that asks.
    questions: BTreeMap<Seq, Question>,
    approvals: BTreeMap<ApprovalId, Approval>,
    /// The newest that were decided, in the order of their verdicts.
    decided_approvals: VecDeque<ApprovalId>,
    /// By message.
    pins: BTreeMap<Seq, Pin>,
    rates: Rates,
    memory: Memory,
    schedules: BTreeMap<ScheduleId, Schedule>,
    tasks: BTreeMap<TaskId, Task>,
    /// Those of them for which nothing is owed any more, oldest first.
    settled_tasks: VecDeque<TaskId>,
    /// What is to be copied into other groups, by message and group.
    relays: BTreeMap<Seq, BTreeMap<GroupId, Passage>>,
}

impl GroupState {
    /// Version of the saved form; checkpoints of another version are left alone.
    pub const SCHEMA: u32 = 5;

    /// Before the first event.
    #[must_use]
    pub fn new(group_id: &GroupId) -> Self {
        Self {
            position: Position::start(group_id),
            created: false,
            title: String::new(),
            default_to: Vec::new(),
            join: JoinPolicy::default(),
            settings: BTreeMap::new(),
            mode: GroupMode::default(),
            scopes: BTreeMap::new(),
            actors: BTreeMap::new(),
            foreman: None,
            people: BTreeMap::new(),
            tombstones: VecDeque::new(),
            mailboxes: BTreeMap::from([(Principal::User, Mailbox::default())]),
            paused_total_ms: 0,
            paused_since: None,
            messages: 0,
            gaps: 0,
            marks: VecDeque::new(),
            unsupported: None,
            context: BTreeMap::new(),
            agents: BTreeMap::new(),
            reservations: BTreeMap::new(),
            votes: BTreeMap::new(),
            closed_votes: VecDeque::new(),
            questions: BTreeMap::new(),
            approvals: BTreeMap::new(),
            decided_approvals: VecDeque::new(),
            pins: BTreeMap::new(),
            rates: Rates::default(),
            memory: Memory::default(),
            schedules: BTreeMap::new(),
            tasks: BTreeMap::new(),
            settled_tasks: VecDeque::new(),
            relays: BTreeMap::new(),
        }
    }

    /// The saved form, for a checkpoint.
    ///
    /// # Errors
    /// `Invalid` if it cannot be encoded, which no state can cause that came from events.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(|source| Error::invalid("the state cannot be saved").source(source))
    }

    /// Reads the saved form of this [`SCHEMA`](Self::SCHEMA).
    ///
    /// # Errors
    /// `Invalid` for bytes that are no such form; the state is then rebuilt from the ledger.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (state, rest) = postcard::take_from_bytes::<Self>(bytes)
            .map_err(|source| Error::invalid("these bytes are no saved state").source(source))?;
        if !rest.is_empty() {
            return Err(Error::invalid("these bytes are no saved state: something follows it"));
        }
        Ok(state)
    }

    /// Up to where events have been applied.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many of the events were lost, and have a gap in their place.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Whether `group.create` has been applied.
    #[must_use]
    pub fn is_created(&self) -> bool {
        self.created
    }

    /// What people call the group.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where a message without an address goes; empty: the foreman.
    #[must_use]
    pub fn default_to(&self) -> &[String] {
        &self.default_to
    }

    /// Who may join by itself.
    #[must_use]
    pub fn join(&self) -> JoinPolicy {
        self.join
    }

    /// The settings, by name.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, serde_json::Value> {
        let parse = |(name, text): (&String, &String)| Some((name.clone(), serde_json::from_str(text).ok()?));
        self.settings.iter().filter_map(parse).collect()
    }

    /// What the group is doing.
    #[must_use]
    pub fn mode(&self) -> GroupMode {
        self.mode
    }

    /// The group's directories, by key.
    #[must_use]
    pub fn scopes(&self) -> &BTreeMap<String, String> {
        &self.scopes
    }

    /// The actors that are in the group.
    #[must_use]
    pub fn actors(&self) -> &BTreeMap<ActorId, Actor> {
        &self.actors
    }

    /// One actor, if it is in the group.
    #[must_use]
    pub fn actor(&self, id: &ActorId) -> Option<&Actor> {
        self.actors.get(id)
    }

    /// The foreman, if there is one.
    #[must_use]
    pub fn foreman(&self) -> Option<&ActorId> {
        self.foreman.as_ref()
    }

    /// An actor's role.
    #[must_use]
    pub fn role(&self, id: &ActorId) -> Role {
        if self.foreman.as_ref() == Some(id) { Role::Foreman } else { Role::Peer }
    }

    /// Who has a label, in order of id.
    pub fn with_label<'a>(&'a self, label: &'a Label) -> impl Iterator<Item = &'a ActorId> {
        self.actors.iter().filter(|(_, actor)| actor.labels.contains(label)).map(|(id, _)| id)
    }

    /// The people of the group beside the home's owner.
    #[must_use]
    pub fn people(&self) -> &BTreeMap<PersonId, Person> {
        &self.people
    }

    /// Actors and people that were removed, oldest first; at most [`MAX_TOMBSTONES`].
    #[must_use]
    pub fn tombstones(&self) -> &VecDeque<Tombstone> {
        &self.tombstones
    }

    /// What waits for a principal; only people and actors of the group have a mailbox.
    #[must_use]
    pub fn mailbox(&self, principal: &Principal) -> Option<&Mailbox> {
        self.mailboxes.get(principal)
    }

    /// All mailboxes.
    #[must_use]
    pub fn mailboxes(&self) -> &BTreeMap<Principal, Mailbox> {
        &self.mailboxes
    }

    /// How many messages were ever sent.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The first event of a newer version that forbids this one to write to the group.
    #[must_use]
    pub fn unsupported(&self) -> Option<(Seq, &str)> {
        self.unsupported.as_ref().map(|(seq, kind)| (*seq, kind.as_str()))
    }

    /// How much is sent to whom.
    pub(crate) fn rates(&self) -> &Rates {
        &self.rates
    }

    /// What the policies remember.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The schedules, by name.
    #[must_use]
    pub fn schedules(&self) -> &BTreeMap<ScheduleId, Schedule> {
        &self.schedules
    }

    /// For how long the group has been paused altogether, by `now`.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Duration {
        let running = self.paused_since.map_or(Duration::ZERO, |since| now.since(since));
        Duration::from_millis(self.paused_total_ms).saturating_add(running)
    }

    /// When an obligation is due, as of `now`: each moment of pause moves it by that much.
    #[must_use]
    pub fn due_at(&self, obligation: &Obligation, now: Timestamp) -> Option<Timestamp> {
        obligation.due_at.map(|due| self.after_pauses(due, obligation.paused_before_ms, now))
    }

    /// A time that was set when the group had been paused for so long, moved by the pauses since.
    fn after_pauses(&self, at: Timestamp, paused_before_ms: u64, now: Timestamp) -> Timestamp {
        at.after(self.paused_until(now).saturating_sub(Duration::from_millis(paused_before_ms)))
    }

    /// The entries of the shared context, by key.
    #[must_use]
    pub fn context(&self) -> &BTreeMap<ContextKey, Entry> {
        &self.context
    }

    /// What actors say they are doing; those that say nothing are not in it.
    #[must_use]
    pub fn agents(&self) -> &BTreeMap<ActorId, AgentWord> {
        &self.agents
    }

    /// The reservations that nobody ended, oldest first; whether one has lapsed is for the clock to say.
    #[must_use]
    pub fn reservations(&self) -> &BTreeMap<ReservationId, Reservation> {
        &self.reservations
    }

    /// The votes that are not closed, oldest first.
    #[must_use]
    pub fn votes(&self) -> &BTreeMap<VoteId, Vote> {
        &self.votes
    }

    /// The votes that were closed last, at most [`MAX_CLOSED_VOTES`], in the order of their closing.
    #[must_use]
    pub fn closed_votes(&self) -> &VecDeque<VoteId> {
        &self.closed_votes
    }

    /// The questions with options to which somebody owes an answer, oldest first.
    #[must_use]
    pub fn questions(&self) -> &BTreeMap<Seq, Question> {
        &self.questions
    }

    /// The requests for approval that are not decided, oldest first.
    #[must_use]
    pub fn approvals(&self) -> &BTreeMap<ApprovalId, Approval> {
        &self.approvals
    }

    /// The requests that were decided last, at most [`MAX_DECIDED_APPROVALS`], in the order of their verdicts.
    #[must_use]
    pub fn decided_approvals(&self) -> &VecDeque<ApprovalId> {
        &self.decided_approvals
    }

    /// What is pinned, by message.
    #[must_use]
    pub fn pins(&self) -> &BTreeMap<Seq, Pin> {
        &self.pins
    }

    /// Whether a message at `seq` is among the newest 100,000, whose keys are never forgotten.
    #[must_use]
    pub fn remembers_key_at(&self, seq: Seq) -> bool {
        self.marks.len() < MAX_MARKS || self.marks.front().is_none_or(|oldest| seq >= *oldest)
    }

    /// Whether a principal was there when the event at `seq` was written, and still is, as the same
    /// incarnation. The user, the system, services and other groups' principals always were.
    #[must_use]
    pub fn present_since(&self, principal: &Principal, seq: Seq) -> bool {
        match principal {
            Principal::Actor(id) => self.actors.get(id).is_some_and(|actor| actor.incarnation < seq),
            Principal::Person(name) => self.people.get(name).is_some_and(|person| person.incarnation < seq),
            Principal::User | Principal::System | Principal::Service(_) | Principal::Remote(_) => true,
        }
    }

    /// The removal that ended the incarnation of an actor or person who was there at `seq`, if it is remembered.
    #[must_use]
    pub fn removal_after(&self, who: &Principal, seq: Seq) -> Option<&Tombstone> {
        let ended = |t: &&Tombstone| t.who == *who && t.incarnation < seq && seq < t.removed_seq;
        self.tombstones.iter().find(ended)
    }
}
