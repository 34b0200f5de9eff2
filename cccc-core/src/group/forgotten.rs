//! Actors that the ledger speaks of, and that no event of it has brought in: a gap stands where they were added.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::blocking::{block_on, off_thread};
use crate::error::{Error, Result};
use crate::event::{Body, Event};
use crate::id::{ActorId, Principal, Seq};
use crate::ledger::ReadLimit;

/// An actor whose adding is lost. Made by [`Group::forgotten_actors`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ForgottenActor {
    /// Its id.
    pub actor_id: ActorId,
    /// How many messages to it lie in nobody's inbox. They stay there when the actor is added again; the history shows
    /// them.
    pub messages: u64,
}

impl Group {
    /// Actors that events are by, or about, or for, and that are not in the group because the event that added them is
    /// lost, in order of id. Adding one again brings it back. Reads the whole ledger, unless no event of it is lost.
    ///
    /// # Errors
    /// `Corrupt` if the ledger is damaged and not yet repaired.
    pub async fn forgotten_actors(&self) -> Result<Vec<ForgottenActor>> {
        if self.shared.engine.query(|state| state.gaps()).await? == 0 {
            return Ok(Vec::new());
        }
        let ledger = self.ledger().clone();
        let read = async move {
            let (mut people, mut next) = (People::default(), Seq(1));
            loop {
                let page = ledger.read(next, ReadLimit::CHUNK).await?;
                let Some(end) = page.end() else { return Ok::<_, Error>(people) };
                for event in page.events() {
                    people.note(&event?);
                }
                next = end.seq.next();
            }
        };
        let people = off_thread("looking who is forgotten", move || block_on(read)).await?;
        let forgotten = people.spoken_of.into_iter().filter(|(id, _)| !people.known.contains(id));
        Ok(forgotten.map(|(actor_id, messages)| ForgottenActor { actor_id, messages }).collect())
    }
}

/// Who is met in a ledger.
#[derive(Default)]
struct People {
    /// Who was added, or removed: of them it is known what they are.
    known: BTreeSet<ActorId>,
    /// Who was met without that, and how many messages were for them.
    spoken_of: BTreeMap<ActorId, u64>,
}

impl People {
    fn note(&mut self, event: &Event) {
        if let Body::ActorAdd(add) = &event.body {
            self.known.insert(add.actor_id.clone());
        }
        let recipients = event.message().map(|message| message.recipients.as_slice()).unwrap_or_default();
        for principal in event.index_terms().involved {
            let Principal::Actor(id) = &principal else { continue };
            if !self.known.contains(id) {
                let messages = self.spoken_of.entry(id.clone()).or_default();
                *messages += u64::from(recipients.contains(&principal));
            }
        }
        if let Body::ActorRemove(remove) = &event.body {
            self.known.insert(remove.actor_id.clone());
        }
    }
}
