//! What waits for one principal: messages it has not read, on their way, and what it owes.

use std::collections::{BTreeMap, VecDeque};

use roaring::RoaringTreemap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{DeliveryState, Transport};
use crate::id::{EventId, Principal, Seq, TaskId};
use crate::time::Timestamp;

/// A principal's mail. `handed`, `flights`, `no_more`, `waiting` and `quiet` speak of unread messages only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mailbox {
    /// Messages that are neither read nor withdrawn.
    pub unread: RoaringTreemap,
    /// Those that were handed over in the current generation.
    pub handed: RoaringTreemap,
    /// Those that a deliverer has taken, and how that went so far.
    pub flights: BTreeMap<Seq, Flight>,
    /// Those that are not told again in the current generation if they are taken back: they were told again once, or
    /// pulled while they were on their way.
    pub no_more: RoaringTreemap,
    /// Those that were never handed over and only may be under conditions.
    pub waiting: BTreeMap<Seq, Conditions>,
    /// Those that are not pushed, and about which nobody is reminded: of low priority, or beyond a limit.
    pub quiet: RoaringTreemap,
    /// What the principal owes.
    pub owed: BTreeMap<(Seq, ObligationKind), Obligation>,
    /// Counts the principal's sessions.
    pub generation: u64,
    /// Notices for the principal that were not shown to it, oldest first; at most [`MAX_NOTICES`], the newest.
    pub notices: VecDeque<Seq>,
}

/// How many notices wait for one principal; of more, the oldest are found on the ledger only.
pub const MAX_NOTICES: usize = 20;

/// A delivery that was begun and has not succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flight {
    /// How far it got.
    pub state: FlightState,
    /// The claim.
    pub delivery: EventId,
    /// The recipient's generation at that time.
    pub generation: u64,
    /// The door.
    pub transport: Transport,
    /// Who claimed it.
    pub by: Principal,
    /// The session that claimed it, whose lock tells whether it is still at it.
    pub session: Option<String>,
}

/// How far a delivery got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FlightState {
    /// A deliverer is at it.
    Claimed,
    /// The transport took it; nobody tries again in this generation.
    Handed,
    /// The agent's program holds it; nobody tries again in this generation.
    Queued,
    /// A deliverer is at it and cannot go on.
    Held,
    /// Certainly not handed over; may be tried again.
    Failed,
    /// This door did not take it; another may be tried.
    Refused,
    /// Taken back before the model saw it; may be tried again once in a generation.
    Withdrawn,
    /// Perhaps handed over; tried again in this generation only if somebody asks for it.
    Ambiguous,
    /// Perhaps handed over, and somebody asked for another try.
    Retried,
    /// There was nobody to hand it to; waits for the next generation or for a pull.
    Bounced,
}

impl FlightState {
    /// What a step of a try makes of it; `None` where the try is over and leaves nothing to remember.
    pub(super) fn after(step: &DeliveryState) -> Option<Self> {
        Some(match step {
            DeliveryState::Claimed => Self::Claimed,
            DeliveryState::Handed { .. } => Self::Handed,
            DeliveryState::Queued { .. } => Self::Queued,
            DeliveryState::Held { .. } => Self::Held,
            DeliveryState::Refused { .. } => Self::Refused,
            DeliveryState::Withdrawn { .. } => Self::Withdrawn,
            DeliveryState::Failed { .. } => Self::Failed,
            DeliveryState::Ambiguous { .. } | DeliveryState::Unknown(_) => Self::Ambiguous,
            DeliveryState::Retried => Self::Retried,
            DeliveryState::Bounced { .. } => Self::Bounced,
            DeliveryState::Accepted { .. }
            | DeliveryState::Answered { .. }
            | DeliveryState::Withheld { .. } => return None,
        })
    }

    /// Whether a deliverer still has to say something, so that its death matters.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Claimed | Self::Held)
    }

    /// Whether it may have reached the agent, although nobody has seen that.
    #[must_use]
    pub fn is_in_doubt(self) -> bool {
        matches!(self, Self::Claimed | Self::Handed | Self::Queued | Self::Held | Self::Ambiguous)
    }
}

/// Under what conditions a message may be handed over for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conditions {
    /// Not after this.
    pub expires_at: Option<Timestamp>,
    /// Not after what it asks for is due; with the time the group had been paused until it was sent.
    pub deadline: Option<(Timestamp, u64)>,
    /// Not if one of these messages was retracted, or superseded where the flag says so.
    pub not_if: Vec<(Seq, bool)>,
    /// Not if one of these tasks is closed.
    pub tasks: Vec<TaskId>,
    /// One of those was.
    pub broken: bool,
}

