//! What stands on a ledger: the envelope, and every kind of event as typed data.
//!
//! An event never changes meaning once a version of this crate has written it; fields may be added.
//! Kinds this version does not know are carried along verbatim as [`Body::Unknown`].

#[macro_use]
mod word;

mod admin;
mod approval;
mod chat;
mod context;
mod delivery;
mod gap;
mod notice;
mod reservation;
mod schedule;
mod task;
mod vote;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use admin::{
    ActorAdd, ActorRemove, ActorUpdate, GroupAttach, GroupCreate, GroupDetachScope, GroupMode, GroupSetState,
    GroupUpdate, JoinPolicy, PersonAdd, PersonRemove, Role, SessionClose, SessionOpen,
};
pub use approval::{ApprovalDecide, ApprovalOpen, Verdict};
pub use chat::{
    Attachment, CancelCause, ChatAck, ChatCancel, ChatMessage, ChatMove, ChatPin, ChatRead, ChatRedact,
    ChatRetract, ChatUnpin, Format, NotIf, Priority, RelayTarget,
};
pub use context::{AgentState, ContextSet, ContextValue, Service, WaitingFor};
pub use delivery::{DeliveryState, LaterState, RuntimeDelivery, Transport, WithholdReason, Witness};
pub use gap::LedgerGap;
pub use notice::{SystemNotify, SystemSeen};
pub use reservation::{ReservationExtend, ReservationRelease, ReservationTake};
pub use schedule::{
    ActorRestart, ActorStart, ActorStop, FiredResult, ScheduleAction, ScheduleFired, ScheduleRemove,
    ScheduleSet, Trigger, Wish,
};
pub use task::{Evidence, EvidenceKind, TaskCreate, TaskOp, TaskUpdate};
pub use vote::{Choice, VoteCast, VoteClose, VoteOpen, VoteOutcome};

use crate::error::{Error, Result};
use crate::id::{EventId, GroupId, Principal, Seq};
use crate::ledger::Chain;
use crate::time::Timestamp;

/// Through which door a command came in. Attribution for people; no rule reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Via {
    /// The frontend: `rust`, `cli`, `mcp`, `py`, `node`...
    pub door: String,
    /// The agent session that was bound, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// One fact, as it stands on a ledger.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place: dense, from 1.
    pub seq: Seq,
    /// Its id, which contains the seq.
    pub id: EventId,
    /// When the writer's clock said it happened. Clocks jump; order is by `seq`.
    pub ts: Timestamp,
    /// The group it belongs to.
    pub group_id: GroupId,
    /// The directory it was written from, as the key of one of the group's scopes; may be empty.
    pub scope_key: Arc<str>,
    /// Who did it: the principal the writing handle was bound to.
    pub by: Principal,
    /// Through which door.
    pub via: Option<Via>,
    /// Whether a reader that does not know this kind must not write to the group.
    pub must: bool,
    /// The chain up to and including this event.
    pub chain: Chain,
    /// What happened.
    pub body: Body,
}

impl Event {
    /// The message, if this is one (and was not redacted).
    #[must_use]
    pub fn message(&self) -> Option<&ChatMessage> {
        match &self.body {
            Body::ChatMessage(message) => Some(message),
            _ => None,
        }
    }

    /// If this only stands in the place of an event that was lost (`ledger.gap`): the error for whoever asks for that
    /// one.
    #[must_use]
    pub fn lost(&self) -> Option<Error> {
        match &self.body {
            Body::LedgerGap(gap) => Some(gap.lost(self.seq)),
            _ => None,
        }
    }

