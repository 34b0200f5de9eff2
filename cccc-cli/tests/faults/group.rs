//! Groups are made, found, removed, exported and imported.

use std::fs;

use crate::matrix::Case;
use crate::place::Place;

/// How many groups there are of a title.
fn titled(place: &Place, title: &str) -> usize {
    place.lines(&["--as", "user", "groups"]).iter().filter(|group| group["title"] == title).count()
}

#[test]
fn create() {
    let place = Place::bare();
    let command =
        || (place.command(&["--as", "user", "--json", "group", "create", "--title", "Made"]), vec![]);
    Case {
        name: "create",
        place: &place,
        command: &command,
        check: &|ended| {
            let there = titled(&place, "Made");
            assert!(if ended.done { there == 1 } else { there <= 1 }, "{there} groups, {ended:?}");
        },
    }
    .run();
}

#[test]
fn attach() {
    let place = Place::bare();
    let command = || (place.command(&["--as", "user", "--json", "attach"]), vec![]);
    Case {
        name: "attach",
        place: &place,
        command: &command,
        check: &|ended| {
            let again = place.lines(&["--as", "user", "attach"]);
            if let Some(answer) = ended.answer() {
                assert_eq!(answer["group_id"], again[0]["group_id"], "{again:?}");
                assert_eq!(titled(&place, "project"), 1);
            }
        },
    }
    .run();
}

#[test]
fn delete() {
    let place = Place::with_group();
    place.user(&["send", "hello", "--to", "alice"]);
    let id = place.group_id();
    place.user(&["group", "archive"]);
    let command = || (place.command(&["--as", "user", "--json", "group", "delete", &id]), vec![]);
    Case {
        name: "delete",
        place: &place,
        command: &command,
        check: &|ended| {
            let there = titled(&place, "project");
            assert!(!ended.done || there == 0, "deleted, and there");
            // It can be repeated, unless that is what it says is no use.
            let again = place.run(&["--as", "user", "--json", "group", "delete", &id]);
            let errors = String::from_utf8_lossy(&again.stderr);
            assert!(again.status.success() || errors.contains("not_found"), "{errors}");
            assert_eq!(titled(&place, "project"), 0);
        },
    }
    .run();
}

/// A group with an attachment, exported to `team.tar`; its id.
fn exported(place: &Place) -> String {
    fs::write(place.project().join("plan.md"), "# Plan").unwrap();
    place.user(&["send", "see", "--to", "alice", "--file", "plan.md"]);
    place.user(&["group", "export", "team.tar"]);
    place.group_id()
}

#[test]
fn export() {
    let place = Place::with_group();
    let id = exported(&place);
    let target = place.out().join("copy.tar");
    let to = target.to_str().unwrap().to_owned();
    let command = || (place.command(&["--as", "user", "--json", "group", "export", &to]), vec![]);
    Case {
        name: "export",
        place: &place,
        command: &command,
        check: &|ended| {
            assert!(!ended.done || target.exists());
            assert!(!ended.refused() || !target.exists(), "what is not whole is left");
            if !target.exists() {
                return;
            }
            // Whoever was killed has left it whole, or not at all.
            let import = place.run(&["--as", "user", "--json", "group", "import", &to]);
            assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
            if import.status.success() {
                let copies = place.lines(&["--as", "user", "groups"]);
                let copy = copies
                    .iter()
                    .find(|group| group["title"] == "project" && group["group_id"] != id.as_str())
                    .unwrap();
                let copy = copy["group_id"].as_str().unwrap();
                let inbox = place.lines(&["--as", "alice", "--group", copy, "inbox"]);
                assert_eq!(inbox[0]["text"], "see");
            }
        },
    }
    .run();
}

#[test]
fn import() {
    let place = Place::with_group();
    exported(&place);
    place.user(&["group", "archive"]);
    place.user(&["group", "delete", &place.group_id()]);
    let command = || (place.command(&["--as", "user", "--json", "group", "import", "team.tar"]), vec![]);
    Case {
        name: "import",
        place: &place,
        command: &command,
        check: &|ended| {
            let there = titled(&place, "project");
            assert!(if ended.done { there == 1 } else { there <= 1 }, "{there} groups, {ended:?}");
            // Another import tidies up after one that was killed.
            place.user(&["group", "import", "team.tar"]);
            let left: Vec<String> = fs::read_dir(place.home().join("groups"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with('.'))
                .collect();
            assert!(left.is_empty(), "nothing removes {left:?}");
            assert_eq!(titled(&place, "project"), there + 1);
            for group in place.lines(&["--as", "user", "groups"]) {
                if group["title"] != "project" {
                    continue;
                }
                let id = group["group_id"].as_str().unwrap();
                assert_eq!(place.lines(&["--as", "alice", "--group", id, "inbox"])[0]["text"], "see");
            }
        },
    }
    .run();
}
