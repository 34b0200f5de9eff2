//! The group itself: its beginning, its settings, its directories, what it is doing.

use serde_json::Value;
use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::event::{GroupAttach, GroupCreate, GroupDetachScope, GroupMode, GroupSetState, GroupUpdate};
use crate::ledger::Draft;
use crate::rule::permission::{lead, owner};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, address, approval, bounded, few, policy};
use crate::state::GroupState;

/// Longest title of a group or an actor, in bytes.
pub const MAX_TITLE_BYTES: usize = 256;
/// Most settings.
pub const MAX_SETTINGS: usize = 256;
/// Longest name of a setting, in bytes.
pub const MAX_SETTING_NAME_BYTES: usize = 64;
/// Longest value of a setting, as JSON, in bytes.
pub const MAX_SETTING_BYTES: usize = 4 << 10;
/// Most directories.
pub const MAX_SCOPES: usize = 256;
/// Longest key of a directory, in bytes.
pub const MAX_SCOPE_KEY_BYTES: usize = 128;
/// Longest path of a directory, in bytes.
pub const MAX_PATH_BYTES: usize = 4 << 10;

pub(super) fn create(state: &GroupState, call: &Call, create: &GroupCreate) -> Result<Decision> {
    owner(state, call, "create a group")?;
    if state.is_created() {
        return Err(
            Error::conflict("the group has been created already").hint("change it with `cccc group update`")
        );
    }
    check_title(&create.title)?;
    check_default_to(create.default_to.as_deref())?;
    check_settings(state, call, &create.settings, 0)?;
    Ok(Decision::write([Draft::from(create.clone())]))
}

/// In a group whose beginning was cut off by a repair, the first change is its new beginning.
pub(super) fn update(state: &GroupState, call: &Call, update: &GroupUpdate) -> Result<Decision> {
    if !state.is_created() {
        let GroupUpdate { title, default_to, join, settings } = update.clone();
        let title = title.unwrap_or_default();
        let join = join.unwrap_or_default();
        return create(state, call, &GroupCreate { title, default_to, join, settings });
    }
    lead(state, call, "change the group")?;
    check_title(update.title.as_deref().unwrap_or_default())?;
    check_default_to(update.default_to.as_deref())?;
    let present = state.settings();
    let new = update.settings.keys().filter(|name| !present.contains_key(*name)).count();
    let removed =
        update.settings.iter().filter(|(name, value)| value.is_null() && present.contains_key(*name));
    let total = (present.len() + new).saturating_sub(removed.count());
    check_settings(state, call, &update.settings, total)?;
    let same_setting = |(name, value): (&String, &Value)| present.get(name).unwrap_or(&Value::Null) == value;
    let same = update.title.as_deref().is_none_or(|title| title == state.title())
        && update.default_to.as_deref().is_none_or(|to| to == state.default_to())
        && update.join.is_none_or(|join| join == state.join())
        && update.settings.iter().all(same_setting);
    if same { Ok(Decision::nothing()) } else { Ok(Decision::write([Draft::from(update.clone())])) }
}

pub(super) fn attach(state: &GroupState, call: &Call, attach: &GroupAttach) -> Result<Decision> {
    lead(state, call, "attach a directory")?;
    let GroupAttach { scope_key, path } = attach;
    if scope_key.is_empty() || path.is_empty() {
        return Err(Error::invalid("a directory needs a key and a path"));
    }
    bounded("the key of a directory", scope_key, MAX_SCOPE_KEY_BYTES)?;
    bounded("the path of a directory", path, MAX_PATH_BYTES)?;
    match state.scopes().get(scope_key) {
        Some(present) if present == path => return Ok(Decision::nothing()),
        Some(present) => {
            return Err(Error::conflict(format!("the key {scope_key} belongs to {present}")));
        }
        None => few("directories", state.scopes().len() + 1, MAX_SCOPES)?,
    }
    Ok(Decision::write([Draft::from(attach.clone())]))
}

pub(super) fn detach(state: &GroupState, call: &Call, scope_key: &str) -> Result<Decision> {
    lead(state, call, "detach a directory")?;
    let Some(path) = state.scopes().get(scope_key) else {
        return Err(Error::not_found(format!("the group has no directory with the key {scope_key:?}"))
            .hint("`cccc group show` lists them"));
    };
    let detach = GroupDetachScope { scope_key: scope_key.to_owned(), path: path.clone() };
    Ok(Decision::write([Draft::from(detach)]))
}

pub(super) fn set_state(state: &GroupState, call: &Call, set: &GroupSetState) -> Result<Decision> {
    lead(state, call, "change the state of the group")?;
    bounded("the reason", &set.reason, MAX_REASON_BYTES)?;
    if set.state == state.mode() {
        return Ok(Decision::nothing());
    }
    if set.state == GroupMode::Archived || state.mode() == GroupMode::Archived {
        owner(state, call, "archive a group or open an archived one")?;
    }
    Ok(Decision::write([Draft::from(set.clone())]))
}

/// A title may be empty; then a group is called by its directory and an actor by its id.
pub(super) fn check_title(title: &str) -> Result<()> {
    bounded("the title", title, MAX_TITLE_BYTES)?;
    if title.chars().any(char::is_control) {
        return Err(Error::invalid("a title is one line without control characters"));
    }
    Ok(())
}

/// Whether the default addresses can be read. Whom they mean is only known when they are used.
fn check_default_to(default_to: Option<&[String]>) -> Result<()> {
    for address in address::parse_all(default_to.unwrap_or_default())? {
        if let address::Address::Remote { .. } = address {
            return Err(Error::unsupported(format!(
                "{address} is in another group, and the default is for this one"
            )));
        }
    }
    Ok(())
}

