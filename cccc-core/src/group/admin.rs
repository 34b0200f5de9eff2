//! Running the group: actors, settings, state, scopes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::person::{self, PersonView};
use super::{Group, appended};
use crate::command::{AddActor, Command};
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::{ActorRemove, ActorUpdate, GroupMode, GroupSetState, GroupUpdate, JoinPolicy, Role};
use crate::id::{ActorId, GroupId, Label, Principal};
use crate::ledger::Position;
use crate::rule::obligation::{Filter, ObligationView};
use crate::rule::{obligation, reading};

/// An actor as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ActorView {
    /// Its id.
    pub actor_id: ActorId,
    /// What people call it.
    pub title: String,
    /// Its role.
    pub role: Role,
    /// Its labels.
    pub labels: Vec<Label>,
    /// The program that embodies it.
    pub runtime: Option<String>,
    /// Whether it joined by itself.
    pub ephemeral: bool,
    /// How many messages it has not read.
    pub unread: u64,
    /// How much it owes.
    pub owed: u64,
}

/// A group at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Its id.
    pub group_id: GroupId,
    /// What people call it.
    pub title: String,
    /// What it is doing.
    pub state: GroupMode,
    /// Where a message without an address goes; empty: the foreman.
    pub default_to: Vec<String>,
    /// Who may join by itself.
    pub join: JoinPolicy,
    /// The directories that belong to it.
    pub scopes: Vec<String>,
    /// Its actors, by id.
    pub actors: Vec<ActorView>,
    /// Its people beside the user, by name.
    pub people: Vec<PersonView>,
    /// How many messages the user has not read.
    pub user_unread: u64,
    /// How many events there are.
    pub events: u64,
    /// How many of them are gaps: lost, and marked as such by a repair.
    pub gaps: u64,
    /// How many obligations are open.
    pub open_obligations: u64,
    /// The end of what is durable.
    pub head: Position,
}

/// How much somebody owes.
pub(super) fn owed_by(obligations: &[ObligationView], who: &Principal) -> u64 {
    let owed = obligations.iter().filter(|owed| owed.debtor == *who).count();
    u64::try_from(owed).unwrap_or(u64::MAX)
}

impl Group {
    /// The group at a glance.
    pub async fn summary(&self) -> Result<GroupSummary> {
        let now = self.shared.engine.clock().now();
        self.shared
            .engine
            .query(|state| {
                let obligations = obligation::list(state, &Filter::default(), now);
                let actors = state.actors().iter().map(|(id, actor)| {
                    let principal = Principal::from(id.clone());
                    ActorView {
                        actor_id: id.clone(),
                        title: actor.title.clone(),
                        role: state.role(id),
                        labels: actor.labels.iter().cloned().collect(),
                        runtime: actor.runtime.clone(),
                        ephemeral: actor.ephemeral,
                        unread: reading::unread_count(state, &principal, now),
                        owed: owed_by(&obligations, &principal),
                    }
                });
                GroupSummary {
                    group_id: self.id().clone(),
                    title: state.title().to_owned(),
                    state: state.mode(),
                    default_to: state.default_to().to_vec(),
                    join: state.join(),
                    scopes: state.scopes().values().cloned().collect(),
                    actors: actors.collect(),
                    people: person::views(state, &obligations, now),
                    user_unread: reading::unread_count(state, &Principal::User, now),
                    events: state.position().seq.0,
                    gaps: state.gaps(),
                    open_obligations: u64::try_from(obligations.len()).unwrap_or(u64::MAX),
                    head: state.position(),
                }
            })
            .await
    }

    /// What people call the group.
    pub(crate) async fn title(&self) -> Result<String> {
        self.shared.engine.query(|state| state.title().to_owned()).await
    }

    /// The directories that belong to the group, by their keys.
    pub(crate) async fn scopes(&self) -> Result<std::collections::BTreeMap<String, String>> {
        self.shared.engine.query(|state| state.scopes().clone()).await
    }

    /// The actors, by id.
    pub async fn actors(&self) -> Result<Vec<ActorView>> {
        Ok(self.summary().await?.actors)
    }

    /// Adds an actor; the first ever added becomes the foreman.
    ///
    /// # Errors
    /// `Refused` for peers, `Conflict` if there is one of this id.
    pub fn add_actor(&self, id: impl AsRef<str>) -> AddActorRequest<'_> {
        AddActorRequest { group: self, actor: ActorId::new(id).map(AddActor::new) }
    }

    /// Changes an actor.
    pub fn update_actor(&self, id: impl AsRef<str>) -> UpdateActorRequest<'_> {
        UpdateActorRequest { group: self, update: ActorId::new(id).map(ActorUpdate::of) }
    }

    /// Removes an actor. Without a successor what it owes returns to those it owes it to, what it has not read
    /// bounces, and those concerned are told by one notice each. With one, all that is the successor's, as are
    /// its tasks and reservations. Whoever is added under the same id later is somebody else.
    pub fn remove_actor(&self, id: impl AsRef<str>) -> RemoveActorRequest<'_> {
        let removal =
            ActorId::new(id).map(|actor_id| ActorRemove { actor_id, reason: String::new(), successor: None });
        RemoveActorRequest { group: self, removal }
    }

    /// Pauses, resumes, stops or archives the group.
    pub async fn set_state(&self, state: GroupMode, reason: impl Into<String>) -> Result<Executed> {
        self.execute(Command::SetState(GroupSetState { state, reason: reason.into() })).await
    }

    /// Changes title, default address, joining policy or settings; what is absent stays.
    pub async fn update(&self, update: GroupUpdate) -> Result<Executed> {
        self.execute(Command::UpdateGroup(update)).await
    }
}

