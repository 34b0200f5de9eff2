//! Putting a damaged ledger in order so that everything sound stays: what was lost is marked by gaps.
//!
//! A segment with damage is written anew beside itself, synced, and takes its own name by a rename, so that a
//! crash leaves it as it was or as it shall be. In between, pages and segment may disagree; nothing can be
//! written then, and the repair is run again. What lay where the gaps are is copied under `torn/` and synced
//! first. Before and after, the head page takes its place as another file: handles that were open find it
//! replaced and open the files anew, since they may know events that nobody else can read any more. A cut does
//! the same. What the pages say afterwards is synced, unlike elsewhere: an older version of them, which a power cut may
//! bring back, would name what is not there any more.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Shared;
use super::files::Access;
use super::lines::read_range;
use super::locked::Locked;
use super::page::{FENCED, Mark, PAGE_BYTES, Role, State};
use super::redaction::Overwriting;
use super::repair::RepairReport;
use super::survey::{Part, Run, Survey};
use crate::disk::{DiskFile, OpenMode};
use crate::error::{Error, ErrorKind, Result};

/// Bytes copied at a time.
const CHUNK: u64 = 1 << 20;

impl Locked {
    /// Puts gaps, or what could be restored, where `runs` are, and makes the pages anew. `head` is what the head
    /// page said.
    pub(super) fn mend(&mut self, head: Option<Mark>, runs: &[Run], report: &mut RepairReport) -> Result<()> {
        let shared = self.shared.clone();
        let overwriting = Overwriting::take(&shared)?;
        overwriting.remove_drafts()?;
        self.forget_active();
        // From here on nobody goes on with what is to be replaced, or saves what was made of it.
        shared.renew_head()?;
        shared.remove_derived(report)?;
        for of_segment in runs.chunk_by(|a, b| a.segment == b.segment) {
            let aside = shared.set_runs_aside(of_segment)?;
            shared.rewrite(of_segment, aside.as_ref())?;
            report.set_aside.extend(aside);
        }
        shared.reader.forget();
        let mark = shared.durable_after(head)?;
        let pages = [self.page(Role::Head)?, self.page(Role::Tip)?];
        self.writer.epoch = self.next_epoch(&pages);
        let epoch = self.writer.epoch;
        let state = State { boot: shared.disk.boot_id(), epoch, flags: FENCED, mark };
        self.write_page(Role::Tip, &state)?;
        self.write_page(Role::Head, &state)?;
        // Where it says that syncs failed is no place in the new file, which was synced.
        *shared.failed() = None;
        drop(overwriting);
        let pages = self.recover(None)?;
        self.end_at(&pages.head)?;
        report.ends_at(&shared, &pages.head.mark)
    }

    /// Has both pages say durably that the ledger ends as `state` says.
    pub(super) fn end_at(&mut self, state: &State) -> Result<()> {
        self.write_page(Role::Tip, state)?;
        let (tip, path) = self.page_file(Role::Tip, Access::Make)?;
        tip.sync().map_err(|e| Error::io("sync", path, e))?;
        self.shared.replace_head(&state.encode(Role::Head))
    }
}

impl Shared {
    /// What is wrong with the lines; and the last event that stands or should stand.
    pub(super) fn broken(&self, head: Option<Mark>) -> Result<(Vec<Run>, crate::id::Seq)> {
        let mut runs = Vec::new();
        let place = Survey::new(self, head)?.run(1, |part| {
            if let Part::Damaged(run) = part {
                runs.push(run);
            }
            Ok(true)
        })?;
        Ok((runs, place.position.seq))
    }

    /// An empty file in the place of a first segment that is not there.
    pub(super) fn begin_anew(&self) -> Result<()> {
        if self.reader.list()?.first() != Some(&1) {
            let path = self.layout.segment(1);
            let file = self.disk.open(&path, OpenMode::Create).map_err(|e| Error::io("make", &path, e))?;
            file.sync().map_err(|e| Error::io("sync", &path, e))?;
            let dir = &self.layout.ledger;
            self.disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        }
        Ok(())
    }

    /// Copies what lies in the runs of one segment to a file of its own, one after the other. What can be
    /// restored loses nothing and stays out of it.
    fn set_runs_aside(&self, runs: &[Run]) -> Result<Option<PathBuf>> {
        let mut lost = runs.iter().filter(|run| run.restored.is_none() && run.bytes() > 0).peekable();
        let Some(first) = lost.peek() else { return Ok(None) };
        let (path, seq) = (self.layout.segment(first.segment), first.before.position.seq.next());
        let file = self.disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        self.set_aside(&*file, &path, lost.map(|run| run.from..run.to), seq).map(Some)
    }

