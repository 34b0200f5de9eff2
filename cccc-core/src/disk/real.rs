//! The operating system's disk, clock, process and notification, with nothing added.
//!
//! It never buffers, never retries a failed sync (the kernel may have dropped the bytes), and never
//! decides anything about the ledger.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cccc_fork::Own;

use super::lock::{self, LockFile};
use super::notifier::Notifier;
use super::{Descriptors, Disk, DiskFile, Holder, OpenMode, Stat, WatchGuard, process};
use crate::clock::{Clock, SystemClock};
use crate::files::{self, Links, Wanted};

/// The operating system.
///
/// Make one per process and share it: all watches of one `RealDisk` use one notifier, and the
/// operating system allows a user few of them (inotify: 128 by default). The notifier is made at the
/// first watch and ends with the `RealDisk`. In a forked child it is as if made there.
#[derive(Debug, Default)]
pub struct RealDisk {
    notifier: Own<Mutex<Option<Arc<Notifier>>>>,
    /// See [`keep_open`](Self::keep_open).
    budget: Option<usize>,
    descriptors: Own<Arc<Descriptors>>,
}

impl RealDisk {
    /// Needs nothing and touches nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets ledgers keep at most so many files open that they do not use, instead of 128 or a quarter of what
    /// the operating system allows this process, whichever is less.
    #[must_use]
    pub fn keep_open(mut self, files: usize) -> Self {
        self.budget = Some(files);
        self.descriptors = Own::new();
        self
    }

