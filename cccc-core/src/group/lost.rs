//! What whoever follows was told of and is lost since: a repair has put a gap where it stood.

use std::sync::Arc;

use crate::blocking::aside;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::Seq;
use crate::ledger::{Ledger, Position, ReadLimit};

/// The gaps among the events from one on up to a position, with their lines. None while these cannot be read, as in
/// the middle of a repair, or where another history stands: the ledger is replaced once more when the repair is done,
/// and whoever follows finds another history by itself.
pub(super) async fn gaps(ledger: &Arc<dyn Ledger>, from: Seq, end: Position) -> Result<Vec<(Event, String)>> {
    if from > end.seq {
        return Ok(Vec::new());
    }
    let ledger = ledger.clone();
    let read = async move {
        let (mut next, mut gaps) = (from, Vec::new());
        while next <= end.seq {
            let events = usize::try_from(end.seq.0 - next.0 + 1).unwrap_or(usize::MAX);
            let page = ledger.read(next, ReadLimit { events, ..ReadLimit::CHUNK }).await?;
            for line in page.lines().filter(crate::ledger::RawLine::is_gap) {
                let event = line.parse().map_err(Error::invalid)?;
                gaps.push((event, String::from_utf8_lossy(line.bytes()).trim_end().to_owned()));
            }
            match page.end() {
                Some(at) if at.seq < end.seq || at == end => next = at.seq.next(),
                _ => return Ok(Vec::new()),
            }
        }
        Ok(gaps)
    };
    match aside("looking for what is lost", read).await {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => Ok(Vec::new()),
        found => found,
    }
}
