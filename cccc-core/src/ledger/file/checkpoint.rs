//! Saved state: two generations, written by turns, neither ever trusted.

use std::sync::Arc;

use async_trait::async_trait;

use super::Shared;
use super::lines::read_range;
use super::page::{Mark, number};
use crate::disk::{DiskFile, OpenMode};
use crate::error::{Error, Result};
use crate::id::Seq;
use crate::ledger::{Chain, Checkpoint, CheckpointPlace, Position};

const MAGIC: &[u8; 8] = b"CCCCckpt";
/// Magic, schema, seq, length, chain, hash of all that and of the state.
const HEADER: usize = 8 + 3 * 8 + 10 + 32;
const GENERATIONS: [char; 2] = ['a', 'b'];

/// The part before the hash.
fn header(schema: u32, checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for field in [u64::from(schema), checkpoint.position.seq.0, checkpoint.bytes.len() as u64] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&checkpoint.position.chain.0);
    bytes
}

fn hash(header: &[u8], state: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(state);
    *hasher.finalize().as_bytes()
}

/// What a header says, unchecked: position and length.
fn parse_header(schema: u32, bytes: &[u8]) -> Option<(Position, u64)> {
    let (stored, rest) = number(bytes.strip_prefix(MAGIC)?)?;
    let (seq, rest) = number(rest)?;
    let (len, rest) = number(rest)?;
    let chain = Chain(*rest.first_chunk::<10>()?);
    (stored == u64::from(schema) && bytes.len() >= HEADER).then_some((Position { seq: Seq(seq), chain }, len))
}

impl Shared {
    /// What a generation's header says; `None` if there is none.
    fn peek(&self, schema: u32, generation: char) -> Option<(Position, u64)> {
        let file = self.disk.open(&self.layout.checkpoint(schema, generation), OpenMode::Read).ok()?;
        let bytes = read_range(&*file, 0, HEADER).ok()?;
        let (position, len) = parse_header(schema, &bytes)?;
        (file.stat().ok()?.len == HEADER as u64 + len).then_some((position, len))
    }

    /// A generation, if its own hash is right.
    fn whole(&self, schema: u32, generation: char) -> Option<Checkpoint> {
        let file = self.disk.open(&self.layout.checkpoint(schema, generation), OpenMode::Read).ok()?;
        let len = usize::try_from(file.stat().ok()?.len).ok()?;
        let mut bytes = read_range(&*file, 0, len).ok()?;
        let (position, state_len) = parse_header(schema, &bytes)?;
        let state = bytes.split_off(HEADER.min(bytes.len()));
        let (fields, sum) = bytes.split_at_checked(HEADER - 32)?;
        let sound = state.len() as u64 == state_len && hash(fields, &state) == sum;
        sound.then_some(Checkpoint { position, bytes: state })
    }

    /// The newest generation that is whole, not beyond the head, and of this ledger's history.
    pub(super) fn load_checkpoint(&self, schema: u32, head: &Mark) -> Result<Option<Checkpoint>> {
        let mut found: Vec<(Seq, char)> = GENERATIONS
            .into_iter()
            .filter_map(|generation| Some((self.peek(schema, generation)?.0.seq, generation)))
            .filter(|(seq, _)| *seq <= head.at.seq)
            .collect();
        found.sort_unstable();
        for (_, generation) in found.into_iter().rev() {
            let Some(checkpoint) = self.whole(schema, generation) else { continue };
            let Position { seq, chain } = checkpoint.position;
            if seq <= head.at.seq && self.reader.position(head, seq).is_ok_and(|at| at.chain == chain) {
                return Ok(Some(checkpoint));
            }
        }
        Ok(None)
    }

    /// The right to replace the older generation, unless somebody else has it.
    pub(super) fn checkpoint_place(self: &Arc<Self>, schema: u32, head: Mark) -> Result<Option<FilePlace>> {
        let path = &self.layout.checkpoint_lock;
        let lock = self.disk.open_lock(path).map_err(|e| Error::io("open", path, e))?;
        if !lock.try_lock().map_err(|e| Error::io("lock", path, e))? {
            return Ok(None);
        }
        // A repair that replaced events has replaced the head, too: what this handle knows is of no use.
        self.head.check(&*self.disk)?;
        let mut place = FilePlace { shared: self.clone(), schema, head, lock, newest: None, target: 'a' };
        // What is not of this history counts as not there: it is replaced first.
        let of = |generation| self.peek(schema, generation).filter(|(at, _)| place.is_durable(*at));
        let (a, b) = (of('a'), of('b'));
        let seq = |found: Option<(Position, u64)>| found.map(|(at, _)| at.seq);
        let is_b_older = seq(b) < seq(a);
        (place.newest, place.target) = if is_b_older { (a, 'b') } else { (b, 'a') };
        Ok(Some(place))
    }
}

/// The right to save a checkpoint: the lock on it.
#[derive(Debug)]
pub(super) struct FilePlace {
    shared: Arc<Shared>,
    schema: u32,
    head: Mark,
    lock: Box<dyn DiskFile>,
    newest: Option<(Position, u64)>,
    /// The generation to be replaced.
    target: char,
}

impl FilePlace {
    fn is_durable(&self, at: Position) -> bool {
        let reader = &self.shared.reader;
        at.seq <= self.head.at.seq && reader.position(&self.head, at.seq).is_ok_and(|actual| actual == at)
    }
}

impl Drop for FilePlace {
    fn drop(&mut self) {
        // Closing is not enough where a child that is just being started has the file open, too.
        let _ = self.lock.unlock();
    }
}

#[async_trait]
impl CheckpointPlace for FilePlace {
    fn newest(&self) -> Option<(Position, u64)> {
        self.newest
    }

    async fn save(self: Box<Self>, checkpoint: Checkpoint) -> Result<()> {
        if !self.is_durable(checkpoint.position) {
            return Ok(());
        }
        let Shared { disk, layout, .. } = &*self.shared;
        let mut bytes = header(self.schema, &checkpoint);
        let sum = hash(&bytes, &checkpoint.bytes);
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(&checkpoint.bytes);
        let draft = layout.checkpoint_draft(self.schema);
        let io = |what, e| Error::io(what, &draft, e);
        let file = disk.open(&draft, OpenMode::Create).map_err(|e| io("make", e))?;
        file.truncate(0).map_err(|e| io("cut", e))?;
        file.write_at(&bytes, 0).map_err(|e| io("write to", e))?;
        drop(file);
        // Not synced: after a power cut the hash tells, and the other generation serves.
        let path = layout.checkpoint(self.schema, self.target);
        disk.rename(&draft, &path).map_err(|e| Error::io("rename to", &path, e))
    }
}
