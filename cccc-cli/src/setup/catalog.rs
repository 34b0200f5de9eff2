//! Which agents there are and where each keeps its MCP servers, as data.
//!
//! The packaged `runtimes.toml` says so, a file of that name in the home adds to it. Nothing here looks at
//! an agent's own files, and no code elsewhere names an agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cccc_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::hooks::Hooks;

/// What comes with the program; its head describes the format.
const PACKAGED: &str = include_str!("runtimes.toml");

/// The name of the file in the home.
const OVERLAY: &str = "runtimes.toml";
/// The largest such file that is read, in bytes.
const MAX_OVERLAY_BYTES: u64 = 1 << 20;

/// All agents that are known, by name.
#[derive(Debug)]
pub(crate) struct Catalog {
    runtimes: BTreeMap<String, Runtime>,
}

/// An agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runtime {
    /// What people call it.
    pub(crate) title: String,
    /// Names of its program.
    #[serde(default)]
    pub(crate) programs: Vec<String>,
    /// Arguments that make the program print its version.
    #[serde(default = "version")]
    pub(crate) version: Vec<String>,
    /// How a person registers a server where this program cannot.
    pub(crate) prompt: Option<String>,
    user: Option<Place>,
    project: Option<Place>,
    /// Its hooks, where it has some that are known.
    pub(crate) hooks: Option<Hooks>,
    /// Environment variables that the server gets besides.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// How all this is known.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the manual, which a test writes"))]
    pub(super) checked: Option<String>,
    /// Words of the names by which its MCP clients name themselves; its name here if there are none.
    #[serde(default)]
    pub(crate) clients: Vec<String>,
    /// Whether each of its processes is one session.
    #[serde(default)]
    pub(crate) one_session: bool,
}

/// Where an agent keeps its MCP servers, and how it writes one down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(super) dir: Vec<String>,
    pub(super) file: Vec<String>,
    /// How the file is written.
    pub(crate) format: Format,
    /// The path of the table of servers.
    pub(crate) key: Vec<String>,
    /// Where in a server's table its command is.
    pub(crate) nest: Option<String>,
    /// How the command is written.
    #[serde(default)]
    pub(crate) shape: Shape,
    /// The name of the table of environment variables.
    #[serde(default = "env_key")]
    pub(crate) env_key: String,
    /// Further keys of a new entry.
    #[serde(default)]
    pub(crate) fixed: Map<String, Value>,
    /// Arguments of the agent's own command that registers a server; empty if there is none.
    #[serde(default)]
    pub(crate) add: Vec<String>,
    /// What that command wants before a variable.
    #[serde(default = "env_flag")]
    pub(crate) env_flag: String,
    /// What a person should know.
    pub(crate) note: Option<String>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// JSON; comments and trailing commas are allowed.
    #[default]
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// How an entry says what to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// `command` is the program, `args` the list of its arguments.
    #[default]
    Split,
    /// `command` is one list.
    Joined,
}

/// For whom a server is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// The person, wherever they work
    User,
    /// Whoever works in this directory
    Project,
}

fn version() -> Vec<String> {
    vec!["--version".into()]
}

fn env_key() -> String {
    "env".into()
}

fn env_flag() -> String {
    "-e".into()
}

