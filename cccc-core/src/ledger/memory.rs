//! A ledger in memory: for tests, for trying the library out, and for groups that need no yesterday.
//!
//! It keeps the promises of a ledger except the one thing memory cannot: it ends with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

use super::codec::redaction;
use super::{
    Appended, Batch, Checkpoint, CheckpointPlace, Durability, Found, Ledger, Lookup, Page, Position, RawLine,
    ReadLimit, Turn, Verdict, is_redacted,
};
use crate::error::{Damage, Error, Result};
use crate::id::{GroupId, Seq};
use crate::index::TailIndex;

/// A group's ledger in memory. Clones are the same ledger.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    group_id: GroupId,
    turn: Arc<AsyncMutex<()>>,
    store: Mutex<Store>,
    head: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Store {
    /// Each line, with the position after it.
    lines: Vec<(Vec<u8>, Position)>,
    index: TailIndex,
    covered: Seq,
    checkpoints: BTreeMap<u32, Checkpoint>,
}

impl MemoryLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new(group_id: GroupId) -> Self {
        let head = watch::Sender::new(Position::start(&group_id));
        let shared = Shared { group_id, turn: Arc::default(), store: Mutex::default(), head };
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> Position {
        *self.head.borrow()
    }
}

impl Store {
    fn tip(&self, group_id: &GroupId) -> Position {
        self.position(group_id, Seq(self.lines.len() as u64)).unwrap_or_else(|| Position::start(group_id))
    }

    fn line(&self, seq: Seq) -> Option<&(Vec<u8>, Position)> {
        self.lines.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
    }

    fn position(&self, group_id: &GroupId, seq: Seq) -> Option<Position> {
        match seq.0 {
            0 => Some(Position::start(group_id)),
            _ => self.line(seq).map(|(_, position)| *position),
        }
    }

    fn read(&self, group_id: &GroupId, end: Seq, from: Seq, limit: ReadLimit) -> Result<Page> {
        let from = Seq(from.0.max(1));
        let mut bytes = Vec::new();
        let mut seq = from;
        let mut count = 0;
        while seq <= end && count < limit.events {
            let Some((line, _)) = self.line(seq) else { break };
            if !bytes.is_empty() && bytes.len() + line.len() > limit.bytes {
                break;
            }
            bytes.extend_from_slice(line);
            seq = seq.next();
            count += 1;
        }
        if bytes.is_empty() {
            return Ok(Page::default());
        }
        let previous = self.position(group_id, Seq(from.0 - 1)).unwrap_or_else(|| Position::start(group_id));
        Page::check(bytes, previous).map_err(|(offset, seq, reason)| {
            Error::corrupt(Damage { file: String::new(), offset: offset as u64, seq, reason: reason.into() })
        })
    }
}

#[derive(Debug)]
struct MemoryTurn {
    shared: Arc<Shared>,
    tip: Position,
    durable: Position,
    _turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl Turn for MemoryTurn {
    fn epoch(&self) -> u64 {
        1
    }

    fn tip(&self) -> Position {
        self.tip
    }

    fn durable(&self) -> Position {
        self.durable
    }

    async fn read(&mut self, from: Seq, limit: ReadLimit) -> Result<Page> {
        self.shared.store().read(&self.shared.group_id, self.tip.seq, from, limit)
    }

    async fn append(self: Box<Self>, batch: &Batch, durability: Durability) -> Result<Appended> {
        let mut store = self.shared.store();
        let mut outcome = Appended::New;
        if batch.after == self.tip {
            let mut seq = batch.after.seq;
            for line in batch.bytes.split_inclusive(|b| *b == b'\n') {
                seq = seq.next();
                let chain = RawLine::split(line).and_then(|line| line.chain()).map_err(Error::invalid)?;
                store.lines.push((line.to_vec(), Position { seq, chain }));
            }
        } else if !batch.bytes.is_empty()
            && store.position(&self.shared.group_id, batch.end.seq) == Some(batch.end)
        {
            outcome = Appended::Already;
        } else {
            return Err(Error::conflict(format!("the ledger is at {}, not at {}", self.tip, batch.after))
                .hint("take another turn and decide again"));
        }
        if durability == Durability::Durable {
            let tip = store.tip(&self.shared.group_id);
            drop(store);
            self.shared.head.send_if_modified(|head| {
                let newer = tip.seq > head.seq;
                if newer {
                    *head = tip;
                }
                newer
            });
        }
        Ok(outcome)
    }
}

/// Nobody else saves anything here, so that there is no turn to take.
#[derive(Debug)]
struct MemoryPlace {
    shared: Arc<Shared>,
    schema: u32,
}

#[async_trait]
impl CheckpointPlace for MemoryPlace {
    fn newest(&self) -> Option<(Position, u64)> {
        let store = self.shared.store();
        let newest = store.checkpoints.get(&self.schema)?;
        Some((newest.position, newest.bytes.len() as u64))
    }

