//! Looking: receipts and obligations.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::{Group, IntoEventRef};
use crate::error::{Error, Result};
use crate::event::{Body, Event};
use crate::id::{EventRef, Principal};
use crate::rule::obligation::{self, Filter, ObligationView};
use crate::rule::receipt::{self, Receipt};

impl Group {
    /// For each recipient of a message: how far delivery, reading, acknowledgement and reply have come.
    ///
    /// A recipient in another group is `accepted` once the message has been copied there; what has become
    /// of the copy is then looked up in that group.
    ///
    /// # Errors
    /// `NotFound` for an event that does not exist or is lost; `Invalid` for one that is no message.
    pub async fn receipts(&self, message: impl IntoEventRef) -> Result<Vec<Receipt>> {
        let (event, mut receipts) = self.receipts_here(message.into_event_ref()?).await?;
        self.look_there(&event, &mut receipts).await?;
        Ok(receipts)
    }

    /// Receipts by what this group knows, with the message.
    pub(super) async fn receipts_here(&self, message: EventRef) -> Result<(Event, Vec<Receipt>)> {
        let engine = &self.shared.engine;
        let event = engine.event(&message).await?;
        if let Some(lost) = event.lost() {
            return Err(lost);
        }
        if event.message().is_none() && !matches!(event.body, Body::Redacted { .. }) {
            let kind = event.body.kind();
            return Err(Error::invalid(format!("event {} is a {kind}, not a message", event.id)));
        }
        let now = engine.clock().now();
        let look = |state: &_, facts: &[Event]| receipt::receipts(state, &event, facts, now);
        let receipts = engine.query_facts(event.seq, look).await?;
        Ok((event, receipts))
    }

    /// What is owed: by default by and to this principal.
    pub fn obligations(&self) -> ObligationsRequest<'_> {
        ObligationsRequest { group: self, whose: Whose::Concerning }
    }

    /// The event that is meant; by the number of one that was lost, the gap that stands there.
    ///
    /// # Errors
    /// `NotFound`, also by the id of one that was lost; `Unsupported` if a newer version wrote it.
    pub async fn event(&self, event: impl IntoEventRef) -> Result<Event> {
        self.shared.engine.event(&event.into_event_ref()?).await
    }
}

/// A question for obligations; awaiting it asks. Made by [`Group::obligations`].
#[derive(Debug)]
#[must_use = "nothing is asked until this is awaited"]
pub struct ObligationsRequest<'a> {
    group: &'a Group,
    whose: Whose,
}

/// Which obligations are asked for.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// By or to the one who asks.
    Concerning,
    /// By the one who asks.
    Owed,
    /// Anyone's.
    All,
}

impl<'a> ObligationsRequest<'a> {
    /// Only what this principal owes itself.
    pub fn mine(self) -> Self {
        Self { whose: Whose::Owed, ..self }
    }

    /// Everyone's, not only those that concern this principal.
    pub fn all(self) -> Self {
        Self { whose: Whose::All, ..self }
    }

    async fn run(self) -> Result<Vec<ObligationView>> {
        let engine = &self.group.shared.engine;
        let now = engine.clock().now();
        let by: &Principal = &self.group.by;
        let filter = match self.whose {
            Whose::Owed => Filter { debtor: Some(by.clone()), ..Filter::default() },
            Whose::Concerning | Whose::All => Filter::default(),
        };
        let mut list = engine.query(|state| obligation::list(state, &filter, now)).await?;
        if matches!(self.whose, Whose::Concerning) {
            list.retain(|o| o.debtor == *by || o.creditor == *by);
        }
        Ok(list)
    }
}

impl<'a> IntoFuture for ObligationsRequest<'a> {
    type Output = Result<Vec<ObligationView>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;

    #[test]
    fn obligations_are_ones_own_those_that_concern_one_or_all() {
        block_on(async {
            let user = Group::in_memory("test").await?;
            for id in ["lead", "alice", "bob"] {
                user.add_actor(id).await?;
            }
            let (alice, bob) = (user.bind("alice").await?, user.bind("bob").await?);
            user.send("?").to("alice").reply_required().await?;
            alice.send("?").to("bob").reply_required().await?;
            assert_eq!(alice.obligations().mine().await?.len(), 1, "what alice owes");
            assert_eq!(alice.obligations().await?.len(), 2, "and what is owed to alice");
            assert_eq!(bob.obligations().await?.len(), 1);
            assert_eq!(user.obligations().mine().await?.len(), 0);
            assert_eq!(bob.obligations().all().await?.len(), 2);
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }
}
