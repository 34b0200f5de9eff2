//! The append-only ledger of one group: what it promises, and the trait every store implements.
//!
//! A ledger stores lines (see [`codec`]) in one order, durably, and knows nothing of what they mean.
//! Promises of every implementation, checked by one conformance suite (`testing::conformance`); how another is written
//! is told in [`concepts::embedding`](crate::concepts::embedding):
//!
//! 1. an append that returned is durable, once, at one position, for ever;
//! 2. a command's events are all there or none;
//! 3. nobody is shown an event that a power cut could still take back;
//! 4. every reader sees a prefix of one order;
//! 5. damage is named and never passed over;
//! 6. a process that dies holds nobody up for longer than the operating system needs to notice.

pub mod codec;
mod copy;
mod envelope;
mod executor;
pub mod file;
mod many;
mod memory;
mod spawned;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;

pub use codec::{Batch, Draft, Encoder, Page, RawLine, Stamp, is_redacted};
pub(crate) use copy::{copy, end_of_all};
pub use envelope::Envelope;
pub use executor::{Executor, Task, TokioExecutor};
pub use file::FileLedger;
use many::Many;
pub use memory::MemoryLedger;
pub(crate) use spawned::for_anybody;

use crate::blocking::aside;
use crate::error::{Damage, Error, Result};
use crate::id::{GroupId, Principal, Seq};
use crate::index::TailIndex;
use crate::text::text_serde;

/// Longest line of a ledger, in bytes, with its newline.
pub const MAX_LINE_BYTES: usize = 8 << 20;

/// The hash over a ledger's beginning up to an event: 10 bytes of BLAKE3.
///
/// It finds accidents and careless edits. It is no protection from a hostile process of the same user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, JsonSchema)]
#[schemars(with = "String")]
pub struct Chain(pub [u8; 10]);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Chain {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        codec::parse_hex(text.as_bytes())
            .map(Self)
            .ok_or_else(|| Error::invalid(format!("{text:?} is not a chain value (20 hex digits)")))
    }
}

text_serde!(Chain, "20 hex digits");

/// A place in a ledger, with the chain there: enough to resume, and to notice another history.
///
/// Written `<seq>:<chain>`, for example `42:00112233445566778899`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct Position {
    /// The last event before this place; 0 at the beginning.
    pub seq: Seq,
    /// The chain up to and including that event.
    pub chain: Chain,
}

impl Position {
    /// The beginning of a group's ledger.
    #[must_use]
    pub fn start(group_id: &GroupId) -> Self {
        Self { seq: Seq(0), chain: codec::first_chain(group_id) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.chain)
    }
}

impl FromStr for Position {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (seq, chain) = text.split_once(':')?;
            Some(Self { seq: Seq(seq.parse().ok()?), chain: chain.parse().ok()? })
        };
        parse().ok_or_else(|| {
            Error::invalid(format!("{text:?} is not a ledger position"))
                .hint("write it as <seq>:<20 hex digits>, as `cccc ledger verify` prints it")
        })
    }
}

text_serde!(Position, "a ledger position");

/// How much one read may return. At least one event is returned where there is one.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// At most so many events.
    pub events: usize,
    /// At most so many bytes of lines, unless the first alone is longer.
    pub bytes: usize,
}

impl ReadLimit {
    /// One event, of any size.
    pub const ONE: Self = Self { events: 1, bytes: 0 };
    /// A chunk for reading through much of a ledger: 1 MiB.
    pub const CHUNK: Self = Self { events: usize::MAX, bytes: 1 << 20 };
}

/// When an append may answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on disk.
    #[default]
    Durable,
    /// When it is ordered; others see it once a later sync covers it, and a power cut may lose it.
    Buffered,
}

/// How an append ended. Anything else is an [error](Turn::append).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The batch is durable (or buffered, if that was asked for).
    New,
    /// The very same batch already stood there: an earlier try had succeeded.
    Already,
    /// A recovery between write and sync discarded it. Take another turn and decide again.
    Lost,
}

/// What to look for in a ledger's index.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Events that say something about the event at this seq, ascending.
    Target(Seq),
    /// Events whose key has this hash (see [`key_hash`](crate::event::key_hash)), newest first.
    Key(u64),
    /// Events that involve a principal, before a seq, newest first, at most so many.
    Involving {
        /// The principal.
        principal: Principal,
        /// Only events before this.
        before: Seq,
        /// At most so many.
        limit: usize,
    },
}

/// What an index answered.
#[derive(Clone, Debug)]
pub struct Found {
    /// The events, in the order the lookup says.
    pub seqs: Vec<Seq>,
    /// The index covers the events up to this one; the caller searches the rest itself.
    pub covered: Seq,
}

/// Derived state that was saved to open faster. Never trusted: the caller checks it against the ledger.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Up to where the state was derived.
    pub position: Position,
    /// The state, opaque to the ledger.
    pub bytes: Vec<u8>,
}

