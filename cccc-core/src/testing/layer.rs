//! A disk over another one, which differs from it in a few calls.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::{Descriptors, Disk, DiskFile, Holder, OpenMode, Stat, WatchGuard};

/// What a disk over another one does differently: by default nothing. Whatever is a layer is a [`Disk`].
pub trait DiskLayer: fmt::Debug + Send + Sync {
    /// The disk under it.
    fn below(&self) -> &dyn Disk;

    /// See [`Disk::rename`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below().rename(from, to)
    }

    /// See [`Disk::boot_id`].
    fn boot_id(&self) -> [u8; 16] {
        self.below().boot_id()
    }

    /// See [`Disk::process_id`].
    fn process_id(&self) -> u32 {
        self.below().process_id()
    }
}

impl<L: DiskLayer> Disk for L {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.below().open(path, mode)
    }
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.below().open_lock(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.below().stat(path)
    }
    fn unchanged_for(&self, path: &Path) -> Option<Duration> {
        self.below().unchanged_for(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.below().list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.below().create_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.below().sync_dir(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.below().remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskLayer::rename(self, from, to)
    }
    fn boot_id(&self) -> [u8; 16] {
        DiskLayer::boot_id(self)
    }
    fn process_id(&self) -> u32 {
        DiskLayer::process_id(self)
    }
    fn holder(&self, file: &dyn DiskFile) -> Option<Holder> {
        self.below().holder(file)
    }
    fn monotonic(&self) -> Duration {
        self.below().monotonic()
    }
    fn descriptors(&self) -> Option<&Arc<Descriptors>> {
        self.below().descriptors()
    }
    fn sleep(&self, duration: Duration) {
        self.below().sleep(duration);
    }
    fn watch(&self, path: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Box<dyn WatchGuard>> {
        self.below().watch(path, wake)
    }
}
