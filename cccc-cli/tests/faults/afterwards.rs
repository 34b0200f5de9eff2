//! What must hold after any fault of any command.

use std::fs;

use crate::place::{Place, Running};

/// While the process that met the fault stands still, others get their answer or are told that they cannot.
pub(crate) fn go_on_beside(place: &Place) {
    for args in [&["groups"][..], &["group", "create", "--title", "beside"], &["actor", "add", "beside"]] {
        let output = Running::start(place.command(&[&["--as", "user", "--json"], args].concat()), b"").end();
        let errors = String::from_utf8_lossy(&output.stderr);
        let told = ["unavailable", "not_found", "refused", "corrupt"]
            .iter()
            .any(|kind| errors.contains(&format!("\"kind\":\"{kind}\"")));
        assert!(output.status.success() || told, "beside it, {args:?}: {errors}");
    }
}

/// Every ledger is sound, the ordinary commands work, and everything can be removed.
pub(crate) fn check(place: &Place) {
    for group in groups(place) {
        place.user(&["--group", &group, "ledger", "verify"]);
    }
    place.user(&["attach"]);
    if place.lines(&["--as", "user", "status"])[0]["state"] == "archived" {
        place.user(&["group", "resume"]);
    }
    place.user(&["actor", "add", "checker"]);
    place.user(&["send", "afterwards", "--to", "checker"]);
    let inbox = place.lines(&["--as", "checker", "inbox"]);
    assert!(inbox.iter().any(|message| message["text"] == "afterwards"), "{inbox:?}");
    place.user(&["ledger", "verify"]);
    remove_everything(place);
}

fn groups(place: &Place) -> Vec<String> {
    let groups = place.lines(&["--as", "user", "groups"]);
    groups.iter().map(|group| group["group_id"].as_str().unwrap().to_owned()).collect()
}

fn remove_everything(place: &Place) {
    let mut left = groups(place);
    // One more: a command that makes and removes a group has the occasion to tidy up.
    place.user(&["group", "create", "--title", "last"]);
    left.extend(groups(place).into_iter().filter(|group| !left.contains(group)).collect::<Vec<_>>());
    for group in &left {
        if place.lines(&["--as", "user", "--group", group, "status"])[0]["state"] != "archived" {
            place.user(&["--group", group, "group", "archive"]);
        }
        place.user(&["group", "delete", group]);
    }
    assert!(groups(place).is_empty(), "deleted, and there: {:?}", groups(place));
    let names = |dir: &str| -> Vec<String> {
        let Ok(entries) = fs::read_dir(place.home().join(dir)) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    // What is being imported when its process dies is removed by the next import.
    let mut names_left = names("groups");
    names_left.retain(|name| !name.starts_with(".import-"));
    assert!(names_left.is_empty(), "nothing can remove groups/{names_left:?}");
    assert!(names("presence").is_empty(), "nothing can remove presence/{:?}", names("presence"));
}
