//! Edits of TOML.

use cccc_core::Result;
use serde_json::Value as Json;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::edit::{Edit, Input, broken, in_the_way, no_list};

pub(super) fn read(text: &str) -> Result<Json> {
    toml_edit::de::from_str(text).map_err(broken)
}

pub(super) fn edit(text: &str, edit: &Edit) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(broken)?;
    match edit {
        Edit::Set(path, input) => set(document.as_item_mut(), path, input)?,
        Edit::Push(path, input) => push(document.as_item_mut(), path, input)?,
        Edit::Remove(path) => remove(document.as_table_mut(), path),
    }
    let edited = document.to_string();
    // New lines end as those that were there.
    let windows = text.contains("\r\n") && !text.replace("\r\n", "").contains('\n');
    Ok(if windows { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited })
}

/// The table that is an element of a list of tables.
fn element<'a>(item: &'a mut Item, step: &str) -> Option<&'a mut dyn TableLike> {
    let index: usize = step.parse().ok()?;
    match item {
        Item::ArrayOfTables(tables) => tables.get_mut(index).map(|table| table as &mut dyn TableLike),
        Item::Value(Value::Array(values)) => {
            values.get_mut(index)?.as_inline_table_mut().map(|table| table as &mut dyn TableLike)
        }
        _ => None,
    }
}

/// Sets a value in a table that is an element of a list.
fn set_within(table: &mut dyn TableLike, step: &str, path: &[String], input: &Input) -> Result<()> {
    let [key] = path else { return Err(in_the_way(step)) };
    let mut new = value(input);
    if let Some(Item::Value(old)) = table.get(key) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
    Ok(())
}

/// Adds an element to a list of tables, which is a key of the file.
fn push(item: &mut Item, path: &[String], input: &Input) -> Result<()> {
    let [way @ .., key] = path else { return Ok(()) };
    let mut item = item;
    for step in way {
        let table = item.as_table_like_mut().ok_or_else(|| in_the_way(step))?;
        item = table.get_mut(step).ok_or_else(|| in_the_way(step))?;
    }
    let table = item.as_table_like_mut().ok_or_else(|| in_the_way(key))?;
    match (table.get_mut(key), written(input)) {
        (Some(Item::ArrayOfTables(tables)), Item::Table(new)) => tables.push(new),
        (Some(Item::Value(Value::Array(values))), _) => values.push(value(input)),
        (None, Item::Table(new)) => {
            let mut tables = ArrayOfTables::new();
            tables.push(new);
            table.insert(key, Item::ArrayOfTables(tables));
        }
        _ => return Err(no_list(key)),
    }
    Ok(())
}

/// Removes an element of a list; says whether the list is empty then.
fn remove_element(item: &mut Item, step: &str) -> bool {
    let Ok(index) = step.parse::<usize>() else { return false };
    match item {
        Item::ArrayOfTables(tables) if index < tables.len() => {
            tables.remove(index);
            tables.is_empty()
        }
        Item::Value(Value::Array(values)) if index < values.len() => {
            values.remove(index);
            values.is_empty()
        }
        _ => false,
    }
}

/// Sets a value below an item, which is a table or a list of tables.
fn set(item: &mut Item, path: &[String], input: &Input) -> Result<()> {
    let [key, rest @ ..] = path else { return Ok(()) };
    if let Some(element) = element(item, key) {
        return set_within(element, key, rest, input);
    }
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
    let holds = |inner: &&mut Item| inner.is_table_like() || inner.is_array_of_tables() || inner.is_array();
    let inner = table.get_mut(key).filter(holds);
    set(inner.ok_or_else(|| in_the_way(key))?, rest, input)
}

fn remove(table: &mut dyn TableLike, path: &[String]) {
    match path {
        [] => {}
        [key] => drop(table.remove(key)),
        [key, step] if table.get(key).is_some_and(|item| !item.is_table_like()) => {
            if table.get_mut(key).is_some_and(|list| remove_element(list, step)) {
                table.remove(key);
            }
        }
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
        Input::Number(number) => Value::from(*number),
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
