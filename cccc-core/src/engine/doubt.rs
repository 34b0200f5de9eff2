//! Appending a batch until it is known what became of it. Where the store did not answer, that is found out by
//! appending the same batch again, never by deciding anew what may be there already.

use crate::error::{Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Appended, Batch, Durability, Ledger, Turn, publish};

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
    /// The ledger could not serve, and nothing was written; or, of kind `Unknown`, that could not be found out.
    Failed(Error),
}

/// Appends a batch.
pub(super) async fn append(
    ledger: &dyn Ledger,
    turn: Box<dyn Turn>,
    batch: &Batch,
    durability: Durability,
) -> Fate {
    let mut doubt = match turn.append(batch, durability).await {
        Ok(Appended::New | Appended::Already) => return Fate::There(batch.lens.len()),
        Ok(Appended::Lost) => return Fate::Lost,
        Err(error) => match error.kind() {
            ErrorKind::Conflict => return Fate::Overtaken(error),
            ErrorKind::Unknown => error,
            _ => return Fate::Failed(error),
        },
    };
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
    Fate::Failed(doubt)
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
    let seqs: Vec<Seq> = batch.positions().map(|at| at.seq).collect();
    let pages = turn.read_many(&seqs).await?;
    let chains = pages.iter().flat_map(|page| page.lines().map(|line| line.chain().ok()).collect::<Vec<_>>());
    let standing = chains.zip(batch.positions()).take_while(|(chain, at)| *chain == Some(at.chain)).count();
    if standing > 0 {
        // If others wrote meanwhile, they wrote after it.
        match publish(ledger, turn).await {
            Ok(Appended::Lost) => return Err(Error::unknown("a recovery came in between")),
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            _ => {}
        }
    }
    Ok(standing)
}
