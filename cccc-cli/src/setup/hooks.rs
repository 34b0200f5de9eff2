//! What our hooks look like in an agent's configuration, and what has to change to have them there.
//!
//! An entry is known as ours by the command it runs: `hook EVENT` with `--runtime`, by whatever program.
//! Everything else in the file is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cccc_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog::{Format, Scope, first_of};
use super::edit::{Edit, Input, at};
use super::entry::{line, words};

/// Our names for the moments in which agents run hooks.
pub(crate) const EVENTS: [&str; 6] = ["start", "prompt", BEFORE_TOOL, "tool", "stop", "end"];

/// The moment in which a tool can still be refused.
const BEFORE_TOOL: &str = "before-tool";

/// The argument that makes this program a hook.
const HOOK: &str = "hook";

/// How an agent is told of hooks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hooks {
    user: Option<Files>,
    project: Option<Files>,
    /// How the files are written.
    #[serde(default)]
    pub(crate) format: Format,
    /// The path of the hooks in the file.
    #[serde(default = "hooks_key")]
    key: Vec<String>,
    /// That path in files of other names.
    #[serde(default)]
    keys: BTreeMap<String, Vec<String>>,
    /// What the file must say besides.
    #[serde(default)]
    root: Map<String, Value>,
    #[serde(default)]
    shape: Shape,
    /// The agent's names of our events.
    pub(crate) events: BTreeMap<String, Event>,
    /// Further keys of an entry.
    #[serde(default)]
    fixed: Map<String, Value>,
    /// The key of the command.
    #[serde(default = "command_key")]
    command: String,
    /// The key of the command's arguments, if they are not in one line with it.
    args: Option<String>,
    /// What matches every tool.
    matcher: Option<String>,
    #[serde(default = "timeout_key")]
    timeout_key: String,
    /// After how many seconds the agent gives up.
    #[serde(default = "timeout")]
    timeout: i64,
    /// How many of the units that the file has make a second.
    #[serde(default = "per_second")]
    per_second: i64,
    /// How its hooks read and answer, if not as Claude Code's.
    form: Option<String>,
    /// Arguments of the agent's program that make it a server which is asked to trust hooks.
    #[serde(default)]
    pub(crate) trust: Vec<String>,
    /// What a person should know.
    pub(crate) note: Option<String>,
}

/// Where hooks are described.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    dir: Vec<String>,
    file: Vec<String>,
}

/// An agent's event.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Event {
    Name(String),
    /// One for which the agent allows less time.
    Timed {
        name: String,
        timeout: i64,
    },
}

/// How entries are arranged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shape {
    /// By event a list of groups `{matcher, hooks: [ENTRY]}`.
    #[default]
    Grouped,
    /// By event a list of entries.
    Flat,
    /// One list of entries that name their event.
    Listed,
}

fn hooks_key() -> Vec<String> {
    vec!["hooks".into()]
}

fn command_key() -> String {
    "command".into()
}

fn timeout_key() -> String {
    "timeout".into()
}

fn timeout() -> i64 {
    10
}

fn per_second() -> i64 {
    1
}

impl Event {
    /// The agent's name of it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Timed { name, .. } => name,
        }
    }
}

/// What a person chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Choices {
    /// Tools are refused until mail is read.
    pub(crate) strict: bool,
    /// Edits of files that another actor holds are refused.
    pub(crate) guard: bool,
}

