//! What a person does about a ledger: look at its size, copy it out, and put a damaged one in order.
//!
//! Nothing here ever deletes an event: what is cut off is first copied under `torn/` and synced.

use std::io::Write;
use std::path::PathBuf;

use super::layout::segment_name;
use super::lines::{LineReader, follow};
use super::locked::Locked;
use super::page::{Mark, Role, State};
use super::{FileLedger, Shared};
use crate::disk::OpenMode;
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Position, ReadLimit, Verdict};

/// How large a ledger is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Stats {
    /// Durable events.
    pub events: u64,
    /// Bytes of segments.
    pub bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes of files that can be made anew from the segments: offsets, index, checkpoints.
    pub derived_bytes: u64,
    /// Files with bytes that were set aside.
    pub torn_files: u64,
    /// Bytes in those files.
    pub torn_bytes: u64,
}

/// What [`FileLedger::repair`] may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepairOptions {
    /// Set everything from the first damaged event on aside. Default: damage is only reported.
    pub cut: bool,
    /// Change nothing, only report. Default: off.
    pub dry_run: bool,
}

/// What [`FileLedger::repair`] found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepairReport {
    /// What is wrong with the lines, if anything is.
    pub damage: Option<Damage>,
    /// The ledger's end afterwards, if it is sound then.
    pub head: Option<Position>,
    /// Files that bytes were copied to before they were cut off.
    pub set_aside: Vec<PathBuf>,
    /// Derived files that were removed. They are made again when they are needed.
    pub removed: Vec<PathBuf>,
}

impl FileLedger {
    /// How large the ledger is.
    pub async fn stats(&self) -> Result<Stats> {
        let shared = &self.shared;
        let head = shared.fresh_head().await?;
        let mut stats = Stats { events: head.at.seq.0, ..Stats::default() };
        let len = |path: PathBuf| shared.disk.stat(&path).map_or(0, |stat| stat.len);
        let layout = &shared.layout;
        let list = |dir| shared.disk.list(dir).unwrap_or_default();
        for name in list(&layout.ledger) {
            let size = len(layout.ledger.join(&name));
            if segment_name(&name).is_some() {
                stats.segments += 1;
                stats.bytes += size;
            } else {
                stats.derived_bytes += size;
            }
        }
        for name in list(&layout.dir).into_iter().filter(|name| is_checkpoint(name)) {
            stats.derived_bytes += len(layout.dir.join(name));
        }
        for name in list(&layout.torn) {
            stats.torn_files += 1;
            stats.torn_bytes += len(layout.torn.join(name));
        }
        Ok(stats)
    }

    /// Copies all durable lines, as they are stored, and returns where they end.
    pub async fn export(&self, out: &mut (dyn Write + Send)) -> Result<Position> {
        let shared = &self.shared;
        let end = shared.fresh_head().await?;
        let mut seq = Seq(1);
        while seq <= end.at.seq {
            let page = shared.reading(|| shared.reader.read(&end, seq, ReadLimit::CHUNK)).await?;
            out.write_all(page.bytes())
                .map_err(|e| Error::unavailable(format!("cannot write the copy: {e}")).source(e))?;
            seq = Seq(seq.0 + (page.len() as u64).max(1));
        }
        Ok(end.at)
    }

    /// Finishes what was interrupted, removes derived files, and, if asked to, cuts a damaged ledger before
    /// the command with the first damaged event. Other handles on a ledger that was cut must be reopened.
    ///
    /// # Errors
    /// `Unavailable` if the disk does not do its part. Damage is no error; it is in the report.
    pub async fn repair(&self, options: RepairOptions) -> Result<RepairReport> {
        let shared = self.shared.clone();
        let mut report =
            RepairReport { damage: None, head: None, set_aside: Vec::new(), removed: Vec::new() };
        let mut locked = Locked::take(&shared).await?;
        let head =
            if options.dry_run { locked.glance() } else { locked.settle().map(|pages| pages.head.mark) };
        match shared.verify(&head)? {
            Verdict::Sound { head, .. } => report.head = Some(head),
            Verdict::Damaged(damage) => report.damage = Some(damage),
        }
        if options.dry_run {
            return Ok(report);
        }
        if let (Some(damage), true) = (report.damage.clone(), options.cut) {
            locked.cut(&damage, &mut report)?;
        }
        shared.remove_derived(&mut report)?;
        Ok(report)
    }
}

fn is_checkpoint(name: &str) -> bool {
    name.starts_with("checkpoint.") && !name.ends_with(".lock")
}