    /// Whether this is of one of these kinds, or of a kind below one (`chat` for all of `chat.*`). No
    /// kinds at all means any kind.
    #[must_use]
    pub fn is_of_kind<K: AsRef<str>>(&self, kinds: &[K]) -> bool {
        let below = |wanted: &K| {
            let rest = self.body.kind().strip_prefix(wanted.as_ref());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        kinds.is_empty() || kinds.iter().any(below)
    }
}

/// Declares [`Body`] with its kinds, so that name, parser and writer cannot disagree.
macro_rules! bodies {
    ($($kind:literal => $variant:ident,)*) => {
        /// The data of an event, by kind.
        // Most events are messages: boxing them would cost an allocation each to save nothing.
        #[expect(clippy::large_enum_variant, reason = "the large variant is by far the most frequent")]
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Body {
            $(#[doc = concat!("`", $kind, "`")] $variant($variant),)*
            /// A message (or other event) whose data the user had removed; the ledger keeps its hash.
            Redacted {
                /// The kind that it was.
                kind: Arc<str>,
            },
            /// A kind that this version does not know, kept as it was written.
            Unknown {
                /// The kind.
                kind: Arc<str>,
                /// Its data, verbatim.
                data: Box<RawValue>,
            },
        }

        /// Every kind that this version knows.
        pub const KINDS: &[&str] = &[$($kind),*];

        impl Body {
            /// The kind, as written.
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    Self::Redacted { kind } | Self::Unknown { kind, .. } => kind,
                }
            }

            /// The data as JSON, exactly as it goes on the ledger.
            pub fn data_json(&self) -> Result<String> {
                let json = match self {
                    $(Self::$variant(data) => serde_json::to_string(data),)*
                    Self::Redacted { .. } => {
                        return Err(Error::invalid("a redacted event cannot be written again"));
                    }
                    Self::Unknown { data, .. } => return Ok(data.get().to_owned()),
                };
                json.map_err(|source| Error::invalid("event data cannot be written as JSON").source(source))
            }

            /// Reads the JSON data of a kind. Unknown kinds are no error; unknown fields are ignored.
            pub fn parse(kind: &str, data: &str) -> serde_json::Result<Self> {
                if crate::ledger::is_redacted(data.as_bytes()) {
                    return Ok(Self::Redacted { kind: kind.into() });
                }
                match kind {
                    $($kind => serde_json::from_str(data).map(Self::$variant),)*
                    _ => {
                        let data = RawValue::from_string(data.to_owned())?;
                        Ok(Self::Unknown { kind: kind.into(), data })
                    }
                }
            }

            /// The JSON schema of each kind's data, by kind.
            #[must_use]
            pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($kind, schemars::schema_for!($variant)),)*]
            }
        }

        $(impl From<$variant> for Body {
            fn from(data: $variant) -> Self {
                Self::$variant(data)
            }
        })*
    };
}

bodies! {
    "group.create" => GroupCreate,
    "group.update" => GroupUpdate,
    "group.attach" => GroupAttach,
    "group.detach_scope" => GroupDetachScope,
    "group.set_state" => GroupSetState,
    "actor.add" => ActorAdd,
    "actor.update" => ActorUpdate,
    "actor.remove" => ActorRemove,
    "person.add" => PersonAdd,
    "person.remove" => PersonRemove,
    "session.open" => SessionOpen,
    "session.close" => SessionClose,
    "chat.message" => ChatMessage,
    "chat.read" => ChatRead,
    "chat.ack" => ChatAck,
    "chat.cancel" => ChatCancel,
    "chat.move" => ChatMove,
    "chat.retract" => ChatRetract,
    "chat.redact" => ChatRedact,
    "chat.pin" => ChatPin,
    "chat.unpin" => ChatUnpin,
    "runtime.delivery" => RuntimeDelivery,
    "context.set" => ContextSet,
    "agent.state" => AgentState,
    "reservation.take" => ReservationTake,
    "reservation.extend" => ReservationExtend,
    "reservation.release" => ReservationRelease,
    "vote.open" => VoteOpen,
    "vote.cast" => VoteCast,
    "vote.close" => VoteClose,
    "approval.open" => ApprovalOpen,
    "approval.decide" => ApprovalDecide,
    "system.notify" => SystemNotify,
    "system.seen" => SystemSeen,
    "schedule.set" => ScheduleSet,
    "schedule.remove" => ScheduleRemove,
    "schedule.fired" => ScheduleFired,
    "actor.start" => ActorStart,
    "actor.stop" => ActorStop,
    "actor.restart" => ActorRestart,
    "task.create" => TaskCreate,
    "task.update" => TaskUpdate,
    "ledger.gap" => LedgerGap,
}

/// What an event contributes to the ledger's index, so that facts about old messages are found on
/// disk instead of being held in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexTerms {
    /// Earlier events that this one says something about.
    pub targets: Vec<Seq>,
    /// Hash of (by, client_id), if the event has a client_id.
    pub key: Option<u64>,
    /// Who wrote it or is spoken to or of.
    pub involved: Vec<Principal>,
}

