//! The agents as data: `agents.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Failure;

/// An agent that the suite can run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agent {
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) program: String,
    /// Whether the package is one of Python's, for pip.
    #[serde(default)]
    pub(crate) python: bool,
    /// Where in the package's own directory the program is, if npm does not link it.
    pub(crate) dir: Option<String>,
    /// The only platform that it is for.
    pub(crate) only: Option<String>,
    #[serde(default)]
    pub(crate) default: bool,
    pub(crate) drive: Drive,
    #[serde(default)]
    pub(crate) run: Vec<String>,
    /// The arguments for sessions by the Agent Client Protocol.
    pub(crate) acp: Option<Vec<String>>,
    pub(crate) list: Option<List>,
    pub(crate) native: Option<Native>,
    #[serde(default)]
    pub(crate) paths: Vec<Path>,
    /// How often it shows the model what a hook said once, by path, where that is more than once.
    #[serde(default)]
    pub(crate) copies: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

/// How a session is held.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Drive {
    Claude,
    Codex,
    Acp,
    Once,
    None,
}

/// How it lists its servers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    pub(crate) args: Vec<String>,
    pub(crate) connected: String,
}

/// A tool of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Native {
    pub(crate) tool: String,
    pub(crate) arguments: String,
}

/// How a message reaches the model.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Path {
    Inbox,
    Start,
    Prompt,
    Tool,
    Stop,
}

impl Path {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Start => "start",
            Self::Prompt => "prompt",
            Self::Tool => "tool",
            Self::Stop => "stop",
        }
    }
}

/// All of them, by name.
pub(crate) fn agents() -> Result<BTreeMap<String, Agent>, Failure> {
    toml_edit::de::from_str(include_str!("../agents.toml")).map_err(|e| format!("agents.toml: {e}"))
}

impl Agent {
    pub(crate) fn claims(&self, path: Path) -> bool {
        self.paths.contains(&path)
    }

    /// How sessions of many prompts are held, if they can be: the kind and the arguments.
    pub(crate) fn long(&self) -> Option<(Drive, &[String])> {
        match (self.drive, &self.acp) {
            (Drive::None, _) | (Drive::Once, None) => None,
            (Drive::Once, Some(run)) => Some((Drive::Acp, run)),
            (drive, _) => Some((drive, &self.run)),
        }
    }

    /// Whether it is for this platform.
    pub(crate) fn is_for_here(&self) -> bool {
        let here = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        self.only.as_ref().is_none_or(|only| *only == here)
    }

    /// Whether it is claimed to be told by any hook.
    pub(crate) fn has_hooks(&self) -> bool {
        self.paths.iter().any(|path| *path != Path::Inbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_are_well_described() {
        let agents = agents().unwrap();
        assert_eq!(agents.values().filter(|agent| agent.default).count(), 4);
        for (name, agent) in &agents {
            assert_eq!(agent.claims(Path::Inbox), agent.drive != Drive::None, "{name}");
            assert_eq!(agent.run.is_empty(), agent.drive == Drive::None, "{name}");
            assert!(agent.version.split('.').count() >= 3, "{name} is pinned");
            let told = agent.run.iter().any(|word| word == "{prompt}");
            assert_eq!(told, agent.drive == Drive::Once, "{name}");
            if let Some(native) = &agent.native {
                serde_json::from_str::<serde_json::Value>(&native.arguments).unwrap();
            }
            assert!(agent.native.is_some() || !agent.has_hooks(), "{name}");
        }
    }
}
