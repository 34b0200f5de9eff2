//! Changing one value of a configuration file and nothing else in it, whatever it is written in.
//!
//! An edit takes a text and gives a text. Comments, order and whatever is not named stay, and that is not
//! only promised: every result is read again and compared with what was there.

use std::fmt::Display;

use cccc_core::{Error, Result};
use serde_json::{Map, Value};

use super::catalog::Format;
use super::{edit_json, edit_toml, edit_yaml};

/// What some editors put in front of a text; it says nothing and stays.
const MARK: &str = "\u{feff}";

/// A value to write. An object's fields keep their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A table.
    Table(Vec<(String, Self)>),
}

/// A change at a path of keys. Within a list a step is a number, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// This value shall be there; tables on the way to it are made.
    Set(Vec<String>, Input),
    /// Nothing shall be there, nor a table or list on the way that would be empty.
    Remove(Vec<String>),
    /// The list that is there shall end with this value; it is made if it is not there.
    Push(Vec<String>, Input),
}

impl Edit {
    fn path(&self) -> &[String] {
        match self {
            Self::Set(path, _) | Self::Remove(path) | Self::Push(path, _) => path,
        }
    }
}

impl Input {
    /// A value of the catalog.
    ///
    /// # Errors
    /// `Invalid` for null and fractions, which no entry needs.
    pub(crate) fn of(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(values) => Self::List(values.iter().map(Self::of).collect::<Result<_>>()?),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), Self::of(value)?)));
                Self::Table(fields.collect::<Result<_>>()?)
            }
            Value::Number(number) if number.is_i64() => Self::Number(number.as_i64().unwrap_or_default()),
            Value::Null | Value::Number(_) => {
                return Err(Error::invalid(format!("{value} cannot be written into a configuration")));
            }
        })
    }

    /// A list of texts.
    pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Self {
        Self::List(texts.into_iter().cloned().map(Self::Text).collect())
    }

    /// The value as it will be read.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(values) => Value::Array(values.iter().map(Self::value).collect()),
            Self::Table(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), value.value())).collect())
            }
        }
    }
}

/// What a file says. An empty one says `{}`.
///
/// # Errors
/// `Invalid` with line and column if it cannot be parsed, or is not a table.
pub(crate) fn read(format: Format, text: &str) -> Result<Value> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let value = match format {
        Format::Json => edit_json::read(text),
        Format::Toml => edit_toml::read(text),
        Format::Yaml => edit_yaml::read(text),
    }?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::invalid("the file is not a table of keys and values"))
    }
}

/// The text with all edits made, one after the other.
///
/// # Errors
/// `Invalid` as [`read`] says, or if something on the way is not a table, and `Refused` if the edits would
/// have changed something else: nothing may be written then.
pub(crate) fn edit(format: Format, text: &str, edits: &[Edit]) -> Result<String> {
    let (mark, rest) = text.strip_prefix(MARK).map_or(("", text), |rest| (MARK, rest));
    let mut edited = rest.to_owned();
    for edit in edits {
        edited = match format {
            Format::Json => edit_json::edit(&edited, edit),
            Format::Toml => edit_toml::edit(&edited, edit),
            Format::Yaml => edit_yaml::edit(&edited, edit),
        }?;
    }
    check(format, rest, &edited, edits)?;
    Ok(format!("{mark}{edited}"))
}

/// That the edits are made, and nothing else has changed.
fn check(format: Format, before: &str, after: &str, edits: &[Edit]) -> Result<()> {
    let (mut should, mut is) = (read(format, before)?, read(format, after)?);
    for edit in edits {
        make(format, &mut should, edit);
    }
    for edit in edits {
        prune(&mut should, edit.path());
        prune(&mut is, edit.path());
    }
    if should != is {
        let what = edits.first().map(|edit| edit.path().join(".")).unwrap_or_default();
        return Err(Error::refused(format!(
            "{what} could not be written, or the change would have touched something else"
        )));
    }
    kept_comments(format, before, after, edits)
}