fn check_settings(
    state: &GroupState,
    call: &Call,
    settings: &BTreeMap<String, Value>,
    total: usize,
) -> Result<()> {
    few("settings", settings.len().max(total), MAX_SETTINGS)?;
    for (name, value) in settings {
        if name.is_empty() {
            return Err(Error::invalid("a setting needs a name"));
        }
        bounded("the name of a setting", name, MAX_SETTING_NAME_BYTES)?;
        policy::check_setting(name, value)?;
        approval::check_setting(state, call, name, value)?;
        bounded(&format!("the setting {name}"), &value.to_string(), MAX_SETTING_BYTES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::error::ErrorKind;
    use crate::rule::desk::{Desk, message};

    #[test]
    fn a_group_begins_once() {
        let mut desk = Desk::new();
        let create = || Command::CreateGroup(GroupCreate { title: "T".into(), ..GroupCreate::default() });
        assert_eq!(
            desk.run("user", Command::Send(message("x", &[]))).unwrap_err().kind(),
            ErrorKind::Refused
        );
        assert_eq!(desk.run("alice", create()).unwrap_err().kind(), ErrorKind::Refused);
        desk.run("user", create()).unwrap();
        assert_eq!(desk.state().title(), "T");
        assert_eq!(desk.run("user", create()).unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_group_that_has_lost_its_beginning_begins_again_by_a_change() {
        let mut desk = Desk::new();
        let update =
            || Command::UpdateGroup(GroupUpdate { title: Some("T".into()), ..GroupUpdate::default() });
        assert_eq!(desk.run("alice", update()).unwrap_err().kind(), ErrorKind::Refused);
        let error = desk.run("user", Command::Send(message("x", &[]))).unwrap_err();
        assert!(error.hint_text().unwrap().contains("`cccc group update --title TITLE`"), "{error}");
        assert_eq!(desk.run("user", update()).unwrap().kinds(), ["group.create"]);
        assert_eq!(desk.state().title(), "T");
        assert!(desk.run("user", update()).unwrap().events.is_empty());
    }

    #[test]
    fn settings_are_set_and_removed_by_those_who_lead() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let set = |name: &str, value: Value| {
            let settings = BTreeMap::from([(name.to_owned(), value)]);
            Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() })
        };
        assert_eq!(desk.run("alice", set("a", 1.into())).unwrap_err().kind(), ErrorKind::Refused);
        desk.run("lead", set("a", serde_json::json!({"deep": [1, null]}))).unwrap();
        assert!(
            desk.run("lead", set("a", serde_json::json!({"deep": [1, null]}))).unwrap().events.is_empty()
        );
        assert_eq!(desk.state().settings()["a"]["deep"][0], 1);
        desk.run("user", set("a", Value::Null)).unwrap();
        assert!(desk.state().settings().is_empty());
        assert_eq!(desk.run("user", set("", 1.into())).unwrap_err().kind(), ErrorKind::Invalid);
        let long = Value::from("x".repeat(MAX_SETTING_BYTES));
        assert_eq!(desk.run("user", set("a", long)).unwrap_err().kind(), ErrorKind::TooLarge);
        for n in 0..MAX_SETTINGS {
            desk.run("user", set(&n.to_string(), 1.into())).unwrap();
        }
        assert_eq!(desk.run("user", set("more", 1.into())).unwrap_err().kind(), ErrorKind::TooLarge);
        desk.run("user", set("0", 2.into())).unwrap();
        let bad = GroupUpdate { default_to: Some(vec!["A B".into()]), ..GroupUpdate::default() };
        assert_eq!(desk.run("user", Command::UpdateGroup(bad)).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_directory_belongs_under_one_key() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let attach = |key: &str, path: &str| {
            Command::AttachScope(GroupAttach { scope_key: key.into(), path: path.into() })
        };
        desk.run("user", attach("k", "/a")).unwrap();
        assert!(desk.run("user", attach("k", "/a")).unwrap().events.is_empty());
        assert_eq!(desk.run("user", attach("k", "/b")).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(desk.run("alice", attach("l", "/b")).unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(desk.run("user", attach("", "/b")).unwrap_err().kind(), ErrorKind::Invalid);
        let detach = || Command::DetachScope { scope_key: "k".into() };
        assert_eq!(desk.run("user", detach()).unwrap().kinds(), ["group.detach_scope"]);
        assert_eq!(desk.run("user", detach()).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_archived_group_is_read_only() {
        let mut desk = Desk::with(&["lead"]);
        let set = |state| Command::SetState(GroupSetState { state, reason: String::new() });
        desk.run("lead", set(GroupMode::Paused)).unwrap();
        assert!(desk.run("lead", set(GroupMode::Paused)).unwrap().events.is_empty());
        assert_eq!(desk.run("lead", set(GroupMode::Archived)).unwrap_err().kind(), ErrorKind::Refused);
        desk.run("user", set(GroupMode::Archived)).unwrap();
        for by in ["user", "lead"] {
            let error = desk.run(by, Command::Send(message("x", &["user"]))).unwrap_err();
            assert!(error.to_string().contains("archived"), "{error}");
        }
        assert_eq!(desk.run("lead", set(GroupMode::Active)).unwrap_err().kind(), ErrorKind::Refused);
        desk.run("user", set(GroupMode::Active)).unwrap();
        desk.send("lead", message("x", &["user"]));
    }
}
