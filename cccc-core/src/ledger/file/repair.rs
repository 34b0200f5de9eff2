//! What a person does about a ledger: look at its size, copy it out, and put a damaged one in order.
//!
//! Nothing here ever deletes an event: what is taken out is first copied under `torn/` and synced.

use std::path::PathBuf;
use std::sync::Arc;

use super::layout::{segment_name, shown};
use super::lines::{LineReader, follow};
use super::locked::{Locked, is_replaced};
use super::page::{Mark, Role, State};
use super::redaction::{Finished, Overwriting};
use super::survey::Run;
use super::{FileLedger, Shared};
use crate::blocking::off_thread;
use crate::disk::OpenMode;
use crate::error::{Damage, Error, Result};
use crate::id::Seq;
use crate::ledger::{Ledger, Position, Verdict};

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
    /// Files with bytes that were set aside: unfinished writes, and what repairs took out.
    pub torn_files: u64,
    /// Bytes in those files.
    pub torn_bytes: u64,
}

/// What [`FileLedger::repair`] may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepairOptions {
    /// Instead of marking what was lost, set everything from the first damaged event on aside. Default: off.
    pub cut: bool,
    /// Change nothing, only report. Default: off.
    pub dry_run: bool,
}

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Broken {
    /// The file.
    pub file: String,
    /// Where they begin in it.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
    /// The first event that should stand there.
    pub first: Seq,
    /// How many events are lost: a gap marks the place of each.
    pub lost: u64,
    /// Whether the event is restored as it was written, since what was wrong could be told.
    pub restored: bool,
    /// What is wrong.
    pub reason: String,
}

/// What a cut takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Cut {
    /// The first event.
    pub first: Seq,
    /// The last one, as far as can be told.
    pub last: Seq,
    /// Bytes of segments.
    pub bytes: u64,
}

/// What [`FileLedger::repair`] found and did; or would do, for a dry run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// What is wrong first, if anything is.
    pub damage: Option<Damage>,
    /// The ledger's end afterwards, if it is sound then.
    pub head: Option<Position>,
    /// All that is wrong with the lines, in order.
    pub broken: Vec<Broken>,
    /// The last event that stands, or should stand, if there is damage.
    pub last: Option<Seq>,
    /// What was cut off, if that was asked for.
    pub cut: Option<Cut>,
    /// Files that bytes were copied to before they were taken out, and notes that led nowhere.
    pub set_aside: Vec<PathBuf>,
    /// Whether something was finished that a process had left half done: a write, a redaction, or a repair.
    pub finished: bool,
    /// How many gaps there are afterwards, those of earlier repairs too, if the ledger is sound then.
    pub gaps: u64,
    /// Derived files that were removed. They are made again when they are needed.
    pub removed: Vec<PathBuf>,
}

impl FileLedger {
    /// How large the ledger is.
    pub async fn stats(&self) -> Result<Stats> {
        let events = self.head().await?.seq.0;
        let mut stats = Stats { events, ..Stats::default() };
        let (disk, layout) = (&self.disk, &self.layout);
        let len = |path: PathBuf| disk.stat(&path).map_or(0, |stat| stat.len);
        let list = |dir| disk.list(dir).unwrap_or_default();
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

    /// Finishes what was interrupted, removes derived files, and puts a damaged ledger in order: an event that
    /// cannot be restored is set aside, and a `ledger.gap` stands in its place, so that every other one stays
    /// where it is. With `cut` the ledger ends before the command with the first damaged event instead. If
    /// there was damage, handles that are open, this one too, open the files anew with their next use.
    ///
    /// A dry run takes no lock.
    ///
    /// # Errors
    /// `Unavailable` if the disk does not do its part. Damage is no error, it is in the report; but `Refused` if every
    /// event is lost, so that only a cut is left to be done, and `Corrupt` if more than a million events are missing in
    /// one place. After either nothing has changed.
    pub async fn repair(&self, options: RepairOptions) -> Result<RepairReport> {
        let repair = |files: Arc<Shared>| async move {
            if options.dry_run {
                return off_thread("inspecting the ledger", move || files.inspect(options.cut)).await;
            }
            files.repair(options.cut).await
        };
        self.with_files(repair).await
    }
}

impl Shared {
    async fn repair(self: &Arc<Self>, cut: bool) -> Result<RepairReport> {
        let mut report = RepairReport::default();
        let mut locked = Locked::take(self).await?;
        match Overwriting::take(self)?.finish()? {
            Finished::Nothing => {}
            Finished::Done => report.finished = true,
            Finished::SetAside(note) => report.set_aside.push(note),
        }
        let head = match locked.settle() {
            Err(error) if is_replaced(&error) => return Err(error),
            settled => settled.map(|pages| pages.head.mark),
        };
        report.finished |= locked.left.is_unfinished;
        match self.verify(&head)? {
            Verdict::Sound { head, gaps, .. } => (report.head, report.gaps) = (Some(head), gaps),
            Verdict::Damaged(damage) => {
                let head = head.ok().or_else(|| self.glance().ok());
                let (runs, last) = self.broken(head)?;
                if !cut && last.0 > 0 && runs.iter().map(Run::lost).sum::<u64>() >= last.0 {
                    return Err(self.nothing_is_left(last));
                }
                report.damage = Some(damage);
                self.begin_anew()?;
                report.broken = runs.iter().map(|run| Broken::of(self, run)).collect();
                report.last = Some(last);
                match runs.first() {
                    Some(run) if cut => {
                        let end = self.last_good(run.before.position.seq.next())?;
                        report.cut = Some(self.cut_after(&end, last)?);
                        locked.cut(&end, &mut report)?;
                    }
                    // Where no line is damaged, nothing is cut.
                    _ => locked.mend(head, &runs, &mut report)?,
                }
            }
        }
        report.set_aside.append(&mut locked.left.set_aside);
        self.remove_derived(&mut report)?;
        report.removed.sort();
        report.removed.dedup();
        Ok(report)
    }

