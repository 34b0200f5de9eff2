//! Files in which somebody may have put something else: a link, a pipe, a device, a directory.
//!
//! To open a pipe for reading waits for whoever writes to it, and a link leads to whatever file its maker likes.
//! So files that others can replace are opened here: nothing is waited for, and nothing but a regular file is
//! read. What stands in the place of a file or a directory of this library is named, so that it can be moved away.

pub(crate) mod draft;

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind as Io, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// It leads to what it names: for files that people may keep elsewhere.
    Followed,
    /// It is not the file: for what nobody but this library makes.
    Refused,
}

/// What belongs at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    File,
    Directory,
}

/// Something else is where a file or a directory belongs.
#[derive(Debug, thiserror::Error)]
#[error("{} is {what}, not {}", at.as_ref().map_or("it".into(), |at| at.display().to_string()), match wanted {
    Wanted::File => "a file",
    Wanted::Directory => "a directory",
})]
pub(crate) struct Misplaced {
    /// If it is not the path itself, but one above.
    at: Option<PathBuf>,
    what: &'static str,
    wanted: Wanted,
}

impl Misplaced {
    /// Whether that is why an operation on a path has failed.
    pub(crate) fn is_why(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// The failure of an operation on a path, with the reason if that is that something else is there, or above it.
pub(crate) fn explained(error: io::Error, path: &Path, wanted: Wanted) -> io::Error {
    let may_be = matches!(
        error.kind(),
        Io::AlreadyExists | Io::IsADirectory | Io::NotADirectory | Io::PermissionDenied | Io::InvalidInput
    );
    if Misplaced::is_why(&error) || !(may_be || platform::is_loop(&error)) {
        return error;
    }
    let found = path.ancestors().zip(0..).find_map(|(at, depth)| {
        let wanted = if depth == 0 { wanted } else { Wanted::Directory };
        let what = match std::fs::metadata(at) {
            Ok(meta) if wanted == Wanted::Directory => (!meta.is_dir()).then(|| word(meta.file_type()))?,
            Ok(meta) => (!meta.is_file()).then(|| word(meta.file_type()))?,
            Err(_) if is_link(at) => "a link that leads nowhere",
            Err(_) => return None,
        };
        Some(Misplaced { at: (depth > 0).then(|| at.to_owned()), what, wanted })
    });
    match found {
        Some(misplaced) => io::Error::new(error.kind(), misplaced),
        None => error,
    }
}

/// Fails if what is not there is so because of a link that leads nowhere, at the path or above it. That is no sign that
/// it never was: a disk may not be mounted. And what is made through the link would be wherever it leads.
pub(crate) fn no_dead_link(path: &Path, wanted: Wanted) -> io::Result<()> {
    for (at, depth) in path.ancestors().zip(0..) {
        if is_link(at) && std::fs::metadata(at).is_err_and(|e| e.kind() == Io::NotFound) {
            let (at, wanted) = match depth {
                0 => (None, wanted),
                _ => (Some(at.to_owned()), Wanted::Directory),
            };
            let misplaced = Misplaced { at, what: "a link that leads nowhere", wanted };
            return Err(io::Error::new(Io::InvalidInput, misplaced));
        }
        if std::fs::symlink_metadata(at).is_ok() {
            break;
        }
    }
    Ok(())
}

fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

/// What is in a directory.
pub(crate) fn entries(dir: &Path) -> io::Result<std::fs::ReadDir> {
    std::fs::read_dir(dir).map_err(|e| match e.kind() {
        Io::NotFound => no_dead_link(dir, Wanted::Directory).err().unwrap_or(e),
        _ => explained(e, dir, Wanted::Directory),
    })
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path).map_err(|e| explained(e, path, Wanted::File))
}

/// Removes a file; whether there was one.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool> {
    match remove(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == Io::NotFound => Ok(false),
        Err(e) => Err(Error::io("remove", path, e)),
    }
}

/// Gives a file another name, over a file that has it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to).map_err(|e| explained(e, to, Wanted::File))
}