/// The hash under which a message with a client_id is found again.
#[must_use]
pub fn key_hash(by: &Principal, client_id: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(by.to_string().as_bytes());
    hasher.update(b"\0");
    hasher.update(client_id.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

impl Event {
    /// See [`IndexTerms`].
    #[must_use]
    pub fn index_terms(&self) -> IndexTerms {
        let mut terms = IndexTerms { involved: vec![self.by.clone()], ..IndexTerms::default() };
        match &self.body {
            Body::ChatMessage(m) => {
                terms.targets.extend(m.reply_to.iter().chain(&m.supersedes).map(|id| id.seq));
                terms.key = m.client_id.as_deref().map(|key| key_hash(&self.by, key));
                terms.involved.extend(m.recipients.iter().cloned());
            }
            Body::ChatRead(read) => {
                terms.targets.extend(read.event_ids.iter().map(|id| id.seq));
                terms.involved.push(read.actor_id.clone());
            }
            Body::ChatAck(ack) => {
                terms.targets.push(ack.event_id.seq);
                terms.involved.push(ack.actor_id.clone());
            }
            Body::ChatCancel(cancel) => terms.targets.push(cancel.event_id.seq),
            Body::ChatMove(moved) => {
                terms.targets.extend(moved.event_ids.iter().map(|id| id.seq));
                terms.involved.extend([moved.from.clone(), moved.to.clone()]);
            }
            Body::ChatRetract(retract) => terms.targets.push(retract.event_id.seq),
            Body::ChatPin(pin) => terms.targets.push(pin.event_id.seq),
            Body::ChatUnpin(unpin) => terms.targets.push(unpin.event_id.seq),
            Body::ChatRedact(redact) => {
                terms.targets.push(redact.event_id.seq);
                // That the message was answered is still found when the answer itself cannot be read.
                terms.targets.extend(redact.answered.iter().map(|id| id.seq));
                terms.key = redact.key.as_deref().and_then(|hex| u64::from_str_radix(hex, 16).ok());
                terms.involved.extend(redact.author.iter().cloned());
            }
            Body::RuntimeDelivery(delivery) => {
                terms.targets.extend(delivery.event_ids.iter().map(|id| id.seq));
                // By this the outcome of a claim is found from the claim.
                terms.targets.extend(delivery.delivery_id.iter().map(|id| id.seq));
                terms.involved.push(delivery.actor_id.clone());
            }
            Body::ActorAdd(ActorAdd { actor_id, .. })
            | Body::ActorUpdate(ActorUpdate { actor_id, .. })
            | Body::ActorRemove(ActorRemove { actor_id, .. })
            | Body::SessionOpen(SessionOpen { actor_id, .. })
            | Body::SessionClose(SessionClose { actor_id, .. }) => {
                terms.involved.push(actor_id.clone().into());
            }
            Body::PersonAdd(PersonAdd { person_id, .. })
            | Body::PersonRemove(PersonRemove { person_id, .. }) => {
                terms.involved.push(person_id.clone().into());
            }
            Body::ContextSet(set) => {
                terms.targets.extend((set.base_version.0 > 0).then_some(set.base_version))
            }
            Body::AgentState(said) => terms.involved.push(said.actor_id.clone().into()),
            Body::ReservationTake(take) => terms.targets.extend(take.lapsed.iter().map(|id| id.seq())),
            Body::ReservationExtend(extend) => terms.targets.push(extend.reservation_id.seq()),
            Body::ReservationRelease(release) => terms.targets.push(release.reservation_id.seq()),
            Body::VoteOpen(open) => {
                terms.involved.extend(open.voters.iter().cloned());
                terms.involved.extend(open.release.clone().map(Principal::Actor));
            }
            Body::VoteCast(cast) => terms.targets.push(cast.vote_id.seq()),
            Body::VoteClose(close) => terms.targets.push(close.vote_id.seq()),
            Body::ApprovalOpen(open) => {
                terms.key = open.client_id.as_deref().map(|key| key_hash(&self.by, key));
                terms.involved.extend(open.deciders.iter().cloned());
            }
            Body::ApprovalDecide(decide) => terms.targets.push(decide.approval_id.seq()),
            Body::SystemNotify(notice) => terms.involved.extend(notice.target.iter().cloned()),
            Body::SystemSeen(seen) => terms.involved.push(seen.actor_id.clone()),
            Body::ActorStart(ActorStart { actor_id, .. })
            | Body::ActorStop(ActorStop { actor_id, .. })
            | Body::ActorRestart(ActorRestart { actor_id, .. }) => {
                terms.involved.push(actor_id.clone().into());
            }
            Body::ScheduleSet(_) | Body::ScheduleRemove(_) | Body::ScheduleFired(_) => {}
            Body::TaskCreate(task) => {
                terms.key = task.client_id.as_deref().map(|key| key_hash(&self.by, key));
                terms.involved.extend(task.owner.iter().cloned());
            }
            Body::TaskUpdate(update) => {
                terms.targets.push(update.task_id.seq());
                terms.involved.extend(update.change.names().cloned());
            }
            Body::GroupCreate(_)
            | Body::GroupUpdate(_)
            | Body::GroupAttach(_)
            | Body::GroupDetachScope(_)
            | Body::GroupSetState(_)
            | Body::LedgerGap(_)
            | Body::Redacted { .. }
            | Body::Unknown { .. } => {}
        }
        terms.involved.sort();
        terms.involved.dedup();
        terms
    }
}
