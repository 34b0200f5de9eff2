//! Attachments: files under the SHA-256 of their content, next to the ledger that names them.
//!
//! Anybody may have put something else there meanwhile. So a blob is opened without following links, nothing but a
//! file is read, and what is read is checked: up to 1 MiB before the first byte is handed out, more while it is, and
//! then the reader fails at its end instead of ending. Where a path is handed out, all of the file is read before.

mod check;
mod collect;
mod named;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::blocking::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Attachment;
use crate::opener::Opener;

pub use check::BlobState;
pub(crate) use collect::{Candidate, Lying, digests_in};
pub(crate) use named::{Named, named_by};

use crate::files::{self, Links};

/// The largest attachment, in bytes.
pub const MAX_BLOB_BYTES: u64 = 64 << 20;

const CHUNK: usize = 256 << 10;

/// The digest of a blob.
pub(crate) type Digest = [u8; 32];

/// The blobs of one group. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs(Store, Opener);

#[derive(Clone, Debug)]
enum Store {
    Directory(Arc<Path>),
    Memory(Arc<Mutex<HashMap<String, Arc<[u8]>>>>),
}

impl Blobs {
    /// Blobs in a directory, which is made when the first one comes.
    #[must_use]
    pub fn in_directory(dir: impl AsRef<Path>) -> Self {
        Self(Store::Directory(dir.as_ref().into()), Opener::here())
    }

