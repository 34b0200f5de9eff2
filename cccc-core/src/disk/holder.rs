//! Who holds a lock: what the holder writes into the lock file, and what can be found out about it.
//!
//! The record serves for one message only. It is believed if the lock is held while it is read, and on
//! Linux only if the kernel does not name another process.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DiskFile;
use crate::error::Error;
use crate::time::Timestamp;

/// How long anybody waits for a lock before it counts as stuck: locks are held for microseconds, and for as long
/// as a disk takes where something is recovered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// When a retry is worth it: a person has to do something first.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Bytes of a record: one line of JSON, filled up with spaces.
pub(super) const RECORD_BYTES: usize = 256;
/// Longest name of a program or a host, in bytes.
const NAME_BYTES: usize = 64;

/// A process that holds a lock, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// When it took the lock, if it has said so.
    pub since: Option<Timestamp>,
    /// Its number on its host, or in its container.
    #[serde(rename = "pid")]
    pub process_id: u32,
    /// Its program's file name; empty if it is not known.
    pub program: String,
    /// Its host's name, or its container's.
    pub host: String,
    /// What it does, as far as it can be told.
    #[serde(skip)]
    pub condition: Condition,
}

/// What the holder of a lock does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// It runs, or there is no telling: it is on another host, or the platform does not say.
    #[default]
    Unknown,
    /// It was stopped by a signal or a debugger, or its container is frozen.
    Stopped,
    /// It runs on another host, or in another container.
    Elsewhere,
}

impl Holder {
    /// A holder that took the lock at `since`.
    #[must_use]
    pub fn new(since: Option<Timestamp>, process_id: u32, program: &str, host: &str) -> Self {
        Self {
            since,
            process_id,
            program: short(program),
            host: short(host),
            condition: Condition::default(),
        }
    }

    /// Whether it runs and has not had the lock for long enough to count as stuck.
    pub(super) fn is_new(&self, now: Timestamp) -> bool {
        self.condition != Condition::Stopped && self.since.is_some_and(|since| now.since(since) < PATIENCE)
    }

    /// Reads the record in a lock file.
    pub(super) fn read(file: &dyn DiskFile) -> Option<Self> {
        let mut record = [0; RECORD_BYTES];
        let len = file.read_at(&mut record, 0).ok()?;
        let text = std::str::from_utf8(record.get(..len)?).ok()?;
        let holder: Self = serde_json::from_str(text.trim_end()).ok()?;
        // Whatever wrote it: it is going to be shown.
        Some(Self { program: short(&holder.program), host: short(&holder.host), ..holder })
    }

    /// The bytes of the record.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        record(self.since.unwrap_or_default(), &self.rest())
    }

    /// The record after the time: all that stays the same while a process lives.
    pub(super) fn rest(&self) -> String {
        let name = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "\"pid\":{},\"program\":{},\"host\":{}}}",
            self.process_id,
            name(&self.program),
            name(&self.host)
        )
    }
}

/// A record of its time and its [`rest`](Holder::rest).
pub(super) fn record(since: Timestamp, rest: &str) -> Vec<u8> {
    let mut text = format!("{{\"since\":\"{since}\",{rest}");
    // Names are short and hold nothing that is written longer, so this cuts nothing.
    text.truncate(RECORD_BYTES - 1);
    format!("{text:<width$}\n", width = RECORD_BYTES - 1).into_bytes()
}

/// A name cut to what a record has room for, without what a terminal would act upon.
pub(super) fn short(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' };
    name.chars().map(plain).take(NAME_BYTES).collect()
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.process_id)?;
        if !self.program.is_empty() {
            write!(f, " ({})", self.program)?;
        }
        match self.condition {
            Condition::Unknown => {}
            Condition::Stopped => write!(f, ", which is stopped,")?,
            Condition::Elsewhere => write!(f, " on host or in container {}", self.host)?,
        }
        Ok(())
    }
}

/// The error of whoever has waited for a lock as long as anybody waits.
pub(super) fn held_error(path: &Path, holder: Option<&Holder>) -> Error {
    let shown = path.display();
    let error = match holder {
        Some(holder) => {
            let since = holder.since.map(|since| format!(" since {since}")).unwrap_or_default();
            Error::unavailable(format!("{holder} holds the lock on {shown}{since}"))
        }
        None => Error::unavailable(format!("another process holds the lock on {shown}")),
    };
    let hint = match holder {
        Some(Holder { process_id: id, condition: Condition::Stopped, .. }) => {
            format!("let it go on with `kill -CONT {id}`, or end it with `kill -KILL {id}`; then repeat")
        }
        Some(Holder { host, process_id: id, condition: Condition::Elsewhere, .. }) => {
            format!("let process {id} of {host} go on there, or end it; then repeat")
        }
        Some(Holder { process_id: id, .. }) => {
            format!("repeat; if that does not help, process {id} hangs: end it with `kill -KILL {id}`")
        }
        None => format!("repeat; if that does not help, end the process that `lsof {shown}` names"),
    };
    error.hint(hint).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_whatever_the_names_are() {
        let names = ["cccc-mcp", "", "we\"ird\n\u{1b}[2Jname", &"\u{e4}".repeat(500)];
        for name in names {
            let holder = Holder::new(Some(Timestamp::from_millis(1_795_250_301_120)), u32::MAX, name, name);
            let bytes = holder.encode();
            assert_eq!((bytes.len(), bytes.last()), (RECORD_BYTES, Some(&b'\n')));
            let read: Holder = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read, holder);
        }
    }

    #[test]
    fn who_has_had_the_lock_for_long_or_is_stopped_counts_as_stuck() {
        let (now, patience) = (Timestamp::from_millis(1_795_250_301_120), 2000);
        let since = |millis: i64| Some(Timestamp::from_millis(now.as_millis() - millis));
        let mut holder = Holder::new(since(patience - 1), 77, "cccc-mcp", "box");
        assert!(holder.is_new(now));
        holder.since = since(patience);
        assert!(!holder.is_new(now));
        (holder.since, holder.condition) = (since(1), Condition::Stopped);
        assert!(!holder.is_new(now));
        assert!(!Holder::new(None, 77, "cccc-mcp", "box").is_new(now), "nobody knows since when");
    }

    #[test]
    fn the_error_says_who_and_what_to_do() {
        let mut holder = Holder::new(Some(Timestamp::from_millis(0)), 77, "cccc-mcp", "box");
        holder.condition = Condition::Stopped;
        let error = held_error(Path::new("/g/lock"), Some(&holder));
        let text = error.to_string();
        for part in ["process 77 (cccc-mcp), which is stopped,", "/g/lock", "since 1970", "kill -CONT 77"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error.retry_after_duration().is_some());
        holder.condition = Condition::Elsewhere;
        assert!(held_error(Path::new("/g/lock"), Some(&holder)).to_string().contains("container box"));
        assert!(held_error(Path::new("/g/lock"), None).to_string().contains("lsof /g/lock"));
    }
}
