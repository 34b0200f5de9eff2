//! What every handle of one group in one process shares: the ledger, the state derived from it, and the
//! writer that decides and appends.

mod resolve;
mod view;
mod writer;

use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::blocking::may_block;
use crate::clock::Clock;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::event::{Event, Via};
use crate::id::{EventRef, Principal, Seq};
use crate::ledger::{Durability, Ledger, Position};
use crate::opener::Opener;
use crate::state::GroupState;

use resolve::Source;
use view::View;
use writer::{Work, Writer, carry_out_here};

/// Commands that may wait for the writer; a sender beyond that waits for a place.
const QUEUED_COMMANDS: usize = 1024;

/// A command on its way to the writer.
#[derive(Debug)]
struct Job {
    by: Principal,
    via: Option<Via>,
    scope_key: Arc<str>,
    command: Command,
    durability: Durability,
    answer: oneshot::Sender<Result<Executed>>,
}

/// What became of a command that was not refused.
#[derive(Clone, Debug, Default)]
pub struct Executed {
    /// What was appended; empty if there was nothing to do.
    pub events: Vec<Event>,
    /// If the command had been carried out before: the event that did.
    pub duplicate: Option<Event>,
}

impl Executed {
    /// The first event appended, or the one that had carried the command out before.
    pub fn event(&self) -> Option<&Event> {
        self.events.first().or(self.duplicate.as_ref())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Engine {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    opener: Opener,
    /// The view of what is durable. `None` until something is asked.
    durable: Arc<Mutex<Option<View>>>,
    /// Whoever holds it decides and appends: its thread, or a caller that may.
    writer: Arc<Mutex<Writer>>,
    /// The queue to the writer's thread, which starts when it is first needed.
    queue: OnceLock<mpsc::Sender<Work>>,
}

impl Engine {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        let durable = Arc::default();
        let writer = Writer::new(ledger.clone(), clock.clone(), Arc::clone(&durable));
        Self {
            ledger,
            clock,
            opener: Opener::here(),
            durable,
            writer: Arc::new(Mutex::new(writer)),
            queue: OnceLock::new(),
        }
    }

    pub(crate) fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The one write path: has the command decided, and waits until that is durable. Once begun it goes on
    /// whether or not somebody waits.
    pub(crate) async fn execute(
        &self,
        by: Principal,
        via: Option<Via>,
        scope_key: Arc<str>,
        command: Command,
        durability: Durability,
    ) -> Result<Executed> {
        self.opener.check()?;
        let (answer, mut result) = oneshot::channel();
        let job = Job { by, via, scope_key, command, durability, answer };
        let work = match self.writer.clone().try_lock_owned() {
            Ok(writer) if may_block() => carry_out_here(writer, job).await?.then_some(Work::Maintain),
            _ => Some(Work::Job(Box::new(job))),
        };
        if let Some(work) = work {
            self.queue()?.send(work).await.map_err(|_| gone())?;
        }
        match result.try_recv() {
            Ok(result) => result,
            Err(_) => result.await.map_err(|_| gone())?,
        }
    }

    fn queue(&self) -> Result<&mpsc::Sender<Work>> {
        if let Some(queue) = self.queue.get() {
            return Ok(queue);
        }
        let (sender, receiver) = mpsc::channel(QUEUED_COMMANDS);
        // Of two first commands at once one finds its channel unused; no thread was started for it.
        if self.queue.set(sender).is_ok() {
            writer::start(self.ledger.group_id(), self.writer.clone(), receiver)?;
        }
        self.queue.get().ok_or_else(|| Error::unavailable("the group's writer could not be started"))
    }

    /// Looks at the state of what is durable, caught up first.
    pub(crate) async fn query<T>(&self, look: impl FnOnce(&GroupState) -> T) -> Result<T> {
        self.opener.check()?;
        let mut view = self.durable.lock().await;
        let view = caught_up(&mut view, self.ledger.as_ref()).await?;
        Ok(look(&view.state))
    }

    /// The durable event at a seq.
    pub(crate) async fn event_at(&self, seq: Seq) -> Result<Option<Event>> {
        Source::Durable(self.ledger.as_ref()).event(seq).await
    }

    /// The durable event that is meant.
    pub(crate) async fn event(&self, reference: &EventRef) -> Result<Event> {
        match self.event_at(reference.seq()).await? {
            Some(event) if reference.matches(event.id) => Ok(event),
            Some(event) => Err(Error::not_found(format!("there is no event {reference} in this group"))
                .hint(format!("event {} is {}", event.seq, event.id))),
            None => Err(Error::not_found(format!("there is no event {reference} in this group"))
                .hint("`cccc tail` lists the latest events")),
        }
    }

    /// Looks at the state together with what later events say of the one at `target`.
    pub(crate) async fn query_facts<T>(
        &self,
        target: Seq,
        look: impl FnOnce(&GroupState, &[Event]) -> T,
    ) -> Result<T> {
        self.opener.check()?;
        let mut view = self.durable.lock().await;
        let view = caught_up(&mut view, self.ledger.as_ref()).await?;
        let facts = Source::Durable(self.ledger.as_ref()).facts(view, target).await?;
        Ok(look(&view.state, &facts))
    }

    /// The seqs of durable events that answer a lookup.
    pub(crate) async fn find(&self, lookup: &crate::ledger::Lookup) -> Result<Vec<Seq>> {
        self.opener.check()?;
        let mut view = self.durable.lock().await;
        caught_up(&mut view, self.ledger.as_ref()).await?.find(self.ledger.as_ref(), lookup).await
    }

    /// The end of what is durable.
    pub(crate) async fn position(&self) -> Result<Position> {
        self.ledger.head().await
    }
}

fn gone() -> Error {
    Error::unavailable("the group's writer has stopped").hint("open the group again")
}

/// The view, loaded if need be, at the ledger's head.
async fn caught_up<'a>(slot: &'a mut Option<View>, ledger: &dyn Ledger) -> Result<&'a mut View> {
    let mut view = match slot.take() {
        Some(view) => view,
        None => View::load(ledger).await?,
    };
    view.refresh(ledger).await?;
    Ok(slot.insert(view))
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::blocking::block_on;
    use crate::clock::ManualClock;
    use crate::command::AddActor;
    use crate::event::GroupCreate;
    use crate::id::GroupId;
    use crate::ledger::MemoryLedger;

    /// On a thread that may block, a caller carries out its command itself. Where that has to wait and the
    /// caller gives up, it is carried out all the same.
    #[test]
    fn a_turn_that_was_begun_goes_on_without_its_caller() {
        let ledger = Arc::new(MemoryLedger::new(GroupId::new("g").unwrap()));
        let engine = Engine::new(ledger, Arc::new(ManualClock::default()));
        let user = |command| engine.execute(Principal::User, None, "".into(), command, Durability::Durable);
        block_on(async {
            let held = engine.durable.clone().lock_owned().await;
            {
                let mut create = pin!(user(Command::CreateGroup(GroupCreate::default())));
                let begun = poll_fn(|context| Poll::Ready(create.as_mut().poll(context))).await;
                assert!(begun.is_pending(), "it waits for the state");
            }
            drop(held);
            let add = AddActor::new("lead".parse().unwrap());
            let added = user(Command::AddActor(add)).await.unwrap();
            assert_eq!(added.event().map(|event| event.seq), Some(Seq(2)), "the group was made before");
        });
    }
}
