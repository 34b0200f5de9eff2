//! Edits of JSON with comments.

use cccc_core::Result;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::edit::{Edit, Input, broken, in_the_way, no_list};

/// Comments and trailing commas, as the agents that allow more than JSON do; not all of JSON5.
fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

pub(super) fn read(text: &str) -> Result<Value> {
    let root = CstRootNode::parse(text, &options()).map_err(broken)?;
    if root.value().is_none() {
        return Ok(Value::Object(Map::new()));
    }
    twice(root.object_value().as_ref())?;
    Ok(root.to_serde_value().unwrap_or(Value::Null))
}

/// Refuses a key that is there twice: agents differ in which of the two counts.
fn twice(object: Option<&CstObject>) -> Result<()> {
    let mut names = std::collections::BTreeSet::new();
    for property in object.iter().flat_map(|object| object.properties()) {
        let name = property.decoded_name().unwrap_or_default();
        twice(property.object_value().as_ref())?;
        if !names.insert(name.clone()) {
            return Err(broken(format!("the key `{name}` is there twice")));
        }
    }
    Ok(())
}

pub(super) fn edit(text: &str, edit: &Edit) -> Result<String> {
    let root = CstRootNode::parse(text, &options()).map_err(broken)?;
    let top = root.object_value_or_create().ok_or_else(|| in_the_way("the file"))?;
    match edit {
        Edit::Set(path, input) => {
            let Some((key, way)) = path.split_last() else { return Ok(text.to_owned()) };
            let table = enter(top, way)?;
            match table.get(key) {
                Some(property) => property.set_value(written(input)),
                None => drop(table.append(key, written(input))),
            }
        }
        Edit::Push(path, input) => {
            let Some((key, way)) = path.split_last() else { return Ok(text.to_owned()) };
            let table = enter(top, way)?;
            let list = table.array_value_or_create(key).ok_or_else(|| no_list(key))?;
            list.ensure_multiline();
            list.append(written(input));
        }
        Edit::Remove(path) => {
            remove(&Holder::Table(top), path);
        }
    }
    let mut edited = root.to_string();
    if text.trim().is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    Ok(edited)
}

/// What holds values.
enum Holder {
    Table(CstObject),
    List(CstArray),
}

impl Holder {
    fn of(node: &CstNode) -> Option<Self> {
        node.as_object().map(Self::Table).or_else(|| node.as_array().map(Self::List))
    }

    fn at(&self, step: &str) -> Option<CstNode> {
        match self {
            Self::Table(table) => table.get(step)?.value(),
            Self::List(list) => list.elements().into_iter().nth(step.parse().ok()?),
        }
    }

    /// Whether there is nothing in it. A comment is somebody's words.
    fn is_empty(&self) -> bool {
        let (values, children) = match self {
            Self::Table(table) => (table.properties().len(), table.children()),
            Self::List(list) => (list.elements().len(), list.children()),
        };
        values == 0 && !children.iter().any(CstNode::is_comment)
    }
}

/// The table at the end of a way; tables that are not there are made.
fn enter(top: CstObject, way: &[String]) -> Result<CstObject> {
    let (mut holder, mut before) = (Holder::Table(top), "the file");
    for step in way {
        let next = match &holder {
            Holder::Table(table) if table.get(step).is_none() => {
                table.object_value_or_create(step).map(Holder::Table)
            }
            Holder::List(_) if step.parse::<usize>().is_err() => return Err(in_the_way(before)),
            holder => holder.at(step).as_ref().and_then(Holder::of),
        };
        (holder, before) = (next.ok_or_else(|| in_the_way(step))?, step);
    }
    match holder {
        Holder::Table(table) => Ok(table),
        Holder::List(_) => Err(in_the_way(before)),
    }
}

/// Removes what is at a path, and what on the way is empty then.
fn remove(holder: &Holder, path: &[String]) {
    let [step, rest @ ..] = path else { return };
    if let Some((inner, true)) =
        holder.at(step).as_ref().and_then(Holder::of).map(|inner| (inner, !rest.is_empty()))
    {
        remove(&inner, rest);
        // An element of a list that is empty stays: it is not ours, which were removed as a whole.
        if !inner.is_empty() || matches!(holder, Holder::List(_)) {
            return;
        }
    } else if !rest.is_empty() {
        return;
    }
    match holder {
        Holder::Table(table) => {
            if let Some(property) = table.get(step) {
                property.remove();
            }
        }
        Holder::List(_) => {
            if let Some(node) = holder.at(step) {
                node.remove();
            }
        }
    }
}

fn written(input: &Input) -> CstInputValue {
    match input {
        Input::Bool(value) => CstInputValue::Bool(*value),
        Input::Number(number) => CstInputValue::Number(number.to_string()),
        Input::Text(text) => CstInputValue::String(text.clone()),
        Input::List(values) => CstInputValue::Array(values.iter().map(written).collect()),
        Input::Table(fields) => {
            CstInputValue::Object(fields.iter().map(|(key, value)| (key.clone(), written(value))).collect())
        }
    }
}