/// What a check of a whole ledger found.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Every line is what was written.
    Sound {
        /// The end.
        head: Position,
        /// How many bytes of lines were read.
        bytes: u64,
        /// How many of the lines are gaps: events that were lost and stay so, whose place a repair has marked.
        gaps: u64,
    },
    /// The first line that is not.
    Damaged(Damage),
}

/// A store of one group's events. Small, so that files, memory and a database all fit it.
///
/// A store without an [executor](Self::executor), such as files: `turn` and the methods of [`Turn`] may block the
/// thread that polls them; the writer of a [`Group`](crate::Group) drives them where that holds up nobody. `head`,
/// `read` and `find` take microseconds and may be called from any task.
///
/// A store with an executor, such as a database: nothing blocks, everything may take as long as a journey there and
/// back, and a [`Group`](crate::Group) polls its futures on that executor only.
///
/// All futures are cancel-safe except `Turn::append`, whose effect is not undone by dropping it. Whoever holds a turn
/// calls nothing here but `find`, which never locks: anything else may wait for that very turn.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The group whose ledger this is.
    fn group_id(&self) -> &GroupId;

    /// Where this store's futures are to be polled, if they cannot be polled anywhere: they need a reactor, and never
    /// block. By default they need none, and may block.
    fn executor(&self) -> Option<Arc<dyn Executor>> {
        None
    }

    /// Waits for the right to append, fairly, and takes it. Recovers first what a dead writer left.
    async fn turn(&self) -> Result<Box<dyn Turn>>;

    /// A turn without asking the store for it, on the supposition that this durable position is still the end of what
    /// is written: where it is not, its append is a conflict. For stores of which a turn costs a journey and keeps
    /// nobody off. By default there is none.
    fn suppose(&self, _tip: Position) -> Option<Box<dyn Turn>> {
        None
    }

    /// The end of what is durable.
    async fn head(&self) -> Result<Position>;

    /// Durable events from `from` on, with their chain checked; empty beyond the head.
    async fn read(&self, from: Seq, limit: ReadLimit) -> Result<Page>;

    /// The durable events at these seqs, which ascend: pages, ascending too, that together hold all of them that there
    /// are, and perhaps others from in between. By default seqs that are near each other are read in one go.
    async fn read_many(&self, seqs: &[Seq]) -> Result<Vec<Page>> {
        let mut many = Many::new(seqs);
        while let Some((from, limit)) = many.wanted() {
            many.take(self.read(from, limit).await)?;
        }
        Ok(many.into_pages())
    }

    /// The end of what is durable, and the first durable events after a seq, as [`head`](Self::head) and
    /// [`read`](Self::read) give them. By default these are asked, the second if there is something to read.
    async fn news(&self, after: Seq, limit: ReadLimit) -> Result<(Position, Page)> {
        let head = self.head().await?;
        let page = match head.seq > after {
            true => self.read(after.next(), limit).await?,
            false => Page::default(),
        };
        Ok((head, page))
    }

    /// Looks something up in the index. Takes no lock and waits for nobody, so that it may be called within a turn.
    /// It answers from this ledger's own history: what was indexed of another is not covered.
    async fn find(&self, lookup: Lookup) -> Result<Found>;

    /// Returns as soon as an event after `past` is durable, woken rather than polling.
    async fn wait(&self, past: Seq) -> Result<Position>;

    /// Returns as soon as the head is another than `seen`, woken rather than polling: further on, as a rule; elsewhere,
    /// where the ledger was cut or replaced. Also if the store was replaced meanwhile (see
    /// [`replacements`](Self::replacements)) and the head is the same. By default it sees only the first.
    async fn changed(&self, seen: Position) -> Result<Position> {
        self.wait(seen.seq).await
    }

    /// How often the store was replaced by another under this handle, as by a repair: what was derived from it before
    /// holds no more, even if the chain is the same. By default that does not happen.
    fn replacements(&self) -> u64 {
        0
    }

    /// Forgets what is kept in memory of the store, because another history stands there than before. By default there
    /// is nothing to forget.
    fn forget(&self) {}

    /// The newest whole checkpoint of this schema, if there is one.
    async fn load_checkpoint(&self, schema: u32) -> Result<Option<Checkpoint>>;

    /// The right to save a checkpoint of this schema; `None` while somebody else is saving one. To be asked for before
    /// one is made, which takes longer than to ask.
    async fn checkpoint_place(&self, schema: u32) -> Result<Option<Box<dyn CheckpointPlace>>>;

    /// Saves a checkpoint, if nobody else is doing so. May be lost at any time.
    async fn save_checkpoint(&self, schema: u32, checkpoint: Checkpoint) -> Result<()> {
        match self.checkpoint_place(schema).await? {
            Some(place) => place.save(checkpoint).await,
            None => Ok(()),
        }
    }

    /// Extends the index by entries for events up to `through`, if nobody else is doing so; returns
    /// what the index covers then. Entries it already has are passed over.
    async fn extend_index(&self, tail: &TailIndex, through: Position) -> Result<Seq>;

    /// Replaces the data of the event at `seq`, whose hash must be `data_hash`, by that hash.
    /// Does nothing if that has been done.
    async fn redact(&self, seq: Seq, data_hash: [u8; 32]) -> Result<()>;

    /// Reads everything and checks every line.
    async fn verify(&self) -> Result<Verdict>;
}

