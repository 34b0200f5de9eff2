//! Edits of YAML.

use std::collections::BTreeMap;
use std::str::FromStr;

use cccc_core::Result;
use serde_json::{Map, Value};
use yaml_edit::{Mapping, Sequence, YamlFile, YamlValue};

use super::edit::{Edit, Input, broken, in_the_way, no_list};

pub(super) fn read(text: &str) -> Result<Value> {
    let file = YamlFile::from_str(text).map_err(broken)?;
    let mut documents = file.documents();
    let Some(document) = documents.next() else { return Ok(Value::Object(Map::new())) };
    if documents.next().is_some() {
        return Err(broken("the file has several documents"));
    }
    let empty = document.as_mapping().is_none() && document.as_sequence().is_none();
    if empty && document.as_scalar().is_none() {
        return Ok(Value::Object(Map::new()));
    }
    Ok(json(&YamlValue::from_document(&document).map_err(broken)?))
}

/// What a value says. Scalars other than truth values are compared as they are written.
fn json(value: &YamlValue) -> Value {
    match value {
        YamlValue::Scalar(scalar) => match value.to_bool() {
            Some(truth) => Value::Bool(truth),
            None => Value::String(value.as_str().map_or_else(|| scalar.to_string(), str::to_owned)),
        },
        YamlValue::Sequence(values) => Value::Array(values.iter().map(json).collect()),
        YamlValue::Mapping(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
        other => Value::String(other.to_string()),
    }
}

pub(super) fn edit(text: &str, edit: &Edit) -> Result<String> {
    // A text without a mapping has nothing that could be lost but comments, which stay in front.
    let holds = YamlFile::from_str(text).map_err(broken)?.document().and_then(|d| d.as_mapping()).is_some();
    let file = YamlFile::from_str(text).map_err(broken)?;
    let top = match (holds, file.document().and_then(|document| document.as_mapping()), edit) {
        (true, Some(top), _) => top,
        (_, _, Edit::Remove(_)) => return Ok(text.to_owned()),
        (_, _, Edit::Push(path, input)) => {
            let list = Input::List(vec![input.clone()]);
            return self::edit(text, &Edit::Set(path.clone(), list));
        }
        (_, _, Edit::Set(path, input)) => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            return Ok(format!("{text}{gap}{}", block(path, input)));
        }
    };
    match edit {
        Edit::Set(path, input) => set(&top, path, input)?,
        Edit::Push(path, input) => push(&top, path, input)?,
        Edit::Remove(path) => remove(&top, path),
    }
    Ok(file.to_string())
}

fn set(table: &Mapping, path: &[String], input: &Input) -> Result<()> {
    match path {
        [] => Ok(()),
        [key] => {
            table.set(key.as_str(), written(input));
            Ok(())
        }
        [key, step, rest @ ..] if table.get_sequence(key.as_str()).is_some() => {
            let list = table.get_sequence(key.as_str());
            let element = list.zip(step.parse().ok()).and_then(|(list, index)| list.get(index));
            let element = element.as_ref().and_then(|element| element.as_mapping());
            set(element.ok_or_else(|| in_the_way(key))?, rest, input)
        }
        [key, rest @ ..] => match table.get(key.as_str()) {
            Some(inner) => set(inner.as_mapping().ok_or_else(|| in_the_way(key))?, rest, input),
            None => {
                let inner = rest.iter().rev().fold(written(input), |value, key| {
                    YamlValue::Mapping(BTreeMap::from([(key.clone(), value)]))
                });
                table.set(key.as_str(), inner);
                Ok(())
            }
        },
    }
}

/// The table at the end of a way, if there is one.
fn inner(table: &Mapping, way: &[String]) -> Option<Mapping> {
    way.iter().try_fold(table.clone(), |table, step| table.get_mapping(step.as_str()))
}

/// The list at a path, if there is one.
fn list(table: &Mapping, path: &[String]) -> Option<Sequence> {
    let (key, way) = path.split_last()?;
    inner(table, way)?.get_sequence(key.as_str())
}

/// Adds an element to a list, which is made if it is not there.
fn push(table: &Mapping, path: &[String], input: &Input) -> Result<()> {
    if let Some(list) = list(table, path) {
        list.push(written(input));
        return Ok(());
    }
    match path.split_last() {
        Some((key, way)) if inner(table, way).is_some_and(|inner| inner.contains_key(key.as_str())) => {
            Err(no_list(key))
        }
        _ => set(table, path, &Input::List(vec![input.clone()])),
    }
}

fn remove(table: &Mapping, path: &[String]) {
    if let Some((step, way)) = path.split_last()
        && let Some((list, index)) = list(table, way).zip(step.parse::<usize>().ok())
    {
        if list.len() > 1 {
            list.remove(index);
        } else if index == 0 {
            remove(table, way);
        }
        return;
    }
    match path {
        [] => {}
        [key] => drop(table.remove(key.as_str())),
        [key, rest @ ..] => {
            let Some(inner) = table.get_mapping(key.as_str()) else { return };
            if inner.len() == 1
                && inner.contains_key(rest.first().map_or("", String::as_str))
                && rest.len() == 1
            {
                drop(table.remove(key.as_str()));
            } else {
                remove(&inner, rest);
            }
        }
    }
}

fn written(input: &Input) -> YamlValue {
    match input {
        Input::Bool(value) => YamlValue::scalar(*value),
        Input::Number(number) => YamlValue::scalar(*number),
        Input::Text(text) => YamlValue::scalar(text.as_str()),
        Input::List(values) => YamlValue::Sequence(values.iter().map(written).collect()),
        Input::Table(fields) => {
            YamlValue::Mapping(fields.iter().map(|(key, value)| (key.clone(), written(value))).collect())
        }
    }
}

/// A value at a path as the only thing in a file.
fn block(path: &[String], input: &Input) -> String {
    let value = path
        .iter()
        .rev()
        .fold(written(input), |value, key| YamlValue::Mapping(BTreeMap::from([(key.clone(), value)])));
    let text = value.to_yaml_string(0);
    if text.ends_with('\n') { text } else { format!("{text}\n") }
}
