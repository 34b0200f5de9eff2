//! State derived from a ledger, together with what the ledger's index does not cover yet.

use crate::error::Result;
use crate::event::Event;
use crate::id::Seq;
use crate::index::TailIndex;
use crate::ledger::{Checkpoint, Ledger, Lookup, Page, Position, ReadLimit, is_written};
use crate::state::GroupState;

use super::resolve::Source;

/// A state at one position. The engine has two: one at what is durable, for reading, and one at the
/// tip, for deciding.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) state: GroupState,
    /// Which look found this at the head: the last one that did.
    pub(super) look: u64,
    /// How often the store had been replaced when this was begun.
    replacements: u64,
    tail: TailIndex,
    /// `tail` covers the events after this one.
    tail_from: Seq,
    /// Whether `tail` was once seen to reach back to where the index ends.
    is_joined: bool,
    /// Bytes of lines applied since the last checkpoint, by whomever, as far as is known.
    unsaved: u64,
    /// Where that checkpoint stands.
    saved: Seq,
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

/// How much of a long catch-up is done again where it was broken off, at most.
const CATCH_UP_BYTES: u64 = 8 << 20;

impl View {
    /// The newest view that can be had without reading the whole ledger: the checkpoint, if there is one.
    pub(super) async fn load(ledger: &dyn Ledger) -> Result<Self> {
        // Perhaps what was there before had another history.
        ledger.forget();
        let replacements = ledger.replacements();
        let saved = ledger.load_checkpoint(GroupState::SCHEMA).await?;
        let usable = saved.and_then(|Checkpoint { position, bytes }| {
            let state = GroupState::from_bytes(&bytes).ok()?;
            (state.position() == position).then_some((state, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
        });
        let (state, checkpoint_len) = usable.unwrap_or_else(|| (GroupState::new(ledger.group_id()), 0));
        let tail_from = state.position().seq;
        let tail = TailIndex::default();
        Ok(Self {
            state,
            look: 0,
            replacements,
            tail,
            tail_from,
            is_joined: false,
            unsaved: 0,
            saved: tail_from,
            checkpoint_len,
            unindexed: 0,
        })
    }

    /// Applies durable events up to the ledger's head, saving progress on the way of a long catch-up. Answers whether
    /// it is there: `false` if the ledger has another history than this view.
    pub(super) async fn refresh(&mut self, ledger: &dyn Ledger) -> Result<bool> {
        loop {
            let step = self.step(ledger).await?;
            if step != Step::Behind || self.unsaved > CATCH_UP_BYTES {
                // What is saved is derived: a failure to save it is no failure to read.
                let _ = self.maintain(ledger).await;
            }
            match step {
                Step::AtHead => return Ok(true),
                Step::Behind => {}
                Step::Beyond => return is_written(ledger, self.position()).await,
                Step::Diverged => return Ok(false),
            }
        }
    }

    /// Whether this was derived from what stands in the ledger's place now.
    pub(super) fn is_of(&self, ledger: &dyn Ledger) -> bool {
        self.replacements == ledger.replacements()
    }

    /// Applies the next page of durable events.
    pub(super) async fn step(&mut self, ledger: &dyn Ledger) -> Result<Step> {
        let own = self.position();
        let (head, page) = ledger.news(own.seq, ReadLimit::CHUNK).await?;
        if !self.is_of(ledger) {
            return Ok(Step::Diverged);
        }
        if head.seq <= own.seq {
            return Ok(match head {
                _ if head == own => Step::AtHead,
                _ if head.seq < own.seq => Step::Beyond,
                _ => Step::Diverged,
            });
        }
        Ok(match self.apply_page(&page)? {
            true if self.position().seq >= head.seq => Step::AtHead,
            true => Step::Behind,
            false => Step::Diverged,
        })
    }

    pub(super) fn position(&self) -> Position {
        self.state.position()
    }

    /// Applies consecutive lines. Answers whether they follow this view; if not, none is applied.
    pub(super) fn apply_page(&mut self, page: &Page) -> Result<bool> {
        if page.previous() != Some(self.position()) {
            return Ok(false);
        }
        for (event, line) in page.events().zip(page.lines()) {
            self.apply(&event?, line.bytes().len());
        }
        Ok(true)
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
    pub(super) async fn find(&mut self, source: &mut Source<'_>, lookup: &Lookup) -> Result<Vec<Seq>> {
        if self.tail_from == Seq(0) {
            return Ok(self.tail.find(lookup));
        }
        let mut found = source.ledger().find(lookup.clone()).await?;
        if found.covered < self.tail_from {
            self.fill_tail(source, found.covered).await?;
        }
        self.is_joined = true;
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

    /// Whether a lookup will find the entries that the index lacks without reading much: what takes long is
    /// [`join`](Self::join)ing. Index files that are lost later are rare enough to be made up for on the spot.
    pub(super) fn is_joined(&self) -> bool {
        self.is_joined || self.tail_from == Seq(0)
    }

    /// Makes the tail reach back to where the index ends.
    pub(super) async fn join(&mut self, source: &mut Source<'_>) -> Result<()> {
        self.find(source, &Lookup::Target(Seq(0))).await.map(drop)
    }

    /// Reads the events between what the index covers and what the tail covers: after a checkpoint that
    /// is newer than the index, or when index files were lost.
    async fn fill_tail(&mut self, source: &mut Source<'_>, covered: Seq) -> Result<()> {
        let end = self.position().seq;
        let (mut tail, mut at, mut bytes) = (TailIndex::default(), covered, 0);
        while at < end {
            let page = source.read(at.next(), ReadLimit::CHUNK).await?;
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

    /// Saves a checkpoint and extends the index, where it is time and no other process has done so. Only for a view of
    /// what is durable.
    pub(super) async fn maintain(&mut self, ledger: &dyn Ledger) -> Result<()> {
        if self.unsaved > self.checkpoint_every() {
            self.save(ledger).await?;
        }
        if self.unindexed > INDEX_EVERY_BYTES {
            self.index(ledger).await?;
        }
        Ok(())
    }

    async fn save(&mut self, ledger: &dyn Ledger) -> Result<()> {
        let unsaved = std::mem::take(&mut self.unsaved);
        // Who else is at it saves what this would.
        let place = ledger.checkpoint_place(GroupState::SCHEMA).await?;
        let Some(place) = place.filter(|_| self.is_of(ledger)) else { return Ok(()) };
        if let Some((saved, len)) = place.newest() {
            self.checkpoint_len = len;
            self.unsaved = share_after(saved.seq, self.saved, self.position().seq, unsaved);
            self.saved = self.saved.max(saved.seq);
            if self.unsaved <= self.checkpoint_every() {
                return Ok(());
            }
        }
        let bytes = self.state.to_bytes()?;
        self.checkpoint_len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        (self.unsaved, self.saved) = (0, self.position().seq);
        place.save(Checkpoint { position: self.position(), bytes }).await
    }

    async fn index(&mut self, ledger: &dyn Ledger) -> Result<()> {
        let unindexed = std::mem::take(&mut self.unindexed);
        let covered = ledger.find(Lookup::Target(Seq(0))).await?.covered;
        self.unindexed = share_after(covered, self.tail_from, self.position().seq, unindexed);
        self.trim(covered);
        if self.unindexed <= INDEX_EVERY_BYTES {
            return Ok(());
        }
        self.unindexed = 0;
        if covered < self.tail_from {
            self.fill_tail(&mut Source::Durable(ledger), covered).await?;
        }
        let covered = ledger.extend_index(&self.tail, self.position()).await?;
        self.trim(covered);
        Ok(())
    }

    /// Takes over from a view of what is durable what that one has saved.
    pub(super) fn follow(&mut self, saved: &Self) {
        (self.unsaved, self.saved) = (saved.unsaved, saved.saved);
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

/// Where a view stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// At the ledger's head.
    AtHead,
    /// There is more.
    Behind,
    /// Beyond the head: the ledger has another history, or its head page could not be written.
    Beyond,
    /// The ledger has another history.
    Diverged,
}

/// Of `bytes`, which came in after `from` up to `end`, those after `at`, as if all events were of one size.
fn share_after(at: Seq, from: Seq, end: Seq, bytes: u64) -> u64 {
    let (all, rest) = (end.0.saturating_sub(from.0), end.0.saturating_sub(at.0));
    if rest >= all {
        return bytes;
    }
    u64::try_from(u128::from(bytes) * u128::from(rest) / u128::from(all)).unwrap_or(bytes)
}
