//! The shared context, and what agents say they are doing.

use super::Group;
use super::awaited::awaited_by_run;
use crate::command::{Appendix, Command};
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::{ContextValue, Service};
use crate::id::{ActorId, ContextKey, Seq};
use crate::rule::context::{self, AgentView, EntryView};
use crate::rule::digest;
use crate::time::Timestamp;

impl Group {
    /// The entries of the shared context, by key.
    pub async fn context(&self) -> Result<Vec<EntryView>> {
        self.shared.engine.query(|state| context::list(state, None)).await
    }

    /// The entry with this key, or all entries of this section: `brief`, `decisions`, `services/api`.
    ///
    /// # Errors
    /// `Invalid` for a malformed key, `NotFound` if there is nothing under it.
    pub async fn context_of(&self, key: impl AsRef<str>) -> Result<Vec<EntryView>> {
        let key = ContextKey::new(key)?;
        let found = self.shared.engine.query(|state| context::list(state, Some(&key))).await?;
        if found.is_empty() {
            return Err(Error::not_found(format!("the shared context has nothing under {key}"))
                .hint("`cccc context show` lists what there is"));
        }
        Ok(found)
    }

    /// The shared context as one text of at most `max_bytes`, for an agent's prompt: the brief, decisions,
    /// who is at what, services, notes. What does not fit is cut, with the call that shows it.
    pub async fn context_digest(&self, max_bytes: usize) -> Result<String> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| digest::digest(state, max_bytes, now)).await
    }

    /// Sets an entry: `group.set_context("brief", "Build it.").await?`.
    ///
    /// # Errors
    /// `Conflict`, with what has changed, if somebody else had set it and this caller did not say that it
    /// has read that version ([`base`](SetContextRequest::base)); `Refused` for a decision, note or service
    /// of somebody else; `TooLarge` beyond 16 KiB an entry, 512 entries or 256 KiB altogether.
    pub fn set_context(&self, key: impl AsRef<str>, text: impl Into<String>) -> SetContextRequest<'_> {
        self.set_context_value(key, ContextValue::Text(text.into()))
    }

    /// Sets an entry to a value of any kind; [`set_context`](Self::set_context) is this for text.
    ///
    /// # Errors
    /// As for [`set_context`](Self::set_context); `Invalid` for a service that is not under `services/`.
    pub fn set_context_value(&self, key: impl AsRef<str>, value: ContextValue) -> SetContextRequest<'_> {
        SetContextRequest { group: self, key: ContextKey::new(key), base: None, value: Some(value) }
    }

    /// Sets the entry `services/<name>`: something that runs and can be used by the team.
    ///
    /// # Errors
    /// As for [`set_context`](Self::set_context).
    pub fn set_service(&self, name: impl AsRef<str>, service: Service) -> SetContextRequest<'_> {
        let key = format!("{}/{}", context::SERVICES, name.as_ref());
        self.set_context_value(key, ContextValue::Service(service))
    }

    /// Removes an entry. Removing what is not there changes nothing.
    ///
    /// # Errors
    /// As for [`set_context`](Self::set_context).
    pub fn remove_context(&self, key: impl AsRef<str>) -> SetContextRequest<'_> {
        SetContextRequest { group: self, key: ContextKey::new(key), base: None, value: None }
    }

    /// Adds a decision, under `decisions/<number of the event>`. The same again by the same changes nothing.
    ///
    /// # Errors
    /// As for [`set_context`](Self::set_context).
    pub async fn decide(&self, text: impl Into<String>) -> Result<Executed> {
        self.execute(Command::AppendContext { section: Appendix::Decision, text: text.into() }).await
    }

    /// Adds a note, under `notes/<number of the event>`. The same again by the same changes nothing.
    ///
    /// # Errors
    /// As for [`set_context`](Self::set_context).
    pub async fn note(&self, text: impl Into<String>) -> Result<Executed> {
        self.execute(Command::AppendContext { section: Appendix::Note, text: text.into() }).await
    }

    /// What agents say they are doing, by id; those that say nothing are left out.
    pub async fn agent_states(&self) -> Result<Vec<AgentView>> {
        let now = self.shared.engine.clock().now();
        self.shared.engine.query(|state| context::agents(state, now)).await
    }

    /// Says what this actor is doing: `group.set_agent_state().focus("auth").await?`.
    ///
    /// # Errors
    /// `Refused` for another actor unless this is the foreman or the user; `Conflict` for a stale
    /// [`base`](AgentStateRequest::base); `TooLarge` beyond 512 bytes each; `Invalid` for a time that is over.
    pub fn set_agent_state(&self) -> AgentStateRequest<'_> {
        AgentStateRequest {
            group: self,
            actor: Ok(None),
            focus: None,
            next: None,
            blocker: None,
            waiting_for: None,
            until: None,
            base: None,
        }
    }
}

