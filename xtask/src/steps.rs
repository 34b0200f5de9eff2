//! The steps of `cargo xtask test`, one after the other, until one fails.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::{Failure, print, snippets};

/// How long an example, or the commands of one document, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Something a change must pass.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Path) -> Result<(), Failure>,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "formatting",
        run: |root| cargo(root, &["fmt", "--all", "--", "--check"], &[]),
    },
    Step {
        name: "clippy",
        about: "lints, warnings denied",
        run: |root| {
            let arguments =
                ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
            cargo(root, &arguments, &[])
        },
    },
    Step {
        name: "unit",
        about: "unit and integration tests",
        run: |root| {
            let targets = ["--lib", "--bins", "--tests"];
            cargo(root, &[&["test", "--workspace", "--all-features"], &targets[..]].concat(), &[])
        },
    },
    Step {
        name: "doctest",
        about: "the examples in the documentation",
        run: |root| cargo(root, &["test", "--workspace", "--all-features", "--doc"], &[]),
    },
    Step {
        name: "doc",
        about: "the documentation builds, warnings denied",
        run: |root| {
            let arguments = ["doc", "--workspace", "--all-features", "--no-deps"];
            cargo(root, &arguments, &[("RUSTDOCFLAGS", "-D warnings")])
        },
    },
    Step { name: "examples", about: "the programs in examples/, each checks itself", run: examples },
    Step {
        name: "snippets",
        about: "the commands in README.md and docs/ do what is written there",
        run: snippets::check,
    },
];

/// Runs the named steps, or all.
pub(crate) fn test(root: &Path, chosen: &[&str]) -> Result<(), Failure> {
    if let Some(unknown) = chosen.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("{unknown:?} is not a step; they are:\n{}", list()));
    }
    let started = Instant::now();
    let wanted = |step: &&Step| chosen.is_empty() || chosen.contains(&step.name);
    let mut times = String::new();
    for step in STEPS.iter().filter(wanted) {
        print(&format!("\n== {}: {}\n", step.name, step.about));
        let begun = Instant::now();
        (step.run)(root)
            .map_err(|why| format!("step `{0}` failed: {why}\nagain: cargo xtask test {0}", step.name))?;
        let line = format!("{:>10}  {:6.1} s\n", step.name, begun.elapsed().as_secs_f64());
        print(&line);
        times.push_str(&line);
    }
    print(&format!("\nall passed\n{times}{:>10}  {:6.1} s\n", "together", started.elapsed().as_secs_f64()));
    Ok(())
}

/// The steps with what they do, one a line.
pub(crate) fn list() -> String {
    STEPS.iter().map(|step| format!("      {:10} {}\n", step.name, step.about)).collect()
}

/// Runs the benchmarks.
pub(crate) fn bench(root: &Path, rest: &[&str]) -> Result<(), Failure> {
    cargo(
        root,
        &[
            &[
                "bench",
                "--package",
                "cccc-core",
                "--package",
                "cccc-cli",
                "--package",
                "cccc-mcp",
                "--bench",
                "*",
                "--",
            ],
            rest,
        ]
        .concat(),
        &[],
    )
}

/// Runs the suite with the agents' own programs. It is a program of its own, for it needs more than `std`.
pub(crate) fn agents(root: &Path, rest: &[&str]) -> Result<(), Failure> {
    cargo(root, &[&["run", "--quiet", "--package", "cccc-agents", "--"], rest].concat(), &[])
}

/// Builds the examples, then runs each in an empty directory with an empty home.
fn examples(root: &Path) -> Result<(), Failure> {
    cargo(root, &["build", "--package", "cccc-examples"], &[])?;
    let mut names: Vec<String> = files(&root.join("examples"), "rs")?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    for name in names {
        let begun = Instant::now();
        let place = Scratch::new(&name)?;
        let program = target(root).join("debug").join(&name);
        let child = clean(&mut Command::new(&program), place.path(), &[])
            .current_dir(place.path())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        finish(child, &name)?;
        print(&format!("   {name}: {:.1} s\n", begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// Runs cargo, showing what it says.
pub(crate) fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), Failure> {
    let spelled: String = environment.iter().map(|(name, value)| format!("{name}={value:?} ")).collect();
    print(&format!("   {spelled}cargo {}\n", arguments.join(" ")));
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root)
        .status()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} ended with {status}", arguments.join(" "))) }
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Gives a command an environment in which nothing of the caller's is left: not its home, and no mark of
/// an agent that would change who is speaking.
pub(crate) fn clean<'a>(command: &'a mut Command, home: &Path, path_first: &[&Path]) -> &'a mut Command {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let places = path_first.iter().map(|dir| dir.to_path_buf()).chain(std::env::split_paths(&old));
    let path = std::env::join_paths(places).unwrap_or(old.clone());
    command.env_clear().env("PATH", path).env("HOME", home).env("CCCC_HOME", home.join(".cccc"))
}

/// Waits for a child to succeed, for a bounded time.
pub(crate) fn finish(mut child: Child, name: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(|e| format!("cannot wait for {name}: {e}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("{name} ended with {status}")),
            None if begun.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name} did not end within {} s", PATIENCE.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The files of a directory with an extension.
pub(crate) fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    Ok(paths)
}

/// A private directory that is removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("cccc-xtask-{}-{name}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        // In its one spelling, so that it is recognized in what programs print.
        let path = path.canonicalize().map_err(|e| format!("cannot find {}: {e}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
