//! Groups, their directories and their actors.

use std::fs;

use serde_json::json;

use crate::support::Place;

#[test]
fn a_directory_is_attached_once() {
    let place = Place::bare();
    let first = place.json(&["attach", "--title", "Shop"]);
    assert_eq!((&first["title"], &first["created"]), (&json!("Shop"), &json!(true)));
    let sub = place.file("src/deep/a.rs", "");
    let mut again = place.command(&["attach", "--json"]);
    let output = again.current_dir(sub.parent().unwrap()).output().unwrap();
    let again: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&again["group_id"], &again["created"]), (&first["group_id"], &json!(false)));
    let text = place.ok(&["attach"]);
    assert!(text.contains("actor add lead"), "an empty group names the next command: {text}");
}

#[test]
fn actors_are_added_listed_changed_and_removed() {
    let place = Place::bare();
    place.ok(&["attach"]);
    let lead = place.json(&["actor", "add", "lead"]);
    assert_eq!(lead, json!({"actor_id": "lead", "role": "foreman"}));
    let alice =
        place.json(&["actor", "add", "alice", "--label", "docs", "--title", "Alice", "--runtime", "codex"]);
    assert_eq!(alice, json!({"actor_id": "alice", "role": "peer"}));
    assert_eq!(place.refused(&["actor", "add", "alice"])["kind"], "conflict");
    assert_eq!(place.refused(&["actor", "add", "Not Valid"])["kind"], "invalid");
    assert_eq!(place.refused(&["--as", "alice", "actor", "add", "carol"])["kind"], "refused");
    place.ok(&["actor", "update", "alice", "--label", "web", "--label", "docs", "--role", "foreman"]);
    let listed = place.lines(&["actor", "list"]);
    assert_eq!(listed, place.lines(&["who"]));
    assert_eq!((&listed[0]["actor_id"], &listed[0]["role"]), (&json!("alice"), &json!("foreman")));
    assert_eq!((&listed[0]["title"], &listed[0]["runtime"]), (&json!("Alice"), &json!("codex")));
    assert_eq!(listed[0]["labels"], json!(["docs", "web"]));
    assert_eq!(listed[1]["role"], "peer");
    assert!(place.ok(&["who"]).contains("#web"));

    let seq = place.json(&["send", "?", "--to", "alice", "--reply-required"])["seq"].to_string();
    place.ok(&["actor", "remove", "alice", "--successor", "lead", "--reason", "moved on"]);
    let owed = place.json(&["--as", "lead", "obligations", "--mine"]);
    assert_eq!(owed["debtor"], "lead");
    assert!(place.ok(&["receipts", &seq]).contains("owed by lead now"));
    assert_eq!(place.lines(&["who"]).len(), 1);
}

#[test]
fn a_group_is_shown_changed_paused_archived_and_deleted() {
    let place = Place::with_actors();
    let id = place.json(&["attach"])["group_id"].as_str().unwrap().to_owned();
    let update = ["group", "update", "--title", "New", "--default-to", "@peers", "--join", "closed"];
    place.ok(&[&update[..], &["--set", "nudge_ms=0"]].concat());
    assert_eq!(place.refused(&["group", "update", "--set", "nonsense"])["kind"], "invalid");
    let shown = place.json(&["group", "show"]);
    assert_eq!(shown, place.json(&["status"]));
    assert_eq!((&shown["title"], &shown["join"]), (&json!("New"), &json!("closed")));
    assert_eq!(shown["default_to"], json!(["@peers"]));
    assert_eq!(place.json(&["send", "hi"])["recipients"], json!(["alice", "bob"]));
    place.ok(&["group", "update", "--default-to", ""]);
    assert_eq!(place.json(&["send", "hi"])["recipients"], json!(["lead"]));

    place.ok(&["group", "pause", "--reason", "budget"]);
    assert_eq!(place.json(&["status"])["state"], "paused");
    place.ok(&["send", "stored", "--to", "bob"]);
    assert_eq!(place.refused(&["--as", "bob", "inbox"])["kind"], "unavailable");
    assert_eq!(place.lines(&["--as", "bob", "inbox", "--peek"]).len(), 2);
    place.ok(&["group", "resume"]);
    assert_eq!(place.lines(&["--as", "bob", "inbox"]).len(), 2);

    assert_eq!(place.refused(&["group", "delete", &id])["kind"], "refused");
    place.ok(&["group", "archive"]);
    assert_eq!(place.refused(&["send", "late", "--to", "bob"])["kind"], "refused");
    assert_eq!(place.refused(&["--as", "bob", "group", "delete", &id])["kind"], "refused");
    assert_eq!(place.json(&["group", "delete", &id])["deleted"], json!(id));
    assert_eq!(place.refused(&["status"])["kind"], "not_found");
    assert!(!place.home().join("groups").join(&id).exists());
}

