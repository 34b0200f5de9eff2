//! The demo's processes: started from this very program, killed and waited for, never left behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cccc_core::{Error, GroupId, Result};

/// How often a process that is to end is looked at. The system has no bounded wait for a child.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The running actors.
#[derive(Debug)]
pub(crate) struct Cast {
    program: PathBuf,
    home: PathBuf,
    group: GroupId,
    running: Vec<(String, Child)>,
}

impl Cast {
    pub(crate) fn new(home: &Path, group: &GroupId) -> Result<Self> {
        let program = std::env::current_exe()
            .map_err(|e| Error::unavailable(format!("cannot find this program to run it again: {e}")))?;
        Ok(Self { program, home: home.to_owned(), group: group.clone(), running: Vec::new() })
    }

    /// Starts an actor in a process of its own, and returns the process's id.
    pub(crate) fn start(&mut self, actor: &str, stop_half_way: bool) -> Result<u32> {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args([
            "--group",
            self.group.as_str(),
            "--as",
            actor,
            "demo-actor",
        ]);
        if stop_half_way {
            command.arg("--stop-half-way");
        }
        // The pipe stays open as long as this process lives: its end is how the actor learns of ours.
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().map_err(|e| Error::io("run", &self.program, e))?;
        let id = child.id();
        self.running.push((actor.to_owned(), child));
        Ok(id)
    }

    /// Kills an actor's process without a warning (SIGKILL), and waits until it is gone.
    pub(crate) fn kill(&mut self, actor: &str) -> Result<ExitStatus> {
        let at = self.running.iter().position(|(name, _)| name == actor);
        let at = at.ok_or_else(|| Error::not_found(format!("{actor} is not running")))?;
        let (_, mut child) = self.running.remove(at);
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|e| Error::unavailable(format!("cannot kill {actor}: {e}")))
    }

    /// Fails if an actor has ended badly.
    pub(crate) fn check(&mut self) -> Result<()> {
        for (actor, child) in &mut self.running {
            if let Some(status) = look(actor, child)?
                && !status.success()
            {
                return Err(Error::unavailable(format!("{actor} ended early: {status}")));
            }
        }
        Ok(())
    }

    /// Waits until every actor has ended well.
    pub(crate) fn finish(&mut self, until: Instant) -> Result<()> {
        while let Some((actor, child)) = self.running.last_mut() {
            match look(actor, child)? {
                Some(status) if status.success() => drop(self.running.pop()),
                Some(status) => return Err(Error::unavailable(format!("{actor} ended badly: {status}"))),
                None if Instant::now() > until => {
                    return Err(Error::unavailable(format!("{actor} does not end")));
                }
                None => thread::sleep(LOOK_EVERY),
            }
        }
        Ok(())
    }
}

fn look(actor: &str, child: &mut Child) -> Result<Option<ExitStatus>> {
    child.try_wait().map_err(|e| Error::unavailable(format!("cannot look at {actor}: {e}")))
}

impl Drop for Cast {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            // One that has ended cannot be killed, which is as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
