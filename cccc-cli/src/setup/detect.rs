//! Which programs are there, and running them for a short while.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cccc_core::{Error, Result};

/// How long a program may take to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(10);

/// How much of what a program prints is looked at.
const PRINTED: u64 = 64 << 10;

/// The first program of these names on a search path.
pub(crate) fn program(names: &[String], search: Option<&str>) -> Option<PathBuf> {
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ".bat"] } else { &[""] };
    let dirs: Vec<PathBuf> = std::env::split_paths(search.unwrap_or_default()).collect();
    let candidates = names.iter().flat_map(|name| {
        dirs.iter().flat_map(move |dir| endings.iter().map(move |ending| dir.join(format!("{name}{ending}"))))
    });
    // A relative directory on the search path would mean another program in each directory.
    candidates.filter(|path| path.is_absolute()).find(|path| executable(path))
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.is_file()
}

/// The version a program says it has; `None` if it says none in time, which is never longer than 10 s.
pub(crate) fn version(program: &Path, args: &[String], within: Duration) -> Option<String> {
    if within.is_zero() {
        return None;
    }
    let ran = run(program, args, within.min(VERSION_WITHIN)).ok()?;
    if ran.ok { number(&ran.printed) } else { None }
}

/// The first word that looks like a version.
fn number(printed: &str) -> Option<String> {
    let words = printed.split(|c: char| c.is_whitespace() || "(),:/".contains(c));
    let mut words = words.map(|word| word.trim_start_matches('v').trim_end_matches('.'));
    let version = words.find(|word| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() > 1 && parts.iter().take(2).all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
    });
    version.map(str::to_owned)
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Whether with exit code 0.
    pub(crate) ok: bool,
    /// What it printed, on standard output and error; the beginning.
    pub(crate) printed: String,
}

/// Runs a program to its end, with nothing to read.
///
/// # Errors
/// `Unavailable` if it cannot be started, or has not ended in time; it is ended then.
pub(crate) fn run(program: &Path, args: &[String], within: Duration) -> Result<Ran> {
    let failed = |e| Error::io("run", program, e);
    // A file and no pipe: what the program leaves running cannot hold up this one.
    let mut printed = tempfile::tempfile().map_err(failed)?;
    let output = || -> std::io::Result<Stdio> { Ok(File::into(printed.try_clone()?)) };
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(output().map_err(failed)?)
        .stderr(output().map_err(failed)?);
    let mut child = command.env("NO_COLOR", "1").spawn().map_err(failed)?;
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break Some(status),
            None if started.elapsed() > within => break None,
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    let Some(status) = status else {
        // It may have ended by itself just now.
        let _ = child.kill();
        let _ = child.wait();
        let seconds = within.as_secs();
        return Err(Error::unavailable(format!("{} did not end within {seconds} s", program.display())));
    };
    let mut text = Vec::new();
    printed.rewind().map_err(failed)?;
    printed.take(PRINTED).read_to_end(&mut text).map_err(failed)?;
    Ok(Ran { ok: status.success(), printed: String::from_utf8_lossy(&text).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_programs_print_them() {
        for (printed, version) in [
            ("2.1.197 (Claude Code)", Some("2.1.197")),
            ("codex-cli 0.169.0\n", Some("0.169.0")),
            ("Hermes Agent v0.19.2 (2026.9.1)", Some("0.19.2")),
            ("GitHub Copilot CLI 1.0.102.", Some("1.0.102")),
            ("1.2.3-beta.1+5", Some("1.2.3-beta.1+5")),
            ("usage: agent [options]", None),
            ("", None),
        ] {
            assert_eq!(number(printed).as_deref(), version, "{printed}");
        }
    }
}
