//! What every handle of one group in one process shares: the ledger, the state derived from it, and the
//! writer that decides and appends.
//!
//! # What may wait for what
//! Three things are held while waiting for something else, always in this order: the writer, the durable
//! view, the ledger's turn (with its lock between processes). Whoever has the view may wait for the turn; whoever has
//! the turn never waits for a view. So a writer has its view before it takes its turn; if that turns out to be
//! of another epoch or history than the view, the turn is given back first. While a turn is held everything is read
//! through it: of the methods of [`Ledger`] only `find` may be called then, because it never locks. What a turn wrote
//! comes into the view when the turn is over.
//!
//! A view takes a page only if it follows the position that the view is at. If it does not, the ledger has
//! another history by now (it was cut by a repair, or restored in place), and the view is made anew.
//!
//! What reads or writes long is done where the thread may block, else on a thread of the process's pool.

mod doubt;
mod resolve;
mod view;
mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, mpsc, oneshot};

use crate::blocking::{aside, may_block, no_thread};
use crate::clock::Clock;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::event::{Event, Via};
use crate::id::{EventRef, Principal, Seq};
use crate::ledger::{self, Durability, Ledger, Position};
use crate::opener::Opener;
use crate::state::GroupState;

use resolve::Source;
use view::{Step, View};
use writer::{Work, Writer, carry_out_here};

/// Commands that may wait for the writer; a sender beyond that waits for a place.
const QUEUED_COMMANDS: usize = 1024;

/// How often a view or a turn is begun anew because the ledger's history changed meanwhile.
const TRIES: usize = 8;

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
    /// How often it was begun to bring that view to the ledger's head.
    looks: AtomicU64,
    /// Whoever holds it decides and appends: the one that drains the queue, or a caller that may.
    writer: Arc<Mutex<Writer>>,
    /// The queue to the writer, which starts when it is first needed.
    queue: StdMutex<Option<mpsc::Sender<Work>>>,
}

impl Engine {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        let ledger = ledger::for_anybody(ledger);
        let durable = Arc::default();
        let writer = Writer::new(ledger.clone(), clock.clone(), Arc::clone(&durable));
        Self {
            ledger,
            clock,
            opener: Opener::here(),
            durable,
            looks: AtomicU64::new(0),
            writer: Arc::new(Mutex::new(writer)),
            queue: StdMutex::default(),
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
        let (answer, result) = oneshot::channel();
        let job = Job { by, via, scope_key, command, durability, answer };
        self.opener.only_here(self.carry_out(job, result)).await
    }