    /// Blobs in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Store::Memory(Arc::default()), Opener::here())
    }

    /// Copies a file in, and describes it. When this returns, the blob is durable.
    ///
    /// # Errors
    /// `NotFound`, `TooLarge` beyond 64 MiB, `Invalid` if it is no file, `Unavailable` if the disk refuses.
    pub async fn put_file(&self, path: impl Into<PathBuf>) -> Result<Attachment> {
        self.1.check()?;
        let (path, blobs) = (path.into(), self.clone());
        off_thread("working on an attachment", move || {
            let file = open_source(&path)?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            blobs.put(file, &path, &name.unwrap_or_else(|| "file".into()))
        })
        .await
    }

    /// Stores bytes, and describes them. When this returns, the blob is durable.
    pub async fn put_bytes(&self, name: impl Into<String>, bytes: Vec<u8>) -> Result<Attachment> {
        self.1.check()?;
        let (name, blobs) = (name.into(), self.clone());
        off_thread("working on an attachment", move || {
            blobs.put(io::Cursor::new(bytes), Path::new(&name), &name)
        })
        .await
    }

    /// Stores what a reader gives, which `source` names in errors.
    pub(crate) fn put(&self, from: impl Read, source: &Path, name: &str) -> Result<Attachment> {
        let (sha256, bytes, head) = match &self.0 {
            Store::Directory(dir) => put_in_directory(dir, from, source)?,
            Store::Memory(map) => {
                let mut content = Vec::new();
                let (sha256, bytes, head) = copy(from, source, &mut content, Path::new("memory"))?;
                map.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256.clone(), content.into());
                (sha256, bytes, head)
            }
        };
        let media_type = media_type(name, &head).into();
        Ok(Attachment { sha256, bytes, name: clean_name(name), media_type })
    }

    /// Copies a blob into another group's, where it may be already. When this returns, it is durable there.
    ///
    /// # Errors
    /// `NotFound` if it was redacted or collected; `Corrupt` if its bytes are not those of its name.
    pub(crate) async fn copy_to(&self, other: &Self, attachment: &Attachment) -> Result<()> {
        self.1.check()?;
        let (from, to, attachment) = (self.clone(), other.clone(), attachment.clone());
        off_thread("working on an attachment", move || {
            let Attachment { sha256, name, .. } = attachment;
            to.put(from.open(&sha256)?, Path::new(&name), &name).map(drop)
        })
        .await
    }

    /// Opens a blob for reading. One of at most 1 MiB has been checked by then; the reader of a larger one fails
    /// at its end with [`InvalidData`](io::ErrorKind::InvalidData) if the bytes were not those of its name, so
    /// only what was read to the end without an error is what was stored.
    ///
    /// # Errors
    /// `NotFound` if it was redacted, collected or lost; `Corrupt` if something else is in its place; `Invalid` for
    /// a malformed digest.
    pub fn open(&self, sha256: &str) -> Result<Box<dyn Read + Send>> {
        self.1.check()?;
        let digest = parse_digest(sha256)?;
        let missing = || {
            Error::not_found(format!("there is no blob {sha256}"))
                .hint("it was redacted, or is lost: `cccc ledger verify` tells")
        };
        match &self.0 {
            Store::Directory(dir) => check::open(dir, &digest)?.ok_or_else(missing),
            Store::Memory(map) => {
                let map = map.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = map.get(sha256).ok_or_else(missing)?;
                Ok(Box::new(io::Cursor::new(bytes.clone())))
            }
        }
    }

    /// Reads all of a blob, at most 64 MiB, and says whether it is what its name says.
    ///
    /// # Errors
    /// `Invalid` for a malformed digest; `Unavailable` if the disk refuses.
    pub async fn examine(&self, sha256: &str) -> Result<BlobState> {
        let (blobs, digest) = (self.clone(), parse_digest(sha256)?);
        off_thread("working on an attachment", move || blobs.examine_here(&digest)).await
    }

    /// As [`examine`](Self::examine), for those who are off the executor already.
    pub(crate) fn examine_here(&self, digest: &Digest) -> Result<BlobState> {
        match &self.0 {
            Store::Directory(dir) => check::examine(dir, digest),
            Store::Memory(map) => {
                let map = map.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(if map.contains_key(&hex(digest)) { BlobState::Sound } else { BlobState::Missing })
            }
        }
    }

    /// Where a blob lies, if blobs are files. What is there is not looked at: whoever gives the path to others
    /// [examines](Self::examine) it first, or asks for [`Group::attachment_path`](crate::Group::attachment_path).
    pub fn path(&self, sha256: &str) -> Result<Option<PathBuf>> {
        parse_digest(sha256)?;
        match &self.0 {
            Store::Directory(dir) => Ok(Some(dir.join(sha256))),
            Store::Memory(_) => Ok(None),
        }
    }

    /// Refuses an attachment that is malformed or whose blob is not here or not what it says: a message never names
    /// bytes that are not durable. One that is here stays here long enough to be named.
    pub(crate) async fn check(&self, attachment: &Attachment) -> Result<()> {
        if attachment.bytes > MAX_BLOB_BYTES {
            return Err(too_large(Path::new(&attachment.name)));
        }
        let (blobs, digest) = (self.clone(), parse_digest(&attachment.sha256)?);
        off_thread("working on an attachment", move || {
            let state = blobs.examine_here(&digest)?;
            let there = match &blobs.0 {
                Store::Directory(dir) if state == BlobState::Sound => collect::touch(dir, &hex(&digest))?,
                _ => state == BlobState::Sound,
            };
            match state {
                BlobState::Changed(why) => Err(check::changed(&digest, &why)),
                BlobState::Sound if there => Ok(()),
                _ => Err(Error::not_found(format!("there is no blob {}", hex(&digest)))
                    .hint("it was redacted, or nobody has stored it here")),
            }
        })
        .await
    }

    /// How many copies processes have broken off here that died; [`Group::collect_blobs`](crate::Group::collect_blobs)
    /// removes them.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub async fn broken_off(&self) -> Result<usize> {
        if matches!(self.0, Store::Memory(_)) {
            return Ok(0);
        }
        Ok(self.lying().await?.old.iter().filter(|one| one.digest.is_none()).count())
    }

    /// What lies here that is old enough to go.
    pub(crate) async fn lying(&self) -> Result<Lying> {
        let dir = self.directory()?;
        off_thread("working on an attachment", move || collect::list(&dir)).await
    }

    /// Removes those of these that nobody is about to name; answers which.
    pub(crate) async fn remove_untouched(&self, candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
        let dir = self.directory()?;
        off_thread("working on an attachment", move || collect::remove(&dir, candidates)).await
    }

    fn directory(&self) -> Result<Arc<Path>> {
        match &self.0 {
            Store::Directory(dir) => Ok(dir.clone()),
            Store::Memory(_) => Err(Error::unsupported("these attachments are not files")),
        }
    }

    /// Removes a blob; one that is gone is fine.
    pub(crate) fn remove(&self, sha256: &str) -> Result<()> {
        parse_digest(sha256)?;
        match &self.0 {
            Store::Directory(dir) => {
                files::remove_if_there(&dir.join(sha256))?;
            }
            Store::Memory(map) => {
                map.lock().unwrap_or_else(PoisonError::into_inner).remove(sha256);
            }
        }
        Ok(())
    }
}

/// The digest, the length and the first bytes of what was copied.
type Copied = (String, u64, Vec<u8>);

fn put_in_directory(dir: &Path, from: impl Read, source: &Path) -> Result<Copied> {
    files::make_private(dir).map_err(|e| Error::io("make directory", dir, e))?;
    let (temporary, file) = collect::draft(dir)?;
    let result = (|| {
        let (sha256, bytes, head) = copy(from, source, &mut &*file, &temporary)?;
        file.sync_all().map_err(|e| Error::io("sync", &temporary, e))?;
        let path = dir.join(&sha256);
        {
            // Not between a look at what lay there and its removal.
            let _lock = collect::lock(dir)?;
            files::rename(&temporary, &path).map_err(|e| Error::io("rename to", &path, e))?;
        }
        files::sync_directory(dir).map_err(|e| Error::io("sync", dir, e))?;
        Ok((sha256, bytes, head))
    })();
    if result.is_err() {
        // Best effort: a leftover under a temporary name is not a blob.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn copy(mut from: impl Read, source: &Path, to: &mut impl Write, target: &Path) -> Result<Copied> {
    let (mut hasher, mut bytes, mut head) = (Sha256::new(), 0, Vec::new());
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                return Err(Error::new(ErrorKind::Corrupt, format!("{}: {e}", source.display()))
                    .hint("restore the file from a copy"));
            }
            Err(e) => return Err(Error::io("read", source, e)),
        };
        let chunk = buffer.get(..n).unwrap_or_default();
        bytes += u64::try_from(n).unwrap_or(u64::MAX);
        if bytes > MAX_BLOB_BYTES {
            return Err(too_large(source));
        }
        if head.is_empty() {
            head.extend_from_slice(chunk.get(..chunk.len().min(512)).unwrap_or_default());
        }
        hasher.update(chunk);
        to.write_all(chunk).map_err(|e| Error::io("write", target, e))?;
    }
    Ok((hex(&hasher.finalize().into()), bytes, head))
}

