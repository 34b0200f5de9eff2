//! What a group knows together: entries of the shared context, and what each agent says it is doing.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::{ActorId, ContextKey, Principal, ReservationId, Seq, TaskId};
use crate::time::Timestamp;

/// `context.set`: an entry has a new value, or none any more. Its version is the number of this event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextSet {
    /// Which entry: `brief`, `vision`, `sketch`, `milestones`, `decisions/57`, `notes/58`, `services/api`...
    pub key: ContextKey,
    /// The version that it replaces; 0 where there was none.
    pub base_version: Seq,
    /// The new value; absent: the entry is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ContextValue>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ContextValue {
    /// Words.
    Text(String),
    /// Something that runs and can be used, under `services/<name>`.
    Service(Service),
}

/// A service of the team: where it is, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// What it is: `http`, `database`, `dev-server`...
    pub kind: String,
    /// Where it is reached.
    pub address: String,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ActorId>,
}

/// `agent.state`: what an actor says of itself. It replaces what it said before; its version is the
/// number of this event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentState {
    /// Whom it is about.
    pub actor_id: ActorId,
    /// What it is at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub focus: String,
    /// What it will do then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// What keeps it from going on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub blocker: String,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<WaitingFor>,
    /// How long that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What somebody may say it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// That a reservation is over.
    Reservation(ReservationId),
    /// That a task is done.
    Task(TaskId),
    /// Somebody.
    Actor(Principal),
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reservation(id) => id.fmt(f),
            Self::Task(id) => id.fmt(f),
            Self::Actor(who) => who.fmt(f),
        }
    }
}

/// `r57` is a reservation, `t41` a task, anything else (also `@t41`) somebody's name.
impl FromStr for WaitingFor {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Reservation(id));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Task(id));
        }
        text.strip_prefix('@').unwrap_or(text).parse().map(Self::Actor)
    }
}

impl AgentState {
    /// Whether it says nothing any more.
    pub(crate) fn is_empty(&self) -> bool {
        [&self.focus, &self.next, &self.blocker].iter().all(|text| text.is_empty())
            && self.waiting_for.is_none()
    }
}