/// An entry about to be set or removed; awaiting it does that. Made by [`Group::set_context`].
#[derive(Debug)]
#[must_use = "nothing is set until this is awaited"]
pub struct SetContextRequest<'a> {
    group: &'a Group,
    key: Result<ContextKey>,
    base: Option<Seq>,
    value: Option<ContextValue>,
}

impl SetContextRequest<'_> {
    /// The version that this caller has read and replaces; 0: there was none. Default: the caller had set
    /// the present one itself, or there is none.
    pub fn base(self, version: Seq) -> Self {
        Self { base: Some(version), ..self }
    }

    async fn run(self) -> Result<Executed> {
        let command = Command::SetContext { key: self.key?, base: self.base, value: self.value };
        self.group.execute(command).await
    }
}

/// What an agent is about to say of itself; awaiting it says it. Made by [`Group::set_agent_state`].
///
/// What is not said stays, except until when it holds. Empty texts clear.
#[derive(Debug)]
#[must_use = "nothing is said until this is awaited"]
pub struct AgentStateRequest<'a> {
    group: &'a Group,
    actor: Result<Option<ActorId>>,
    focus: Option<String>,
    next: Option<String>,
    blocker: Option<String>,
    waiting_for: Option<String>,
    until: Option<Timestamp>,
    base: Option<Seq>,
}

impl AgentStateRequest<'_> {
    /// Of whom it is said. Default: the caller.
    pub fn of(self, id: impl AsRef<str>) -> Self {
        Self { actor: ActorId::new(id).map(Some), ..self }
    }

    /// What it is at.
    pub fn focus(self, text: impl Into<String>) -> Self {
        Self { focus: Some(text.into()), ..self }
    }

    /// What it will do then.
    pub fn next(self, text: impl Into<String>) -> Self {
        Self { next: Some(text.into()), ..self }
    }

    /// What keeps it from going on.
    pub fn blocker(self, text: impl Into<String>) -> Self {
        Self { blocker: Some(text.into()), ..self }
    }

    /// What it waits for, which makes it part of [`waits`](Group::waits): the end of a reservation (`r57`), a
    /// task (`t41`), or somebody; over when that is over. Empty: nothing any more.
    pub fn waiting_for(self, what: impl Into<String>) -> Self {
        Self { waiting_for: Some(what.into()), ..self }
    }

    /// How long that holds. Default: until it says otherwise.
    pub fn until(self, at: Timestamp) -> Self {
        Self { until: Some(at), ..self }
    }

    /// For how long from now that holds.
    pub fn lasting(self, time: std::time::Duration) -> Self {
        let at = self.group.shared.engine.clock().now().after(time);
        self.until(at)
    }

    /// The version that this caller has read. Default: whichever it is.
    pub fn base(self, version: Seq) -> Self {
        Self { base: Some(version), ..self }
    }

    async fn run(self) -> Result<Executed> {
        let Self { group, actor, focus, next, blocker, waiting_for, until, base } = self;
        let actor_id = actor?;
        let said = Command::SetAgentState { actor_id, focus, next, blocker, waiting_for, until, base };
        group.execute(said).await
    }
}

awaited_by_run! {
    SetContextRequest => Executed;
    AgentStateRequest => Executed;
}