    async fn carry_out(&self, job: Job, mut result: oneshot::Receiver<Result<Executed>>) -> Result<Executed> {
        match self.writer.clone().try_lock_owned() {
            Ok(writer) if may_block() => {
                if carry_out_here(writer, job).await {
                    self.maintain_later();
                }
            }
            _ => self.queue()?.send(Work::Job(Box::new(job))).await.map_err(|_| unanswered())?,
        }
        match result.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Closed) => Err(unanswered()),
            Err(TryRecvError::Empty) => result.await.map_err(|_| unanswered())?,
        }
    }

    /// Has the writer save derived state. Where that cannot be asked for now, the next command's turn does.
    fn maintain_later(&self) {
        if let Ok(queue) = self.queue() {
            let _ = queue.try_send(Work::Maintain);
        }
    }

    /// The queue to the writer, started if it is not running: what could not be started is tried again.
    fn queue(&self) -> Result<mpsc::Sender<Work>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queue.as_ref().filter(|queue| !queue.is_closed()) {
            return Ok(queue.clone());
        }
        let (sender, receiver) = mpsc::channel(QUEUED_COMMANDS);
        writer::start(self.writer.clone(), receiver).map_err(|refused| no_thread(&refused.cause))?;
        Ok(queue.insert(sender).clone())
    }

    /// The durable view, with all that was durable when this was called. A step is taken at once; making a view, and
    /// catching up far, is done where it holds up nobody. Of those that wait for each other one looks for all.
    async fn view(&self) -> Result<OwnedMappedMutexGuard<Option<View>, View>> {
        let looks = self.looks.load(Ordering::SeqCst);
        let slot = self.durable.clone();
        let mut slot = self.opener.only_here(async { Ok(slot.lock_owned().await) }).await?;
        let has_looked = |view: &View| view.look > looks && view.is_of(self.ledger.as_ref());
        if slot.as_ref().is_some_and(has_looked) {
            return mapped(slot);
        }
        let look = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
        // While it changes it is not there: a panic leaves none that is half changed.
        if let Some(mut view) = slot.take() {
            let step = view.step(self.ledger.as_ref()).await;
            let is_short = matches!(step, Ok(Step::AtHead)) && !view.is_maintenance_due();
            if is_short {
                view.look = look;
            }
            if !matches!(step, Ok(Step::Diverged)) {
                *slot = Some(view);
            }
            step?;
            if is_short {
                return mapped(slot);
            }
        }
        let ledger = self.ledger.clone();
        let work = async move {
            at_head(&mut slot, ledger.as_ref()).await?.look = look;
            Ok(slot)
        };
        mapped(aside("reading the group's state", work).await?)
    }

    /// As [`view`](Self::view), ready for lookups.
    async fn view_for_lookups(&self) -> Result<OwnedMappedMutexGuard<Option<View>, View>> {
        let mut view = self.view().await?;
        if view.is_joined() {
            return Ok(view);
        }
        let ledger = self.ledger.clone();
        let work = async move {
            view.join(&mut Source::Durable(ledger.as_ref())).await?;
            Ok(view)
        };
        aside("reading what the index lacks", work).await
    }

    /// Looks at the state of what is durable, caught up first.
    pub(crate) async fn query<T>(&self, look: impl FnOnce(&GroupState) -> T) -> Result<T> {
        Ok(look(&self.view().await?.state))
    }

    /// The durable event at a seq.
    pub(crate) async fn event_at(&self, seq: Seq) -> Result<Option<Event>> {
        Ok(self.events_at([seq]).await?.remove(&seq))
    }

    /// The durable events at these seqs that there are.
    pub(crate) async fn events_at(
        &self,
        seqs: impl IntoIterator<Item = Seq>,
    ) -> Result<BTreeMap<Seq, Event>> {
        self.opener.check()?;
        Source::Durable(self.ledger.as_ref()).events(seqs).await
    }

    /// The durable event that is meant.
    pub(crate) async fn event(&self, reference: &EventRef) -> Result<Event> {
        match self.event_at(reference.seq()).await? {
            Some(event) if reference.matches(event.id) => Ok(event),
            Some(event) => Err(event.lost().unwrap_or_else(|| {
                Error::not_found(format!("there is no event {reference} in this group"))
                    .hint(format!("event {} is {}", event.seq, event.id))
            })),
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
        let mut view = self.view_for_lookups().await?;
        let facts = Source::Durable(self.ledger.as_ref()).facts(&mut view, target).await?;
        Ok(look(&view.state, &facts))
    }

    /// The seqs of durable events that answer a lookup.
    pub(crate) async fn find(&self, lookup: &crate::ledger::Lookup) -> Result<Vec<Seq>> {
        self.view_for_lookups().await?.find(&mut Source::Durable(self.ledger.as_ref()), lookup).await
    }

    /// Has all that was written until now either durable or gone: what a process wrote last that has died.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.opener.check()?;
        let ledger = self.ledger.clone();
        aside("settling what was written", async move { ledger::settle(ledger.as_ref()).await }).await
    }

    /// The end of what is durable.
    pub(crate) async fn position(&self) -> Result<Position> {
        self.opener.check()?;
        self.ledger.head().await
    }
}

/// What a caller is told whose turn ended without an answer.
fn unanswered() -> Error {
    Error::unknown("carrying out the command ended in a panic: it may or may not have been written")
        .hint("look before you repeat it; with the same client id repeating it is safe")
}

fn diverged() -> Error {
    Error::diverged("the ledger's history changed while it was read")
        .hint("try again; see `cccc ledger verify`")
}

fn mapped(slot: OwnedMutexGuard<Option<View>>) -> Result<OwnedMappedMutexGuard<Option<View>, View>> {
    OwnedMutexGuard::try_map(slot, Option::as_mut).map_err(|_| diverged())
}

/// The view in `slot` at the ledger's head, made if there is none and made anew if it is of another history.
async fn at_head<'a>(slot: &'a mut Option<View>, ledger: &dyn Ledger) -> Result<&'a mut View> {
    for _ in 0..TRIES {
        let mut view = match slot.take() {
            Some(view) => view,
            None => View::load(ledger).await?,
        };
        match view.refresh(ledger).await {
            Ok(true) => return Ok(slot.insert(view)),
            Ok(false) => {}
            // What it has so far is right.
            Err(error) => {
                *slot = Some(view);
                return Err(error);
            }
        }
    }
    Err(diverged())
}

#[cfg(test)]
mod tests;
