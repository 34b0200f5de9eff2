//! Handing messages over to a session from outside it: a hook prints them, and is gone a moment later.
//!
//! The claim is made in the name of a service that holds a lock of its own, so that it is seen when that
//! program dies before it has said how it went, while the session it hands over to lives on. It is made only
//! as long as that session is its actor's newest, so nothing goes to one that was replaced.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::{Group, LiveSession};
use crate::blocking::{block_on, off_thread};
use crate::command::{Command, Outcome};
use crate::engine::Executed;
use crate::error::{Error, ErrorKind, Result};
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
    again: Vec<EventId>,
}

impl Handing {
    /// Which messages are this deliverer's to hand over.
    #[must_use]
    pub fn taken(&self) -> &[EventId] {
        &self.taken
    }

    /// Which of them the recipient may have got before, in another try.
    #[must_use]
    pub fn again(&self) -> &[EventId] {
        &self.again
    }

    /// Which try it is: the event that claimed them.
    #[must_use]
    pub fn delivery(&self) -> EventId {
        self.delivery
    }

    /// Says how it went. What is seen later is said by [`Group::report`].
    ///
    /// # Errors
    /// As for [`Group::execute`].
    pub async fn settle(self, outcome: Outcome) -> Result<()> {
        let settle = Command::Settle { delivery: self.delivery, outcome };
        self.service.group().execute(settle).await?;
        self.service.withdraw()
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
        let wanted = Command::Claim {
            recipient: self.by.clone(),
            events: events.iter().copied().map(EventRef::from).collect(),
            transport,
        };
        let command = Command::InSession { session: session.to_owned(), command: Box::new(wanted) };
        let (service, done) = match claim(service, command).await {
            Ok(claimed) => claimed,
            // Whoever else took them meanwhile hands them over.
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(None),
            Err(error) => return Err(error),
        };
        let claimed = done.events.into_iter().find_map(|event| match event.body {
            Body::RuntimeDelivery(claim) if claim.state == DeliveryState::Claimed => {
                Some((event.id, claim.event_ids, claim.again))
            }
            _ => None,
        });
        match claimed {
            Some((delivery, taken, again)) => Ok(Some(Handing { service, delivery, taken, again })),
            None => {
                service.withdraw()?;
                Ok(None)
            }
        }
    }

    /// Puts in order what dead deliverers that went by this name have left.
    pub(super) async fn sweep(&self) -> Result<()> {
        let mut dead = self.sightings().await?;
        dead.retain(|one| {
            let embodies = self.by.actor().is_some() && !one.record.deliverer;
            one.record.principal == self.by && one.condition == Condition::Absent && !embodies
        });
        self.bury(dead.into_iter().map(|one| one.record.session).collect()).await
    }

    /// Settles what these sessions claimed, which are dead, and only then takes away what tells that they are.
    /// If anything fails the records stay, for whoever comes next.
    pub(super) async fn bury(&self, dead: Vec<String>) -> Result<()> {
        self.lose_claims(&dead).await?;
        if dead.is_empty() {
            return Ok(());
        }
        let presence = self.shared.presence.clone();
        let forget = move || dead.iter().try_for_each(|session| presence.forget_dead(session));
        off_thread("forgetting who is gone", forget).await
    }

    /// Settles what these sessions claimed, which are dead.
    ///
    /// A process that is dead writes nothing more, but what it wrote last need not be durable yet, and then
    /// no look at the ledger shows it. So this is one command, decided at the ledger's tip, and returns when
    /// all that it saw is durable.
    pub(super) async fn lose_claims(&self, dead: &[String]) -> Result<()> {
        if !dead.is_empty() {
            let system = Self { by: Principal::System, ..self.clone() };
            system.execute(Command::LoseClaims { sessions: dead.to_vec() }).await?;
        }
        Ok(())
    }
}

/// Has a deliverer make its claim, and gives it back with what was written. Where that is nothing for sure,
/// what it left is taken away.
pub(super) async fn claim(deliverer: LiveSession, command: Command) -> Result<(LiveSession, Executed)> {
    let group = deliverer.group().clone();
    let work = Box::pin(async move { group.execute(command).await });
    let mut claiming = Claiming(Some((work, deliverer)));
    let given_up = || Error::unavailable("the claim was given up");
    let result = poll_fn(|context| match &mut claiming.0 {
        Some((work, _)) => work.as_mut().poll(context),
        None => Poll::Ready(Err(given_up())),
    });
    let result = result.await;
    let Some((_, deliverer)) = claiming.0.take() else { return Err(given_up()) };
    match result {
        Ok(done) => Ok((deliverer, done)),
        Err(error) => {
            // Else the record stays, and tells that nobody is at what may have been claimed.
            if wrote_nothing(&error) {
                deliverer.withdraw()?;
            }
            Err(error)
        }
    }
}

/// A deliverer whose claim is on its way. If whoever waits for it gives up, the claim is written all the same:
/// so the lock is held until that has been done, and what came of it is settled.
struct Claiming(Option<(Work, LiveSession)>);

/// A command on its way.
type Work = Pin<Box<dyn Future<Output = Result<Executed>> + Send>>;

impl Drop for Claiming {
    fn drop(&mut self) {
        let Some((work, deliverer)) = self.0.take() else { return };
        let lose = move || {
            let system = Group { by: Principal::System, ..deliverer.group().clone() };
            let sessions = vec![deliverer.id().to_owned()];
            block_on(async {
                // However it ends, what it has claimed is known then.
                let _ = work.await;
                // Where this fails, the record that stays tells others that the deliverer is dead.
                system.execute(Command::LoseClaims { sessions }).await
            })?;
            deliverer.withdraw()
        };
        // Nobody waits for it: begun, it goes on by itself.
        let begun = pin!(off_thread("handing over", lose));
        let _ = begun.poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// Whether an error says for sure that a command wrote nothing.
pub(super) fn wrote_nothing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict
            | ErrorKind::Invalid
            | ErrorKind::NotFound
            | ErrorKind::Refused
            | ErrorKind::TooLarge
    )
}