/// SHA-256 of a file's bytes, in lower-case hex, without keeping them.
///
/// # Errors
/// As for [`Blobs::put_file`].
pub(crate) async fn hash_file(path: impl Into<PathBuf>) -> Result<String> {
    let path = path.into();
    off_thread("hashing a file", move || {
        let file = open_source(&path)?;
        copy(file, &path, &mut io::sink(), Path::new("nowhere")).map(|(sha256, ..)| sha256)
    })
    .await
}

fn too_large(path: &Path) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{} is larger than {MAX_BLOB_BYTES} bytes", path.display()))
        .hint("send its path instead, or split it")
}

/// Opens what somebody names to be read: a file, wherever it is.
fn open_source(path: &Path) -> Result<File> {
    files::open(path, Links::Followed).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidInput => Error::invalid(format!("{}: {e}", path.display())),
        _ => Error::io("read", path, e),
    })
}

/// A digest from its 64 lower-case hex digits.
pub(crate) fn parse_digest(sha256: &str) -> Result<Digest> {
    crate::ledger::codec::parse_hex(sha256.as_bytes()).ok_or_else(|| {
        Error::invalid(format!("{sha256:?} is not a SHA-256 digest (64 lower-case hex digits)"))
    })
}

/// A digest as it is written.
pub(crate) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file name without directories and control characters, at most 255 bytes.
fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let mut clean: String = last.chars().filter(|c| !c.is_control()).collect();
    while clean.len() > 255 {
        clean.pop();
    }
    if clean.is_empty() { "file".into() } else { clean }
}

/// The media type by the name's ending, else by whether the beginning reads as text.
fn media_type(name: &str, head: &[u8]) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("md" | "markdown") => "text/markdown",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("csv") => "text/csv",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("svg") => "image/svg+xml",
        Some("pdf") => "application/pdf",
        Some("zip") => "application/zip",
        Some("gz" | "tgz") => "application/gzip",
        _ if !head.contains(&0) && is_text(head) => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Whether these bytes are UTF-8, not minding a character cut at the end.
fn is_text(head: &[u8]) -> bool {
    match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn content(blobs: &Blobs, sha256: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        blobs.open(sha256).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_put_in_comes_out_under_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        for blobs in [Blobs::in_memory(), Blobs::in_directory(dir.path().join("blobs"))] {
            let empty = block_on(blobs.put_bytes("empty", Vec::new())).unwrap();
            assert_eq!((empty.sha256.as_str(), empty.bytes), (EMPTY, 0));
            let bytes = vec![7; CHUNK + 1];
            let twice = [0, 1].map(|_| block_on(blobs.put_bytes("../a\n.md", bytes.clone())).unwrap());
            assert_eq!(twice[0], twice[1]);
            assert_eq!((twice[0].name.as_str(), twice[0].media_type.as_str()), ("a.md", "text/markdown"));
            assert_eq!(content(&blobs, &twice[0].sha256), bytes);
            blobs.remove(EMPTY).unwrap();
            blobs.remove(EMPTY).unwrap();
            assert_eq!(blobs.open(EMPTY).err().unwrap().kind(), ErrorKind::NotFound);
            assert_eq!(blobs.open("../passwd").err().unwrap().kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn too_large_a_file_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (source, blobs) = (dir.path().join("big"), Blobs::in_directory(dir.path().join("blobs")));
        File::create(&source).unwrap().set_len(MAX_BLOB_BYTES + 1).unwrap();
        assert_eq!(block_on(blobs.put_file(&source)).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
        let missing = block_on(blobs.put_file(dir.path().join("none"))).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().contains("none"), "{missing}");
        assert_eq!(block_on(blobs.put_file(dir.path())).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn media_types_are_told_by_name_then_content() {
        assert_eq!(media_type("a.PNG", b""), "image/png");
        assert_eq!(media_type("notes", "grün".as_bytes()), "text/plain");
        assert_eq!(media_type("notes", &"grün".as_bytes()[..3]), "text/plain");
        assert_eq!(media_type("core", b"\x7fELF\0"), "application/octet-stream");
    }
}
