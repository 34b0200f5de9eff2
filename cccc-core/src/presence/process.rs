//! Processes of this machine: which one it is, whether it still runs, who started it.
//!
//! Numbers of processes are used again, so a process is its number, when it started, and where that number
//! means something: which boot of which machine, in which container.
//!
//! Linux tells all of it in files under `/proc`; elsewhere (macOS, the BSDs) the program `ps` is asked. Windows
//! has neither, and there only locks tell who is present.

mod proc;
mod ps;

use cccc_fork::Own;
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
    /// A process that runs now. `None` if there is none of that number, or where nothing tells of processes;
    /// there, only locks tell who is present.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        View::of(pid).process(pid)
    }

    /// Whether it still runs; `None` if it is of another machine, boot or container.
    #[must_use]
    pub fn is_running(&self) -> Option<bool> {
        if self.place.is_empty() || self.place != place() {
            return None;
        }
        let stat = View::of(self.pid).stat(self.pid);
        Some(stat.is_some_and(|stat| !stat.ended && stat.started == self.started))
    }

    /// The processes above this one, nearest first.
    #[must_use]
    pub fn ancestors() -> Vec<Self> {
        View::of_all().ancestors()
    }

    /// The process that called this program: the nearest above it which is no shell that was started to run
    /// one command. For a command that an agent gives, that is the agent.
    #[must_use]
    pub fn caller() -> Option<Self> {
        let view = View::of_all();
        let mut above = view.ancestors();
        let transient =
            |process: &Self| view.arguments(process.pid).is_some_and(|words| runs_one_command(&words));
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
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    started: String,
    ended: bool,
}

/// What this system tells of processes.
enum View {
    /// Files, read as they are asked for.
    Proc,
    /// What `ps` said, once.
    Table(ps::Table),
}

impl View {
    /// To look at one process.
    fn of(pid: u32) -> Self {
        if proc::is_there() { Self::Proc } else { Self::Table(ps::Table::of(Some(pid))) }
    }

    /// To look at any.
    fn of_all() -> Self {
        if proc::is_there() { Self::Proc } else { Self::Table(ps::Table::of(None)) }
    }

    fn stat(&self, pid: u32) -> Option<Stat> {
        match self {
            Self::Proc => proc::stat(pid),
            Self::Table(table) => table.stat(pid),
        }
    }

    fn arguments(&self, pid: u32) -> Option<Vec<String>> {
        match self {
            Self::Proc => proc::arguments(pid),
            Self::Table(table) => table.arguments(pid),
        }
    }

    fn process(&self, pid: u32) -> Option<Process> {
        let Stat { started, ended, .. } = self.stat(pid)?;
        (!ended).then(|| Process { pid, started, place: place() })
    }

    fn ancestors(&self) -> Vec<Process> {
        let mut above = Vec::new();
        let mut next = self.stat(std::process::id()).map(|stat| stat.parent);
        while let Some(pid) = next.filter(|pid| *pid > 0 && above.len() < MAX_ANCESTORS) {
            above.extend(self.process(pid));
            next = self.stat(pid).map(|stat| stat.parent);
        }
        above
    }
}

/// Where numbers of processes mean something; empty if that cannot be told.
fn place() -> String {
    static ELSEWHERE: Own<String> = Own::new();
    if proc::is_there() { proc::place() } else { ELSEWHERE.get_or_make(ps::place).clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Where `ps` is to be had, it tells the same as `/proc`.
    #[cfg(target_os = "linux")]
    #[test]
    fn ps_tells_the_same() {
        let (one, all) = (ps::Table::of(Some(std::process::id())), ps::Table::of(None));
        let me = proc::stat(std::process::id()).unwrap();
        for table in [one, all] {
            let Some(said) = table.stat(std::process::id()) else { return };
            assert_eq!((said.parent, said.ended), (me.parent, false));
            assert_eq!(said.started.split(' ').count(), 5, "{}", said.started);
        }
        assert!(!View::Table(ps::Table::of(None)).ancestors().is_empty());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let table = ps::Table::of(Some(child.id()));
        assert_eq!(table.arguments(child.id()).unwrap(), ["sleep", "60"]);
        child.kill().unwrap();
        let ended = |pid| ps::Table::of(Some(pid)).stat(pid).is_none_or(|stat| stat.ended);
        while !ended(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(ps::Table::of(Some(child.id())).stat(child.id()), None);
    }
}
