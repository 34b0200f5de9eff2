//! A store whose calls run on its own executor, for callers that are polled anywhere.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{
    Appended, Batch, Checkpoint, CheckpointPlace, Durability, Executor, Found, Ledger, Lookup, Page,
    Position, ReadLimit, Turn, Verdict,
};
use crate::error::{Error, Result};
use crate::id::{GroupId, Seq};
use crate::index::TailIndex;
use crate::opener::Opener;

/// The store as anybody may poll it: where it needs an executor, each of its calls runs there.
pub(crate) fn for_anybody(store: Arc<dyn Ledger>) -> Arc<dyn Ledger> {
    match store.executor() {
        Some(executor) => Arc::new(Spawned { store, place: Place { executor, opener: Opener::here() } }),
        None => store,
    }
}

/// Where calls run.
#[derive(Clone, Debug)]
struct Place {
    executor: Arc<dyn Executor>,
    /// A forked child does not have the executor's threads.
    opener: Opener,
}

impl Place {
    /// Has a call carried out. It ends when nobody waits for it any more.
    async fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (mut answer, result) = oneshot::channel();
        let work = async move {
            let mut work = pin!(work);
            let done = poll_fn(|context| match answer.poll_closed(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => work.as_mut().poll(context).map(Some),
            });
            if let Some(done) = done.await {
                let _ = answer.send(done);
            }
        };
        let broken_off = || Error::unavailable("the ledger's store broke off what it was asked");
        self.spawn(work, result, broken_off).await
    }

    /// Has a call carried out to its end, whether or not anybody waits.
    async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        let work = async move {
            let _ = answer.send(work.await);
        };
        let broken_off = || Error::unknown("the ledger's store broke off what it was asked to write");
        self.spawn(work, result, broken_off).await
    }

    async fn spawn<T>(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
        result: oneshot::Receiver<Result<T>>,
        broken_off: fn() -> Error,
    ) -> Result<T> {
        self.opener.check()?;
        self.executor.spawn(Box::pin(work));
        self.opener.only_here(async { result.await.map_err(|_| broken_off())? }).await
    }
}

#[derive(Debug)]
struct Spawned {
    store: Arc<dyn Ledger>,
    place: Place,
}

impl Spawned {
    /// Has the store asked.
    async fn ask<T, F>(&self, question: impl FnOnce(Arc<dyn Ledger>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.place.call(question(self.store.clone())).await
    }
}

#[async_trait]
impl Ledger for Spawned {
    fn group_id(&self) -> &GroupId {
        self.store.group_id()
    }

    fn executor(&self) -> Option<Arc<dyn Executor>> {
        Some(self.place.executor.clone())
    }

    async fn turn(&self) -> Result<Box<dyn Turn>> {
        let turn = self.ask(|store| async move { store.turn().await }).await?;
        Ok(SpawnedTurn::of(turn, &self.place))
    }

    fn suppose(&self, tip: Position) -> Option<Box<dyn Turn>> {
        Some(SpawnedTurn::of(self.store.suppose(tip)?, &self.place))
    }

    async fn head(&self) -> Result<Position> {
        self.ask(|store| async move { store.head().await }).await
    }

    async fn read(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        self.ask(move |store| async move { store.read(from, limit).await }).await
    }

    async fn read_many(&self, seqs: &[Seq]) -> Result<Vec<Page>> {
        let seqs = seqs.to_vec();
        self.ask(move |store| async move { store.read_many(&seqs).await }).await
    }

    async fn news(&self, after: Seq, limit: ReadLimit) -> Result<(Position, Page)> {
        self.ask(move |store| async move { store.news(after, limit).await }).await
    }

    async fn find(&self, lookup: Lookup) -> Result<Found> {
        self.ask(move |store| async move { store.find(lookup).await }).await
    }

    async fn wait(&self, past: Seq) -> Result<Position> {
        self.ask(move |store| async move { store.wait(past).await }).await
    }