    async fn save(self: Box<Self>, checkpoint: Checkpoint) -> Result<()> {
        let Position { seq, .. } = checkpoint.position;
        let head = self.shared.head();
        let mut store = self.shared.store();
        if seq <= head.seq && store.position(&self.shared.group_id, seq) == Some(checkpoint.position) {
            store.checkpoints.insert(self.schema, checkpoint);
        }
        Ok(())
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    fn group_id(&self) -> &GroupId {
        &self.shared.group_id
    }

    async fn turn(&self) -> Result<Box<dyn Turn>> {
        let turn = self.shared.turn.clone().lock_owned().await;
        let tip = self.shared.store().tip(&self.shared.group_id);
        let durable = self.shared.head();
        Ok(Box::new(MemoryTurn { shared: self.shared.clone(), tip, durable, _turn: turn }))
    }

    async fn head(&self) -> Result<Position> {
        Ok(self.shared.head())
    }

    async fn read(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let head = self.shared.head();
        self.shared.store().read(&self.shared.group_id, head.seq, from, limit)
    }

    async fn find(&self, lookup: Lookup) -> Result<Found> {
        let store = self.shared.store();
        let seqs = match lookup {
            Lookup::Involving { principal, before, limit } => {
                let before = Seq(before.0.min(store.covered.0 + 1));
                store.index.find(&Lookup::Involving { principal, before, limit })
            }
            other => store.index.find(&other),
        };
        Ok(Found { seqs, covered: store.covered })
    }

    async fn wait(&self, past: Seq) -> Result<Position> {
        let mut changes = self.shared.head.subscribe();
        let head = changes.wait_for(|head| head.seq > past).await;
        head.map(|head| *head).map_err(|_| Error::unavailable("the ledger was closed"))
    }

    async fn load_checkpoint(&self, schema: u32) -> Result<Option<Checkpoint>> {
        let head = self.shared.head();
        let store = self.shared.store();
        Ok(store.checkpoints.get(&schema).cloned().filter(|checkpoint| {
            let Position { seq, .. } = checkpoint.position;
            seq <= head.seq && store.position(&self.shared.group_id, seq) == Some(checkpoint.position)
        }))
    }

    async fn checkpoint_place(&self, schema: u32) -> Result<Option<Box<dyn CheckpointPlace>>> {
        Ok(Some(Box::new(MemoryPlace { shared: self.shared.clone(), schema })))
    }

    async fn extend_index(&self, _tail: &TailIndex, through: Position) -> Result<Seq> {
        let head = self.shared.head();
        let mut store = self.shared.store();
        if through.seq > head.seq || store.position(&self.shared.group_id, through.seq) != Some(through) {
            return Err(Error::conflict(format!("{through} is no durable position of this ledger")));
        }
        // The lines are at hand, so the tail's entries need not be merged.
        while store.covered < through.seq {
            let next = store.covered.next();
            let page = store.read(&self.shared.group_id, head.seq, next, ReadLimit::ONE)?;
            for event in page.events() {
                store.index.add(&event?);
            }
            store.covered = next;
        }
        Ok(store.covered)
    }

    async fn redact(&self, seq: Seq, data_hash: [u8; 32]) -> Result<()> {
        let head = self.shared.head();
        let mut store = self.shared.store();
        let index = seq.0.checked_sub(1).filter(|_| seq <= head.seq).and_then(|i| usize::try_from(i).ok());
        let line = index.and_then(|index| store.lines.get_mut(index));
        let (bytes, _) = line.ok_or_else(|| Error::not_found(format!("there is no event {seq}")))?;
        let raw = RawLine::split(bytes).map_err(Error::invalid)?;
        if raw.data_hash() != data_hash {
            return Err(Error::conflict(format!("the data of event {seq} has another hash")));
        }
        if is_redacted(raw.data()) {
            return Ok(());
        }
        let range = raw.data_range();
        let new = redaction(&data_hash, range.len())?;
        if let Some(data) = bytes.get_mut(range) {
            data.copy_from_slice(&new);
        }
        Ok(())
    }

    async fn verify(&self) -> Result<Verdict> {
        let head = self.shared.head();
        let store = self.shared.store();
        let everything = ReadLimit { events: usize::MAX, bytes: usize::MAX };
        match store.read(&self.shared.group_id, head.seq, Seq(1), everything) {
            Ok(page) => Ok(Verdict::Sound { head, bytes: page.bytes().len() as u64, gaps: 0 }),
            Err(error) => match error.damage() {
                Some(damage) => Ok(Verdict::Damaged(damage.clone())),
                None => Err(error),
            },
        }
    }
}