/// Implements the awaiting of a request whose arguments may have been malformed.
macro_rules! awaited {
    ($request:ident, $field:ident, $command:path, $output:ty, |$group:ident, $done:ident| $answer:expr) => {
        impl<'a> IntoFuture for $request<'a> {
            type Output = Result<$output>;
            type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move {
                    let $group = self.group;
                    let $done = $group.execute($command(self.$field?)).await?;
                    $answer
                })
            }
        }
    };
}

/// An actor about to be added; awaiting it adds it. Made by [`Group::add_actor`].
#[derive(Debug)]
#[must_use = "nothing is added until this is awaited"]
pub struct AddActorRequest<'a> {
    group: &'a Group,
    actor: Result<AddActor>,
}

impl AddActorRequest<'_> {
    fn with(mut self, change: impl FnOnce(&mut AddActor)) -> Self {
        if let Ok(actor) = &mut self.actor {
            change(actor);
        }
        self
    }

    /// Adds a label.
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        match (Label::new(label), &mut self.actor) {
            (Ok(label), Ok(actor)) => actor.labels.push(label),
            (Err(error), Ok(_)) => self.actor = Err(error),
            (_, Err(_)) => {}
        }
        self
    }

    /// What people call it. Default: its id.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with(|actor| actor.title = title.into())
    }

    /// The program that embodies it (`claude`, `codex`...).
    pub fn runtime(self, runtime: impl Into<String>) -> Self {
        self.with(|actor| actor.runtime = Some(runtime.into()))
    }

    /// Its role. Default: foreman for the first actor ever added, peer for the others.
    pub fn role(self, role: Role) -> Self {
        self.with(|actor| actor.role = Some(role))
    }
}

awaited!(AddActorRequest, actor, Command::AddActor, ActorView, |group, done| {
    let id = match &appended(&done)?.body {
        crate::event::Body::ActorAdd(added) => added.actor_id.clone(),
        _ => return Err(Error::conflict("the command changed nothing")),
    };
    let actors = group.actors().await?;
    actors
        .into_iter()
        .find(|actor| actor.actor_id == id)
        .ok_or_else(|| Error::conflict(format!("{id} was removed again meanwhile")))
});

/// A change to an actor; awaiting it makes it. Made by [`Group::update_actor`].
#[derive(Debug)]
#[must_use = "nothing is changed until this is awaited"]
pub struct UpdateActorRequest<'a> {
    group: &'a Group,
    update: Result<ActorUpdate>,
}

impl UpdateActorRequest<'_> {
    fn with(mut self, change: impl FnOnce(&mut ActorUpdate)) -> Self {
        if let Ok(update) = &mut self.update {
            change(update);
        }
        self
    }

    /// The new title.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with(|update| update.title = Some(title.into()))
    }

    /// All labels that it shall have.
    pub fn labels<L: AsRef<str>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        match (labels.into_iter().map(Label::new).collect::<Result<Vec<_>>>(), &mut self.update) {
            (Ok(labels), Ok(update)) => update.labels = Some(labels),
            (Err(error), Ok(_)) => self.update = Err(error),
            (_, Err(_)) => {}
        }
        self
    }

    /// The new role; a former foreman becomes a peer.
    pub fn role(self, role: Role) -> Self {
        self.with(|update| update.role = Some(role))
    }

    /// The new program.
    pub fn runtime(self, runtime: impl Into<String>) -> Self {
        self.with(|update| update.runtime = Some(runtime.into()))
    }
}

awaited!(UpdateActorRequest, update, Command::UpdateActor, Executed, |_group, done| Ok(done));

/// An actor about to be removed; awaiting it removes it. Made by [`Group::remove_actor`].
#[derive(Debug)]
#[must_use = "nothing is removed until this is awaited"]
pub struct RemoveActorRequest<'a> {
    group: &'a Group,
    removal: Result<ActorRemove>,
}

impl RemoveActorRequest<'_> {
    /// Who takes over what it owes. Default: nobody, it returns to those it is owed to.
    pub fn successor(mut self, id: impl AsRef<str>) -> Self {
        match (ActorId::new(id), &mut self.removal) {
            (Ok(id), Ok(removal)) => removal.successor = Some(id),
            (Err(error), Ok(_)) => self.removal = Err(error),
            (_, Err(_)) => {}
        }
        self
    }

    /// Why, for people.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        if let Ok(removal) = &mut self.removal {
            removal.reason = reason.into();
        }
        self
    }
}

awaited!(RemoveActorRequest, removal, Command::RemoveActor, Executed, |_group, done| Ok(done));
