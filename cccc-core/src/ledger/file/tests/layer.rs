//! A disk over another one that can refuse to be written to, and notices syncs under the ledger's lock.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::disk::{DiskFile, Stat, WatchGuard};

#[derive(Debug)]
pub(super) struct Layer {
    disk: Arc<dyn Disk>,
    pub(super) read_only: AtomicBool,
    /// How many writes to the head page are refused from now on.
    pub(super) refused_heads: Arc<AtomicUsize>,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    locks: AtomicUsize,
    syncs_under_lock: AtomicUsize,
}

#[derive(Debug)]
struct LayerFile {
    file: Box<dyn DiskFile>,
    seen: Arc<Seen>,
    /// If it is a head page.
    refused: Option<Arc<AtomicUsize>>,
}

impl Layer {
    pub(super) fn over(disk: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self {
            disk,
            read_only: AtomicBool::new(false),
            refused_heads: Arc::default(),
            seen: Arc::default(),
        })
    }

    pub(super) fn syncs_under_lock(&self) -> usize {
        self.seen.syncs_under_lock.load(Ordering::Relaxed)
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }
}

impl Seen {
    fn sync(&self) {
        if self.locks.load(Ordering::Relaxed) > 0 {
            self.syncs_under_lock.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Disk for Layer {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        if mode != OpenMode::Read {
            self.writable()?;
        }
        let refused = path.ends_with("head").then(|| self.refused_heads.clone());
        Ok(Box::new(LayerFile { file: self.disk.open(path, mode)?, seen: self.seen.clone(), refused }))
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.disk.stat(path)
    }
    fn unchanged_for(&self, path: &Path) -> Option<Duration> {
        self.disk.unchanged_for(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.writable()?;
        self.disk.create_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.seen.sync();
        self.disk.sync_dir(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.writable()?;
        self.disk.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writable()?;
        self.disk.rename(from, to)
    }
    fn boot_id(&self) -> [u8; 16] {
        self.disk.boot_id()
    }
    fn process_id(&self) -> u32 {
        self.disk.process_id()
    }
    fn monotonic(&self) -> Duration {
        self.disk.monotonic()
    }
    fn sleep(&self, duration: Duration) {
        self.disk.sleep(duration);
    }
    fn watch(&self, path: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Box<dyn WatchGuard>> {
        self.disk.watch(path, wake)
    }
}

impl DiskFile for LayerFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let less = |left: usize| left.checked_sub(1);
        let refused = self.refused.as_ref();
        if refused.is_some_and(|left| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()) {
            return Err(io::Error::other("input/output error, as arranged"));
        }
        self.file.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.seen.sync();
        self.file.sync()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }
    fn lock(&self) -> io::Result<()> {
        self.file.lock()
    }
    fn lock_within(&self, limit: Duration) -> io::Result<bool> {
        let taken = self.file.lock_within(limit)?;
        self.seen.locks.fetch_add(usize::from(taken), Ordering::Relaxed);
        Ok(taken)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn unlock(&self) -> io::Result<()> {
        self.seen.locks.fetch_sub(1, Ordering::Relaxed);
        self.file.unlock()
    }
}
