//! A home that can be put back as it was, and programs in it that must end in time.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) use crate::shared::Place;

/// Nothing takes so long, on any machine: what does, hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs, and what it has said when it ends.
pub(crate) struct Running {
    pub(crate) pid: u32,
    ended: Receiver<Output>,
    what: String,
}

impl Place {
    /// With a group of the project, its foreman `lead` and its peer `alice`.
    pub(crate) fn with_group() -> Self {
        let place = Self::bare();
        place.user(&["attach"]);
        for name in ["lead", "alice"] {
            place.user(&["actor", "add", name]);
        }
        place
    }

    /// The id of the project's group.
    pub(crate) fn group_id(&self) -> String {
        let groups = self.lines(&["--as", "user", "groups"]);
        let own = groups.iter().find(|group| group["title"] == "project").unwrap();
        own["group_id"].as_str().unwrap().to_owned()
    }

    /// Keeps the home as it is.
    pub(crate) fn keep(&self) {
        if self.home().exists() {
            copy(&self.home(), &self.path().join("kept"));
        }
    }

    /// Puts the home back as it was kept, and takes away what was written beside it.
    pub(crate) fn put_back(&self) {
        for dir in [self.home(), self.out()] {
            if dir.exists() {
                fs::remove_dir_all(&dir).unwrap();
            }
        }
        let kept = self.path().join("kept");
        if kept.exists() {
            copy(&kept, &self.home());
        }
        fs::create_dir(self.out()).unwrap();
    }

    /// A directory for what programs write elsewhere than in the home.
    pub(crate) fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_cccc"));
        command.args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Running::start(self.command(args), b"").end()
    }

    /// What the user's command prints, which succeeds.
    pub(crate) fn user(&self, args: &[&str]) -> String {
        self.ok(&[&["--as", "user"], args].concat())
    }

    /// What a command prints that succeeds.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The objects a command prints on `--json`, one a line.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        objects(&self.ok(&[args, &["--json"]].concat()))
    }

    /// Everything that lies in the home, as one heap of bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fn add(dir: &Path, bytes: &mut Vec<u8>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    add(&path, bytes);
                } else {
                    bytes.extend(fs::read(path).unwrap());
                }
            }
        }
        let mut bytes = Vec::new();
        add(&self.home(), &mut bytes);
        bytes
    }
}

pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

/// As the owner's alone, which is what a home has to be.
fn copy(from: &Path, to: &Path) {
    DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

impl Running {
    /// Starts a program and gives it its input.
    pub(crate) fn start(mut command: Command, input: &[u8]) -> Self {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may have ended before it read that.
        let _ = stdin.write_all(input);
        drop(stdin);
        let (pid, (sender, ended)) = (child.id(), channel());
        std::thread::spawn(move || {
            // Nobody listens any more where a test has failed.
            let _ = sender.send(child.wait_with_output().unwrap());
        });
        Self { pid, ended, what }
    }

    /// Waits until it has ended.
    pub(crate) fn end(&self) -> Output {
        match self.ended.recv_timeout(PATIENCE) {
            Ok(output) => output,
            Err(RecvTimeoutError::Timeout) => {
                let stacks = stacks(self.pid);
                signal(self.pid, Signal::KILL);
                panic!("{} hangs{stacks}", self.what);
            }
            Err(RecvTimeoutError::Disconnected) => panic!("{}: its end is not known", self.what),
        }
    }

    /// Waits until it, or the program that it runs, is stopped, and says which; `None` if it ended instead.
    pub(crate) fn stops(&self) -> Option<u32> {
        let started = Instant::now();
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        loop {
            match condition(self.pid) {
                Some('T') => return Some(self.pid),
                None | Some('Z' | 'X') => return None,
                Some(_) => {}
            }
            let children = fs::read_to_string(&children).unwrap_or_default();
            let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
            if let Some(child) = children.find(|child| condition(*child) == Some('T')) {
                return Some(child);
            }
            assert!(started.elapsed() < PATIENCE, "{} neither stops nor ends", self.what);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Sends a signal to a process that has not ended, or whose end nobody has waited for.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// `R` for a process that runs, `T` for one that is stopped, and so on.
fn condition(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// What each thread of a process waits for, as far as the kernel tells.
fn stacks(pid: u32) -> String {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return String::new() };
    let of =
        |task: &Path, file: &str| fs::read_to_string(task.join(file)).unwrap_or_default().trim().to_owned();
    let lines = tasks.filter_map(Result::ok).map(|task| {
        let task = task.path();
        format!("\n    {}: {}", of(&task, "comm"), of(&task, "wchan"))
    });
    lines.collect()
}

/// Whether it was killed.
pub(crate) fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(9)
}
