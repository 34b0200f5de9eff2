//! State derived from a ledger, together with what the ledger's index does not cover yet.

use crate::error::Result;
use crate::event::Event;
use crate::id::Seq;
use crate::index::TailIndex;
use crate::ledger::{Checkpoint, Ledger, Lookup, Page, Position, ReadLimit};
use crate::state::GroupState;

/// A state at one position. The engine has two: one at what is durable, for reading, and one at the
/// tip, for deciding.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) state: GroupState,
    tail: TailIndex,
    /// `tail` covers the events after this one.
    tail_from: Seq,
    /// Bytes of lines applied since the last checkpoint.
    unsaved: u64,
    /// Size of the last checkpoint.
    checkpoint_len: u64,
    /// Bytes of lines in `tail`.
    unindexed: u64,
}

/// A checkpoint is written when this much has been applied since the last (or half of its own size).
const CHECKPOINT_EVERY_BYTES: u64 = 512 << 10;

/// The index is extended when its tail has grown to this; it is rewritten per segment, so less often
/// than a checkpoint.
const INDEX_EVERY_BYTES: u64 = 4 << 20;

impl View {
    /// The newest view that can be had without reading the whole ledger: the checkpoint, if there is one.
    pub(super) async fn load(ledger: &dyn Ledger) -> Result<Self> {
        let saved = ledger.load_checkpoint(GroupState::SCHEMA).await?;
        let usable = saved.and_then(|Checkpoint { position, bytes }| {
            let state = GroupState::from_bytes(&bytes).ok()?;
            (state.position() == position).then_some((state, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
        });
        let (state, checkpoint_len) = usable.unwrap_or_else(|| (GroupState::new(ledger.group_id()), 0));
        let tail_from = state.position().seq;
        Ok(Self { state, tail: TailIndex::default(), tail_from, unsaved: 0, checkpoint_len, unindexed: 0 })
    }

    /// Applies durable events up to the ledger's head, saving progress on the way of a long catch-up.
    pub(super) async fn refresh(&mut self, ledger: &dyn Ledger) -> Result<()> {
        loop {
            if ledger.head().await?.seq <= self.position().seq {
                return Ok(());
            }
            let page = ledger.read(self.position().seq.next(), ReadLimit::CHUNK).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.apply_page(&page)?;
            // What is saved is derived: a failure to save it is no failure to read.
            let _ = self.maintain(ledger).await;
        }
    }

    pub(super) fn position(&self) -> Position {
        self.state.position()
    }

    /// Applies consecutive lines.
    pub(super) fn apply_page(&mut self, page: &Page) -> Result<()> {
        for (event, line) in page.events().zip(page.lines()) {
            self.apply(&event?, line.bytes().len());
        }
        Ok(())
    }

    /// Applies the next event, whose line has `len` bytes.
    pub(super) fn apply(&mut self, event: &Event, len: usize) {
        self.state.apply(event);
        self.tail.add(event);
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        self.unsaved += len;
        self.unindexed += len;
    }

    /// The events that answer a lookup, among those that this view contains.
    pub(super) async fn find(&mut self, ledger: &dyn Ledger, lookup: &Lookup) -> Result<Vec<Seq>> {
        let mut found = ledger.find(lookup.clone()).await?;
        if found.covered < self.tail_from {
            self.fill_tail(ledger, found.covered).await?;
        }
        let own = self.tail.find(lookup);
        found.seqs.retain(|seq| *seq <= self.tail_from);
        Ok(match lookup {
            Lookup::Target(_) => [found.seqs, own].concat(),
            Lookup::Key(_) => [own, found.seqs].concat(),
            Lookup::Involving { limit, .. } => {
                let mut seqs = [own, found.seqs].concat();
                seqs.truncate(*limit);
                seqs
            }
        })
    }

    /// Reads the events between what the index covers and what the tail covers: after a checkpoint that
    /// is newer than the index, or when index files were lost.
    async fn fill_tail(&mut self, ledger: &dyn Ledger, covered: Seq) -> Result<()> {
        let end = self.position().seq;
        let (mut tail, mut at, mut bytes) = (TailIndex::default(), covered, 0);
        while at < end {
            let page = ledger.read(at.next(), ReadLimit::CHUNK).await?;
            if page.is_empty() {
                // The rest is written but not durable yet, and thus in the tail already.
                break;
            }
            for (event, line) in page.events().zip(page.lines()) {
                let event = event?;
                at = event.seq;
                if at <= self.tail_from {
                    tail.add(&event);
                    bytes += u64::try_from(line.bytes().len()).unwrap_or(u64::MAX);
                }
            }
            if at >= self.tail_from {
                break;
            }
        }
        tail.append(std::mem::take(&mut self.tail));
        self.tail = tail;
        self.tail_from = covered;
        self.unindexed += bytes;
        Ok(())
    }

    /// Whether enough has come together for [`maintain`](Self::maintain) to do something.
    pub(super) fn is_maintenance_due(&self) -> bool {
        self.unsaved > self.checkpoint_every() || self.unindexed > INDEX_EVERY_BYTES
    }

    fn checkpoint_every(&self) -> u64 {
        CHECKPOINT_EVERY_BYTES.max(self.checkpoint_len / 2)
    }

    /// Saves a checkpoint and extends the index, where it is time. Only for a view of what is durable.
    pub(super) async fn maintain(&mut self, ledger: &dyn Ledger) -> Result<()> {
        if self.unsaved > self.checkpoint_every() {
            let bytes = self.state.to_bytes()?;
            self.checkpoint_len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.unsaved = 0;
            ledger
                .save_checkpoint(GroupState::SCHEMA, Checkpoint { position: self.position(), bytes })
                .await?;
        }
        if self.unindexed > INDEX_EVERY_BYTES {
            self.unindexed = 0;
            let covered = ledger.find(Lookup::Target(Seq(0))).await?.covered;
            if covered < self.tail_from {
                self.fill_tail(ledger, covered).await?;
            }
            let covered = ledger.extend_index(&self.tail, self.position()).await?;
            self.trim(covered);
        }
        Ok(())
    }

    /// Takes over from a view of what is durable what that one has saved.
    pub(super) fn follow(&mut self, saved: &Self) {
        self.unsaved = saved.unsaved;
        self.unindexed = saved.unindexed;
        self.checkpoint_len = saved.checkpoint_len;
        self.trim(saved.tail_from);
    }

    fn trim(&mut self, covered: Seq) {
        if covered > self.tail_from {
            self.tail.trim(covered);
            self.tail_from = covered.min(self.position().seq);
        }
    }
}
