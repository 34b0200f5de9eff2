//! Edits of TOML.

use cccc_core::Result;
use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::edit::{Edit, Input, broken, in_the_way};

pub(super) fn read(text: &str) -> Result<Json> {
    toml_edit::de::from_str(text).map_err(broken)
}

pub(super) fn edit(text: &str, edit: &Edit) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(broken)?;
    match edit {
        Edit::Set(path, input) => set(document.as_item_mut(), path, input)?,
        Edit::Remove(path) => remove(document.as_table_mut(), path),
    }
    let edited = document.to_string();
    // New lines end as those that were there.
    let windows = text.contains("\r\n") && !text.replace("\r\n", "").contains('\n');
    Ok(if windows { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited })
}

/// Sets a value below an item, which is a table.
fn set(item: &mut Item, path: &[String], input: &Input) -> Result<()> {
    let [key, rest @ ..] = path else { return Ok(()) };
    // Within a table that is written on one line there are no headers.
    let inline = matches!(item, Item::Value(_));
    let table = item.as_table_like_mut().ok_or_else(|| in_the_way(key))?;
    if rest.is_empty() {
        let new = if inline { Item::Value(value(input)) } else { written(input) };
        match (table.get_mut(key), new) {
            // What is around the value, a comment behind it for example, stays.
            (Some(Item::Value(old)), Item::Value(mut new)) => {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
            (_, new) => drop(table.insert(key, new)),
        }
        return Ok(());
    }
    if !table.contains_key(key) {
        let mut new = Table::new();
        // It has no header of its own while it holds nothing but tables.
        new.set_implicit(true);
        let inline_table = Item::Value(Value::InlineTable(InlineTable::new()));
        table.insert(key, if inline { inline_table } else { Item::Table(new) });
    }
    let inner = table.get_mut(key).filter(|inner| inner.is_table_like());
    set(inner.ok_or_else(|| in_the_way(key))?, rest, input)
}

fn remove(table: &mut dyn TableLike, path: &[String]) {
    match path {
        [] => {}
        [key] => drop(table.remove(key)),
        [key, rest @ ..] => {
            let Some(inner) = table.get_mut(key).and_then(Item::as_table_like_mut) else { return };
            remove(inner, rest);
            if inner.is_empty() {
                table.remove(key);
            }
        }
    }
}

fn written(input: &Input) -> Item {
    match input {
        Input::Table(fields) => {
            let mut table = Table::new();
            for (key, input) in fields {
                table.insert(key, written(input));
            }
            Item::Table(table)
        }
        other => Item::Value(value(other)),
    }
}

fn value(input: &Input) -> Value {
    match input {
        Input::Bool(value) => Value::from(*value),
        Input::Text(text) => Value::from(text.as_str()),
        Input::List(values) => Value::Array(values.iter().map(value).collect::<Array>()),
        Input::Table(fields) => {
            let mut table = InlineTable::new();
            for (key, input) in fields {
                table.insert(key, value(input));
            }
            Value::InlineTable(table)
        }
    }
}
