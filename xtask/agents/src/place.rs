//! Where an agent lives for one run: a fresh home and a project, in a private directory that goes when the run
//! succeeded and stays when it failed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::Failure;
use crate::catalog::Agent;
use crate::install::{Tools, search_path};
use crate::process::{self, Ended, MARK};

/// How long one of our own commands may take. It is long because other programs are at work at the same time.
const PATIENCE: Duration = Duration::from_secs(90);

/// A fresh home and a project.
pub(crate) struct Place {
    dir: Mutex<Option<TempDir>>,
    root: PathBuf,
    cccc: PathBuf,
    mark: String,
}

impl Place {
    /// Makes one.
    pub(crate) fn new(name: &str, cccc: &Path) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("cccc-agents-{name}-"))
            .tempdir()
            .map_err(|e| format!("cannot make a directory for {name}: {e}"))?;
        // In its one spelling, so that it is recognized in what programs write.
        let root =
            dir.path().canonicalize().map_err(|e| format!("cannot find {}: {e}", dir.path().display()))?;
        let mark = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = Self { dir: Mutex::new(Some(dir)), root, cccc: cccc.to_owned(), mark };
        for dir in [place.home(), place.project(), place.root.join("tmp")] {
            std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        }
        Ok(place)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps the directory, for somebody to look at.
    pub(crate) fn keep(&self) {
        let dir = self.dir.lock().unwrap_or_else(PoisonError::into_inner).take();
        dir.map(TempDir::keep);
    }

    /// A command in the project, with an environment in which nothing of the caller's is left: not its home, no
    /// keys, no mark of an agent, no way out to the network but through a proxy that is not there.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, first: &[PathBuf]) -> Command {
        let home = self.home();
        let mut path = first.to_vec();
        path.extend(self.cccc.parent().map(Path::to_path_buf));
        let mut command = Command::new(program);
        command
            .current_dir(self.project())
            .env_clear()
            .env("PATH", search_path(&path))
            .env("HOME", &home)
            .env("CODEX_HOME", home.join(".codex"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("TMPDIR", self.root.join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env(MARK, &self.mark);
        command
    }

    /// The program of an agent, with its environment.
    pub(crate) fn agent(&self, tools: &Tools, name: &str, agent: &Agent, port: u16) -> Command {
        let mut command = self.command(&agent.program, &tools.path(name, agent));
        for (variable, value) in &agent.env {
            command.env(variable, self.filled(value, port));
        }
        command
    }

    /// Puts the agent's files in its home.
    pub(crate) fn furnish(&self, agent: &Agent, port: u16) -> Result<(), Failure> {
        for (file, text) in &agent.files {
            let path = self.home().join(file);
            let written = match path.parent() {
                Some(dir) => std::fs::create_dir_all(dir),
                None => Ok(()),
            };
            written
                .and_then(|()| std::fs::write(&path, self.filled(text, port)))
                .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        Ok(())
    }

    /// A text of the catalog with what it leaves open.
    pub(crate) fn filled(&self, text: &str, port: u16) -> String {
        text.replace("{port}", &port.to_string())
            .replace("{home}", &self.home().to_string_lossy())
            .replace("{project}", &self.project().to_string_lossy())
    }

    /// Runs our program; what it prints if it succeeds.
    pub(crate) fn cccc(&self, arguments: &[&str]) -> Result<String, Failure> {
        self.cccc_beside(arguments, &[])
    }

    /// The same, with directories on the search path: for what looks for agents.
    pub(crate) fn cccc_beside(&self, arguments: &[&str], first: &[PathBuf]) -> Result<String, Failure> {
        let mut command = self.command(&self.cccc, first);
        command.args(arguments);
        let Ended { status, said } = process::run(command, PATIENCE)?;
        if status.success() {
            Ok(said)
        } else {
            Err(format!("cccc {} ended with {status}:\n{said}", arguments.join(" ")))
        }
    }

    /// Runs our program with `--json`; what it answers, a list if it answers line by line.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Vec<Value>, Failure> {
        let said = self.cccc(&[&["--json"], arguments].concat())?;
        serde_json::Deserializer::from_str(&said)
            .into_iter::<Value>()
            .collect::<Result<Vec<Value>, _>>()
            .map_err(|e| format!("cccc {}: no JSON: {e}:\n{said}", arguments.join(" ")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        process::sweep(&self.mark);
    }
}
