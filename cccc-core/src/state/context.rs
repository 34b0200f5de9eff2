//! The shared context: its entries, and what each agent says it is doing.

use serde::{Deserialize, Serialize};

use super::GroupState;
use crate::event::{AgentState, ContextSet, ContextValue, Event, Service, WaitingFor};
use crate::id::{ActorId, EventId, Principal, Seq};
use crate::time::Timestamp;

/// An entry of the shared context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// What it says.
    pub value: EntryValue,
    /// The event that made it say so; its seq is the entry's version.
    pub set_by_event: EventId,
    /// Who did.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// Who wrote it first, and where: the author of a decision or note.
    pub author: (Principal, Seq),
}

impl Entry {
    /// Which version this is.
    #[must_use]
    pub fn version(&self) -> Seq {
        self.set_by_event.seq
    }
}

/// [`ContextValue`] in a form that can be saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryValue {
    /// Words.
    Text(String),
    /// A service: kind, address, owner.
    Service(String, String, Option<ActorId>),
}

impl From<&ContextValue> for EntryValue {
    fn from(value: &ContextValue) -> Self {
        match value {
            ContextValue::Text(text) => Self::Text(text.clone()),
            ContextValue::Service(Service { kind, address, owner }) => {
                Self::Service(kind.clone(), address.clone(), owner.clone())
            }
        }
    }
}

impl From<&EntryValue> for ContextValue {
    fn from(value: &EntryValue) -> Self {
        match value {
            EntryValue::Text(text) => Self::Text(text.clone()),
            EntryValue::Service(kind, address, owner) => {
                Self::Service(Service { kind: kind.clone(), address: address.clone(), owner: owner.clone() })
            }
        }
    }
}

impl EntryValue {
    /// How many bytes it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Service(kind, address, owner) => {
                kind.len() + address.len() + owner.as_ref().map_or(0, |owner| owner.as_str().len())
            }
        }
    }

    /// Whether it takes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an actor said last of what it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentWord {
    /// What it is at.
    pub focus: String,
    /// What it will do then.
    pub next: String,
    /// What keeps it from going on.
    pub blocker: String,
    /// What it waits for.
    pub waiting_for: Option<WaitingFor>,
    /// How long that holds.
    pub until: Option<Timestamp>,
    /// The event that said so; its seq is the version.
    pub set_by_event: EventId,
    /// When.
    pub at: Timestamp,
}

impl GroupState {
    pub(super) fn set_context(&mut self, event: &Event, set: &ContextSet) {
        let Some(value) = &set.value else {
            self.context.remove(&set.key);
            return;
        };
        let first = (event.by.clone(), event.seq);
        let author = self.context.get(&set.key).map_or(first, |entry| entry.author.clone());
        let entry =
            Entry { value: value.into(), set_by_event: event.id, by: event.by.clone(), at: event.ts, author };
        self.context.insert(set.key.clone(), entry);
    }

    pub(super) fn set_agent(&mut self, event: &Event, said: &AgentState) {
        if !self.actors.contains_key(&said.actor_id) {
            return;
        }
        if said.is_empty() {
            self.agents.remove(&said.actor_id);
            return;
        }
        let word = AgentWord {
            focus: said.focus.clone(),
            next: said.next.clone(),
            blocker: said.blocker.clone(),
            waiting_for: said.waiting_for.clone(),
            until: said.until,
            set_by_event: event.id,
            at: event.ts,
        };
        self.agents.insert(said.actor_id.clone(), word);
    }

    /// Whoever waited for somebody who has left waits no longer.
    pub(super) fn wait_no_more(&mut self, gone: &Principal) {
        self.agents.retain(|_, word| {
            if matches!(&word.waiting_for, Some(WaitingFor::Actor(on)) if on == gone) {
                word.waiting_for = None;
            }
            word.waiting_for.is_some()
                || [&word.focus, &word.next, &word.blocker].iter().any(|text| !text.is_empty())
        });
    }
}
