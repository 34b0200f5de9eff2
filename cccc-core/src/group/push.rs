//! Handing messages over through a runtime: the claim before, and after it all that is seen.

use std::future::poll_fn;

use super::{Group, Handing, Message};
use crate::command::{Command, Outcome};
use crate::engine::Executed;
use crate::error::{ErrorKind, Result};
use crate::event::Transport;
use crate::id::EventId;
use crate::rule::receipt::DeliveryWord;
use crate::runtime::{Handoff, Manner, Runtime};

/// What a push has done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pushed {
    /// The try: evidence speaks of it by this.
    pub delivery: EventId,
    /// Which messages were handed over.
    pub taken: Vec<EventId>,
    /// How far they got.
    pub outcome: Outcome,
}

impl Group {
    /// Hands messages to a session of this actor's through a runtime, in the name of a service: claims them, has the
    /// runtime deliver them, and writes down what it answers. `None` if none is to be had, as for
    /// [`hand_over`](Self::hand_over).
    ///
    /// Dropped before it is ready, it leaves what it had claimed `ambiguous`, even if the runtime goes on.
    ///
    /// # Errors
    /// As for [`hand_over`](Self::hand_over). If the outcome cannot be written, the messages become `ambiguous`.
    pub async fn push(
        &self,
        service: &str,
        runtime: &dyn Runtime,
        session: &str,
        events: &[EventId],
        manner: Manner,
    ) -> Result<Option<Pushed>> {
        let most = runtime.capabilities().batch.max(1);
        let events = events.get(..most).unwrap_or(events);
        let handing = self.hand_over(service, session, events, Transport::Push).await?;
        let Some(handing) = handing else { return Ok(None) };
        let (delivery, taken) = (handing.delivery(), handing.taken().to_vec());
        let handoff = Handoff::new(delivery, self.messages_of(&handing).await?, manner);
        let outcome = runtime.deliver(session, handoff).await;
        handing.settle(outcome.clone()).await?;
        Ok(Some(Pushed { delivery, taken, outcome }))
    }

    /// What was claimed, as the recipient sees it.
    async fn messages_of(&self, handing: &Handing) -> Result<Vec<Message>> {
        let seqs = handing.taken().iter().map(|id| id.seq);
        let events = self.shared.engine.events_at(seqs).await?;
        let again = |id: EventId| handing.again().contains(&id);
        let message = |event: crate::event::Event| {
            let known = (DeliveryWord::Claimed, again(event.id));
            Message::of(event, known, Vec::new())
        };
        Ok(events.into_values().filter_map(message).collect())
    }

    /// Says of a delivery what was seen later.
    ///
    /// # Errors
    /// `Refused` for who did not claim it, besides the user and the system; `Conflict` if it contradicts what is known.
    pub async fn report(&self, delivery: EventId, outcome: Outcome) -> Result<Executed> {
        self.execute(Command::Settle { delivery, outcome }).await
    }

    /// Writes down what a runtime sees later of what was pushed in the name of this service, until the session ends. A
    /// step that contradicts what is known is passed over: what was written stays.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute). What the runtime says meanwhile is lost then; [`Runtime::settle`] tells it.
    pub async fn record_evidence(&self, runtime: &dyn Runtime, session: &str) -> Result<()> {
        let mut evidence = runtime.evidence(session);
        while let Some((delivery, outcome)) = poll_fn(|context| evidence.as_mut().poll_next(context)).await {
            match self.report(delivery, outcome).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks a runtime about a try of which nobody heard the outcome, and writes down what it knows.
    ///
    /// # Errors
    /// As for [`report`](Self::report).
    pub async fn settle_with(
        &self,
        runtime: &dyn Runtime,
        session: &str,
        delivery: EventId,
    ) -> Result<Outcome> {
        let outcome = runtime.settle(session, delivery).await;
        self.report(delivery, outcome.clone()).await?;
        Ok(outcome)
    }
}
