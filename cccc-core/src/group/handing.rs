//! Handing messages over to a session from outside it: a hook prints them, and is gone a moment later.
//!
//! The claim is made in the name of a service that holds a lock of its own, so that it is seen when that
//! program dies before it has said how it went, while the session it hands over to lives on. It is made only
//! as long as that session is its actor's newest, so nothing goes to one that was replaced.

use super::{Group, LiveSession};
use crate::command::{Command, Outcome};
use crate::error::{ErrorKind, Result};
use crate::event::{Body, DeliveryState, Transport};
use crate::id::{EventId, EventRef, Principal};
use crate::rule::presence::Condition;

/// Messages that were claimed and have to be settled. Dropped, they become ambiguous.
#[derive(Debug)]
#[must_use = "a claim that is not settled becomes ambiguous"]
pub struct Handing {
    service: LiveSession,
    delivery: EventId,
    taken: Vec<EventId>,
}

impl Handing {
    /// Which messages are this deliverer's to hand over.
    #[must_use]
    pub fn taken(&self) -> &[EventId] {
        &self.taken
    }

    /// Says how it went.
    ///
    /// # Errors
    /// As for [`Group::execute`].
    pub async fn settle(self, outcome: Outcome) -> Result<()> {
        let settle = Command::Settle { delivery: self.delivery, outcome };
        self.service.group().execute(settle).await?;
        self.service.depart("").await
    }
}

impl Group {
    /// Claims messages for this actor's session, to be handed over by a program that stands outside it and
    /// goes by the name of a service. `None` if none of them is to be had: another door has them, or they are
    /// read, or may no longer be handed over.
    ///
    /// # Errors
    /// `Refused` if the session is not its actor's newest any more; `Unavailable` in a group that rests.
    pub async fn hand_over(
        &self,
        service: &str,
        session: &str,
        events: &[EventId],
        transport: Transport,
    ) -> Result<Option<Handing>> {
        let by = service.parse::<Principal>()?;
        let service = Self { by: by.clone(), ..self.clone() };
        service.sweep().await?;
        let service = service.serve()?;
        let claim = Command::Claim {
            recipient: self.by.clone(),
            events: events.iter().copied().map(EventRef::from).collect(),
            transport,
        };
        let command = Command::InSession { session: session.to_owned(), command: Box::new(claim) };
        let done = match service.group().execute(command).await {
            Ok(done) => done,
            Err(error) => {
                service.depart("").await?;
                // Whoever else took them meanwhile hands them over.
                return if error.kind() == ErrorKind::Conflict { Ok(None) } else { Err(error) };
            }
        };
        let claimed = done.events.into_iter().find_map(|event| match event.body {
            Body::RuntimeDelivery(claim) if claim.state == DeliveryState::Claimed => {
                Some((event.id, claim.event_ids))
            }
            _ => None,
        });
        match claimed {
            Some((delivery, taken)) => Ok(Some(Handing { service, delivery, taken })),
            None => {
                service.depart("").await?;
                Ok(None)
            }
        }
    }

    /// Settles what dead deliverers of this service claimed, and takes away what they left: until then it is
    /// what tells that they are dead.
    async fn sweep(&self) -> Result<()> {
        let presence = &self.shared.presence;
        let mut dead = self.sightings().await?;
        dead.retain(|one| one.record.principal == self.by && one.condition == Condition::Absent);
        if !dead.is_empty() {
            self.upkeep().await?;
        }
        dead.iter().try_for_each(|one| presence.forget(&one.record.session))
    }
}