/// Makes a directory with its parents that nobody else may enter, if it is not there.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| explained(e, path, Wanted::Directory))
}

/// Makes a directory's names durable, where a platform has that.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    platform::sync_directory(path).map_err(|e| explained(e, path, Wanted::Directory))
}

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_with(path, links, options)
}

/// Opens a regular file in this way.
pub(crate) fn open_with(path: &Path, links: Links, mut options: OpenOptions) -> io::Result<File> {
    // Before it is opened, as opening is all that some devices need.
    let meta = match links {
        Links::Followed => std::fs::metadata(path),
        Links::Refused => std::fs::symlink_metadata(path),
    };
    match meta {
        Ok(meta) => check(&meta)?,
        // It may be one that is to be made.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(explained(e, path, Wanted::File)),
    }
    platform::wait_for_nothing(&mut options, links);
    let file = options.open(path).map_err(|e| explained(e, path, Wanted::File))?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads a small file whole.
pub(crate) fn read(path: &Path, links: Links, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, links)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > max_bytes) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {max_bytes} bytes"),
        ));
    }
    Ok(bytes)
}

/// Reads a small file of the home that a frontend or a person keeps there: at most so many bytes, and never
/// anything but a regular file, so that a pipe in its place holds nobody up.
///
/// # Errors
/// `NotFound`; `Invalid` if it is no file or has more bytes; `Unavailable` if the disk refuses.
pub fn read_file(path: impl AsRef<Path>, max_bytes: u64) -> Result<Vec<u8>> {
    let path = path.as_ref();
    read(path, Links::Followed, max_bytes).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {
            Error::invalid(format!("{}: {e}", path.display())).hint("move it away")
        }
        _ => Error::io("read", path, e),
    })
}

fn check(meta: &std::fs::Metadata) -> io::Result<()> {
    if meta.is_file() {
        return Ok(());
    }
    let misplaced = Misplaced { at: None, what: word(meta.file_type()), wanted: Wanted::File };
    Err(io::Error::new(io::ErrorKind::InvalidInput, misplaced))
}

fn word(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a file"
    } else {
        "a pipe, a socket or a device"
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::OpenOptions;
    use std::io;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::fs::OFlags;

    use super::Links;

    pub(super) fn wait_for_nothing(options: &mut OpenOptions, links: Links) {
        let flags = match links {
            Links::Followed => OFlags::NONBLOCK | OFlags::NOCTTY,
            Links::Refused => OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW,
        };
        options.custom_flags(flags.bits().cast_signed());
    }

    /// Opens nothing but a directory: to open a pipe would wait.
    pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlags::DIRECTORY.bits().cast_signed());
        options.open(path)?.sync_all()
    }

    /// Whether links lead to each other.
    pub(super) fn is_loop(error: &io::Error) -> bool {
        error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }
}

#[cfg(windows)]
mod platform {
    use std::fs::OpenOptions;
    use std::io;
    use std::os::windows::fs::OpenOptionsExt;
    use std::path::Path;

    use super::Links;

    /// Opens a link itself, which is then found to be no file.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

    pub(super) fn wait_for_nothing(options: &mut OpenOptions, links: Links) {
        if links == Links::Refused {
            options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        }
    }

    /// Windows cannot sync a directory through a file handle; NTFS journals names itself.
    pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn is_loop(_: &io::Error) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_read_and_only_so_much_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, Links::Refused, 5).unwrap(), b"12345");
        assert_eq!(read(&file, Links::Refused, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(dir.path(), Links::Followed, 5).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let error = read_file(dir.path(), 5).unwrap_err();
        assert!(error.to_string().contains("it is a directory"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "1").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&link, Links::Followed, 5).unwrap(), b"1");
        assert!(read(&link, Links::Refused, 5).unwrap_err().to_string().contains("a link"));
        let pipe = dir.path().join("pipe");
        crate::testing::make_pipe(&pipe).unwrap();
        let error = read(&pipe, Links::Followed, 5).unwrap_err();
        assert!(error.to_string().contains("a pipe"), "{error}");
    }
}