impl Conditions {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What somebody may owe somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObligationKind {
    /// To take note of a message of priority attention.
    Ack,
    /// To answer a message that requires it.
    Reply,
    /// To vote.
    Vote,
    /// To do a task.
    Task,
    /// To accept a task that is done, or to reopen it.
    Acceptance,
    /// To say whether an agent may do what it asks for.
    Approval,
}

impl ObligationKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ack, Self::Reply, Self::Vote, Self::Task, Self::Acceptance, Self::Approval];

    /// Those that a message asks for by itself.
    pub const OF_MESSAGE: [Self; 2] = [Self::Ack, Self::Reply];

    /// The kind as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Reply => "reply",
            Self::Vote => "vote",
            Self::Task => "task",
            Self::Acceptance => "acceptance",
            Self::Approval => "approval",
        }
    }
}

/// Who held an obligation since when: first the recipient of the message, then successor upon successor.
pub type Lineage = Vec<(Principal, Seq)>;

/// Something owed and open. Its debtor is the owner of the mailbox it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Obligation {
    /// The message that asked, or the event that opened the vote or made the task.
    pub source: EventId,
    /// Who asked.
    pub creditor: Principal,
    /// When it is due, not counting pauses since it was sent; see [`due_at`](super::GroupState::due_at).
    pub due_at: Option<Timestamp>,
    /// For how long the group had been paused before it was sent.
    pub paused_before_ms: u64,
    /// How it came to its debtor; more than one way if removed recipients left theirs to the same
    /// successor. Sorted.
    pub lineages: Vec<Lineage>,
    /// The message that began the thread in which it is owed.
    pub thread: Seq,
    /// What was said about it.
    pub told: Option<Told>,
}

/// How far the policies got with an obligation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// 1: its debtor was reminded; 2: others were told.
    pub level: u32,
    /// When, in running time: the group's pauses are taken out.
    pub at: Timestamp,
}

impl Mailbox {
    /// A notice waits to be shown.
    pub(super) fn notice(&mut self, seq: Seq) {
        self.notices.push_back(seq);
        if self.notices.len() > MAX_NOTICES {
            self.notices.pop_front();
        }
    }

    /// A message is no longer unread, whatever the reason.
    pub(super) fn leave(&mut self, seq: Seq) {
        if self.unread.remove(seq.0) {
            self.handed.remove(seq.0);
            self.no_more.remove(seq.0);
            self.flights.remove(&seq);
            self.waiting.remove(&seq);
            self.quiet.remove(seq.0);
        }
    }

    /// Takes out an unread message: whether it is quiet, and its conditions.
    pub(super) fn take(&mut self, seq: Seq) -> Option<(bool, Option<Conditions>)> {
        let taken = (self.quiet.contains(seq.0), self.waiting.get(&seq).cloned());
        let unread = self.unread.contains(seq.0);
        self.leave(seq);
        unread.then_some(taken)
    }

    /// Puts in what was taken out elsewhere, unless it is here already.
    pub(super) fn receive(&mut self, seq: Seq, quiet: bool, conditions: Option<Conditions>) {
        if self.unread.insert(seq.0) {
            if quiet {
                self.quiet.insert(seq.0);
            }
            if let Some(conditions) = conditions {
                self.waiting.insert(seq, conditions);
            }
        }
    }

    /// Everything up to `seq` is no longer unread.
    pub(super) fn leave_through(&mut self, seq: Seq) {
        let past = seq.0.saturating_add(1);
        self.unread.remove_range(..past);
        self.handed.remove_range(..past);
        self.no_more.remove_range(..past);
        self.quiet.remove_range(..past);
        self.flights = self.flights.split_off(&Seq(past));
        self.waiting = self.waiting.split_off(&Seq(past));
    }

    /// Nothing is owed any more for a message.
    pub(super) fn release(&mut self, source: Seq) {
        for kind in ObligationKind::OF_MESSAGE {
            self.owed.remove(&(source, kind));
        }
    }

    /// Takes over an obligation, which may join one for the same message.
    pub(super) fn owe(&mut self, source: Seq, kind: ObligationKind, mut obligation: Obligation) {
        if let Some(present) = self.owed.get_mut(&(source, kind)) {
            present.lineages.append(&mut obligation.lineages);
            present.lineages.sort();
            present.lineages.dedup();
        } else {
            self.owed.insert((source, kind), obligation);
        }
    }

    /// Ends the ways of an obligation for which `ended` holds, and it with the last of them.
    pub(super) fn prune(&mut self, source: Seq, kind: ObligationKind, ended: impl Fn(&Lineage) -> bool) {
        if let Some(obligation) = self.owed.get_mut(&(source, kind)) {
            obligation.lineages.retain(|lineage| !ended(lineage));
            if obligation.lineages.is_empty() {
                self.owed.remove(&(source, kind));
            }
        }
    }
}
