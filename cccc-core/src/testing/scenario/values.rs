//! Names for what was answered: kept, and put in where a scenario uses them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::matching;
use super::verbs::{Shape, Verb};
use crate::time::Timestamp;

/// The fields by which an answer is known; `$name` alone means the first of them that it has.
const IDENTITIES: [&str; 9] = [
    "event_id",
    "task_id",
    "vote_id",
    "approval_id",
    "reservation_id",
    "schedule_id",
    "actor_id",
    "group_id",
    "session",
];

/// What answers were kept.
#[derive(Debug)]
pub(super) struct Values {
    start: Timestamp,
    saved: BTreeMap<String, Value>,
}

impl Values {
    pub(super) fn new(start: Timestamp) -> Self {
        Self { start, saved: BTreeMap::new() }
    }

    pub(super) fn save(&mut self, name: &str, answer: Value) {
        self.saved.insert(name.to_owned(), answer);
    }

    /// Compares an answer with what is expected of it.
    pub(super) fn check(&self, expected: &Value, answer: &Value) -> Result<(), String> {
        let expected = self.put_in(expected)?;
        matching::check(&expected, answer, self.start)
            .map_err(|difference| format!("{difference}\n  expected: {expected}\n  came:     {answer}"))
    }

    /// Arguments with names replaced and repetitions written out.
    pub(super) fn arguments(
        &self,
        with: &Map<String, Value>,
        verb: &Verb,
    ) -> Result<Map<String, Value>, String> {
        let argument = |(name, value): (&String, &Value)| {
            let listed = verb
                .argument(name)
                .is_some_and(|argument| matches!(argument.shape, Shape::Texts | Shape::Files));
            let value = match repetition(value) {
                Some((text, times)) if listed => json!(vec![self.put_into_text(text)?; times]),
                Some((text, times)) => json!(self.put_into_text(text)?.repeat(times)),
                None => self.put_in(value)?,
            };
            Ok((name.clone(), value))
        };
        with.iter().map(argument).collect()
    }

    /// What a reference stands for, as text.
    pub(super) fn text(&self, reference: &str) -> Result<String, String> {
        Ok(match self.put_in(&json!(reference))? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    fn put_in(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(name) if !name.starts_with('{') => self.find(name)?,
                _ => json!(self.put_into_text(text)?),
            },
            Value::Array(values) => {
                values.iter().map(|value| self.put_in(value)).collect::<Result<_, _>>()?
            }
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| Ok((name.clone(), self.put_in(value)?));
                Value::Object(fields.iter().map(field).collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn put_into_text(&self, text: &str) -> Result<String, String> {
        let Some((before, rest)) = text.split_once("${") else { return Ok(text.to_owned()) };
        let (name, after) = rest.split_once('}').ok_or_else(|| format!("{text:?}: `}}` is missing"))?;
        let value = match self.find(name)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(format!("{before}{value}{}", self.put_into_text(after)?))
    }

    fn find(&self, reference: &str) -> Result<Value, String> {
        let mut parts = reference.split('.');
        let name = parts.next().unwrap_or_default();
        let saved = self.saved.get(name).ok_or_else(|| format!("nothing was saved as {name:?}"))?;
        let path: Vec<&str> = parts.collect();
        let found = match path.as_slice() {
            [] if !saved.is_object() => Some(saved),
            [] => IDENTITIES.iter().find_map(|identity| saved.get(identity)),
            path => path.iter().try_fold(saved, |at, part| matching::step(at, part)),
        };
        found.cloned().ok_or_else(|| format!("${reference} is not in {saved}"))
    }
}

/// `{"$repeat": TEXT, "times": N}`, for arguments at and beyond a bound.
pub(super) fn repetition(value: &Value) -> Option<(&str, usize)> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let times = fields.get("times")?.as_u64().and_then(|times| usize::try_from(times).ok())?;
    Some((fields.get("$repeat")?.as_str()?, times))
}

/// The names that a value refers to.
pub(super) fn names(value: &Value, into: &mut Vec<String>) {
    let first = |reference: &str| reference.split(['.', '}']).next().unwrap_or_default().to_owned();
    match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => into.push(first(name)),
            _ => into.extend(text.split("${").skip(1).map(first)),
        },
        Value::Array(values) => values.iter().for_each(|value| names(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| names(value, into)),
        _ => {}
    }
}
