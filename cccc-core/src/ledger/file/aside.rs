//! Bytes that are set aside: copied under `torn/`, durably, before they are taken out of the ledger.
//!
//! Whoever fails after that, as on a full disk, is run again, and again. The copy that is there then serves, and half
//! of one does not stay.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Shared;
use super::lines::read_range;
use super::mend::copy_range;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{Error, Result};
use crate::id::Seq;

/// Bytes compared at a time.
const CHUNK: u64 = 1 << 20;

impl Shared {
    /// Copies what lies in these ranges of a segment to a file of its own, one after the other, durably. They begin
    /// where event `seq` should stand. Returns the copy's path.
    pub(super) fn set_aside(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        ranges: impl IntoIterator<Item = Range<u64>>,
        seq: Seq,
    ) -> Result<PathBuf> {
        let layout = &self.layout;
        let ranges: Vec<Range<u64>> = ranges.into_iter().collect();
        let target = match self.copy_of(file, &ranges, seq)? {
            Some(there) => there,
            None => self.copy(file, path, &ranges, seq)?,
        };
        for dir in [&layout.torn, &layout.dir] {
            self.disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        }
        Ok(target)
    }

    /// Makes a copy, or nothing.
    fn copy(&self, file: &dyn DiskFile, path: &Path, ranges: &[Range<u64>], seq: Seq) -> Result<PathBuf> {
        let (copy, target) = self.torn_file(seq)?;
        let write = || {
            let mut at = 0;
            for range in ranges {
                copy_range(file, range.clone(), &*copy, at).map_err(|e| Error::io("copy", path, e))?;
                at += range.end - range.start;
            }
            copy.sync().map_err(|e| Error::io("sync", &target, e))
        };
        write().inspect_err(|_| {
            // It is of no use, and takes room where there may be none.
            let _ = self.disk.remove(&target);
        })?;
        Ok(target)
    }

    /// A copy of the same bytes that somebody has made before, once it is surely on disk.
    fn copy_of(&self, file: &dyn DiskFile, ranges: &[Range<u64>], seq: Seq) -> Result<Option<PathBuf>> {
        let torn = &self.layout.torn;
        let begin = format!("{seq}-");
        for name in self.disk.list(torn).unwrap_or_default().iter().filter(|name| name.starts_with(&begin)) {
            let path = torn.join(name);
            // What is no copy, or cannot be read, is made anew.
            let Ok(copy) = self.disk.open(&path, OpenMode::Write) else { continue };
            if is_copy(file, ranges, &*copy).unwrap_or(false) {
                copy.sync().map_err(|e| Error::io("sync", &path, e))?;
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// A new file for bytes that are set aside and begin where event `seq` should stand.
    fn torn_file(&self, seq: Seq) -> Result<(Box<dyn DiskFile>, PathBuf)> {
        let (disk, layout) = (&*self.disk, &self.layout);
        disk.create_dir(&layout.torn).map_err(|e| Error::io("make", &layout.torn, e))?;
        let mut time = disk.monotonic().as_nanos();
        loop {
            let target = layout.torn_file(seq, time);
            match disk.open(&target, OpenMode::CreateNew) {
                Ok(copy) => return Ok((copy, target)),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => time += 1,
                Err(e) => return Err(Error::io("make", &target, e)),
            }
        }
    }
}

/// Whether a file holds just what lies in these ranges of another.
fn is_copy(file: &dyn DiskFile, ranges: &[Range<u64>], copy: &dyn DiskFile) -> std::io::Result<bool> {
    if copy.stat()?.len != ranges.iter().map(|range| range.end - range.start).sum::<u64>() {
        return Ok(false);
    }
    let mut at = 0;
    for range in ranges {
        let mut next = range.start;
        while next < range.end {
            let len = usize::try_from((range.end - next).min(CHUNK)).unwrap_or(1);
            let bytes = read_range(file, next, len)?;
            if bytes.is_empty() || bytes != read_range(copy, at, bytes.len())? {
                return Ok(false);
            }
            (next, at) = (next + bytes.len() as u64, at + bytes.len() as u64);
        }
    }
    Ok(true)
}
