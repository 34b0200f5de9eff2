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
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A table.
    Table(Vec<(String, Self)>),
}

/// A change at a path of keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// This value shall be there; tables on the way to it are made.
    Set(Vec<String>, Input),
    /// Nothing shall be there.
    Remove(Vec<String>),
}

impl Edit {
    fn path(&self) -> &[String] {
        match self {
            Self::Set(path, _) | Self::Remove(path) => path,
        }
    }
}

impl Input {
    /// A value of the catalog.
    ///
    /// # Errors
    /// `Invalid` for numbers and null, which no entry needs.
    pub(crate) fn of(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(values) => Self::List(values.iter().map(Self::of).collect::<Result<_>>()?),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), Self::of(value)?)));
                Self::Table(fields.collect::<Result<_>>()?)
            }
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
    let (mut was, mut is) = (read(format, before)?, read(format, after)?);
    for edit in edits {
        let found = at(&is, edit.path());
        let made = match edit {
            Edit::Set(_, input) => found == Some(&input.value()),
            Edit::Remove(_) => found.is_none(),
        };
        if !made {
            return Err(Error::refused(format!("{} could not be written", edit.path().join("."))));
        }
    }
    for edit in edits {
        take(&mut was, edit.path());
        take(&mut is, edit.path());
    }
    if was != is {
        return Err(Error::refused("the change would have touched something else"));
    }
    kept_comments(format, before, after, edits)
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
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// Removes the value at a path, and the tables on the way that are empty then.
pub(crate) fn take(value: &mut Value, path: &[String]) {
    let (Some(fields), [key, rest @ ..]) = (value.as_object_mut(), path) else { return };
    if rest.is_empty() {
        fields.remove(key);
    } else if let Some(inner) = fields.get_mut(key) {
        take(inner, rest);
        if inner.as_object().is_some_and(Map::is_empty) {
            fields.remove(key);
        }
    }
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