/// The right to save a checkpoint, which one has at a time. Dropping it gives it back.
#[async_trait]
pub trait CheckpointPlace: Send {
    /// Where the newest one stands that is of this ledger's history, and how many bytes it has. Whether they are whole
    /// shows when it is loaded.
    fn newest(&self) -> Option<(Position, u64)>;

    /// Saves one in place of an older. One that is not of this ledger's durable history is not saved.
    async fn save(self: Box<Self>, checkpoint: Checkpoint) -> Result<()>;
}

/// A turn to append to a ledger, with what was written until it was taken. Dropping it gives it back.
///
/// A turn keeps others from writing meanwhile if the store can do that, which is fairer and saves work. Nothing depends
/// on it: an append compares, and what was decided on an older tip is a conflict.
#[async_trait]
pub trait Turn: Send {
    /// Changes whenever events after the durable head may have been replaced by a recovery. State
    /// derived from events beyond the head under another epoch must be thrown away.
    fn epoch(&self) -> u64;

    /// The end of what is written, by anyone.
    fn tip(&self) -> Position;

    /// The end of what is known to be durable.
    fn durable(&self) -> Position;

    /// Written events from `from` on, durable or not, with their chain checked.
    async fn read(&mut self, from: Seq, limit: ReadLimit) -> Result<Page>;

    /// As [`Ledger::read_many`], of what is written.
    async fn read_many(&mut self, seqs: &[Seq]) -> Result<Vec<Page>> {
        let mut many = Many::new(seqs);
        while let Some((from, limit)) = many.wanted() {
            many.take(self.read(from, limit).await)?;
        }
        Ok(many.into_pages())
    }

    /// Writes a batch at the tip, gives the turn to the next, and returns when everything up to the
    /// batch's end is durable. An empty batch writes nothing and only waits for what was there.
    ///
    /// # Errors
    /// `Conflict` if the batch does not follow the tip: take another turn and decide again. `Unknown` if the store did
    /// not answer: all of the batch may be there or none, or, after a recovery, its first commands. Append the same
    /// batch again, in another turn, and it is `Already` there, or written now, or a conflict that another turn looks
    /// into. After `Corrupt` nobody can tell before the ledger is repaired. With any other error, such as `TooLarge` or
    /// `Unavailable`, the batch is not there and will not come back.
    async fn append(self: Box<Self>, batch: &Batch, durability: Durability) -> Result<Appended>;
}

/// Whether a ledger still has the history that `at` was taken from.
pub(crate) async fn still_has(ledger: &Arc<dyn Ledger>, at: Position) -> Result<bool> {
    if at.seq == Seq(0) {
        return Ok(at == Position::start(ledger.group_id()));
    }
    let page = ledger.read(at.seq, ReadLimit::ONE).await?;
    if let Some(line) = page.lines().next() {
        return Ok(line.chain().ok() == Some(at.chain));
    }
    is_beyond_the_head(ledger, at).await
}

/// As [`is_written`], for whoever must not block.
pub(crate) async fn is_beyond_the_head(ledger: &Arc<dyn Ledger>, at: Position) -> Result<bool> {
    let ledger = ledger.clone();
    aside("asking the ledger", async move { is_written(ledger.as_ref(), at).await }).await
}

/// Whether a ledger has what `at` was taken from although its head is before that: the page that says where the head
/// is may lag behind, where it could not be written. The turn knows, and publishes what it finds. May block.
pub(crate) async fn is_written(ledger: &dyn Ledger, at: Position) -> Result<bool> {
    let mut turn = ledger.turn().await?;
    if at.seq > turn.tip().seq {
        return Ok(false);
    }
    let page = turn.read(at.seq, ReadLimit::ONE).await?;
    if page.lines().next().and_then(|line| line.chain().ok()) != Some(at.chain) {
        return Ok(false);
    }
    // If this fails, the head stays behind until a turn succeeds.
    let _ = publish(ledger, turn).await;
    Ok(true)
}

/// Has what anybody has written, who may have died since, either durable, and so seen by every reader, or gone. May
/// block.
pub(crate) async fn settle(ledger: &dyn Ledger) -> Result<()> {
    publish(ledger, ledger.turn().await?).await.map(drop)
}

/// Has everything up to the turn's tip durable, by an append of nothing.
pub(crate) async fn publish(ledger: &dyn Ledger, turn: Box<dyn Turn>) -> Result<Appended> {
    let nothing = Encoder::new(ledger.group_id().clone(), turn.tip(), turn.durable().seq).finish();
    turn.append(&nothing, Durability::Durable).await
}