impl Hooks {
    /// Whether the description makes sense; else what is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(event) = self.events.keys().find(|event| !EVENTS.contains(&event.as_str())) {
            return Err(format!("`{event}` is no event; there are {}", EVENTS.join(", ")));
        }
        let empty = |files: &Files| files.dir.is_empty() || files.file.is_empty();
        if [&self.user, &self.project].into_iter().flatten().any(empty) {
            return Err("dir and file may not be empty".into());
        }
        let timed = |event: &Event| matches!(event, Event::Timed { timeout, .. } if *timeout < 1);
        if self.timeout < 1 || self.per_second < 1 || self.events.values().any(timed) {
            return Err("timeouts are at least 1".into());
        }
        if self.key.is_empty() && self.shape == Shape::Listed {
            return Err("a list needs a key".into());
        }
        Ok(())
    }

    /// The file for this scope, if there is one that is known.
    pub(crate) fn path(
        &self,
        scope: Scope,
        variable: &dyn Fn(&str) -> Option<String>,
        here: &Path,
    ) -> Option<Result<PathBuf>> {
        let files = match scope {
            Scope::User => self.user.as_ref(),
            Scope::Project => self.project.as_ref(),
        };
        files.map(|files| first_of(&files.dir, &files.file, variable, here))
    }

    /// Whether a file holds nothing of use any more, and was for hooks alone.
    pub(crate) fn is_spent(&self, file: &Path, value: &Value) -> bool {
        let alone = self.key(file).is_empty() || !self.root.is_empty();
        let others = value
            .as_object()
            .is_none_or(|fields| fields.iter().any(|(key, value)| self.root.get(key) != Some(value)));
        alone && !others
    }

    fn key(&self, file: &Path) -> &[String] {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        self.keys.get(name.as_ref()).unwrap_or(&self.key)
    }
}

/// The hooks that shall be there.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) hooks: &'a Hooks,
    /// The agent's name in the catalog.
    pub(crate) runtime: &'a str,
    /// The program, and what it is told before its command.
    pub(crate) program: &'a [String],
    pub(crate) choices: Choices,
}

/// An entry of ours that is in a file.
#[derive(Debug)]
struct Ours {
    /// Where all of it is.
    path: Vec<String>,
    /// Where the entry itself is: below `path`, in a group.
    entry: Vec<String>,
    /// The agent's event, as the file says.
    under: String,
    words: Vec<String>,
}

/// How the file stands.
#[derive(Debug)]
pub(crate) struct Found {
    /// Whether there is anything of ours.
    pub(crate) any: bool,
    /// What the entries there were told to do.
    pub(crate) choices: Choices,
    /// The programs they run.
    pub(crate) programs: BTreeSet<String>,
}

