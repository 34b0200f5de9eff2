//! Reading a whole ledger and checking every line. Changes nothing.

use std::sync::Arc;

use super::Shared;
use super::layout::shown;
use super::lines::{LineReader, follow};
use super::locked::{is_replaced, missing};
use super::page::Mark;
use super::shared::SECOND_LOOKS;
use crate::blocking::off_thread;
use crate::disk::OpenMode;
use crate::error::{Damage, Error, Result};
use crate::id::Seq;
use crate::ledger::{Position, Verdict};

impl Shared {
    /// Checks every line. What looks like damage may be a redaction that is under way, or a repair.
    pub(super) async fn check_all(self: Arc<Self>) -> Result<Verdict> {
        let mut head = self.fresh_head().await;
        let mut looks = 0;
        loop {
            match head {
                Err(error) if is_replaced(&error) => return Err(error),
                _ => {}
            }
            let shared = self.clone();
            let verdict = off_thread("verifying the ledger", move || shared.verify(&head)).await?;
            if looks == SECOND_LOOKS || matches!(verdict, Verdict::Sound { .. }) {
                return Ok(verdict);
            }
            looks += 1;
            head = self.look_anew().await;
        }
    }

    /// Checks every line up to the head. Where there is no telling what the head is because recovery met
    /// damage, the first damage from the beginning on is named.
    pub(super) fn verify(&self, head: &Result<Mark>) -> Result<Verdict> {
        let walked = self.walk(head.as_ref().ok());
        match (walked, head) {
            (Err(error), _) => match error.damage() {
                Some(damage) => Ok(Verdict::Damaged(damage.clone())),
                None => Err(error),
            },
            (Ok(_), Err(error)) => match error.damage() {
                Some(damage) => Ok(Verdict::Damaged(damage.clone())),
                None => Err(error.clone()),
            },
            (Ok((head, bytes, gaps)), Ok(_)) => Ok(Verdict::Sound { head, bytes, gaps }),
        }
    }

    /// Reads all segments up to `end`, or up to what cannot be read any more; returns position, bytes, and
    /// how many of the lines are gaps.
    pub(super) fn walk(&self, end: Option<&Mark>) -> Result<(Position, u64, u64)> {
        let mut position = Position::start(&self.group_id);
        let (mut bytes, mut gaps) = (0, 0);
        let last = match end {
            Some(end) => end.segment,
            None => self.reader.list()?.last().copied().unwrap_or(1),
        };
        loop {
            let first = position.seq.0 + 1;
            let path = self.layout.segment(first);
            let io = |what, e| Error::io(what, &path, e);
            let file = self.disk.open(&path, OpenMode::Read).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => missing(&path, Seq(first)),
                _ => io("open", e),
            })?;
            let is_last = first >= last;
            let len = match end {
                Some(end) if is_last => end.len,
                _ => file.stat().map_err(|e| io("look at", e))?.len,
            };
            let mut lines = LineReader::new(&*file, 0, len);
            let damage = |offset, seq, reason: &str| {
                Error::corrupt(Damage { file: shown(&path), offset, seq, reason: reason.into() })
            };
            loop {
                let offset = lines.offset();
                let Some(line) = lines.next_line().map_err(|e| io("read", e))? else { break };
                match follow(line, position) {
                    Ok((raw, next)) => {
                        position = next;
                        gaps += u64::from(raw.is_gap());
                    }
                    // What lies beyond an unknown head may be torn; the recovery has its own verdict on that.
                    Err(_) if is_last && end.is_none() => return Ok((position, bytes + offset, gaps)),
                    Err(reason) => return Err(damage(offset, position.seq.next(), reason)),
                }
            }
            if lines.offset() < len {
                let reason = "the file ends before its last durable event";
                return Err(damage(lines.offset(), position.seq.next(), reason));
            }
            bytes += len;
            if !is_last {
                if position.seq.0 < first {
                    return Err(damage(0, Seq(first), "the segment is empty and others follow"));
                }
                continue;
            }
            if let Some(end) = end
                && position != end.at
            {
                return Err(damage(len, position.seq, "the head names another history"));
            }
            return Ok((position, bytes, gaps));
        }
    }
}
