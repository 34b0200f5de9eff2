//! What is asked of two groups when a message goes from one to the other.

use crate::error::Result;
use crate::event::{ChatMessage, WithholdReason};
use crate::id::{EventId, GroupId, Principal, Seq};

/// Whom an address in another group means there. The rules of one group cannot know it.
#[derive(Clone, Debug)]
pub struct RemoteAudience {
    /// The address as it is written in the message: `#reviewer@g0123456789ab`.
    pub address: String,
    /// The group.
    pub group_id: GroupId,
    /// The last event there when it was looked up.
    pub seq: Seq,
    /// Whom it means, as they are named from here, or why nobody.
    pub found: Result<Vec<Principal>>,
}

/// The copy of a message, for the group that it is relayed to. See [`Command::Relay`](super::Command::Relay).
#[derive(Clone, Debug)]
pub struct RelayCopy {
    /// Where it comes from.
    pub src_group_id: GroupId,
    /// What people call that group.
    pub src_group_title: String,
    /// What it is a copy of.
    pub src_event_id: EventId,
    /// The message as it stands there.
    pub message: ChatMessage,
    /// What the sender wrote, without the group.
    pub to: Vec<String>,
    /// Whom that meant here.
    pub recipients: Vec<Principal>,
    /// The last event here when that was looked up.
    pub seq: Seq,
    /// The event here that it answers, if what it answers there is the copy of one from here, or was copied
    /// here.
    pub reply_to: Option<EventId>,
    /// The copy here of what it replaces there.
    pub supersedes: Option<EventId>,
}

/// How the copying of a message into another group ended. See
/// [`Command::SettleRelay`](super::Command::SettleRelay).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayOutcome {
    /// It stands there.
    Copied {
        /// The copy.
        event_id: EventId,
        /// Who was no longer there to receive it, as they are named here.
        missed: Vec<Principal>,
    },
    /// Not this time, and why.
    Failed(String),
    /// It may no longer be handed over.
    Withheld(WithholdReason),
    /// There is nobody to copy it for, and why.
    Bounced(String),
}
