//! Actors and people that the ledger speaks of, and that no event of it has brought in: a gap stands where they were
//! added.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::blocking::aside;
use crate::error::{Error, Result};
use crate::event::{Body, Event};
use crate::id::{Principal, Seq};
use crate::ledger::ReadLimit;

/// An actor or a person whose adding is lost. Made by [`Group::forgotten`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Forgotten {
    /// Who.
    pub principal: Principal,
    /// How many messages to it lie in nobody's inbox. They stay there when it is added again; the history shows
    /// them.
    pub messages: u64,
}

impl Group {
    /// Actors and people that events are by, or about, or for, and that are not in the group because the event that added them is
    /// lost, in order of name. Adding one again brings it back. Reads the whole ledger, unless no event of it is lost.
    ///
    /// # Errors
    /// `Corrupt` if the ledger is damaged and not yet repaired.
    pub async fn forgotten(&self) -> Result<Vec<Forgotten>> {
        if self.shared.engine.query(|state| state.gaps()).await? == 0 {
            return Ok(Vec::new());
        }
        let ledger = self.ledger().clone();
        let read = async move {
            let (mut met, mut next) = (Met::default(), Seq(1));
            loop {
                let page = ledger.read(next, ReadLimit::CHUNK).await?;
                let Some(end) = page.end() else { return Ok::<_, Error>(met) };
                for event in page.events() {
                    met.note(&event?);
                }
                next = end.seq.next();
            }
        };
        let met = aside("looking who is forgotten", read).await?;
        let forgotten = met.spoken_of.into_iter().filter(|(who, _)| !met.known.contains(who));
        Ok(forgotten.map(|(principal, messages)| Forgotten { principal, messages }).collect())
    }
}

/// Who is met in a ledger.
#[derive(Default)]
struct Met {
    /// Who was added, or removed: of them it is known what they are.
    known: BTreeSet<Principal>,
    /// Who was met without that, and how many messages were for them.
    spoken_of: BTreeMap<Principal, u64>,
}

impl Met {
    fn note(&mut self, event: &Event) {
        match &event.body {
            Body::ActorAdd(add) => drop(self.known.insert(add.actor_id.clone().into())),
            Body::PersonAdd(add) => drop(self.known.insert(add.person_id.clone().into())),
            _ => {}
        }
        let recipients = event.message().map(|message| message.recipients.as_slice()).unwrap_or_default();
        for principal in event.index_terms().involved {
            let joins = matches!(principal, Principal::Actor(_) | Principal::Person(_));
            if joins && !self.known.contains(&principal) {
                let messages = u64::from(recipients.contains(&principal));
                *self.spoken_of.entry(principal).or_default() += messages;
            }
        }
        match &event.body {
            Body::ActorRemove(remove) => drop(self.known.insert(remove.actor_id.clone().into())),
            Body::PersonRemove(remove) => drop(self.known.insert(remove.person_id.clone().into())),
            _ => {}
        }
    }
}