impl Catalog {
    /// The packaged agents, with what the home's file adds or changes.
    ///
    /// # Errors
    /// `Invalid` if that file is not TOML or does not describe agents; nothing is guessed then.
    pub(crate) fn load(home: &Path) -> Result<Self> {
        let path = home.join(OVERLAY);
        match cccc_core::read_file(&path, MAX_OVERLAY_BYTES) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::read(Some((&path, &text))),
                Err(_) => Err(Error::invalid(format!("{} is not UTF-8 text", path.display()))),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Self::read(None),
            Err(error) => Err(error),
        }
    }

    fn read(overlay: Option<(&Path, &str)>) -> Result<Self> {
        let mut tables = parse(PACKAGED, Path::new(OVERLAY))?;
        let mut place = Path::new(OVERLAY);
        if let Some((path, text)) = overlay {
            merge(&mut tables, parse(text, path)?);
            place = path;
        }
        let mut runtimes = BTreeMap::new();
        for (name, table) in tables {
            let runtime: Runtime = serde_json::from_value(table)
                .map_err(|e| Error::invalid(format!("{}: [{name}]: {e}", place.display())))?;
            for place_of in [&runtime.user, &runtime.project].into_iter().flatten() {
                if place_of.dir.is_empty() || place_of.file.is_empty() || place_of.key.is_empty() {
                    return Err(Error::invalid(format!(
                        "{}: [{name}]: dir, file and key may not be empty",
                        place.display()
                    )));
                }
            }
            if let Some(hooks) = &runtime.hooks {
                hooks
                    .check()
                    .map_err(|e| Error::invalid(format!("{}: [{name}.hooks]: {e}", place.display())))?;
            }
            runtimes.insert(name, runtime);
        }
        Ok(Self { runtimes })
    }

    /// An agent by name.
    pub(crate) fn runtime(&self, name: &str) -> Result<(&str, &Runtime)> {
        self.runtimes.get_key_value(name).map(|(name, runtime)| (name.as_str(), runtime)).ok_or_else(|| {
            let names: Vec<&str> = self.runtimes.keys().map(String::as_str).collect();
            Error::not_found(format!("no runtime is called {name}")).hint(format!(
                "known are {}; more can be described in {OVERLAY} in the home",
                names.join(", ")
            ))
        })
    }

    /// All of them, in the order of their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Runtime)> {
        self.runtimes.iter().map(|(name, runtime)| (name.as_str(), runtime))
    }
}

/// What the server needs to know of them. A home's file that is wrong is as none: `cccc setup` complains of it,
/// while an agent that works could do nothing about it.
pub(crate) fn runtimes(home: &Path) -> Vec<cccc_mcp::Runtime> {
    let catalog = Catalog::load(home).or_else(|_| Catalog::read(None));
    let runtimes = catalog.iter().flat_map(Catalog::all);
    let known = runtimes.filter(|(_, runtime)| !runtime.programs.is_empty()).map(|(name, runtime)| {
        let clients = match runtime.clients.is_empty() {
            true => vec![name.to_owned()],
            false => runtime.clients.iter().map(|word| word.to_lowercase()).collect(),
        };
        cccc_mcp::Runtime { name: name.to_owned(), clients, one_session: runtime.one_session }
    });
    known.collect()
}

fn parse(text: &str, path: &Path) -> Result<Map<String, Value>> {
    toml_edit::de::from_str(text).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
}

/// Puts the values of `over` over those of `under`, table by table.
fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

impl Runtime {
    /// Where its servers for this scope are.
    pub(crate) fn place(&self, scope: Scope) -> Option<&Place> {
        match scope {
            Scope::User => self.user.as_ref(),
            Scope::Project => self.project.as_ref(),
        }
    }
}

impl Place {
    /// The file, given what variables are set (`HOME` is one of them), for a working directory.
    pub(crate) fn path(&self, variable: &dyn Fn(&str) -> Option<String>, here: &Path) -> Result<PathBuf> {
        first_of(&self.dir, &self.file, variable, here)
    }
}

/// The file that counts of those that may be there, given what variables are set.
pub(super) fn first_of(
    dirs: &[String],
    files: &[String],
    variable: &dyn Fn(&str) -> Option<String>,
    here: &Path,
) -> Result<PathBuf> {
    let dir = dirs.iter().find_map(|dir| expand(dir, variable)).ok_or_else(|| {
        Error::unavailable(format!("none of the directories {} is known", dirs.join(", "))).hint("set HOME")
    })?;
    let dir = here.join(dir);
    let files = || files.iter().map(|file| dir.join(file));
    let found = files().find(|path| path.symlink_metadata().is_ok());
    Ok(found.or_else(|| files().next()).unwrap_or(dir))
}

/// A path with `~` and `${VARIABLE}` at its beginning replaced; `None` if that is not set.
fn expand(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let (name, rest) = if let Some(rest) = path.strip_prefix("${") {
        rest.split_once('}')?
    } else if let Some(rest) = path.strip_prefix('~') {
        (HOME, rest)
    } else {
        return Some(path.into());
    };
    let base = PathBuf::from(variable(name)?);
    let rest = rest.trim_start_matches('/');
    Some(if rest.is_empty() { base } else { base.join(rest) })
}

