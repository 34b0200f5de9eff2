//! Where a server works and who it is, as told by whoever starts it.

use std::path::PathBuf;

use cccc_core::{Home, HomeOptions, Process, Result};

use crate::runtime::{self, Runtimes};

/// The variable that names the group.
const GROUP_VARIABLE: &str = "CCCC_GROUP_ID";
/// The variable that names the actor.
const ACTOR_VARIABLE: &str = "CCCC_ACTOR_ID";
/// The variable that switches on notifications through Claude Code's channels, with `1`.
const CHANNEL_VARIABLE: &str = "CCCC_CHANNEL";
/// The variable that names packs of tools to begin with, by commas.
const PACKS_VARIABLE: &str = "CCCC_PACKS";
/// The variables in which programs tell a server which session of theirs starts it.
const SESSION_VARIABLES: [(&str, &str); 1] = [("copilot", "COPILOT_AGENT_SESSION_ID")];

/// Where a server works and who it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The directory of all groups.
    pub home: PathBuf,
    /// How it is opened.
    pub home_options: HomeOptions,
    /// The directory in which the agent works; the group is found by it.
    pub directory: PathBuf,
    /// The group, if it is not that of the directory.
    pub group: Option<String>,
    /// Who it is, as said for this server alone.
    pub actor: Option<String>,
    /// Who it is, as the environment says, which may be somebody else's.
    pub inherited_actor: Option<String>,
    /// The program that embodies it. Default: as the client says of itself.
    pub runtime: Option<String>,
    /// The programs that are known by how their clients name themselves. Default: none.
    pub runtimes: Runtimes,
    /// The program that embodies it as far as marks in the environment tell, if the client does not say.
    pub marked_runtime: Option<String>,
    /// That program's own id of its session. The environment is no place to look for it in general: what programs
    /// say there is meant for the commands they run, and a server that finds it was started by one of those.
    pub agent_session: Option<String>,
    /// What the environment says of sessions of programs that set it anew for each server that they start, by
    /// program; it counts only if the client is that program.
    pub told_sessions: Vec<(String, String)>,
    /// Whether the client was told to show what comes through a channel.
    pub channel: bool,
    /// Packs of tools that are on from the beginning.
    pub packs: Vec<String>,
    /// The process that started this server, which is the agent's program.
    pub program: Option<Process>,
    /// The processes above this one, nearest first.
    pub above: Vec<Process>,
}

impl Options {
    /// In this home and directory, with nothing else said.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            home_options: HomeOptions::default(),
            directory: directory.into(),
            group: None,
            actor: None,
            inherited_actor: None,
            runtime: None,
            runtimes: Runtimes::default(),
            marked_runtime: None,
            agent_session: None,
            told_sessions: Vec::new(),
            channel: false,
            packs: Vec::new(),
            program: None,
            above: Vec::new(),
        }
    }

    /// As the environment and the working directory of this process say.
    ///
    /// # Errors
    /// `Invalid` if there is no home directory, or if a variable that names home, group or actor is no plain text;
    /// `Unavailable` if there is no working directory.
    pub fn from_environment() -> Result<Self> {
        let directory = std::env::current_dir().map_err(|error| {
            cccc_core::Error::unavailable(format!("the working directory is not known: {error}"))
        })?;
        Ok(Self {
            group: cccc_core::variable(GROUP_VARIABLE)?,
            inherited_actor: cccc_core::agent_name(cccc_core::variable(ACTOR_VARIABLE)?),
            runtime: variable(runtime::VARIABLE),
            channel: variable(CHANNEL_VARIABLE).is_some_and(|value| value == "1"),
            packs: variable(PACKS_VARIABLE)
                .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect())
                .unwrap_or_default(),
            told_sessions: SESSION_VARIABLES
                .into_iter()
                .filter_map(|(program, name)| Some((program.to_owned(), variable(name)?)))
                .collect(),
            program: Process::caller(),
            above: Process::ancestors(),
            ..Self::new(Home::default_path()?, directory)
        })
    }
}

impl Options {
    /// What the environment says of the session of this program.
    pub(crate) fn told_session(&self, program: &str) -> Option<String> {
        self.told_sessions.iter().find(|(of, _)| of == program).map(|(_, id)| id.clone())
    }
}

/// A variable of the environment; empty is as good as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
