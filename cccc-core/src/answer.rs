//! Answers that frontends give in JSON, where what the handle returns is more than should cross a border.
//!
//! Everything else that crosses one ([`Sent`](crate::Sent), [`Receipt`](crate::Receipt),
//! [`TaskView`](crate::TaskView)...) is given as it is, so all frontends answer alike.

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::Executed;
use crate::error::Result;
use crate::event::Role;
use crate::group::{ActorView, Group, Joined};
use crate::id::{ActorId, EventId, GroupId, Seq};
use crate::rule::policy::Effect;
use crate::rule::task::Check;
use crate::time::Timestamp;

/// What became of a command that writes at most one fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Done {
    /// The event that says so; absent if it was so already and no single event made it so.
    pub event_id: Option<EventId>,
    /// Its place.
    pub seq: Option<Seq>,
    /// Whether anything was written now.
    pub changed: bool,
}

impl Done {
    /// Of what was carried out.
    #[must_use]
    pub fn of(done: &Executed) -> Self {
        let event = done.event();
        Self {
            event_id: event.map(|event| event.id),
            seq: event.map(|event| event.seq),
            changed: !done.events.is_empty(),
        }
    }
}

/// An actor that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ActorAnswer {
    /// Its id.
    pub actor_id: ActorId,
    /// Its role.
    pub role: Role,
}

impl From<ActorView> for ActorAnswer {
    fn from(actor: ActorView) -> Self {
        Self { actor_id: actor.actor_id, role: actor.role }
    }
}

/// An agent that joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct JoinAnswer {
    /// Who it is.
    pub actor_id: ActorId,
    /// The group.
    pub group_id: GroupId,
    /// Whether the actor was added just now.
    pub added: bool,
    /// The session.
    pub session: String,
    /// Counts the actor's sessions from 1.
    pub generation: u64,
    /// The session that ran until now and no longer receives.
    pub replaced: Option<String>,
}

impl JoinAnswer {
    /// Of who joined.
    #[must_use]
    pub fn of(joined: &Joined) -> Self {
        Self {
            actor_id: joined.actor_id.clone(),
            group_id: joined.session.group().id().clone(),
            added: joined.added,
            session: joined.session.id().to_owned(),
            generation: joined.generation,
            replaced: joined.replaced.as_ref().map(|session| session.session.clone()),
        }
    }
}

/// What the policies and schedules of a group want done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct DueAnswer {
    /// What is to be done now.
    pub effects: Vec<Effect>,
    /// Evidence for tasks that somebody may look at; nothing waits for it.
    pub checks: Vec<Check>,
    /// When to look again if nothing happens before; absent if only an event can bring something about.
    pub next_at: Option<Timestamp>,
}

impl DueAnswer {
    /// Of a group, now.
    ///
    /// # Errors
    /// As for [`Group::due`].
    pub async fn of(group: &Group) -> Result<Self> {
        let (effects, checks) = (group.due().await?, group.checks().await?);
        Ok(Self { effects, checks, next_at: group.next_deadline().await? })
    }
}

/// The shared context as one text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct DigestAnswer {
    /// The text.
    pub text: String,
}

impl DigestAnswer {
    /// Of a group, in at most so many bytes.
    ///
    /// # Errors
    /// As for [`Group::context_digest`].
    pub async fn of(group: &Group, max_bytes: usize) -> Result<Self> {
        Ok(Self { text: group.context_digest(max_bytes).await? })
    }
}