#[test]
fn groups_are_listed_and_one_is_active() {
    let place = Place::bare();
    let project = place.json(&["attach"])["group_id"].clone();
    let other =
        place.json(&["group", "create", "--title", "Research"])["group_id"].as_str().unwrap().to_owned();
    place.ok(&["use", &other]);
    let groups = place.lines(&["groups"]);
    assert_eq!(groups.len(), 2);
    let active: Vec<_> = groups.iter().filter(|group| group["active"] == true).collect();
    assert_eq!((active.len(), &active[0]["title"]), (1, &json!("Research")));
    assert!(place.ok(&["groups"]).contains("Research"));
    assert_eq!(place.refused(&["use", "gnone"])["kind"], "not_found");
    assert_eq!(place.json(&["use", "project"])["active"], project);
    assert_eq!(place.json(&["use", "Research"])["active"], json!(other));

    // A person falls back on the active group; the group of a directory comes first.
    let at = |dir: &std::path::Path, marked: bool| {
        let mut command = place.command(&["status", "--json"]);
        if marked {
            command.env("CLAUDECODE", "1");
        }
        command.current_dir(dir).output().unwrap()
    };
    let title =
        |output: std::process::Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!(title(at(place.path(), false))["group_id"], json!(other));
    assert_eq!(title(at(&place.project(), false))["group_id"], project);
    assert_eq!(at(place.path(), true).status.code(), Some(1), "an agent never uses the active group");
    let named = place.json(&["--group", &other, "status"]);
    assert_eq!(named["title"], "Research");
    let from_environment =
        place.command(&["status", "--json"]).env("CCCC_GROUP_ID", &other).output().unwrap();
    assert_eq!(title(from_environment)["title"], "Research");
}

#[test]
fn a_group_has_several_directories() {
    let place = Place::with_actors();
    let second = place.path().join("second");
    fs::create_dir(&second).unwrap();
    let second = second.to_str().unwrap();
    let added = place.json(&["group", "scope", "add", second]);
    assert!(added["path"].as_str().unwrap().ends_with("second"));
    assert_eq!(place.json(&["status"])["scopes"].as_array().unwrap().len(), 2);
    let found = place.command(&["attach", "--json"]).current_dir(second).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&found["group_id"], &found["created"]), (&added["group_id"], &json!(false)));
    place.ok(&["group", "scope", "remove", second]);
    assert_eq!(place.json(&["status"])["scopes"].as_array().unwrap().len(), 1);
    assert_eq!(place.refused(&["group", "scope", "remove", second])["kind"], "not_found");
}

