//! Whether a blob is what its name says, and reading it so that nobody is given anything else.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{CHUNK, Digest, MAX_BLOB_BYTES, hex};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Links};

/// What has at most so many bytes is checked before the first of them is handed out.
pub(super) const HELD_BYTES: u64 = 1 << 20;

/// How the bytes of an attachment are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobState {
    /// They are there, and those that were stored.
    Sound,
    /// They are not there.
    Missing,
    /// Something else is in their place: this.
    Changed(String),
}

/// Looks at the blob of this digest in a directory, all of it.
pub(super) fn examine(dir: &Path, digest: &Digest) -> Result<BlobState> {
    let path = dir.join(hex(digest));
    let mut file = match files::open(&path, Links::Refused) {
        Ok(file) => Checked::new(file, *digest),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BlobState::Missing),
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Ok(BlobState::Changed(e.to_string())),
        Err(e) => return Err(Error::io("read", &path, e)),
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(BlobState::Sound),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Ok(BlobState::Changed(e.to_string())),
            Err(e) => return Err(Error::io("read", &path, e)),
        }
    }
}

/// Opens the blob of this digest in a directory; `None` if it is not there.
pub(super) fn open(dir: &Path, digest: &Digest) -> Result<Option<Box<dyn Read + Send>>> {
    let path = dir.join(hex(digest));
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => changed(digest, &e.to_string()),
        _ => Error::io("read", &path, e),
    };
    let file = match files::open(&path, Links::Refused) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let len = file.metadata().map_err(failed)?.len();
    let mut checked = Checked::new(file, *digest);
    if len > HELD_BYTES {
        return Ok(Some(Box::new(checked)));
    }
    let mut bytes = Vec::new();
    checked.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(Box::new(Cursor::new(bytes))))
}

/// What is found in the place of a blob is not what was stored there.
pub(super) fn changed(digest: &Digest, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the attachment {} is not what was stored: {why}", hex(digest)))
        .hint("restore the file from a copy, or redact the message that names it")
}

/// A file whose last byte is followed by an error if they were not the right ones.
#[derive(Debug)]
struct Checked {
    file: File,
    hasher: Sha256,
    expected: Digest,
    /// How many bytes may still come.
    left: u64,
}

impl Checked {
    fn new(file: File, expected: Digest) -> Self {
        Self { file, hasher: Sha256::new(), expected, left: MAX_BLOB_BYTES }
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.file.read(buffer)?;
        self.left = u64::try_from(read)
            .ok()
            .and_then(|read| self.left.checked_sub(read))
            .ok_or_else(|| wrong("it is larger than an attachment may be"))?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        if read == 0 && Digest::from(self.hasher.clone().finalize()) != self.expected {
            return Err(wrong("it has other content than its name says"));
        }
        Ok(read)
    }
}
