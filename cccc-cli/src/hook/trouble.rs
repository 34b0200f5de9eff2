//! What went wrong in hooks, which are silent about it: a hook must never break the agent that runs it.
//!
//! A file in the home keeps the newest; `cccc hook --troubles` and `cccc doctor` show them. Neither messages nor
//! what an agent wrote to a hook are in it.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use cccc_core::{Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::memory;

/// The file in the home.
const FILE: &str = "hooks.log";
/// How many are kept.
const MAX_KEPT: usize = 100;
/// From this size on, only the newest are kept.
const MAX_BYTES: u64 = 128 << 10;
/// The longest word of one.
const MAX_WORD_BYTES: usize = 400;

/// Something that went wrong in a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Trouble {
    /// When.
    pub(crate) at: Timestamp,
    /// Which hook.
    pub(crate) event: String,
    /// Of which agent's program.
    pub(crate) runtime: String,
    /// Which kind of error.
    pub(crate) kind: String,
    /// What went wrong.
    pub(crate) message: String,
}

impl Trouble {
    /// An error in a hook.
    pub(crate) fn of(at: Timestamp, event: &str, runtime: &str, error: &Error) -> Self {
        Self {
            at,
            event: short(event),
            runtime: short(runtime),
            kind: error.kind().as_str().into(),
            message: short(&error.to_string()),
        }
    }
}

fn short(text: &str) -> String {
    let end = (0..=MAX_WORD_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Keeps it. Where there is no home nothing is kept, and nothing fails.
pub(crate) fn record(home: &Path, trouble: &Trouble) {
    let path = home.join(FILE);
    // A pipe in its place would be waited for, for ever.
    let is_other = fs::metadata(&path).is_ok_and(|meta| !meta.is_file());
    if let (true, false, Ok(json)) = (home.is_dir(), is_other, serde_json::to_string(trouble)) {
        // There is nobody left to tell.
        let _ = append(&path, &json);
    }
}

fn append(path: &PathBuf, json: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // One write, so that hooks that run at the same time do not mix their lines.
    file.write_all(format!("{json}\n").as_bytes())?;
    if file.metadata()?.len() > MAX_BYTES {
        let kept: String = lines(path)?.iter().map(|line| format!("{line}\n")).collect();
        memory::write(path, kept.as_bytes()).map_err(std::io::Error::other)?;
    }
    Ok(())
}

/// The newest, oldest first; at most 100. What cannot be understood is passed over.
///
/// # Errors
/// `Unavailable` if the disk refuses.
pub(crate) fn read(home: &Path) -> Result<Vec<Trouble>> {
    let path = home.join(FILE);
    if fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
        return Err(Error::invalid(format!("{} is not a file", path.display())).hint("move it away"));
    }
    match lines(&path) {
        Ok(lines) => Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

/// What a check of the home says of them. They are no reason to call anything wrong now: what they were may be over.
///
/// # Errors
/// As for [`read`].
pub(crate) fn summary(home: &Path) -> Result<String> {
    let troubles = read(home)?;
    Ok(troubles.last().map_or_else(
        || "nothing went wrong".into(),
        |last| {
            let (event, message) = (&last.event, &last.message);
            format!("{} troubles, see `cccc hook --troubles`; {} {event}: {message}", troubles.len(), last.at)
        },
    ))
}

/// The newest lines.
fn lines(path: &Path) -> std::io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(2 * MAX_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let newest = all.get(all.len().saturating_sub(MAX_KEPT)..).unwrap_or_default();
    Ok(newest.iter().map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_kept_and_damage_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        assert!(read(home.path()).unwrap().is_empty());
        let at = "2026-11-21T08:00:00Z".parse().unwrap();
        let trouble = |n: usize| {
            let error = Error::unavailable(format!("{n} {}", "ä".repeat(1000)));
            Trouble::of(at, "tool", "claude", &error)
        };
        for n in 0..1000 {
            record(home.path(), &trouble(n));
        }
        fs::OpenOptions::new()
            .append(true)
            .open(home.path().join(FILE))
            .unwrap()
            .write_all(b"{oops\n")
            .unwrap();
        let kept = read(home.path()).unwrap();
        assert_eq!(kept.len(), MAX_KEPT - 1);
        assert_eq!(kept.last(), Some(&trouble(999)));
        assert!(fs::metadata(home.path().join(FILE)).unwrap().len() <= MAX_BYTES + 1024);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        record(&home.path().join("none"), &trouble(0));
        assert!(!home.path().join("none").exists());
    }
}