impl Shared {
    fn remove_derived(&self, report: &mut RepairReport) -> Result<()> {
        let of = |dir: &PathBuf| self.disk.list(dir).map_err(|e| Error::io("list", dir, e));
        let mut paths = Vec::new();
        for name in of(&self.layout.ledger)? {
            if [".off", ".idx", ".idx.tmp"].iter().any(|end| name.ends_with(end)) {
                paths.push(self.layout.ledger.join(name));
            }
        }
        for name in of(&self.layout.dir)?.into_iter().filter(|name| is_checkpoint(name)) {
            paths.push(self.layout.dir.join(name));
        }
        for path in paths {
            self.disk.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
            report.removed.push(path);
        }
        self.reader.forget();
        self.indexes.forget();
        Ok(())
    }
}

impl Locked {
    /// The head as its page says, without recovering anything.
    fn glance(&self) -> Result<Mark> {
        let head = self.page(Role::Head)?.map(|head| head.mark);
        head.ok_or_else(|| {
            Error::corrupt(Damage {
                file: self.shared.layout.head.display().to_string(),
                offset: 0,
                seq: Seq(0),
                reason: "the page is not whole; a repair that is no dry run makes it anew".into(),
            })
        })
    }

    /// Sets everything aside from the command with the damaged event on, and ends the ledger there.
    fn cut(&mut self, damage: &Damage, report: &mut RepairReport) -> Result<()> {
        let shared = self.shared.clone();
        let layout = &shared.layout;
        let end = self.last_good(damage.seq)?;
        let epoch = self.next_epoch(&[self.page(Role::Head)?, self.page(Role::Tip)?]);
        self.writer.epoch = epoch;
        let names = shared.reader.list()?;
        // From the last file to the first, so that an interrupted cut leaves a ledger that is cut less.
        for first in names.into_iter().rev().filter(|first| *first >= end.segment) {
            let path = layout.segment(first);
            let file = shared.disk.open(&path, OpenMode::Write).map_err(|e| Error::io("open", &path, e))?;
            let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
            let from = if first == end.segment { end.len } else { 0 };
            if from < len {
                let seq = if first == end.segment { end.at.seq.next() } else { Seq(first) };
                report.set_aside.push(self.set_aside(&*file, &path, from, seq)?);
            }
            if first == end.segment {
                file.truncate(from).map_err(|e| Error::io("cut", &path, e))?;
                file.sync().map_err(|e| Error::io("sync", &path, e))?;
            } else {
                drop(file);
                shared.disk.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
            shared.disk.sync_dir(&layout.ledger).map_err(|e| Error::io("sync", &layout.ledger, e))?;
        }
        // A redaction that was interrupted within what is gone now has nothing left to do.
        let _ = shared.disk.remove(&layout.redacting);
        self.forget_active();
        shared.reader.forget();
        let state = State { boot: shared.disk.boot_id(), epoch, flags: 0, mark: end };
        self.write_page(Role::Tip, &state)?;
        self.write_page(Role::Head, &state)?;
        report.head = Some(end.at);
        Ok(())
    }

    /// The end of the last whole command before event `bad`.
    fn last_good(&self, bad: Seq) -> Result<Mark> {
        let shared = &self.shared;
        let mut end = Mark { segment: 1, len: 0, at: Position::start(&shared.group_id) };
        let mut position = end.at;
        'segments: loop {
            let first = position.seq.0 + 1;
            if first > bad.0 {
                break;
            }
            let path = shared.layout.segment(first);
            let file = match shared.disk.open(&path, OpenMode::Read) {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && first > 1 => break,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Error::new(
                        ErrorKind::Refused,
                        "the first segment is missing; nothing is left",
                    )
                    .hint("restore the ledger's files from a copy"));
                }
                Err(e) => return Err(Error::io("open", &path, e)),
            };
            let mut lines = LineReader::new(&*file, 0, u64::MAX);
            loop {
                let offset = lines.offset();
                let Some(line) = lines.next_line().map_err(|e| Error::io("read", &path, e))? else { break };
                let Ok((raw, next)) = follow(line, position) else { break 'segments };
                if next.seq >= bad {
                    break 'segments;
                }
                position = next;
                if raw.envelope().is_ok_and(|envelope| envelope.b == 0) {
                    end = Mark { segment: first, len: offset + line.len() as u64, at: next };
                }
            }
            if position.seq.0 < first {
                break;
            }
        }
        Ok(end)
    }
}
