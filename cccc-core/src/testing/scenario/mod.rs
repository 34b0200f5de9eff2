//! Scenarios: small stories in JSON, run through every frontend, that say what a group must answer.
//!
//! A scenario names who does what at what time, and what is expected to come of it; `docs/scenarios.md` is
//! the format. This module reads them (what it does not know is an error, so that a typing mistake cannot
//! pass), keeps the table of operations, and compares answers. How an operation is carried out is the
//! business of a [`Door`], of which every frontend has one. Time is what the scenario says; nobody sleeps.

pub mod host;
mod matching;
mod read;
mod refusals;
mod values;
mod verbs;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub use read::duration;
pub use refusals::{Site, sites};
pub use verbs::{Answer, Argument, Shape, VERBS, Verb};

use crate::time::Timestamp;
use values::Values;

/// When every scenario begins: a Monday.
pub const START: &str = "2026-01-05T09:00:00Z";

/// The group that is meant where a step names none.
pub const MAIN: &str = "main";

/// The name under which a step that happens several times finds which time it is, from 1.
pub const COUNT: &str = "n";

/// A story and what is expected of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name of its file, without the ending.
    pub name: String,
    /// What it shows, in a sentence.
    pub title: String,
    /// Why that matters.
    pub why: String,
    /// The doors it cannot go through, with the reason.
    pub not_through: BTreeMap<String, String>,
    /// The groups, by the names that the steps give them, with the actors that are added first. `main` is
    /// always one of them.
    pub groups: BTreeMap<String, Vec<Newcomer>>,
    /// Files that are there, by name, with what they say.
    pub files: BTreeMap<String, String>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// An actor that is in the group from the beginning.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// One thing that somebody does.
#[derive(Clone, Debug)]
pub struct Step {
    /// When, after the beginning.
    pub at: Duration,
    /// In whose name.
    pub by: String,
    /// In which group.
    pub group: String,
    /// What.
    pub verb: &'static Verb,
    /// With which arguments.
    pub with: Map<String, Value>,
    /// How often; what is expected is expected of the last time, the others need only succeed.
    pub times: u64,
    /// The name under which the answer is kept.
    pub save: Option<String>,
    /// What comes of it.
    pub expect: Expectation,
}

/// What is expected of a step.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// It succeeds, with an answer that matches.
    Answer(Option<Value>),
    /// It is refused.
    Refusal {
        /// The error's kind.
        kind: String,
        /// A piece of its message.
        message: Value,
        /// A piece of its hint, or null where it has none.
        hint: Value,
    },
}

/// A step as a door is to carry it out: all names are replaced by what they stand for.
#[derive(Debug)]
pub struct Call<'a> {
    /// The time that it is.
    pub now: Timestamp,
    /// In whose name.
    pub by: &'a str,
    /// The id of the group.
    pub group: &'a str,
    /// What is to be done.
    pub verb: &'static Verb,
    /// The arguments, in the shapes that the verb says.
    pub arguments: Map<String, Value>,
}

/// A frontend, as scenarios use it. It begins with an empty home.
pub trait Door {
    /// Its name in `not_through`.
    fn name(&self) -> &'static str;

    /// Makes a group that belongs to no directory; answers its id.
    fn create_group(&mut self, now: Timestamp, title: &str) -> Result<String, Value>;

    /// Makes a file for operations that take one.
    fn write_file(&mut self, name: &str, text: &str);