#[test]
fn a_group_is_found_again_by_its_ledger_when_the_registry_is_lost() {
    let place = Place::with_actors();
    let id = place.json(&["attach"])["group_id"].clone();
    let second = place.path().join("second");
    fs::create_dir(&second).unwrap();
    place.ok(&["group", "scope", "add", second.to_str().unwrap()]);
    place.ok(&["group", "create", "--title", "of no directory"]);
    let below = place.project().join("src/deep");
    fs::create_dir_all(&below).unwrap();
    for dir in [below.as_path(), &second] {
        fs::remove_file(place.home().join("registry.json")).unwrap();
        let found = place.json(&["attach", dir.to_str().unwrap()]);
        assert_eq!((&found["group_id"], &found["created"]), (&id, &json!(false)), "{}", dir.display());
        let groups = place.lines(&["groups"]);
        let known = groups.iter().find(|group| group["group_id"] == id).unwrap();
        assert_eq!((groups.len(), known["scopes"].as_array().unwrap().len()), (2, 2), "{known}");
    }
    // One that nobody claims is new.
    fs::remove_file(place.home().join("registry.json")).unwrap();
    fs::create_dir(place.path().join("third")).unwrap();
    assert_eq!(place.json(&["attach", "../third"])["created"], true);
    assert_eq!(place.json(&["attach"])["group_id"], id);
    assert_eq!(place.lines(&["groups"]).len(), 3);
}

#[test]
fn of_two_groups_that_claim_a_directory_neither_is_taken_unasked() {
    let place = Place::with_actors();
    let id = place.json(&["attach"])["group_id"].as_str().unwrap().to_owned();
    place.ok(&["group", "export", "team.tar"]);
    fs::remove_file(place.home().join("registry.json")).unwrap();
    let copy = place.json(&["group", "import", "team.tar"])["group_id"].as_str().unwrap().to_owned();
    fs::remove_file(place.home().join("registry.json")).unwrap();
    let error = place.refused(&["attach"]);
    assert_eq!(error["kind"], "conflict");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&id) && message.contains(&copy), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("group scope add"), "{error}");
    place.ok(&["--group", &id, "group", "scope", "add", "."]);
    let found = place.json(&["attach"]);
    assert_eq!((&found["group_id"], &found["created"]), (&json!(id), &json!(false)));
}

#[test]
fn a_group_that_cannot_be_read_may_be_the_one_of_a_directory() {
    let place = Place::with_actors();
    let id = place.json(&["attach"])["group_id"].as_str().unwrap().to_owned();
    let segment = place.home().join("groups").join(&id).join("ledger/00000000000000000001.jsonl");
    let stored = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, stored.replace("\"project\"", "\"PROJECT\"")).unwrap();
    fs::remove_file(place.home().join("registry.json")).unwrap();
    let error = place.refused(&["attach"]);
    let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert!(message.contains(&id) && hint.contains("ledger repair"), "{error}");
    assert_eq!(place.lines(&["groups"]).len(), 1);
    fs::write(&segment, stored).unwrap();
    assert_eq!(place.json(&["attach"])["created"], false);
}

#[test]
fn a_group_whose_files_are_gone_is_named_and_can_be_forgotten() {
    let place = Place::with_actors();
    let id = place.json(&["attach"])["group_id"].as_str().unwrap().to_owned();
    let (dir, aside) = (place.home().join("groups").join(&id), place.path().join("aside"));
    fs::rename(&dir, &aside).unwrap();
    let output = place.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let group = &answer["groups"][0];
    assert_eq!((&group["group_id"], &group["ok"]), (&json!(id), &json!(false)), "{answer}");
    let detail = group["detail"].as_str().unwrap();
    assert!(detail.contains("are gone") && detail.contains(&format!("group delete {id}")), "{detail}");
    assert!(place.ok(&["groups"]).contains("unreadable"));
    let error = place.refused(&["status"]);
    assert_eq!(error["kind"], "not_found");
    assert!(error["message"].as_str().unwrap().contains(&format!("files of group {id} are gone")), "{error}");
    fs::rename(&aside, &dir).unwrap();
    place.ok(&["doctor"]);
    fs::rename(&dir, &aside).unwrap();
    place.ok(&["group", "delete", &id]);
    place.ok(&["doctor"]);
    assert!(place.lines(&["groups"]).is_empty());
    assert_eq!(place.refused(&["group", "delete", &id])["kind"], "not_found");
}
