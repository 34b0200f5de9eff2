//! The agents' own programs: installed with npm (or pip) at the pinned versions into an ignored directory, where they stay
//! from run to run. Nothing global is touched.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::catalog::Agent;
use crate::{Failure, print, process};

/// The Node that the programs are installed and run with: an older one makes npm choose old versions, silently.
const NODE: (&str, &str) = ("node", "22.23.3");
/// How long an installation may take.
const PATIENCE: Duration = Duration::from_secs(420);

/// Where the programs are.
pub(crate) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Under `target/agents`.
    pub(crate) fn new(target: &Path) -> Self {
        Self { root: target.join("agents").join("tools") }
    }

    /// Installs what is not there yet.
    pub(crate) fn install(&self, name: &str, agent: &Agent) -> Result<(), Failure> {
        self.package("node", NODE.0, NODE.1, &self.bin("node").join("node"))?;
        let program = self.programs(name, agent).join(&agent.program);
        match agent.python {
            false => self.package(name, &agent.package, &agent.version, &program),
            true => self.wheel(name, &agent.package, &agent.version, &program),
        }
    }

    /// The directories to search for programs, for one agent: its own, Node's.
    pub(crate) fn path(&self, name: &str, agent: &Agent) -> Vec<PathBuf> {
        vec![self.programs(name, agent), self.bin("node")]
    }

    fn programs(&self, name: &str, agent: &Agent) -> PathBuf {
        match &agent.dir {
            _ if agent.python => self.root.join(name).join("bin"),
            Some(dir) => self.root.join(name).join("node_modules").join(&agent.package).join(dir),
            None => self.bin(name),
        }
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.root.join(name).join("node_modules").join(".bin")
    }

    /// Installs a package with npm, unless it is there.
    fn package(&self, name: &str, package: &str, version: &str, program: &Path) -> Result<(), Failure> {
        let pinned = format!("{package}@{version}");
        self.once(name, &pinned, program, |dir| {
            std::fs::write(dir.join("package.json"), "{\"private\":true}\n").map_err(|e| e.to_string())?;
            let needs = "the suite needs npm (it comes with Node.js) on the search path";
            succeed(self.npm(dir, &pinned), needs)
        })
    }

    /// Installs a package with pip into an environment of its own, unless it is there.
    fn wheel(&self, name: &str, package: &str, version: &str, program: &Path) -> Result<(), Failure> {
        let pinned = format!("{package}=={version}");
        self.once(name, &pinned, program, |dir| {
            let needs = "this agent needs python3 with venv on the search path";
            let mut environment = Command::new("python3");
            environment.args(["-m", "venv"]).arg(dir);
            succeed(environment, needs)?;
            let mut install = Command::new(dir.join("bin").join("pip"));
            install.args(["install", "--quiet", "--disable-pip-version-check", &pinned]);
            succeed(install, needs)
        })
    }

    fn once(
        &self,
        name: &str,
        pinned: &str,
        program: &Path,
        install: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let dir = self.root.join(name);
        let done = dir.join("installed");
        let present = std::fs::read_to_string(&done).is_ok_and(|found| found == pinned);
        if present && program.exists() {
            return Ok(());
        }
        let begun = Instant::now();
        let failed = |why: String| format!("cannot install {pinned} in {}: {why}", dir.display());
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(|e| failed(e.to_string()))?;
        }
        std::fs::create_dir_all(&dir).map_err(|e| failed(e.to_string()))?;
        install(&dir).map_err(failed)?;
        if !program.exists() {
            return Err(failed(format!("it did not bring {}", program.display())));
        }
        std::fs::write(&done, pinned).map_err(|e| failed(e.to_string()))?;
        print(&format!("   installed {pinned} in {:.0} s\n", begun.elapsed().as_secs_f64()));
        Ok(())
    }

    /// npm itself runs as whoever runs the suite, with that person's settings: it is they who know the registry.
    fn npm(&self, dir: &Path, pinned: &str) -> Command {
        let mut command = Command::new("npm");
        command
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-save",
                "--no-package-lock",
                "--loglevel",
                "error",
            ])
            .arg(pinned)
            .current_dir(dir)
            .env("PATH", search_path(&[self.bin("node")]));
        command
    }
}

/// Runs a program that must succeed.
fn succeed(command: Command, needs: &str) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ended = process::run(command, PATIENCE).map_err(|why| format!("{why}; {needs}"))?;
    if ended.status.success() {
        Ok(())
    } else {
        Err(format!("{name} ended with {}:\n{}", ended.status, ended.said))
    }
}

/// The search path with directories before all others.
pub(crate) fn search_path(first: &[PathBuf]) -> OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let places = first.iter().cloned().chain(std::env::split_paths(&old));
    std::env::join_paths(places).unwrap_or(old.clone())
}
