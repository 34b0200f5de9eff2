//! Copying a ledger whole.

use super::{Appended, Batch, Durability, Ledger, Page, Position, ReadLimit};
use crate::error::{Error, Result};

/// The end of all that was written, which is durable then. The page that says how far readers may go covers less for a
/// while where an old one was put back; a turn knows better. Where nothing can be written, that page is all there is.
/// May block.
pub(crate) async fn end_of_all(ledger: &dyn Ledger) -> Result<Position> {
    let turn = match ledger.turn().await {
        Err(error) if error.is_read_only() => return ledger.head().await,
        turn => turn?,
    };
    let tip = turn.tip();
    if turn.durable() == tip {
        return Ok(tip);
    }
    let nothing = Batch { after: tip, end: tip, bytes: Vec::new(), lens: Vec::new() };
    match turn.append(&nothing, Durability::Durable).await? {
        Appended::New | Appended::Already => Ok(tip),
        Appended::Lost => ledger.head().await,
    }
}

/// Gives `take` all lines up to `end`, one page after the other, and answers how many of them are gaps. May block.
///
/// # Errors
/// `Diverged` if the ledger is cut or replaced meanwhile: then what was taken is of no use.
pub(crate) async fn copy(
    ledger: &dyn Ledger,
    end: Position,
    mut take: impl FnMut(&Page, Position) -> Result<()>,
) -> Result<u64> {
    let (mut at, mut gaps) = (Position::start(ledger.group_id()), 0);
    while at != end {
        let events = usize::try_from(end.seq.0.saturating_sub(at.seq.0)).unwrap_or(usize::MAX);
        let page = ledger.read(at.seq.next(), ReadLimit { events, ..ReadLimit::CHUNK }).await?;
        let next = page.end().filter(|next| page.previous() == Some(at) && next.seq <= end.seq);
        at = next.ok_or_else(|| {
            Error::diverged("the ledger was cut or replaced while it was copied").hint("copy it again")
        })?;
        gaps += page.lines().map(|line| u64::from(line.is_gap())).sum::<u64>();
        take(&page, at)?;
    }
    Ok(gaps)
}
