//! What hooks have said in a session, so that they do not say it again: a small file in the home.
//!
//! Nothing depends on it but how often something is repeated. What cannot be read is as good as not there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cccc_core::rule::briefing::Said;
use cccc_core::{Error, GroupId, Result};

/// The directory in the home.
const DIRECTORY: &str = "hooks";
/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 10;
/// How much of what was named is kept.
const MAX_OWED: usize = 256;
/// What nobody has touched for so long is forgotten.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What was said in one session.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    before: Said,
    pub(crate) said: Said,
}

impl Memory {
    /// Of a session.
    pub(crate) fn of(home: &Path, group: &GroupId, session: &str) -> Self {
        // Whatever a session is called, its file is in the directory.
        let name: String = session.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let path = home.join(DIRECTORY).join(format!("{group}-{name}.json"));
        let said: Said = read(&path).unwrap_or_default();
        Self { path, before: said.clone(), said }
    }

    /// Keeps what was said.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub(crate) fn save(mut self) -> Result<()> {
        if self.said == self.before {
            return Ok(());
        }
        for named in [&mut self.said.owed, &mut self.said.owed_at_stop] {
            while named.len() > MAX_OWED {
                named.pop_first();
            }
        }
        let json = serde_json::to_vec(&self.said)
            .map_err(|e| Error::invalid("what was said cannot be written as JSON").source(e))?;
        write(&self.path, &json)
    }

    /// Forgets it, and what was forgotten to be forgotten.
    pub(crate) fn forget(self) {
        // Nobody misses what is left behind, and the next one tries again.
        let _ = fs::remove_file(&self.path);
        let Some(files) = self.path.parent().and_then(|dir| fs::read_dir(dir).ok()) else { return };
        for file in files.flatten().take(1_000) {
            let age = file.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > KEPT) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

fn read(path: &Path) -> Option<Said> {
    serde_json::from_slice(&cccc_core::read_file(path, MAX_BYTES).ok()?).ok()
}

/// Replaces a file of the home by another one, whole.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(path);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| Error::io("make", dir, e))?;
    let failed = |e: std::io::Error| Error::io("write", path, e);
    // The name is unpredictable, and the file closed to others from the start.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}
