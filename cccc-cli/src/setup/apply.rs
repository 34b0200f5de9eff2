//! Reading and replacing the configuration files of agents.
//!
//! A file is replaced as a whole, so that no agent ever sees half of it; a link stays a link, and the file
//! keeps its mode. Whatever a person has protected is left alone.

use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::path::{Path, PathBuf};

use cccc_core::{Error, Result};

/// Larger is no configuration.
const LARGEST: u64 = 64 << 20;

/// How many links may lead to a file.
const LINKS: usize = 16;

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Where it really is, behind all links.
    target: PathBuf,
    /// What it holds; `None` if it is not there.
    text: Option<String>,
    mode: Option<fs::Permissions>,
}

impl Loaded {
    /// Reads a file, which need not be there.
    ///
    /// # Errors
    /// As of reading; `Invalid` if it is not text, or too large to be a configuration.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let target = behind_links(path)?;
        let failed = |e| Error::io("read", path, e);
        let no_file = || Error::invalid(format!("{} is no file of a configuration's size", path.display()));
        // Not opened at all, as a pipe would be waited for.
        if fs::metadata(&target).is_ok_and(|meta| !meta.is_file()) {
            return Err(no_file());
        }
        let file = match File::open(&target) {
            Ok(file) => file,
            Err(e) if e.kind() == IoKind::NotFound => return Ok(Self { target, text: None, mode: None }),
            Err(e) => return Err(failed(e)),
        };
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() || meta.len() > LARGEST {
            return Err(no_file());
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::invalid(format!("{} is not UTF-8 text", path.display())))?;
        Ok(Self { target, text: Some(text), mode: Some(meta.permissions()) })
    }

    /// What the file holds; empty if it is not there.
    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Whether it may be changed.
    ///
    /// # Errors
    /// `Refused` if its owner made it read-only: replacing it would not even notice.
    pub(crate) fn writable(&self) -> Result<()> {
        match &self.mode {
            Some(mode) if mode.readonly() => {
                Err(Error::refused(format!("{} is read-only", self.target.display())))
            }
            _ => Ok(()),
        }
    }

    /// Puts a new text in place of the old one.
    ///
    /// # Errors
    /// `Conflict` if somebody else changed the file since; as of writing otherwise, with the file as it was.
    pub(crate) fn replace(&self, text: &str) -> Result<()> {
        self.writable()?;
        let dir = self.target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        let failed = |e| Error::io("write", &self.target, e);
        // In the same directory, because only there a rename is one step. It is made closed to others,
        // because a configuration may hold keys.
        let mut file = tempfile::Builder::new().prefix(".cccc-setup-").tempfile_in(dir).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        if let Some(mode) = &self.mode {
            file.as_file().set_permissions(mode.clone()).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        // An agent that runs may have written meanwhile; the time in which that is not seen is short.
        if Self::load(&self.target)?.text != self.text {
            return Err(Error::conflict(format!("{} was changed meanwhile", self.target.display())));
        }
        file.persist(&self.target).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

/// Removes a file that holds what was read from it; a link to it stays.
///
/// # Errors
/// As [`Loaded::replace`].
pub(crate) fn remove(file: &Loaded) -> Result<()> {
    if Loaded::load(&file.target)?.text != file.text {
        return Err(Error::conflict(format!("{} was changed meanwhile", file.target.display())));
    }
    fs::remove_file(&file.target).map_err(|e| Error::io("remove", &file.target, e))
}

/// The path of the file that a path means, also if that is not there yet.
fn behind_links(path: &Path) -> Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = target.parent().unwrap_or(Path::new(".")).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(Error::invalid(format!("{} is a link that leads nowhere", path.display())))
}