    pub(super) fn notifier(&self) -> io::Result<Arc<Notifier>> {
        let notifier = self.notifier.get_or_make(Mutex::default);
        let mut notifier = notifier.lock().unwrap_or_else(PoisonError::into_inner);
        match &*notifier {
            Some(notifier) => Ok(notifier.clone()),
            None => Ok(notifier.insert(Arc::new(Notifier::start()?)).clone()),
        }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        platform::owner_only_file(&mut options);
        // What is made through a link that leads nowhere would be wherever it leads.
        if mode == OpenMode::Create {
            files::no_dead_link(path, Wanted::File)?;
        }
        // A named pipe, a device or a directory in a file's place would wait, or do something, at every call.
        let file = files::open_with(path, Links::Followed, options).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => files::no_dead_link(path, Wanted::File).err().unwrap_or(e),
            _ => e,
        })?;
        Ok(Box::new(RealFile(LockFile::new(file, None))))
    }

    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        platform::owner_only_file(&mut options);
        let open = || files::open_with(path, Links::Refused, options.clone());
        let (registration, file) = cccc_fork::open(open)?.into_parts();
        Ok(Box::new(RealFile(LockFile::new(file, Some(registration)))))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = std::fs::metadata(path)?;
        Ok(Stat { identity: platform::identity(&metadata), len: metadata.len() })
    }

    fn unchanged_for(&self, path: &Path) -> Option<Duration> {
        let changed = platform::changed_at(&std::fs::metadata(path).ok()?)?;
        let now = Duration::from_millis(u64::try_from(SystemClock.now().as_millis()).ok()?);
        // A time that is yet to come is from before the clock was set back, or from elsewhere: a change now would
        // have brought it back, too.
        Some(now.abs_diff(changed))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in files::entries(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        files::make_private(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        files::sync_directory(dir)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        files::remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        files::rename(from, to)
    }

    fn boot_id(&self) -> [u8; 16] {
        static BOOT_ID: Own<[u8; 16]> = Own::new();
        *BOOT_ID
            .get_or_make(|| platform::boot_id_text().as_deref().and_then(parse_boot_id).unwrap_or_default())
    }

    fn process_id(&self) -> u32 {
        std::process::id()
    }

    fn descriptors(&self) -> Option<&Arc<Descriptors>> {
        let made = || Arc::new(self.budget.map_or_else(Descriptors::default, Descriptors::new));
        Some(self.descriptors.get_or_make(made))
    }

    fn holder(&self, file: &dyn DiskFile) -> Option<Holder> {
        process::holder_of(file)
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the ledger's clock comes from")]
    fn monotonic(&self) -> Duration {
        static START: Own<Instant> = Own::new();
        START.get_or_make(Instant::now).elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is how the ledger waits")]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn watch(&self, path: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Box<dyn WatchGuard>> {
        self.notifier()?.watch(path, wake)
    }
}

/// An open file. Locks belong to the open file (`flock`, `LockFileEx`), so two handles in one process
/// exclude each other as two processes do.
#[derive(Debug)]
struct RealFile(Arc<LockFile>);

impl Drop for RealFile {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl RealFile {
    fn file(&self) -> &File {
        &self.0.file
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match platform::read_at(self.file(), rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match platform::write_at(self.file(), rest, offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // On Apple systems std issues F_FULLFSYNC, which is what reaches the medium there.
        self.file().sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }

    fn stat(&self) -> io::Result<Stat> {
        let metadata = self.file().metadata()?;
        Ok(Stat { identity: platform::identity(&metadata), len: metadata.len() })
    }

    fn is_gone(&self) -> bool {
        self.file().metadata().is_ok_and(|metadata| platform::is_unlinked(&metadata))
    }

    fn lock(&self) -> io::Result<()> {
        lock::lock(self.file())
    }

    fn lock_within(&self, limit: Duration) -> io::Result<bool> {
        let locked = self.0.lock_within(limit)?;
        if locked {
            // Without it a message is poorer.
            let _ = self.write_at(&process::signature(), 0);
        }
        Ok(locked)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.0.unlock()
    }
}

/// Reads a UUID, whatever its dashes and case.
fn parse_boot_id(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(unix)]
mod platform {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
    use std::time::Duration;

    pub(super) fn owner_only_file(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
        (metadata.dev(), metadata.ino())
    }

    pub(super) fn is_unlinked(metadata: &Metadata) -> bool {
        metadata.nlink() == 0
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    /// Since 1970. Not only of the content, whose time a copy may bring along.
    pub(super) fn changed_at(metadata: &Metadata) -> Option<Duration> {
        let at = |seconds: i64, nanos: i64| {
            Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?))
        };
        at(metadata.mtime(), metadata.mtime_nsec()).max(at(metadata.ctime(), metadata.ctime_nsec()))
    }

    #[cfg(target_os = "linux")]
    pub(super) fn boot_id_text() -> Option<String> {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
    }

    #[cfg(target_os = "macos")]
    pub(super) fn boot_id_text() -> Option<String> {
        let mut command = std::process::Command::new("/usr/sbin/sysctl");
        let output = command.args(["-n", "kern.bootsessionuuid"]).output().ok()?;
        String::from_utf8(output.stdout).ok()
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub(super) fn boot_id_text() -> Option<String> {
        None
    }
}

#[cfg(windows)]
mod platform {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::windows::fs::{FileExt, MetadataExt};
    use std::time::Duration;

    /// Files inherit the permissions of the user's profile directory.
    pub(super) fn owner_only_file(_: &mut OpenOptions) {}

    /// The file's index is not in stable std; a replaced file has another creation time, unless it was
    /// replaced within seconds under the same name (NTFS keeps it then), which the length often shows.
    pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
        (0, metadata.creation_time())
    }

    /// As long as a file is open another cannot have its name.
    pub(super) fn is_unlinked(_: &Metadata) -> bool {
        false
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buffer, offset)
    }

    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.seek_write(bytes, offset)
    }

    /// Since 1970. A file that was put there anew was made then.
    pub(super) fn changed_at(metadata: &Metadata) -> Option<Duration> {
        let changed = metadata.modified().ok()?.max(metadata.created().ok()?);
        changed.duration_since(std::time::UNIX_EPOCH).ok()
    }

    pub(super) fn boot_id_text() -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_from_the_future_was_not_changed_just_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let file = File::create(&path).unwrap();
        let minute = Duration::from_secs(60);
        assert!(RealDisk::new().unchanged_for(&path).unwrap() < minute);
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000)).unwrap();
        assert!(RealDisk::new().unchanged_for(&path).unwrap() > minute);
    }

    #[test]
    fn boot_ids_are_parsed() {
        let text = "123e4567-e89b-12d3-a456-426614174000\n";
        assert_eq!(parse_boot_id(text).unwrap()[..4], [0x12, 0x3e, 0x45, 0x67]);
        assert_eq!(parse_boot_id("no uuid"), None);
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        assert_ne!(RealDisk::new().boot_id(), [0; 16]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let dir = home.path().join("a/b");
        disk.create_dir(&dir).unwrap();
        disk.create_dir(&dir).unwrap();
        disk.open(&dir.join("f"), OpenMode::CreateNew).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&home.path().join("a")), mode(&dir)), (0o700, 0o700));
        assert_eq!(mode(&dir.join("f")), 0o600);
        assert_eq!(disk.list(&dir).unwrap(), ["f"]);
        disk.sync_dir(&dir).unwrap();
    }

    #[test]
    fn open_modes_do_what_they_say() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let path = home.path().join("f");
        for mode in [OpenMode::Read, OpenMode::Write] {
            assert_eq!(disk.open(&path, mode).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        let file = disk.open(&path, OpenMode::Create).unwrap();
        file.write_at(b"abcdef", 2).unwrap();
        file.sync().unwrap();
        let again = disk.open(&path, OpenMode::CreateNew).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let reader = disk.open(&path, OpenMode::Read).unwrap();
        assert!(reader.write_at(b"x", 0).is_err());
        let mut buffer = [9; 16];
        assert_eq!(reader.read_at(&mut buffer, 1).unwrap(), 7);
        assert_eq!(&buffer[..8], b"\0abcdef\x09");
        file.truncate(3).unwrap();
        assert_eq!(reader.stat().unwrap(), disk.stat(&path).unwrap());
        assert_eq!(reader.stat().unwrap().len, 3);
    }

    #[test]
    fn a_lock_belongs_to_the_open_file() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let open = || disk.open(&home.path().join("lock"), OpenMode::Create).unwrap();
        let (a, b, c) = (open(), open(), open());
        a.lock().unwrap();
        assert!(!b.try_lock().unwrap());
        a.unlock().unwrap();
        assert!(b.try_lock().unwrap());
        drop(b);
        c.lock().unwrap();
    }
}
