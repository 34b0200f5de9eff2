//! The simulated process that looks after what is derived, and redacts: index, checkpoints, data that
//! has to go.

use std::time::Duration;

use cccc_core::disk::Disk;
use cccc_core::ledger::codec::MIN_REDACTABLE;
use cccc_core::ledger::{Checkpoint, FileLedger, Ledger, Lookup, Position, ReadLimit, is_redacted};
use cccc_core::testing::Random;
use cccc_core::testing::sim::{SimDisk, block_on};
use cccc_core::{Event, Result, Seq};

use super::scenario::Stage;
use cccc_core::index::TailIndex;

/// What this process has read, and what the ledger's index does not cover yet.
struct Keeper<'a> {
    stage: &'a Stage,
    who: &'a str,
    ledger: FileLedger,
    random: Random,
    /// Every durable event so far with the hash and the length of its data.
    known: Vec<(Event, [u8; 32], usize)>,
    at: Position,
    tail: TailIndex,
}

/// Keeps house for some rounds.
pub(super) fn keep_house(stage: &Stage, disk: &SimDisk, who: &str, seed: u64, rounds: u64) {
    let random = Random::new(seed);
    let Some(ledger) = stage.open_patiently(who, disk) else { return };
    let (at, known, tail) = (stage.start(), Vec::new(), TailIndex::default());
    let mut keeper = Keeper { stage, who, ledger, random, known, at, tail };
    for _ in 0..rounds {
        if let Err(error) = keeper.round() {
            stage.trouble(who, "keep house", &error);
        }
        disk.sleep(Duration::from_micros(keeper.random.below(3000)));
    }
}

impl Keeper<'_> {
    fn round(&mut self) -> Result<()> {
        self.catch_up()?;
        match self.random.below(5) {
            0 => self.extend_index(),
            1 => self.look_up(),
            2 => {
                let checkpoint = Checkpoint { position: self.at, bytes: checkpoint_bytes(self.at) };
                block_on(self.ledger.save_checkpoint(1, checkpoint))
            }
            3 => self.load_checkpoint(),
            _ => self.redact(),
        }
    }

    fn catch_up(&mut self) -> Result<()> {
        let page = block_on(self.ledger.read(self.at.seq.next(), ReadLimit::CHUNK))?;
        self.at = self.stage.oracle.lock().unwrap().page(self.who, self.at, &page);
        for (line, event) in page.lines().zip(page.events()) {
            let event = event?;
            self.tail.add(&event);
            self.known.push((event, line.data_hash(), line.data().len()));
        }
        Ok(())
    }

    fn extend_index(&mut self) -> Result<()> {
        let covered = block_on(self.ledger.extend_index(&self.tail, self.at))?;
        if self.random.chance(500_000) {
            self.tail.trim(covered.min(self.at.seq));
        }
        Ok(())
    }

    /// What the index says is what the events say, as far as it covers them.
    fn look_up(&mut self) -> Result<()> {
        let target = Seq(1 + self.random.below(self.at.seq.0 + 1));
        let found = block_on(self.ledger.find(Lookup::Target(target)))?;
        let end = found.covered.min(self.at.seq);
        let about = |event: &&(Event, [u8; 32], usize)| {
            event.0.seq <= end && event.0.index_terms().targets.contains(&target)
        };
        let expected: Vec<Seq> = self.known.iter().filter(about).map(|known| known.0.seq).collect();
        let seqs: Vec<Seq> = found.seqs.iter().copied().filter(|seq| *seq <= end).collect();
        if seqs != expected {
            let who = self.who;
            self.stage.violation(format!("{who} found {seqs:?} about {target}, not {expected:?}"));
        }
        Ok(())
    }

    fn load_checkpoint(&mut self) -> Result<()> {
        let Some(Checkpoint { position, bytes }) = block_on(self.ledger.load_checkpoint(1))? else {
            return Ok(());
        };
        self.stage.firm(self.who, position);
        if bytes != checkpoint_bytes(position) {
            self.stage.violation(format!("{} loaded another checkpoint than was saved", self.who));
        }
        Ok(())
    }

    fn redact(&mut self) -> Result<()> {
        if !self.stage.redacting || self.known.is_empty() {
            return Ok(());
        }
        let index = self.random.index(self.known.len());
        let (event, data_hash, len) = &self.known[index];
        if *len < MIN_REDACTABLE {
            return Ok(());
        }
        block_on(self.ledger.redact(event.seq, *data_hash))?;
        self.stage.oracle.lock().unwrap().redacted(event.seq);
        let page = block_on(self.ledger.read(event.seq, ReadLimit::ONE))?;
        if !page.lines().any(|line| is_redacted(line.data())) {
            self.stage.violation(format!("{} redacted event {}, which is still there", self.who, event.seq));
        }
        Ok(())
    }
}

fn checkpoint_bytes(position: Position) -> Vec<u8> {
    position.to_string().repeat(1 + usize::try_from(position.seq.0 % 40).unwrap_or(0)).into_bytes()
}