/// The variable with the person's home.
const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

#[cfg(test)]
mod tests {
    use super::*;

    /// The agents that `cccc setup` promises.
    const PROMISED: [&str; 18] = [
        "amp",
        "antigravity",
        "auggie",
        "claude",
        "codex",
        "copilot",
        "cursor",
        "custom",
        "devin",
        "droid",
        "gemini",
        "grok",
        "hermes",
        "kilo",
        "kimi",
        "kiro",
        "opencode",
        "qwen",
    ];

    #[test]
    fn the_packaged_catalog_has_the_promised_agents() {
        let catalog = Catalog::read(None).unwrap();
        assert_eq!(catalog.all().map(|(name, _)| name).collect::<Vec<_>>(), PROMISED);
        for (name, runtime) in catalog.all() {
            let places = [Scope::User, Scope::Project].map(|scope| runtime.place(scope));
            assert!(places.iter().any(Option::is_some) || runtime.prompt.is_some(), "{name} has no way in");
        }
    }

    #[test]
    fn the_server_knows_every_agent_by_its_clients() {
        let home = tempfile::tempdir().unwrap();
        let known = runtimes(home.path());
        let of = |word: &str| {
            let found = known.iter().find(|runtime| runtime.clients.iter().any(|client| client == word));
            found.map(|runtime| (runtime.name.as_str(), runtime.one_session))
        };
        assert_eq!(of("claude"), Some(("claude", true)));
        assert_eq!(of("factory"), Some(("droid", false)));
        assert_eq!((of("kilocode"), of("augment")), (Some(("kilo", false)), Some(("auggie", false))));
        assert_eq!((of("another"), of("custom")), (None, None));
        std::fs::write(home.path().join(OVERLAY), "[mine]\ntitle = \"M\"\nprograms = [\"m\"]").unwrap();
        assert_eq!(runtimes(home.path()).len(), known.len() + 1);
        std::fs::write(home.path().join(OVERLAY), "[mine").unwrap();
        assert_eq!(runtimes(home.path()), known);
    }

    #[test]
    fn the_homes_file_wins_field_by_field() {
        let overlay = "[claude.user]\nfile = [\"moved.json\"]\n[mine]\ntitle = \"Mine\"\nprompt = \"x\"";
        let catalog = Catalog::read(Some((Path::new("o"), overlay))).unwrap();
        let claude = catalog.runtime("claude").unwrap().1;
        let home = |name: &str| (name == HOME).then(|| "/h".to_owned());
        let path = claude.place(Scope::User).unwrap().path(&home, Path::new("/w")).unwrap();
        assert_eq!((path, claude.title.as_str()), (PathBuf::from("/h/moved.json"), "Claude Code"));
        assert_eq!(catalog.runtime("mine").unwrap().1.title, "Mine");
    }

    #[test]
    fn a_wrong_homes_file_is_refused_with_its_place() {
        for (overlay, what) in [
            ("[claude", "line 1"),
            ("[claude]\ncolour = 1", "[claude]: unknown field `colour`"),
            ("[mine]\nprograms = []", "[mine]: missing field `title`"),
            ("[claude.user]\nkey = []", "[claude]: dir, file and key may not be empty"),
        ] {
            let error = Catalog::read(Some((Path::new("over.toml"), overlay))).unwrap_err().to_string();
            assert!(error.contains("over.toml: ") && error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_variable_that_is_set_moves_the_directory() {
        let catalog = Catalog::read(None).unwrap();
        let place = catalog.runtime("opencode").unwrap().1.place(Scope::User).unwrap();
        let home = |name: &str| (name == HOME).then(|| "/h".to_owned());
        let both = |name: &str| Some(if name == HOME { "/h" } else { "/x" }.to_owned());
        let here = Path::new("/w");
        assert_eq!(place.path(&home, here).unwrap(), Path::new("/h/.config/opencode/opencode.jsonc"));
        assert_eq!(place.path(&both, here).unwrap(), Path::new("/x/opencode/opencode.jsonc"));
        let of_project = catalog.runtime("claude").unwrap().1.place(Scope::Project).unwrap();
        assert_eq!(of_project.path(&home, here).unwrap(), Path::new("/w/.mcp.json"));
    }
}
