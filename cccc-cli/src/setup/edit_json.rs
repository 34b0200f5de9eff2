//! Edits of JSON with comments.

use cccc_core::Result;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::edit::{Edit, Input, broken, in_the_way};

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
            let mut table = top;
            for step in way {
                table = table.object_value_or_create(step).ok_or_else(|| in_the_way(step))?;
            }
            match table.get(key) {
                Some(property) => property.set_value(written(input)),
                None => drop(table.append(key, written(input))),
            }
        }
        Edit::Remove(path) => remove(&top, path),
    }
    let mut edited = root.to_string();
    if text.trim().is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    Ok(edited)
}

/// Removes what is at a path, and the tables on the way that are empty then.
fn remove(table: &CstObject, path: &[String]) {
    let [key, rest @ ..] = path else { return };
    let Some(property) = table.get(key) else { return };
    if rest.is_empty() {
        property.remove();
    } else if let Some(inner) = property.object_value() {
        remove(&inner, rest);
        // A comment in an otherwise empty table is somebody's words.
        let spoken = inner.children().iter().any(|child| child.is_comment());
        if inner.properties().is_empty() && !spoken {
            property.remove();
        }
    }
}

fn written(input: &Input) -> CstInputValue {
    match input {
        Input::Bool(value) => CstInputValue::Bool(*value),
        Input::Text(text) => CstInputValue::String(text.clone()),
        Input::List(values) => CstInputValue::Array(values.iter().map(written).collect()),
        Input::Table(fields) => {
            CstInputValue::Object(fields.iter().map(|(key, value)| (key.clone(), written(value))).collect())
        }
    }
}