impl Wanted<'_> {
    /// What is there of ours.
    pub(crate) fn find(&self, file: &Path, value: &Value) -> Found {
        let ours = self.ours(file, value);
        let told = |flag: &str| ours.iter().any(|ours| ours.words.iter().any(|word| word == flag));
        let programs = ours.iter().filter_map(|ours| ours.words.first().cloned()).collect();
        let choices = Choices { strict: told("--strict"), guard: told("--guard") };
        Found { any: !ours.is_empty(), choices, programs }
    }

    /// The changes that put our hooks into a file; none if they are there.
    pub(crate) fn edits(&self, file: &Path, value: &Value) -> Result<Vec<Edit>> {
        let key = self.hooks.key(file);
        let ours = self.ours(file, value);
        let (mut sets, mut pushes, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (name, wanted) in &self.hooks.root {
            if value.get(name).is_none() {
                sets.push(Edit::Set(vec![name.clone()], Input::of(wanted)?));
            }
        }
        for (event, theirs) in self.events() {
            let (whole, list) = self.whole(event, theirs)?;
            let mut good = ours
                .iter()
                .enumerate()
                .filter(|(_, ours)| ours.under == theirs.name() && !self.is_guest(ours, value));
            match good.next() {
                Some((index, ours)) => {
                    overlay(&ours.path, at(value, &ours.path), &whole, &mut sets);
                    kept.push(index);
                }
                None => pushes.push(Edit::Push([key, list.as_slice()].concat(), whole)),
            }
        }
        let others = ours.iter().enumerate().filter(|(index, _)| !kept.contains(index));
        sets.extend(self.removals(others.map(|(_, ours)| ours), value));
        sets.extend(pushes);
        Ok(sets)
    }

    /// The changes that take our hooks out.
    pub(crate) fn removal(&self, file: &Path, value: &Value) -> Vec<Edit> {
        self.removals(self.ours(file, value).iter(), value)
    }

    /// The hooks as the only thing in a file.
    pub(crate) fn alone(&self, file: &Path) -> Result<Vec<Edit>> {
        self.edits(file, &Value::Null)
    }

    /// Whether a command that an agent names is one of these.
    pub(crate) fn is_ours(command: &str) -> bool {
        ours(&words(command))
    }

    /// The events that are entered.
    fn events(&self) -> impl Iterator<Item = (&'static str, &Event)> {
        let before = self.choices.strict || self.choices.guard;
        let chosen = EVENTS.into_iter().filter(move |event| before || *event != BEFORE_TOOL);
        chosen.filter_map(|event| Some((event, self.hooks.events.get(event)?)))
    }

    /// What the hook of an event runs.
    fn command(&self, event: &str) -> Vec<String> {
        let mut words = self.program.to_vec();
        words.extend([HOOK, event, "--runtime", self.runtime].map(str::to_owned));
        if let Some(form) = &self.hooks.form {
            words.extend(["--form".to_owned(), form.clone()]);
        }
        if event == BEFORE_TOOL {
            let flags = [(self.choices.strict, "--strict"), (self.choices.guard, "--guard")];
            words.extend(flags.into_iter().filter(|(chosen, _)| *chosen).map(|(_, flag)| flag.to_owned()));
        }
        words
    }

    /// What is added for an event, and to which list below the key of the hooks.
    fn whole(&self, event: &str, theirs: &Event) -> Result<(Input, Vec<String>)> {
        let hooks = self.hooks;
        let matcher = hooks.matcher.clone().filter(|_| event.ends_with("tool"));
        let matcher = matcher.map(|matcher| ("matcher".to_owned(), Input::Text(matcher)));
        let name = theirs.name().to_owned();
        let entry = self.entry(event, theirs)?;
        Ok(match hooks.shape {
            Shape::Grouped => {
                let list = ("hooks".to_owned(), Input::List(vec![Input::Table(entry)]));
                (Input::Table(matcher.into_iter().chain([list]).collect()), vec![name])
            }
            Shape::Flat => (Input::Table(matcher.into_iter().chain(entry).collect()), vec![name]),
            Shape::Listed => {
                let event = ("event".to_owned(), Input::Text(name));
                (Input::Table([event].into_iter().chain(matcher).chain(entry).collect()), Vec::new())
            }
        })
    }

    fn entry(&self, event: &str, theirs: &Event) -> Result<Vec<(String, Input)>> {
        let hooks = self.hooks;
        let mut fields = Vec::new();
        for (key, value) in &hooks.fixed {
            fields.push((key.clone(), Input::of(value)?));
        }
        let words = self.command(event);
        match (&hooks.args, words.split_first()) {
            (Some(key), Some((program, args))) => {
                fields.push((hooks.command.clone(), Input::Text(program.clone())));
                fields.push((key.clone(), Input::texts(args)));
            }
            _ => fields.push((hooks.command.clone(), Input::Text(line(&words)))),
        }
        let seconds = match theirs {
            Event::Name(_) => hooks.timeout,
            Event::Timed { timeout, .. } => *timeout,
        };
        fields.push((hooks.timeout_key.clone(), Input::Number(seconds.saturating_mul(hooks.per_second))));
        Ok(fields)
    }

    /// Our entries that are in a file.
    fn ours(&self, file: &Path, value: &Value) -> Vec<Ours> {
        let key = self.hooks.key(file);
        let Some(hooks) = at(value, key) else { return Vec::new() };
        let mut found = Vec::new();
        let mut look = |path: Vec<String>, entry: Vec<String>, under: &str| {
            let words = at(value, &entry).map(|entry| self.words(entry)).unwrap_or_default();
            if ours(&words) {
                found.push(Ours { path, entry, under: under.to_owned(), words });
            }
        };
        let below = |path: &[String], steps: &[&str]| {
            path.iter().cloned().chain(steps.iter().map(|step| (*step).to_owned())).collect::<Vec<_>>()
        };
        match (self.hooks.shape, hooks) {
            (Shape::Listed, Value::Array(entries)) => {
                for (index, entry) in entries.iter().enumerate() {
                    let path = below(key, &[&index.to_string()]);
                    look(path.clone(), path, entry.get("event").and_then(Value::as_str).unwrap_or_default());
                }
            }
            (Shape::Flat | Shape::Grouped, Value::Object(events)) => {
                for (event, list) in events {
                    for (index, element) in list.as_array().into_iter().flatten().enumerate() {
                        let path = below(key, &[event, &index.to_string()]);
                        if self.hooks.shape == Shape::Flat {
                            look(path.clone(), path, event);
                            continue;
                        }
                        let entries = element.get("hooks").and_then(Value::as_array).map_or(0, Vec::len);
                        for entry in 0..entries {
                            look(path.clone(), below(&path, &["hooks", &entry.to_string()]), event);
                        }
                    }
                }
            }
            _ => {}
        }
        found
    }

    /// What an entry runs.
    fn words(&self, entry: &Value) -> Vec<String> {
        let command = entry.get(&self.hooks.command).and_then(Value::as_str).unwrap_or_default();
        let args = self.hooks.args.as_ref().and_then(|key| entry.get(key)).and_then(Value::as_array);
        match args {
            Some(args) => {
                let args = args.iter().filter_map(Value::as_str).map(str::to_owned);
                std::iter::once(command.to_owned()).chain(args).collect()
            }
            None => words(command),
        }
    }

    /// Whether an entry of ours is in a group that has others, or not as the first.
    fn is_guest(&self, ours: &Ours, value: &Value) -> bool {
        if ours.entry == ours.path {
            return false;
        }
        let group = at(value, &ours.path).and_then(|group| group.get("hooks"));
        group.and_then(Value::as_array).is_none_or(|entries| entries.len() != 1)
    }

    /// The changes that take entries out, the last first, because what is behind one moves up.
    fn removals<'a>(&self, ours: impl Iterator<Item = &'a Ours>, value: &Value) -> Vec<Edit> {
        let paths = ours.map(|ours| if self.is_guest(ours, value) { &ours.entry } else { &ours.path });
        let mut paths: Vec<&Vec<String>> = paths.collect();
        let place = |path: &Vec<String>| {
            path.iter().map(|step| (step.parse::<usize>().ok(), step.clone())).collect::<Vec<_>>()
        };
        paths.sort_by_key(|path| std::cmp::Reverse(place(path)));
        paths.into_iter().cloned().map(Edit::Remove).collect()
    }
}

