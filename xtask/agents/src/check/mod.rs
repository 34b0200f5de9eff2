//! What is proven of each agent, one thing after the other, and how it is told.

pub(crate) mod conversation;
mod hooks;
mod identity;
mod mail;
mod tools;

use std::sync::Arc;
use std::time::Instant;

use crate::catalog::Agent;
use crate::install::Tools;
use crate::model::Model;
use crate::place::Place;
use crate::session::Stage;
use crate::{Failure, print};

/// What was proven, or not.
pub(crate) struct Proof {
    pub(crate) agent: String,
    pub(crate) name: &'static str,
    pub(crate) outcome: Result<String, Failure>,
}

/// The proofs of one agent, as they come.
pub(crate) struct Proofs {
    agent: String,
    pub(crate) all: Vec<Proof>,
}

impl Proofs {
    pub(crate) fn new(agent: &str) -> Self {
        Self { agent: agent.to_owned(), all: Vec::new() }
    }

    /// Proves something; says so. The answer is whether it could be proven.
    pub(crate) fn prove(
        &mut self,
        name: &'static str,
        prove: impl FnOnce() -> Result<String, Failure>,
    ) -> bool {
        let begun = Instant::now();
        let outcome = prove();
        let seconds = begun.elapsed().as_secs_f64();
        let (word, remark) = match &outcome {
            Ok(remark) => ("ok", remark.clone()),
            Err(why) => ("FAILED", why.clone()),
        };
        print(&format!("   {:<13}{name:<16} {word:<7}{seconds:5.1} s  {remark}\n", self.agent));
        let good = outcome.is_ok();
        self.all.push(Proof { agent: self.agent.clone(), name, outcome });
        good
    }

    pub(crate) fn failed(&self) -> bool {
        self.all.iter().any(|proof| proof.outcome.is_err())
    }
}

/// Proves all that is claimed of an agent.
pub(crate) fn agent(tools: &Tools, cccc: &std::path::Path, name: &str, agent: &Agent) -> Proofs {
    let mut proofs = Proofs::new(name);
    if !proofs.prove("installed", || tools.install(name, agent).map(|()| agent.version.clone())) {
        return proofs;
    }
    let place = match Place::new(name, cccc) {
        Ok(place) => Arc::new(place),
        Err(why) => {
            proofs.prove("place", || Err(why));
            return proofs;
        }
    };
    let model = match Model::start(place.root().join("model")) {
        Ok(model) => model,
        Err(why) => {
            proofs.prove("model", || Err(why));
            return proofs;
        }
    };
    let stage = Stage { tools, place: &place, name, agent, port: model.port(), actor: None };
    let seen = tools::prove(&mut proofs, stage, &model);
    if let Some((actor, thread)) = seen {
        identity::prove(&mut proofs, stage, &model, &actor, thread.as_deref());
        if agent.has_hooks() {
            hooks::prove(&mut proofs, stage, &model);
        }
    }
    proofs.prove("ledger", || verified(&place));
    if proofs.failed() {
        let asides = model.log(|log| log.asides().join("\n   "));
        print(&format!("   what else {name} asked of its model:\n   {asides}\n"));
        print(&format!("   everything of this run is in {}\n", place.root().display()));
        drop(model);
        place.keep();
    }
    proofs
}

/// That `cccc setup` registers our server with the agent.
pub(crate) fn set_up(stage: Stage<'_>) -> Result<String, Failure> {
    let Stage { place, tools, name, agent, port, .. } = stage;
    place.furnish(agent, port)?;
    let path = tools.path(name, agent);
    place.cccc_beside(&["setup", "--runtime", name], &path)?;
    place.cccc_beside(&["setup", "--runtime", name, "--check"], &path)?;
    let mut kept = 0;
    for (file, text) in &agent.files {
        let is_comment = |line: &&str| line.starts_with("//") || line.starts_with('#');
        let now = std::fs::read_to_string(place.home().join(file)).unwrap_or_default();
        for comment in text.lines().map(str::trim).filter(is_comment) {
            kept += 1;
            ensure(now.contains(comment), || format!("{file} lost {comment:?}:\n{now}"))?;
        }
    }
    Ok(if kept == 0 { String::new() } else { "the comments of its file are kept".to_owned() })
}

/// That the ledger is sound.
pub(crate) fn verified(place: &Place) -> Result<String, Failure> {
    Ok(place.cccc(&["ledger", "verify"])?.trim().to_owned())
}

/// Whether a condition holds, and else why not.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