    /// The error where a repair would put a gap in the place of every event.
    fn nothing_is_left(&self, last: Seq) -> Error {
        let dir = self.layout.dir.display();
        let text = match last.0 {
            1 => format!("the only event of the ledger in {dir} is lost, and a repair has nothing to keep"),
            all => {
                format!("all {all} events of the ledger in {dir} are lost, and a repair has nothing to keep")
            }
        };
        Error::refused(text).hint(
            "restore the files from a copy; or begin the ledger anew with `cccc ledger repair --cut`, which sets \
             aside what is there",
        )
    }
}

impl RepairReport {
    /// Notes where the ledger ends now, which is looked at once more from its beginning.
    pub(super) fn ends_at(&mut self, shared: &Shared, end: &Mark) -> Result<()> {
        let (head, _, gaps) = shared.walk(Some(end))?;
        (self.head, self.gaps) = (Some(head), gaps);
        Ok(())
    }
}

impl Broken {
    fn of(shared: &Shared, run: &Run) -> Self {
        let (segment, offset) = run.place();
        Self {
            file: shown(&shared.layout.segment(segment)),
            offset,
            bytes: run.bytes(),
            first: run.before.position.seq.next(),
            lost: run.lost(),
            restored: run.restored.is_some(),
            reason: run.reason.to_owned(),
        }
    }
}

fn is_checkpoint(name: &str) -> bool {
    name.starts_with("checkpoint.") && !name.ends_with(".lock")
}

impl Shared {
    /// What a repair would find and do.
    fn inspect(self: &Arc<Self>, cut: bool) -> Result<RepairReport> {
        let mut report = RepairReport::default();
        let mut head = self.glance();
        let mut verdict = self.verify(&head)?;
        if matches!(verdict, Verdict::Damaged(_)) && self.disk.stat(&self.layout.redacting).is_ok() {
            // Perhaps that is only an event which is being redacted just now.
            drop(Overwriting::take(self));
            head = self.glance();
            verdict = self.verify(&head)?;
        }
        match verdict {
            Verdict::Sound { head, gaps, .. } => (report.head, report.gaps) = (Some(head), gaps),
            Verdict::Damaged(damage) => {
                report.damage = Some(damage);
                let (runs, last) = self.broken(head.ok())?;
                report.last = Some(last);
                if let Some(run) = runs.first().filter(|_| cut) {
                    let end = self.last_good(run.before.position.seq.next())?;
                    report.cut = Some(self.cut_after(&end, last)?);
                }
                report.broken = runs.iter().map(|run| Broken::of(self, run)).collect();
            }
        }
        Ok(report)
    }

    /// What a cut at `end` takes away from a ledger whose last event is `last`.
    fn cut_after(&self, end: &Mark, last: Seq) -> Result<Cut> {
        let mut bytes = 0;
        for first in self.reader.list()?.into_iter().filter(|first| *first >= end.segment) {
            let path = self.layout.segment(first);
            let len = self.disk.stat(&path).map_err(|e| Error::io("look at", &path, e))?.len;
            bytes += if first == end.segment { len.saturating_sub(end.len) } else { len };
        }
        Ok(Cut { first: end.at.seq.next(), last, bytes })
    }

    pub(super) fn remove_derived(&self, report: &mut RepairReport) -> Result<()> {
        // Nobody saves a checkpoint meanwhile that was made of what is gone.
        let lock = &self.layout.checkpoint_lock;
        let saving = self.disk.open(lock, OpenMode::Create).map_err(|e| Error::io("open", lock, e))?;
        saving.lock().map_err(|e| Error::io("lock", lock, e))?;
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
        self.forget();
        let _ = saving.unlock();
        Ok(())
    }
}

impl Locked {
    /// Sets everything after `end` aside, and ends the ledger there.
    fn cut(&mut self, end: &Mark, report: &mut RepairReport) -> Result<()> {
        let shared = self.shared.clone();
        let layout = &shared.layout;
        let _overwriting = Overwriting::take(&shared)?;
        shared.renew_head()?;
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
                report.set_aside.push(shared.set_aside(&*file, &path, std::iter::once(from..len), seq)?);
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
        self.end_at(&State { boot: shared.disk.boot_id(), epoch, flags: 0, mark: *end })?;
        report.ends_at(&shared, end)
    }
}

impl Shared {
    /// The end of the last whole command before event `bad`.
    fn last_good(&self, bad: Seq) -> Result<Mark> {
        let shared = self;
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
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
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
                if raw.framing().is_ok_and(|framing| framing.b == 0) {
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