    async fn changed(&self, seen: Position) -> Result<Position> {
        self.ask(move |store| async move { store.changed(seen).await }).await
    }

    fn replacements(&self) -> u64 {
        self.store.replacements()
    }

    fn forget(&self) {
        self.store.forget();
    }

    async fn load_checkpoint(&self, schema: u32) -> Result<Option<Checkpoint>> {
        self.ask(move |store| async move { store.load_checkpoint(schema).await }).await
    }

    async fn checkpoint_place(&self, schema: u32) -> Result<Option<Box<dyn CheckpointPlace>>> {
        let place = self.ask(move |store| async move { store.checkpoint_place(schema).await }).await?;
        let at = self.place.clone();
        Ok(place.map(|inner| Box::new(SpawnedPlace { inner, at }) as Box<dyn CheckpointPlace>))
    }

    async fn extend_index(&self, tail: &TailIndex, through: Position) -> Result<Seq> {
        let tail = tail.clone();
        self.ask(move |store| async move { store.extend_index(&tail, through).await }).await
    }

    async fn redact(&self, seq: Seq, data_hash: [u8; 32]) -> Result<()> {
        let store = self.store.clone();
        self.place.see_through(async move { store.redact(seq, data_hash).await }).await
    }

    async fn verify(&self) -> Result<Verdict> {
        self.ask(|store| async move { store.verify().await }).await
    }
}

struct SpawnedTurn {
    /// `None` while it reads, and after a read that nobody waited for.
    turn: Option<Box<dyn Turn>>,
    at: Place,
    epoch: u64,
    tip: Position,
    durable: Position,
}

impl fmt::Debug for SpawnedTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpawnedTurn({})", self.tip)
    }
}

impl SpawnedTurn {
    fn of(turn: Box<dyn Turn>, at: &Place) -> Box<dyn Turn> {
        let (epoch, tip, durable) = (turn.epoch(), turn.tip(), turn.durable());
        Box::new(Self { turn: Some(turn), at: at.clone(), epoch, tip, durable })
    }

    fn take(&mut self) -> Result<Box<dyn Turn>> {
        self.turn.take().ok_or_else(|| Error::unavailable("the turn was broken off"))
    }
}

#[async_trait]
impl Turn for SpawnedTurn {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn tip(&self) -> Position {
        self.tip
    }

    fn durable(&self) -> Position {
        self.durable
    }

    async fn read(&mut self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let mut turn = self.take()?;
        let read = async move {
            let page = turn.read(from, limit).await;
            Ok((turn, page))
        };
        let (turn, page) = self.at.call(read).await?;
        self.turn = Some(turn);
        page
    }

    async fn read_many(&mut self, seqs: &[Seq]) -> Result<Vec<Page>> {
        let (mut turn, seqs) = (self.take()?, seqs.to_vec());
        let read = async move {
            let pages = turn.read_many(&seqs).await;
            Ok((turn, pages))
        };
        let (turn, pages) = self.at.call(read).await?;
        self.turn = Some(turn);
        pages
    }

    async fn append(mut self: Box<Self>, batch: &Batch, durability: Durability) -> Result<Appended> {
        let (turn, batch) = (self.take()?, batch.clone());
        self.at.see_through(async move { turn.append(&batch, durability).await }).await
    }
}

impl Drop for SpawnedTurn {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.at.executor.spawn(Box::pin(async move { drop(turn) }));
        }
    }
}

struct SpawnedPlace {
    inner: Box<dyn CheckpointPlace>,
    at: Place,
}

#[async_trait]
impl CheckpointPlace for SpawnedPlace {
    fn newest(&self) -> Option<(Position, u64)> {
        self.inner.newest()
    }

    async fn save(self: Box<Self>, checkpoint: Checkpoint) -> Result<()> {
        let Self { inner, at } = *self;
        at.see_through(async move { inner.save(checkpoint).await }).await
    }
}
