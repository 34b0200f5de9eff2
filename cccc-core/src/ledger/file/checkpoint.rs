//! Saved state: two generations, written by turns, neither ever trusted.

use super::Shared;
use super::lines::read_range;
use super::page::{Mark, number};
use crate::disk::OpenMode;
use crate::error::{Error, Result};
use crate::id::Seq;
use crate::ledger::{Chain, Checkpoint, Position};

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

    /// Replaces the older generation, unless somebody else is saving.
    pub(super) fn save_checkpoint(&self, schema: u32, checkpoint: &Checkpoint) -> Result<()> {
        let lock = &self.layout.checkpoint_lock;
        let locked = self.disk.open_lock(lock).map_err(|e| Error::io("open", lock, e))?;
        if !locked.try_lock().map_err(|e| Error::io("lock", lock, e))? {
            return Ok(());
        }
        // A repair that replaced events has replaced the head, too: what this handle knows is of no use.
        self.head.check(&*self.disk, &self.layout.head)?;
        let of = |generation| self.peek(schema, generation).map(|(position, _)| position.seq);
        // Nothing sorts before anything that is there.
        let target = if of('b') < of('a') { 'b' } else { 'a' };
        let mut bytes = header(schema, checkpoint);
        let sum = hash(&bytes, &checkpoint.bytes);
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(&checkpoint.bytes);
        let draft = self.layout.checkpoint_draft(schema);
        let io = |what, e| Error::io(what, &draft, e);
        let file = self.disk.open(&draft, OpenMode::Create).map_err(|e| io("make", e))?;
        file.truncate(0).map_err(|e| io("cut", e))?;
        file.write_at(&bytes, 0).map_err(|e| io("write to", e))?;
        drop(file);
        // Not synced: after a power cut the hash tells, and the other generation serves.
        let path = self.layout.checkpoint(schema, target);
        self.disk.rename(&draft, &path).map_err(|e| Error::io("rename to", &path, e))?;
        let _ = locked.unlock();
        Ok(())
    }
}
