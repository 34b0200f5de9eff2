//! Events about the group itself, its actors and their sessions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{ActorId, Label, PersonId, Principal};

/// `group.create`: the group begins; always the first event of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupCreate {
    /// What people call the group.
    pub title: String,
    /// Where a message without an address goes; absent: the foreman.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_to: Option<Vec<String>>,
    /// Who may join by itself.
    #[serde(default)]
    pub join: JoinPolicy,
    /// Other settings, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
}

/// `group.update`: the group is described anew; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupUpdate {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The new default address; an empty list means the foreman again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_to: Option<Vec<String>>,
    /// The new joining policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinPolicy>,
    /// Settings to set; `null` removes one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
}

/// Who may join a group by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinPolicy {
    /// Anyone on this machine.
    #[default]
    Open,
    /// After the user or the foreman agreed.
    Ask,
    /// Nobody; actors are added.
    Closed,
}

/// `group.attach`: a directory belongs to the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupAttach {
    /// Short stable key of the directory, as in the envelope's `scope_key`.
    pub scope_key: String,
    /// The directory, absolute.
    pub path: String,
}

/// `group.detach_scope`: a directory no longer belongs to the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupDetachScope {
    /// The directory's key.
    pub scope_key: String,
    /// The directory.
    pub path: String,
}

/// What a group is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupMode {
    /// Everything runs.
    #[default]
    Active,
    /// Schedules only.
    Idle,
    /// Sends are stored; nothing is handed over; clocks of obligations stand still.
    Paused,
    /// No agent runs.
    Stopped,
    /// Read-only.
    Archived,
}

/// `group.set_state`: the group begins to do something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupSetState {
    /// The new state.
    pub state: GroupMode,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What an actor is to its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one who leads; at most one.
    Foreman,
    /// Everyone else.
    #[default]
    Peer,
}

/// `actor.add`: somebody joins. Adding a removed id again makes a new incarnation, which inherits no mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActorAdd {
    /// The actor's id.
    pub actor_id: ActorId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Its role.
    pub role: Role,
    /// The agent program that embodies it (`claude`, `codex`...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// How that program is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// A named set of settings for the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When a message may wake it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<String>,
    /// Whether it joined by itself and is retired when it stays away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
}

/// `actor.update`: somebody is described anew; what is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActorUpdate {
    /// Whom it is about.
    pub actor_id: ActorId,
    /// New title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// New labels, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<Label>>,
    /// New role; the former foreman becomes a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// New program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// New way of running it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// New profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// New waking policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<String>,
    /// Whether it is ephemeral.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
}

impl ActorUpdate {
    /// An update of one actor that changes nothing yet.
    #[must_use]
    pub fn of(actor_id: ActorId) -> Self {
        Self {
            actor_id,
            title: None,
            labels: None,
            role: None,
            runtime: None,
            runner: None,
            profile: None,
            wake: None,
            ephemeral: None,
        }
    }
}

/// `actor.remove`: somebody leaves; what it owes returns to those it is owed to or moves to the successor, and
/// what it has reserved ends or moves likewise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActorRemove {
    /// Who leaves.
    pub actor_id: ActorId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who takes its obligations over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<ActorId>,
}

/// `person.add`: a person beside the home's owner belongs to the group. Adding one who is there gives them another
/// title; adding one who was removed makes somebody new, who inherits no mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonAdd {
    /// The person's name, without the `user:` of the principal.
    pub person_id: PersonId,
    /// What others call them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
}

/// `person.remove`: a person leaves; what they owe returns to those it is owed to or moves to the successor, and
/// what they have reserved ends or moves likewise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonRemove {
    /// Who leaves.
    pub person_id: PersonId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who takes their obligations over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Principal>,
}

/// `session.open`: a running process now embodies an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionOpen {
    /// The actor.
    pub actor_id: ActorId,
    /// The session's id.
    pub session: String,
    /// Counts the actor's sessions from 1; what is unread is handed over anew in each.
    pub generation: u64,
    /// The program.
    pub runtime: String,
    /// The program's own id of its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_session_id: Option<String>,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// The git branch there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// `session.close`: the process no longer embodies the actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionClose {
    /// The actor.
    pub actor_id: ActorId,
    /// The session's id.
    pub session: String,
    /// Its generation.
    pub generation: u64,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
