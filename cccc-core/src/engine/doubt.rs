//! What became of an append that the store did not answer: found out by appending the same batch again, never by
//! deciding anew what may be there already.

use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{Appended, Batch, Durability, Encoder, Ledger, Position, RawLine, ReadLimit, Turn};

/// How often a batch is appended again before its callers are told that nobody knows.
const TRIES: usize = 4;

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Fate {
    /// So many of its events are there: all of them, or those of its first commands, which a recovery kept.
    There(usize),
    /// Nothing of it is there, and nothing will be: a recovery discarded it.
    Lost,
    /// Nothing of it is there, and nothing will be: others wrote first, as the error says.
    Overtaken(Error),
    /// It could not be found out.
    Unknown(Error),
}

/// Finds out what became of a batch whose append ended with an outcome that is not known.
pub(super) async fn fate(ledger: &dyn Ledger, batch: &Batch, durability: Durability, doubt: Error) -> Fate {
    let mut doubt = doubt;
    for _ in 0..TRIES {
        // A store that says when to come back is not there yet.
        if doubt.retry_after_duration().is_some() {
            break;
        }
        match again(ledger, batch, durability).await {
            Ok(fate) => return fate,
            Err(error) if error.kind() == ErrorKind::Unknown => doubt = error,
            // That failed for sure, which says nothing of the first time.
            Err(_) => break,
        }
    }
    Fate::Unknown(doubt)
}

/// Appends a batch once more.
async fn again(ledger: &dyn Ledger, batch: &Batch, durability: Durability) -> Result<Fate> {
    match ledger.turn().await?.append(batch, durability).await {
        Ok(Appended::New | Appended::Already) => Ok(Fate::There(batch.lens.len())),
        Ok(Appended::Lost) => Ok(Fate::Lost),
        Err(error) if error.kind() == ErrorKind::Conflict => match standing(ledger, batch).await? {
            0 => Ok(Fate::Overtaken(error)),
            events => Ok(Fate::There(events)),
        },
        Err(error) => Err(error),
    }
}

/// How many events of a batch stand where it wants them. They are durable then.
async fn standing(ledger: &dyn Ledger, batch: &Batch) -> Result<usize> {
    let mut turn = ledger.turn().await?;
    let mut standing = 0;
    for at in positions(batch) {
        if at.seq > turn.tip().seq || !stands(turn.as_mut(), at).await? {
            break;
        }
        standing += 1;
    }
    if standing > 0 {
        let nothing = Encoder::new(ledger.group_id().clone(), turn.tip(), turn.durable().seq).finish();
        // If others wrote meanwhile, they wrote after it.
        match turn.append(&nothing, Durability::Durable).await {
            Ok(Appended::Lost) => return Err(Error::unknown("a recovery came in between")),
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            _ => {}
        }
    }
    Ok(standing)
}

async fn stands(turn: &mut dyn Turn, at: Position) -> Result<bool> {
    let page = turn.read(at.seq, ReadLimit::ONE).await?;
    Ok(page.lines().next().and_then(|line| line.chain().ok()) == Some(at.chain))
}

/// Where each event of a batch wants to stand.
fn positions(batch: &Batch) -> impl Iterator<Item = Position> {
    let lines = batch.bytes.split_inclusive(|byte| *byte == b'\n');
    let chains = lines.map_while(|line| RawLine::split(line).ok()?.chain().ok());
    chains.scan(batch.after.seq, |seq, chain| {
        *seq = seq.next();
        Some(Position { seq: *seq, chain })
    })
}