    /// Carries a step out: its answer, or the error as `{kind, message, hint}`.
    fn perform(&mut self, call: &Call<'_>) -> Result<Value, Value>;
}

/// What was seen while a scenario ran.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The messages of all refusals.
    pub refusals: Vec<String>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// Names file, step and reason.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        read::parse(name, text)
    }

    /// Reads all scenarios of a directory, by name.
    ///
    /// # Errors
    /// All that is wrong with any of them, a line each.
    pub fn all(dir: &Path) -> Result<Vec<Self>, String> {
        let names = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut paths: Vec<_> = names.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        let (mut scenarios, mut wrong) = (Vec::new(), Vec::new());
        for path in paths {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            match Self::parse(&name, &text) {
                Ok(scenario) => scenarios.push(scenario),
                Err(error) => wrong.push(error),
            }
        }
        if wrong.is_empty() { Ok(scenarios) } else { Err(wrong.join("\n")) }
    }

    /// Runs it through a door.
    ///
    /// # Errors
    /// For every step that is wrong: file and step, what was expected and what came.
    pub fn run(&self, door: &mut dyn Door) -> Result<Seen, String> {
        let start: Timestamp = START.parse().map_err(|e| format!("{e}"))?;
        let mut values = Values::new(start);
        for (name, text) in &self.files {
            door.write_file(name, text);
        }
        for (name, actors) in &self.groups {
            self.prepare(door, start, name, actors, &mut values)?;
        }
        let (mut seen, mut wrong) = (Seen::default(), Vec::new());
        for (n, step) in self.steps.iter().enumerate() {
            // The steps after a wrong one may be wrong because of it; still they are worth seeing.
            if let Err(why) = step.run(door, start, &mut values, &mut seen) {
                wrong.push(format!("{}{why}", self.place(n, step)));
            }
        }
        if wrong.is_empty() { Ok(seen) } else { Err(wrong.join("\n")) }
    }

    fn place(&self, n: usize, step: &Step) -> String {
        format!("{}.json, step {} ({} does `{}`): ", self.name, n + 1, step.by, step.verb.name)
    }

    fn prepare(
        &self,
        door: &mut dyn Door,
        now: Timestamp,
        name: &str,
        actors: &[Newcomer],
        values: &mut Values,
    ) -> Result<(), String> {
        let wrong = |what: &str, error: Value| format!("{}.json: {what} of group {name}: {error}", self.name);
        let group = door.create_group(now, name).map_err(|error| wrong("the making", error))?;
        for actor in actors {
            let mut arguments = Map::from_iter([("id".to_owned(), json!(actor.id))]);
            if !actor.labels.is_empty() {
                arguments.insert("label".into(), json!(actor.labels));
            }
            let verb = Verb::named("actor add").ok_or("the table lacks `actor add`")?;
            let call = Call { now, by: "user", group: &group, verb, arguments };
            door.perform(&call).map_err(|error| wrong("an actor", error))?;
        }
        values.save(name, json!({ "group_id": group }));
        Ok(())
    }
}

impl Step {
    fn run(
        &self,
        door: &mut dyn Door,
        start: Timestamp,
        values: &mut Values,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let group = values.text(&format!("${}", self.group))?;
        let mut perform = |n: u64, values: &mut Values| -> Result<Result<Value, Value>, String> {
            values.save(COUNT, json!(n));
            let arguments = values.arguments(&self.with, self.verb)?;
            let (now, by, group) = (start.after(self.at), self.by.as_str(), group.as_str());
            Ok(door.perform(&Call { now, by, group, verb: self.verb, arguments }))
        };
        for n in 1..self.times {
            perform(n, values)?.map_err(|error| format!("refused, as number {n}: {error}"))?;
        }
        match (&self.expect, perform(self.times, values)?) {
            (Expectation::Answer(expected), Ok(answer)) => {
                if let Some(expected) = expected {
                    values.check(expected, &answer)?;
                }
                if let Some(name) = &self.save {
                    values.save(name, answer);
                }
                Ok(())
            }
            (Expectation::Answer(_), Err(error)) => Err(format!("refused: {error}")),
            (Expectation::Refusal { .. }, Ok(answer)) => {
                Err(format!("expected to be refused, and it was not: {answer}"))
            }
            (Expectation::Refusal { kind, message, hint }, Err(error)) => {
                seen.refusals.extend(error.get("message").and_then(Value::as_str).map(str::to_owned));
                let piece = |piece: &Value| match piece {
                    Value::Null => Value::Null,
                    piece => json!({ "$contains": piece }),
                };
                values.check(&json!({"kind": kind, "message": piece(message), "hint": piece(hint)}), &error)
            }
        }
    }
}
