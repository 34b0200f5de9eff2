//! Reading around damage: what is sound can be read before anybody repairs the rest.

use std::sync::Arc;

use super::files::{Access, Slot};
use super::layout::shown;
use super::lines::read_range;
use super::page::{FENCED, Mark, PAGE_BYTES, Role, State};
use super::survey::{Part, Survey};
use super::{FileLedger, Shared};
use crate::blocking::off_thread;
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Page, Position, RawLine, ReadLimit};

impl FileLedger {
    /// Durable events from `from` on, as [`read`](crate::ledger::Ledger::read) gives them; but where events are
    /// damaged, a `ledger.gap` stands for each, which names the file and the bytes, and what follows is read and
    /// checked as usual. An event of which no more than a bit is wrong is given as it was written. On disk
    /// nothing changes: [`repair`](Self::repair) puts the same events there.
    ///
    /// Slower than `read`, since it goes over the whole segment.
    ///
    /// # Errors
    /// `Corrupt` where not even the place of the damage can be told.
    pub async fn read_around(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let read = |files: Arc<Shared>| async move {
            off_thread("reading around damage", move || files.salvage(from, limit)).await
        };
        self.with_files(read).await
    }
}

impl Shared {
    /// The end of what can be read. Where a recovery meets damage, that is what the head page says, which never
    /// says too much.
    pub(super) async fn head_to_read(self: &Arc<Self>) -> Result<Mark> {
        match self.fresh_head().await {
            Err(error) if error.kind() == ErrorKind::Corrupt => self.glance().map_err(|_| error),
            head => head,
        }
    }

    /// The head as its page says, without the lock and without recovering anything. If there is no page, it is what
    /// the tip page says was written.
    pub(super) fn glance(&self) -> Result<Mark> {
        let path = &self.layout.head;
        self.head.check(&*self.disk)?;
        if let Some(head) = self.head_page()? {
            return Ok(head.mark);
        }
        if let Some(written) = self.written_without_head()? {
            return Ok(written);
        }
        Err(Error::corrupt(Damage {
            file: shown(path),
            offset: 0,
            seq: Seq(0),
            reason: "the page is not whole; a repair that is no dry run makes it anew".into(),
        }))
    }

    /// As [`told_without_head`], of the pages as they are now.
    pub(super) fn written_without_head(&self) -> Result<Option<Mark>> {
        let page = |slot: &Slot, path| match slot.get(&*self.disk, Access::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            file => read_range(&*file?, 0, PAGE_BYTES).map_err(|e| Error::io("read", path, e)),
        };
        let head = State::decode(Role::Head, &page(&self.head, &self.layout.head)?);
        let tip = State::decode(Role::Tip, &page(&self.tip, &self.layout.tip)?);
        Ok(told_without_head(self.disk.boot_id(), head, tip))
    }

    fn salvage(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let from = Seq(from.0.max(1));
        let end = self.glance()?.at.seq;
        if from > end {
            return Ok(Page::default());
        }
        let survey = Survey::new(self, Some(self.glance()?))?;
        let first = survey.segment_of(from).unwrap_or(1);
        let mut previous = survey.start(first)?.position;
        let (mut bytes, mut count) = (Vec::new(), 0);
        let mut take = |line: &[u8], at: Position| {
            if at.seq < from {
                previous = at;
                return true;
            }
            let full = count >= limit.events || (count > 0 && bytes.len() + line.len() > limit.bytes);
            if full || at.seq > end {
                return false;
            }
            bytes.extend_from_slice(line);
            count += 1;
            true
        };
        survey.run(first, |part| match part {
            Part::Line(line, place, _) => Ok(take(line, place.position)),
            Part::Damaged(run) => {
                let (segment, offset) = run.place();
                let file = format!("ledger/{segment:020}.jsonl");
                let (lines, _) = run.replacement(&self.group_id, &file, offset);
                Ok(lines.split_inclusive(|b| *b == b'\n').all(|line| {
                    let raw = RawLine::split(line).ok();
                    let at = raw.and_then(|raw| Some(Position { seq: raw.seq()?, chain: raw.chain().ok()? }));
                    at.is_some_and(|at| take(line, at))
                }))
            }
        })?;
        Page::check(bytes, previous).map_err(|(_, seq, reason)| {
            let file = shown(&self.layout.segment(first));
            Error::corrupt(Damage { file, offset: 0, seq, reason: reason.into() })
        })
    }
}

/// What the tip page says was written in this boot, if there is no whole head page. In one boot the lines are there
/// before the tip page says so, and whoever dies with half a head page written had them durable before.
pub(super) fn told_without_head(boot: [u8; 16], head: Option<State>, tip: Option<State>) -> Option<Mark> {
    let told = |tip: &State| boot != [0; 16] && tip.boot == boot && tip.flags & FENCED == 0;
    tip.filter(|tip| head.is_none() && told(tip)).map(|tip| tip.mark)
}
