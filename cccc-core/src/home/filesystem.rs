//! Whether a directory can be a home: who may enter it, and what it lies on.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::files;

/// The kind of file system a home lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// What it is called, or its magic number.
    pub name: String,
    /// Whether locks and notification are known to work on it between processes.
    pub trusted: bool,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Makes the directory if it is not there, and refuses one that cannot be a home. Nothing is written to one that is.
pub(super) fn prepare(path: &Path, allow_network: bool) -> Result<()> {
    if !path.is_dir() {
        files::make_private(path).map_err(|e| Error::io("make the home", path, e))?;
    }
    check_access(path)?;
    let file_system = of(path)?;
    if !(file_system.trusted || allow_network) {
        return Err(Error::unsupported(format!(
            "{} is on {file_system}, where processes may not be kept apart",
            path.display()
        ))
        .hint("use a home on a local disk, or allow it (CCCC_ALLOW_NETWORK_FS=1) for one machine only"));
    }
    Ok(())
}

/// Makes a directory that nobody else may enter, if it is not there.
pub(super) fn make_private(path: &Path) -> Result<()> {
    files::make_private(path).map_err(|e| Error::io("make", path, e))
}

/// Makes a directory's names durable, where a platform has that.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    files::sync_directory(path).map_err(|e| Error::io("sync", path, e))
}

#[cfg(unix)]
fn check_access(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;

    let meta = fs::metadata(path).map_err(|e| Error::io("look at", path, e))?;
    if !meta.is_dir() {
        return Err(Error::invalid(format!("{} is not a directory", path.display())));
    }
    // What a medium says of owners and permissions is often made up, and nobody can change it, or what lies there.
    if is_mounted_read_only(path) {
        return Ok(());
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::refused(format!("{} belongs to another user", path.display()))
            .hint("set CCCC_HOME to a directory of your own"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(Error::refused(format!(
            "others may enter {} (mode {:03o})",
            path.display(),
            meta.mode() & 0o777
        ))
        .hint(format!("`chmod 700 {}`", path.display())));
    }
    Ok(())
}

/// Why nothing can be written to a directory, if nothing can.
#[cfg(unix)]
pub(super) fn read_only(path: &Path) -> Option<String> {
    if is_mounted_read_only(path) {
        return Some("the file system is read-only".into());
    }
    let access = rustix::fs::access(path, rustix::fs::Access::WRITE_OK);
    access.err().map(|e| format!("the directory cannot be written to: {}", std::io::Error::from(e)))
}

#[cfg(unix)]
fn is_mounted_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|stat| stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Why nothing can be written to a directory, if nothing can: not told on this platform.
#[cfg(not(unix))]
pub(super) fn read_only(_path: &Path) -> Option<String> {
    None
}

#[cfg(not(unix))]
fn check_access(_path: &Path) -> Result<()> {
    Ok(())
}

/// File systems on which locks or notification do not hold between all who see the files.
#[cfg(target_os = "linux")]
const DOUBTFUL: [(u64, &str); 10] = [
    (0x6969, "nfs"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x6573_5543, "fusectl"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x564c, "ncp"),
    (0x7375_7245, "coda"),
    (0x5346_414f, "afs"),
];

/// The file system under a path.
#[cfg(target_os = "linux")]
pub(super) fn of(path: &Path) -> Result<FileSystem> {
    let stat = rustix::fs::statfs(path).map_err(|e| Error::io("look at", path, e.into()))?;
    // A magic number of 32 bits, in a field whose width and sign differ between targets.
    let magic = u64::try_from(i128::from(stat.f_type) & 0xffff_ffff).unwrap_or_default();
    Ok(match DOUBTFUL.iter().find(|(doubtful, _)| *doubtful == magic) {
        Some((_, name)) => FileSystem { name: (*name).into(), trusted: false },
        None => FileSystem { name: format!("a local file system ({magic:#x})"), trusted: true },
    })
}

/// The file system under a path: not told apart on this platform.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_path: &Path) -> Result<FileSystem> {
    Ok(FileSystem { name: "a file system".into(), trusted: true })
}