/// Whether these words run one of our hooks.
fn ours(words: &[String]) -> bool {
    let Some(at) = words.iter().position(|word| word == HOOK) else { return false };
    let event = words.get(at + 1).is_some_and(|event| EVENTS.contains(&event.as_str()));
    at > 0 && event && words.get(at + 2).is_some_and(|word| word == "--runtime")
}

/// The changes that make a value say all that is wanted. What else it says stays.
fn overlay(path: &[String], old: Option<&Value>, wanted: &Input, edits: &mut Vec<Edit>) {
    let below = |step: String| path.iter().cloned().chain([step]).collect::<Vec<_>>();
    match (wanted, old) {
        (Input::Table(fields), Some(Value::Object(old))) => {
            for (key, wanted) in fields {
                overlay(&below(key.clone()), old.get(key), wanted, edits);
            }
        }
        (Input::List(values), Some(Value::Array(old)))
            if values.len() == old.len() && old.iter().all(Value::is_object) =>
        {
            for (index, (wanted, old)) in values.iter().zip(old).enumerate() {
                overlay(&below(index.to_string()), Some(old), wanted, edits);
            }
        }
        (Input::Number(wanted), Some(Value::String(old))) if *old == wanted.to_string() => {}
        (wanted, Some(old)) if wanted.value() == *old => {}
        _ => edits.push(Edit::Set(path.to_owned(), wanted.clone())),
    }
}
