//! Appending a batch until it is known what became of it. Where the store did not answer, that is found out by
//! appending the same batch again, never by deciding anew what may be there already.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Appended, Batch, Durability, Ledger, Turn, publish};

/// How often a batch is appended again before its callers are told that nobody knows.
const TRIES: u32 = 4;

/// As that, where the store's executor has a clock, so that it can be waited for: three seconds in all, in which
/// another server takes over from one that died.
const PATIENT_TRIES: u32 = 12;
/// The pause before the second of them; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

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
    let executor = ledger.executor();
    for n in 0..executor.as_ref().map_or(TRIES, |_| PATIENT_TRIES) {
        match (&executor, doubt.retry_after_duration()) {
            (Some(executor), after) if after.is_none_or(|after| after <= LONGEST_PAUSE) => {
                executor.timer(pause(n).max(after.unwrap_or_default())).await;
            }
            // A store that says when to come back is not there yet.
            (_, Some(_)) => break,
            (_, None) => {}
        }
        match again(ledger, batch, durability).await {
            Ok(fate) => return fate,
            Err(error) if error.kind() == ErrorKind::Unknown => doubt = error,
            // That failed for sure, which says nothing of the first time.
            Err(error) if error.kind() == ErrorKind::Unavailable && executor.is_some() => {}
            Err(_) => break,
        }
    }
    Fate::Failed(doubt)
}

/// How long to wait before appending for the `n`th time again. At first not at all: perhaps only an answer was lost.
fn pause(n: u32) -> Duration {
    match n {
        0 => Duration::ZERO,
        n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_PAUSE),
    }
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