/// Makes a change in what a file says.
fn make(format: Format, value: &mut Value, edit: &Edit) {
    // Numbers of YAML are compared as they are written.
    let read_back = |input: &Input| match format {
        Format::Yaml => as_written(input.value()),
        Format::Json | Format::Toml => input.value(),
    };
    match edit {
        Edit::Set(path, input) => {
            if let Some(place) = reach(value, path) {
                *place = read_back(input);
            }
        }
        Edit::Push(path, input) => {
            if let Some(place) = reach(value, path) {
                match place {
                    Value::Array(values) => values.push(read_back(input)),
                    place => *place = Value::Array(vec![read_back(input)]),
                }
            }
        }
        Edit::Remove(path) => drop_at(value, path),
    }
}

fn as_written(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(values) => values.into_iter().map(as_written).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, as_written(value))).collect(),
        other => other,
    }
}

/// The place at a path, with tables made on the way.
fn reach<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(values) => values.get_mut(step.parse::<usize>().ok()?),
        Value::Object(fields) => Some(fields.entry(step.clone()).or_insert(Value::Null)),
        Value::Null => {
            *value = Value::Object(Map::new());
            Some(value.as_object_mut()?.entry(step.clone()).or_insert(Value::Null))
        }
        _ => None,
    })
}

fn drop_at(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Object(fields), [key]) => drop(fields.remove(key)),
        (Value::Array(values), [step]) => {
            if let Some(index) = step.parse().ok().filter(|index| *index < values.len()) {
                values.remove(index);
            }
        }
        (Value::Object(fields), [key, rest @ ..]) => {
            if let Some(inner) = fields.get_mut(key) {
                drop_at(inner, rest);
            }
        }
        (Value::Array(values), [step, rest @ ..]) => {
            if let Some(inner) = step.parse::<usize>().ok().and_then(|index| values.get_mut(index)) {
                drop_at(inner, rest);
            }
        }
        _ => {}
    }
}

/// Removes the tables and lists on a path that are empty. Elements of lists stay, or others would move.
fn prune(value: &mut Value, path: &[String]) {
    let [step, rest @ ..] = path else { return };
    match value {
        Value::Object(fields) => {
            if let Some(inner) = fields.get_mut(step) {
                prune(inner, rest);
                if is_empty(inner) {
                    fields.remove(step);
                }
            }
        }
        Value::Array(values) => {
            if let Some(inner) = step.parse::<usize>().ok().and_then(|index| values.get_mut(index)) {
                prune(inner, rest);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// That no comment is lost. What is removed takes those within it along.
fn kept_comments(format: Format, before: &str, after: &str, edits: &[Edit]) -> Result<()> {
    if edits.iter().any(|edit| matches!(edit, Edit::Remove(_))) {
        return Ok(());
    }
    match lost_comment(format, before, after) {
        Some(comment) => Err(Error::refused(format!("the change would have lost the comment `{comment}`"))),
        None => Ok(()),
    }
}

/// A comment on a line of its own that is in the one text and not in the other.
fn lost_comment<'a>(format: Format, before: &'a str, after: &str) -> Option<&'a str> {
    let mark = match format {
        Format::Json => "//",
        Format::Toml | Format::Yaml => "#",
    };
    let comments = |text: &'a str| text.lines().map(str::trim).filter(|line| line.starts_with(mark));
    let kept: Vec<&str> = after.lines().map(str::trim).collect();
    comments(before).find(|comment| !kept.contains(comment))
}

/// Whether there is surely nothing in a text but values: no comment that a less careful hand could lose.
pub(crate) fn is_plain(format: Format, text: &str) -> bool {
    match format {
        Format::Json => text.trim().is_empty() || serde_json::from_str::<Value>(text).is_ok(),
        Format::Toml | Format::Yaml => !text.contains('#'),
    }
}

/// The value at a path.
pub(crate) fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(values) => values.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// The error for what the parser of a format says.
pub(crate) fn broken(why: impl Display) -> Error {
    let why = why.to_string();
    Error::invalid(why.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The error for a value that is in the way.
pub(crate) fn in_the_way(key: &str) -> Error {
    Error::invalid(format!("`{key}` is not a table"))
}

/// The error for a value that should be a list.
pub(crate) fn no_list(key: &str) -> Error {
    Error::invalid(format!("`{key}` is not a list"))
}
