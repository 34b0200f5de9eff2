//! What our entry in an agent's list of servers looks like, and what has to change to have it there.

use std::collections::BTreeMap;

use cccc_core::Result;
use serde_json::Value;

use super::catalog::{Place, Shape};
use super::edit::{Edit, Input, at};

/// The name under which agents know the server.
pub(crate) const NAME: &str = "cccc";

/// The argument that makes this program the server.
const SERVER: &str = "mcp";

/// Keys of a server that is reached over the network; an entry that names a program has none of them.
const REMOTE: [&str; 4] = ["url", "httpUrl", "serverUrl", "headers"];

/// What shall be registered.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The program.
    pub(crate) command: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Variables to set for it; others that an entry has stay.
    pub(crate) env: BTreeMap<String, String>,
}

/// What is registered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// Nothing under our name.
    Nothing,
    /// Just what is wanted.
    Wanted,
    /// Ours, but with another program, arguments or variables.
    Stale,
    /// Something else that has our name; what it runs.
    Foreign(String),
}

impl Wanted {
    /// This server, run by this program.
    pub(crate) fn new(command: String, env: BTreeMap<String, String>) -> Self {
        Self { command, args: vec![SERVER.into()], env }
    }

    /// What a file says about it.
    pub(crate) fn find(&self, place: &Place, file: &Value) -> Found {
        let Some(entry) = at(file, &path(place)) else { return Found::Nothing };
        let run = place.nest.as_ref().map_or(Some(entry), |nest| entry.get(nest));
        let Some((command, args)) = run.and_then(|run| running(place, run)) else {
            return Found::Foreign("something that is not a program".into());
        };
        let ours = args.first().is_some_and(|arg| arg == SERVER) || stem(&command) == NAME;
        if !ours {
            return Found::Foreign(command);
        }
        let env = run.and_then(|run| run.get(&place.env_key));
        let same_env = self.env.iter().all(|(key, value)| {
            env.and_then(|env| env.get(key)).and_then(Value::as_str) == Some(value.as_str())
        });
        let remote = run.is_some_and(|run| REMOTE.iter().any(|key| run.get(key).is_some()));
        if command == self.command && args == self.args && same_env && !remote {
            Found::Wanted
        } else {
            Found::Stale
        }
    }

    /// The changes that make a file say what is wanted. What else an entry says stays.
    pub(crate) fn edits(&self, place: &Place, file: &Value) -> Result<Vec<Edit>> {
        let path = path(place);
        let Some(entry) = at(file, &path) else {
            return Ok(vec![Edit::Set(path, self.entry(place)?)]);
        };
        let mut at_run = path;
        at_run.extend(place.nest.clone());
        let run = place.nest.as_ref().map_or(Some(entry), |nest| entry.get(nest));
        let below = |key: &str| [at_run.as_slice(), &[key.to_owned()]].concat();
        let mut edits = Vec::new();
        for (key, input) in self.run(place) {
            let old = run.and_then(|run| run.get(&key));
            match input {
                // Only the variables that are ours.
                Input::Table(fields) if old.is_some_and(Value::is_object) => {
                    for (name, input) in fields {
                        if old.and_then(|old| old.get(&name)) != Some(&input.value()) {
                            edits.push(Edit::Set([below(&key), vec![name]].concat(), input));
                        }
                    }
                }
                input if old != Some(&input.value()) => edits.push(Edit::Set(below(&key), input)),
                _ => {}
            }
        }
        let remote = REMOTE.iter().filter(|key| run.is_some_and(|run| run.get(**key).is_some()));
        edits.extend(remote.map(|key| Edit::Remove(below(key))));
        Ok(edits)
    }

    /// The changes that take our entry out.
    pub(crate) fn removal(place: &Place) -> Vec<Edit> {
        vec![Edit::Remove(path(place))]
    }

