//! The end-to-end suite: the agents' own programs, in fresh homes, against a model API of ours on 127.0.0.1.
//!
//! It decides nothing about CCCC: it runs `cccc` as a person would and the agents as they are, and looks at what
//! the model was asked and what the ledger says. Which agents, versions and claims is data (`agents.toml`).

mod catalog;
mod check;
#[cfg(test)]
mod document;
mod install;
mod model;
mod place;
mod process;
mod session;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use catalog::Agent;
use check::{Proof, Proofs};
use install::Tools;

/// What went wrong, for whoever ran this.
type Failure = String;

const HELP: &str = "\
Proves with the agents' own programs that they are set up, called and told as is claimed.

Usage: cargo xtask agents [OPTION]... [NAME]...

Without a name: those that CI runs, and a conversation of two of them.

Names:
NAMES
  conversation   Claude Code and Codex answer each other

Options:
  --all          every agent that the registries hold, and the conversation
  -h, --help     this text

It needs npm, and the registry only for what is not installed yet (in target/agents).
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match suite(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            print(&format!("\nagents: {failure}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Everything is said on stderr, in order with what the tools say there.
fn print(text: &str) {
    eprint!("{text}");
}

const CONVERSATION: &str = "conversation";

/// Runs what is asked for; whether all of it passed.
fn suite(words: &[String]) -> Result<bool, Failure> {
    let agents = catalog::agents()?;
    if words.iter().any(|word| word == "-h" || word == "--help") {
        let names: String = agents
            .iter()
            .map(|(name, agent)| format!("  {name:<14} {} {}\n", agent.package, agent.version))
            .collect();
        print(&HELP.replace("NAMES\n", &names));
        return Ok(true);
    }
    let chosen = chosen(&agents, words)?;
    let begun = Instant::now();
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("the workspace has no directory")?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let cccc = built(root, &target)?;
    let tools = Tools::new(&target);
    let mut proofs: Vec<Proof> = Vec::new();
    for name in &chosen {
        print(&format!("\n== {name}\n"));
        let Proofs { all, .. } = match agents.get(name.as_str()) {
            Some(agent) => check::agent(&tools, &cccc, name, agent),
            None => check::conversation::hold(&tools, &cccc, &agents)?,
        };
        proofs.extend(all);
    }
    print(&table(&agents, &chosen, &proofs));
    let failed = proofs.iter().filter(|proof| proof.outcome.is_err()).count();
    let passed = proofs.len() - failed;
    print(&format!("\n{passed} passed, {failed} failed, in {:.0} s\n", begun.elapsed().as_secs_f64()));
    Ok(failed == 0)
}

/// The names that are meant.
fn chosen(agents: &BTreeMap<String, Agent>, words: &[String]) -> Result<Vec<String>, Failure> {
    let all = words.iter().any(|word| word == "--all");
    let named: Vec<&String> = words.iter().filter(|word| *word != "--all").collect();
    if let Some(unknown) = named.iter().find(|name| !agents.contains_key(**name) && **name != CONVERSATION) {
        let known: Vec<&str> = agents.keys().map(String::as_str).collect();
        return Err(format!("{unknown:?} is none of {}, {CONVERSATION}, --all", known.join(", ")));
    }
    if !named.is_empty() && !all {
        return Ok(named.into_iter().cloned().collect());
    }
    let meant = agents
        .iter()
        .filter(|(_, agent)| (all && agent.is_for_here()) || agent.default)
        .map(|(name, _)| name.clone());
    Ok(meant.chain([CONVERSATION.to_owned()]).collect())
}

/// Builds our program; where it is.
fn built(root: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "cccc-cli"])
        .current_dir(root)
        .status()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if status.success() {
        Ok(target.join("debug").join("cccc"))
    } else {
        Err(format!("cargo build ended with {status}"))
    }
}

/// Who can do what, as was seen.
fn table(agents: &BTreeMap<String, Agent>, chosen: &[String], proofs: &[Proof]) -> String {
    let mut names: Vec<&'static str> = Vec::new();
    for proof in proofs {
        if !names.contains(&proof.name) {
            names.push(proof.name);
        }
    }
    let mut text = format!("\n{:<14}{:<12}{}\n", "AGENT", "VERSION", names.join("  ").to_uppercase());
    for name in chosen {
        let version = agents.get(name).map_or("", |agent| agent.version.as_str());
        text.push_str(&format!("{name:<14}{version:<12}"));
        for what in &names {
            let proof = proofs.iter().find(|proof| proof.agent == *name && proof.name == *what);
            let word = match proof.map(|proof| &proof.outcome) {
                Some(Ok(_)) => "ok",
                Some(Err(_)) => "FAILED",
                None => "-",
            };
            text.push_str(&format!("{word:<width$}", width = what.len() + 2));
        }
        text.push('\n');
    }
    text
}
