//! What happened, for comparing runs and for people who look for a bug.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::storage::Inode;

/// How many of the last entries are kept.
const KEPT_ENTRIES: usize = 20_000;

/// A write that did all it was to do, kept on request. One that others saw half done is kept as two.
#[derive(Clone, Debug)]
pub struct Written {
    /// The file's path.
    pub path: String,
    /// What was written.
    pub bytes: Vec<u8>,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Duration,
    pub(super) pid: usize,
    pub(super) task: Option<usize>,
    pub(super) call: &'static str,
    /// Which file; 0 where there is none.
    pub(super) inode: Inode,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) note: Cow<'static, str>,
}

#[derive(Debug, Default)]
pub(super) struct Trace {
    entries: VecDeque<Entry>,
    names: std::collections::BTreeMap<Inode, String>,
    hash: u64,
    suffix: Option<String>,
    kept: Vec<Written>,
}

impl Trace {
    pub(super) fn add(&mut self, entry: Entry) {
        let task = entry.task.map_or(0, |task| task as u64 + 1);
        let numbers = [entry.pid as u64, task, entry.inode as u64, entry.offset, entry.len];
        self.mix(u64::try_from(entry.at.as_nanos()).unwrap_or(u64::MAX));
        numbers.into_iter().for_each(|number| self.mix(number));
        entry.call.bytes().chain(entry.note.bytes()).for_each(|byte| self.mix(byte.into()));
        if self.entries.len() == KEPT_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// FNV-1a, by words.
    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    pub(super) fn name(&mut self, inode: Inode, path: &str) {
        self.names.insert(inode, path.to_owned());
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn keep_writes(&mut self, suffix: String) {
        self.suffix = Some(suffix);
    }

    /// A write happened, or one half of it.
    pub(super) fn wrote(&mut self, inode: Inode, bytes: &[u8]) {
        let (Some(suffix), Some(path)) = (&self.suffix, self.names.get(&inode)) else { return };
        if path.ends_with(suffix.as_str()) {
            self.kept.push(Written { path: path.clone(), bytes: bytes.to_vec() });
        }
    }

    pub(super) fn kept(&self) -> &[Written] {
        &self.kept
    }

    pub(super) fn tail(&self, lines: usize) -> String {
        let mut text = String::new();
        for entry in self.entries.iter().skip(self.entries.len().saturating_sub(lines)) {
            let name = self.names.get(&entry.inode).map_or("", String::as_str);
            let task = entry.task.map_or(String::from("-"), |task| task.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:>12.6} p{} t{task} {:<8} {name} @{} +{} {}",
                entry.at.as_secs_f64(),
                entry.pid,
                entry.call,
                entry.offset,
                entry.len,
                entry.note
            );
        }
        text
    }
}