    /// A new entry.
    fn entry(&self, place: &Place) -> Result<Input> {
        let mut fields = Vec::new();
        let run = self.run(place);
        for (key, value) in &place.fixed {
            fields.push((key.clone(), Input::of(value)?));
        }
        match &place.nest {
            None => fields.extend(run),
            Some(nest) => {
                let kind = ("type".to_owned(), Input::Text("stdio".into()));
                fields.push((nest.clone(), Input::Table([vec![kind], run].concat())));
            }
        }
        Ok(Input::Table(fields))
    }

    /// What says which program to run.
    fn run(&self, place: &Place) -> Vec<(String, Input)> {
        let mut fields = match place.shape {
            Shape::Split => vec![
                ("command".to_owned(), Input::Text(self.command.clone())),
                ("args".to_owned(), Input::texts(&self.args)),
            ],
            Shape::Joined => {
                let all = std::iter::once(&self.command).chain(&self.args);
                vec![("command".to_owned(), Input::texts(all))]
            }
        };
        if !self.env.is_empty() {
            let env = self.env.iter().map(|(key, value)| (key.clone(), Input::Text(value.clone())));
            fields.push((place.env_key.clone(), Input::Table(env.collect())));
        }
        fields
    }

    /// The arguments of the agent's own command.
    pub(crate) fn own_command(&self, place: &Place) -> Vec<String> {
        let mut args = Vec::new();
        for part in &place.add {
            match part.as_str() {
                "{name}" => args.push(NAME.to_owned()),
                "{command}" => args.push(self.command.clone()),
                "{args}" => args.extend(self.args.clone()),
                "{line}" => args.push(line(std::iter::once(&self.command).chain(&self.args))),
                "{args_line}" => args.push(line(&self.args)),
                "{env}" => {
                    for (key, value) in &self.env {
                        args.extend([place.env_flag.clone(), format!("{key}={value}")]);
                    }
                }
                other => args.push(other.to_owned()),
            }
        }
        args
    }

    /// What a person can paste where servers are configured as most agents do.
    pub(crate) fn snippet(&self) -> String {
        let mut entry = serde_json::json!({ "command": self.command, "args": self.args });
        if let (false, Some(fields)) = (self.env.is_empty(), entry.as_object_mut()) {
            fields.insert("env".into(), serde_json::json!(self.env));
        }
        format!("{:#}", serde_json::json!({ "mcpServers": { NAME: entry } }))
    }
}

/// Words as a shell takes them.
pub(super) fn line<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    words.into_iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The words of a line, as a shell takes it apart. What it would replace is left as it is.
pub(super) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            // A path of Windows is no escape.
            (None | Some('"'), '\\') if !cfg!(windows) => {
                word.extend(chars.next());
                begun = true;
            }
            (None, c) if c.is_whitespace() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Where our entry is.
fn path(place: &Place) -> Vec<String> {
    [place.key.as_slice(), &[NAME.to_owned()]].concat()
}

/// What is registered, as it would be started.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
}

/// What a file says to start, if it says so under our name.
pub(crate) fn registered(place: &Place, file: &Value) -> Option<Registered> {
    let entry = at(file, &path(place))?;
    let run = place.nest.as_ref().map_or(Some(entry), |nest| entry.get(nest))?;
    let (command, args) = running(place, run)?;
    let env = run.get(&place.env_key).and_then(Value::as_object).into_iter().flatten();
    let env = env.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    Some(Registered { command, args, env })
}

/// The program and the arguments that an entry names.
fn running(place: &Place, run: &Value) -> Option<(String, Vec<String>)> {
    let texts = |value: &Value| {
        let texts = value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    };
    match place.shape {
        Shape::Split => {
            let args = run.get("args").map_or(Some(Vec::new()), texts)?;
            Some((run.get("command")?.as_str()?.to_owned(), args))
        }
        Shape::Joined => {
            let mut all = texts(run.get("command")?)?.into_iter();
            Some((all.next()?, all.collect()))
        }
    }
}

/// The name of a program without directory and extension.
fn stem(command: &str) -> &str {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    name.strip_suffix(".exe").unwrap_or(name)
}
