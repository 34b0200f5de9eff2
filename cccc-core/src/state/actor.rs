//! What is known of an actor while it is in the group, and what is remembered of whoever has left.

use std::collections::BTreeSet;

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use crate::event::{ActorRemove, PersonRemove};
use crate::id::{Label, Principal, Seq};
use crate::time::Timestamp;

/// An actor of the group. Its role is the group's to say: [`role`](super::GroupState::role).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Actor {
    /// Where its `actor.add` stands. Mail from before is not its own.
    pub incarnation: Seq,
    /// What people call it; may be empty.
    pub title: String,
    /// Its labels.
    pub labels: BTreeSet<Label>,
    /// The agent program.
    pub runtime: Option<String>,
    /// How that is run.
    pub runner: Option<String>,
    /// A named set of settings for it.
    pub profile: Option<String>,
    /// When a message may wake it.
    pub wake: Option<String>,
    /// Whether it is retired when it stays away.
    pub ephemeral: bool,
    /// Its newest session, open or not.
    pub session: Option<Session>,
    /// When it was added, last wrote something, or last began or ended a session.
    pub last_seen: Timestamp,
}

/// A running process that embodies an actor, or the last one that did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// Its id.
    pub session: String,
    /// Its number among the actor's sessions.
    pub generation: u64,
    /// The program.
    pub runtime: String,
    /// The program's own id of it.
    pub agent_session_id: Option<String>,
    /// Its working directory.
    pub cwd: String,
    /// The git branch there.
    pub branch: Option<String>,
    /// Whether it has not said that it ended. Whether it still runs is the operating system's to say.
    pub open: bool,
}

/// An actor or a person leaves the group.
#[derive(Clone, Debug)]
pub(crate) struct Departure {
    /// Who leaves.
    pub(crate) who: Principal,
    /// Why, for people; may be empty.
    pub(crate) reason: String,
    /// Who takes over what they owe.
    pub(crate) successor: Option<Principal>,
}

impl From<&ActorRemove> for Departure {
    fn from(remove: &ActorRemove) -> Self {
        Self {
            who: remove.actor_id.clone().into(),
            reason: remove.reason.clone(),
            successor: remove.successor.clone().map(Principal::Actor),
        }
    }
}

impl From<&PersonRemove> for Departure {
    fn from(remove: &PersonRemove) -> Self {
        Self {
            who: remove.person_id.clone().into(),
            reason: remove.reason.clone(),
            successor: remove.successor.clone(),
        }
    }
}

/// What is remembered of a removed actor or person, so that receipts can still say what became of their mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tombstone {
    /// Who it was. The name may be in use again by another incarnation.
    pub who: Principal,
    /// Where they had been added.
    pub incarnation: Seq,
    /// Where they were removed.
    pub removed_seq: Seq,
    /// Why, for people; may be empty.
    pub reason: String,
    /// Who took over what they owed.
    pub successor: Option<Principal>,
    /// What they had not read.
    pub unread: RoaringTreemap,
}
