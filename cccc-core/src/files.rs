//! Files in which somebody may have put something else: a link, a pipe, a device, a directory.
//!
//! To open a pipe for reading waits for whoever writes to it, and a link leads to whatever file its maker likes.
//! So files that others can replace are opened here: nothing is waited for, and nothing but a regular file is
//! read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// It leads to what it names: for files that people may keep elsewhere.
    Followed,
    /// It is not the file: for what nobody but this library makes.
    Refused,
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
        Err(e) => return Err(e),
    }
    platform::wait_for_nothing(&mut options, links);
    let file = options.open(path)?;
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
    let kind = meta.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_symlink() {
        "a link"
    } else if kind.is_dir() {
        "a directory"
    } else {
        "a pipe, a socket or a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")))
}

#[cfg(unix)]
mod platform {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    use super::Links;

    pub(super) fn wait_for_nothing(options: &mut OpenOptions, links: Links) {
        let flags = match links {
            Links::Followed => OFlags::NONBLOCK,
            Links::Refused => OFlags::NONBLOCK | OFlags::NOFOLLOW,
        };
        options.custom_flags(flags.bits().cast_signed());
    }
}

#[cfg(windows)]
mod platform {
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt;

    use super::Links;

    /// Opens a link itself, which is then found to be no file.
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

    pub(super) fn wait_for_nothing(options: &mut OpenOptions, links: Links) {
        if links == Links::Refused {
            options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        }
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
