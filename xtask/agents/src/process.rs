//! Programs that are run: in a process group of their own, with bounds on their time and on what they say, and with
//! nothing of them left at the end.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Failure;

/// The variable by which what a run left behind is found.
pub(crate) const MARK: &str = "CCCC_AGENTS_RUN";
/// The most that is kept of what a program says.
const MAX_SAID_BYTES: usize = 4 << 20;
/// How long a program may take to end by itself once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A running program. Dropped, it and all of its group are killed.
pub(crate) struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
}

/// How a program ended and what it said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

impl Running {
    /// Starts a program; what it says is kept.
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|e| format!("cannot start {name}: {e}"))?;
        let (send, lines) = channel();
        let said = Arc::new(Mutex::new(String::new()));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        if let Some(stdout) = stdout {
            listen(stdout, said.clone(), Some(send));
        }
        if let Some(stderr) = stderr {
            listen(stderr, said.clone(), None);
        }
        let stdin = child.stdin.take();
        Ok(Self { name, child, stdin, lines, said })
    }

    /// Writes a line on its standard input.
    pub(crate) fn write(&mut self, line: &str) -> Result<(), Failure> {
        let Some(stdin) = &mut self.stdin else { return Err(format!("{} is not listening", self.name)) };
        let written = stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
        written.and_then(|()| stdin.flush()).map_err(|e| format!("cannot write to {}: {e}", self.name))
    }

    /// The next line of its standard output.
    pub(crate) fn line(&mut self, until: Instant) -> Result<String, Failure> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(format!("{} did not get on in time", self.name)),
            Err(RecvTimeoutError::Disconnected) => Err(format!("{} ended too early", self.name)),
        }
    }

    /// Closes its standard input.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for its end. Past the bound it is killed, and that is a failure.
    pub(crate) fn end(mut self, bound: Duration) -> Result<Ended, Failure> {
        self.hang_up();
        let until = Instant::now() + bound;
        loop {
            let status = self.child.try_wait().map_err(|e| format!("cannot wait for {}: {e}", self.name))?;
            if let Some(status) = status {
                // What it said last is still on its way to us; a child that it left behind may hold the pipe.
                let until = Instant::now() + Duration::from_millis(500);
                while !matches!(
                    self.lines.recv_timeout(until.saturating_duration_since(Instant::now())),
                    Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout)
                ) {}
                return Ok(Ended { status, said: self.said() });
            }
            if Instant::now() > until {
                return Err(format!("{} did not end within {} s", self.name, bound.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end, as a person would who closes it, and waits for a moment.
    pub(crate) fn close(self) {
        // Whether it obeys or is killed, it is gone.
        let _ = self.end(GRACE);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = pid_of(self.child.id()) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid_of(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// Keeps what is said, and passes it on by lines.
fn listen(from: impl Read + Send + 'static, said: Arc<Mutex<String>>, lines: Option<Sender<String>>) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            if !matches!(from.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                return;
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < MAX_SAID_BYTES {
                said.push_str(&text);
                said.push('\n');
            }
            drop(said);
            if let Some(lines) = &lines {
                // Nobody may be listening any more; it is kept all the same.
                let _ = lines.send(text);
            }
        }
    });
}

/// Runs a program to its end.
pub(crate) fn run(command: Command, bound: Duration) -> Result<Ended, Failure> {
    let running = Running::start(command)?;
    running.end(bound)
}

/// Ends what programs of a run left behind outside of their groups, found by the mark in its environment.
pub(crate) fn sweep(mark: &str) {
    let wanted = format!("{MARK}={mark}");
    for pid in marked(&wanted) {
        if let Some(pid) = pid_of(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The processes with an entry in their environment. There are none where the system does not tell.
fn marked(entry: &str) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    processes
        .filter_map(|process| process.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let path = PathBuf::from(format!("/proc/{pid}/environ"));
            let environment = std::fs::read(path).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|one| one == entry.as_bytes())
        })
        .collect()
}
