//! Processes of this machine: which one it is, whether it still runs, who started it.
//!
//! Numbers of processes are used again, so a process is its number, when it started, and where that number
//! means something: which boot of which machine, in which container.

use std::fs;

use serde::{Deserialize, Serialize};

/// Programs that run another one and wait for it: never what an agent is.
const SHELLS: [&str; 10] = ["sh", "bash", "dash", "zsh", "fish", "ksh", "ash", "timeout", "nohup", "setsid"];

/// The most ancestors looked at.
const MAX_ANCESTORS: usize = 64;

/// A process, not to be taken for a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in the system's own words.
    pub started: String,
    /// Where the number means something; empty if that cannot be told.
    #[serde(default)]
    pub place: String,
}

impl Process {
    /// A process that runs now. `None` if there is none of that number, or on systems where this is not
    /// known (it is on Linux); there, only locks tell who is present.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let Stat { started, ended, .. } = stat(pid)?;
        (!ended).then(|| Self { pid, started, place: place() })
    }

    /// Whether it still runs; `None` if it is of another machine, boot or container.
    #[must_use]
    pub fn is_running(&self) -> Option<bool> {
        if self.place.is_empty() || self.place != place() {
            return None;
        }
        Some(stat(self.pid).is_some_and(|stat| !stat.ended && stat.started == self.started))
    }

    /// The processes above this one, nearest first.
    #[must_use]
    pub fn ancestors() -> Vec<Self> {
        let mut above = Vec::new();
        let mut next = stat(std::process::id()).map(|stat| stat.parent);
        while let Some(pid) = next.filter(|pid| *pid > 0 && above.len() < MAX_ANCESTORS) {
            above.extend(Self::of(pid));
            next = stat(pid).map(|stat| stat.parent);
        }
        above
    }

    /// The process that called this program: the nearest above it which is no shell that was started to run
    /// one command. For a command that an agent gives, that is the agent.
    #[must_use]
    pub fn caller() -> Option<Self> {
        let mut above = Self::ancestors();
        let transient = |process: &Self| arguments(process.pid).is_some_and(|words| runs_one_command(&words));
        let at = above.iter().position(|process| !transient(process))?;
        Some(above.swap_remove(at))
    }
}

/// Whether a command line is of a shell that runs one command, not of one that somebody types into.
fn runs_one_command(words: &[String]) -> bool {
    let Some((program, rest)) = words.split_first() else { return false };
    let name = program.rsplit('/').next().unwrap_or(program);
    SHELLS.contains(&name) && !rest.is_empty() && rest.iter().any(|word| !is_interactive(word))
}

/// An option of a shell that is typed into: `-l`, `--login`, `-i`.
fn is_interactive(word: &str) -> bool {
    matches!(word, "-l" | "-i" | "-il" | "-li" | "--login" | "--norc" | "--noprofile")
}

/// What is known of a process.
struct Stat {
    parent: u32,
    started: String,
    ended: bool,
}

/// Reads what the kernel says: after the name in parentheses, which may itself have any character, the 1st
/// field is the condition, the 2nd the parent, the 20th the time of the start.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        started: (*fields.get(19)?).to_owned(),
        ended: matches!(*fields.first()?, "Z" | "X"),
    })
}

fn arguments(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// The boot and the container that numbers of processes belong to.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match boot.trim() {
        "" => String::new(),
        boot => format!("{boot} {}", container.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let rest: Vec<String> = (5..=22).map(|n| n.to_string()).collect();
        let stat = parse_stat(&format!("7 (a) b) S 42 {} 99", rest.join(" "))).unwrap();
        assert_eq!((stat.parent, stat.started.as_str(), stat.ended), (42, "22", false));
        assert!(parse_stat("7 (a) Z 1").is_none());
        assert!(parse_stat("").is_none());
    }

    #[test]
    fn a_shell_for_one_command_is_not_the_caller() {
        for (line, transient) in [
            ("/bin/bash -c -l true", true),
            ("sh -c x", true),
            ("timeout 5 cccc join", true),
            ("bash script.sh", true),
            ("-bash", false),
            ("bash", false),
            ("zsh -l", false),
            ("bash --norc", false),
            ("node claude.js", false),
            ("", false),
        ] {
            let words: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
            assert_eq!(runs_one_command(&words), transient, "{line}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_runs_and_has_ancestors() {
        let me = Process::of(std::process::id()).unwrap();
        assert_eq!(me.is_running(), Some(true));
        assert_eq!(Process { started: "0".into(), ..me }.is_running(), Some(false));
        let above = Process::ancestors();
        assert!(above.iter().all(|process| process.is_running().is_some()));
        assert!(!above.is_empty());
    }
}