    /// Writes one segment anew; on a failure the draft does not stay, as the disk may be full.
    fn rewrite(&self, runs: &[Run], aside: Option<&PathBuf>) -> Result<()> {
        let Some(Run { segment, .. }) = runs.first() else { return Ok(()) };
        let (layout, path) = (&self.layout, self.layout.segment(*segment));
        let draft = layout.segment_draft(*segment);
        self.draft(runs, aside, &path, &draft).inspect_err(|_| {
            let _ = self.disk.remove(&draft);
        })?;
        // Hints of the old file must not outlive it.
        self.remove_hints(*segment)?;
        self.disk.rename(&draft, &path).map_err(|e| Error::io("rename to", &path, e))?;
        self.disk.sync_dir(&layout.ledger).map_err(|e| Error::io("sync", &layout.ledger, e))
    }

    /// Writes what a segment is to be to a file beside it, durably.
    fn draft(&self, runs: &[Run], aside: Option<&PathBuf>, path: &Path, draft: &Path) -> Result<()> {
        let file = self.disk.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        let len = file.stat().map_err(|e| Error::io("look at", path, e))?.len;
        let io = |what, e| Error::io(what, draft, e);
        let new = self.disk.open(draft, OpenMode::CreateNew).map_err(|e| io("make", e))?;
        let name = aside.and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        let name = name.map(|name| format!("torn/{name}")).unwrap_or_default();
        let (mut from, mut at, mut aside_at) = (0, 0, 0);
        for run in runs {
            copy_range(&*file, from..run.from, &*new, at).map_err(|e| io("write to", e))?;
            at += run.from - from;
            let (lines, _) = run.replacement(&self.group_id, &name, aside_at);
            new.write_at(&lines, at).map_err(|e| io("write to", e))?;
            at += lines.len() as u64;
            from = run.to;
            if run.restored.is_none() {
                aside_at += run.bytes();
            }
        }
        copy_range(&*file, from..len, &*new, at).map_err(|e| io("write to", e))?;
        new.sync().map_err(|e| io("sync", e))
    }

    /// Where that lies now which the head said to be durable. All lines up to there are sound, or it fails.
    fn durable_after(&self, head: Option<Mark>) -> Result<Mark> {
        let survey = Survey::new(self, head)?;
        let last = survey.last_segment();
        let mut found = None;
        survey.run(1, |part| match part {
            Part::Line(_, place, mark) => {
                if head.is_some_and(|head| head.at.seq == place.position.seq) {
                    found = Some(mark);
                }
                Ok(true)
            }
            Part::Damaged(run) => Err(Error::corrupt(run.damage(self))),
        })?;
        match found.filter(|mark| mark.segment == last && self.failed().is_none()) {
            Some(mark) => Ok(mark),
            // Every segment but the last was synced before the next one was made.
            None => Ok(Mark { segment: last, len: 0, at: survey.start(last)?.position }),
        }
    }

    /// Puts a copy in the place of the head page, so that whoever has the files open opens them anew.
    pub(super) fn renew_head(&self) -> Result<()> {
        let page = match self.head.get(&*self.disk, Access::Read) {
            // As good as an empty one, which is a page of nothing, too.
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            file => {
                read_range(&*file?, 0, PAGE_BYTES).map_err(|e| Error::io("read", &self.layout.head, e))?
            }
        };
        self.replace_head(&page)
    }

    /// Puts another file in the place of the head page.
    fn replace_head(&self, page: &[u8]) -> Result<()> {
        let (draft, path) = (self.layout.head_draft(), &self.layout.head);
        let file = self.disk.open(&draft, OpenMode::Create).map_err(|e| Error::io("make", &draft, e))?;
        file.truncate(0).map_err(|e| Error::io("cut", &draft, e))?;
        file.write_at(page, 0).map_err(|e| Error::io("write to", &draft, e))?;
        file.sync().map_err(|e| Error::io("sync", &draft, e))?;
        self.disk.rename(&draft, path).map_err(|e| Error::io("rename to", path, e))?;
        self.disk.sync_dir(&self.layout.dir).map_err(|e| Error::io("sync", &self.layout.dir, e))
    }
}

pub(super) fn copy_range(
    from: &dyn DiskFile,
    range: Range<u64>,
    to: &dyn DiskFile,
    at: u64,
) -> std::io::Result<()> {
    let mut next = range.start;
    while next < range.end {
        let len = usize::try_from((range.end - next).min(CHUNK)).unwrap_or(1);
        let bytes = read_range(from, next, len)?;
        if bytes.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        to.write_at(&bytes, at + (next - range.start))?;
        next += bytes.len() as u64;
    }
    Ok(())
}
