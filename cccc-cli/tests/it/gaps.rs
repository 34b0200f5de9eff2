//! What is said of events that were lost: by whoever is asked for one, by whoever lists them, and in copies.

use std::fs;

use serde_json::Value;

use crate::ledger::damaged;
use crate::support::{Place, refusal};

/// A ledger of events 1 to 8, of which 7 was lost and repaired away; and the id that 7 had.
fn with_gap() -> (Place, String) {
    let (place, file) = damaged();
    let stored = fs::read_to_string(file).unwrap();
    let line = stored.lines().find(|line| line.contains("DAMAGED")).unwrap();
    let id = serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    place.ok(&["ledger", "repair"]);
    (place, id)
}

#[test]
fn whoever_is_asked_for_a_lost_event_says_that_it_is_lost() {
    let (place, id) = with_gap();
    for args in [
        &["receipts", "7"][..],
        &["receipts", &id],
        &["show", &id],
        &["reply", "7", "well"],
        &["reply", &id, "well"],
        &["--as", "bob", "ack", "7"],
        &["--as", "bob", "ack", &id],
        &["--as", "bob", "read", "7"],
        &["pin", "7"],
        &["cancel", "7"],
        &["retract", &id],
        &["question", "show", "7"],
        &["task", "show", "t7"],
        &["task", "cancel", "t7"],
        &["vote", "show", "7"],
        &["approval", "show", "7"],
    ] {
        let error = place.refused(args);
        assert_eq!(error["kind"], "not_found", "{args:?}: {error}");
        assert_eq!(error["message"], "event 7 was lost and repaired away (gap)", "{args:?}");
        assert!(error["hint"].as_str().unwrap().contains("torn/7-"), "{args:?}: {error}");
    }
    // What stands there can be looked at, and what only means a place in the ledger goes on.
    assert!(place.ok(&["show", "7"]).contains("event 7 was lost and repaired away (gap): its chain"));
    assert_eq!(place.json(&["show", "7"])["kind"], "ledger.gap");
    place.ok(&["--as", "bob", "read", "7", "--through"]);
    assert_eq!(place.lines(&["--as", "bob", "inbox"]).len(), 1);
    assert_eq!(place.refused(&["receipts", "7-zzzz"])["message"], "event 7 was lost and repaired away (gap)");
    assert_eq!(place.refused(&["receipts", "99"])["message"], "there is no event 99 in this group");
}

#[test]
fn a_listing_tells_what_is_lost_from_what_is_repaired() {
    let (place, file) = damaged();
    let name = file.file_name().unwrap().to_str().unwrap();
    let before = place.ok(&["tail", "-n", "2"]);
    assert!(before.contains("lost; not repaired yet: its chain does not match its content"), "{before}");
    assert!(before.contains(&format!("of ledger/{name} at byte")), "{before}");
    assert!(before.contains("`cccc ledger repair`"), "{before}");
    place.ok(&["ledger", "repair"]);
    let after = place.ok(&["tail", "-n", "2"]);
    assert!(after.contains("lost and repaired away: its chain does not match its content"), "{after}");
    assert!(after.contains("of torn/7-") && !after.contains("not repaired"), "{after}");
}

#[test]
fn a_copy_says_how_many_events_are_lost() {
    let (place, _) = with_gap();
    let text = place.ok(&["group", "export", "a.tar"]);
    assert!(text.starts_with("8 events (1 lost, a gap) and 0 attachments to "), "{text}");
    assert_eq!(place.json(&["group", "export", "b.tar"])["gaps"], 1);
    let text = place.ok(&["group", "import", "a.tar"]);
    assert!(text.contains(": 8 events (1 lost, a gap) and 0 attachments\n"), "{text}");
    assert_eq!(place.json(&["group", "import", "b.tar"])["gaps"], 1);
    let text = place.ok(&["ledger", "export", "--output", "a.jsonl"]);
    assert!(text.starts_with("8 events (1 lost, a gap) to "), "{text}");
    assert_eq!(place.json(&["ledger", "export", "--output", "b.jsonl"])["gaps"], 1);
    // Where the copy is what is printed, a word goes beside it.
    for args in [&["ledger", "export"][..], &["group", "export", "-"]] {
        let output = place.run(args);
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "8 events (1 lost, a gap)\n", "{args:?}");
    }
    let (lines, sound) = (place.run(&["ledger", "export"]).stdout, Place::with_actors());
    assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 8);
    assert_eq!(sound.json(&["group", "export", "a.tar"])["gaps"], 0);
    assert!(sound.ok(&["ledger", "export", "--output", "a.jsonl"]).starts_with("5 events to "));
    sound.ok(&["ledger", "export"]);
}

#[test]
fn a_refusal_of_a_damaged_event_names_the_repair() {
    let (place, _) = damaged();
    for args in [&["show", "7", "--json"][..], &["receipts", "7", "--json"]] {
        let error = refusal(&place.run(args), args);
        assert_eq!(error["kind"], "corrupt");
        assert!(error["hint"].as_str().unwrap().contains("cccc ledger repair"), "{error}");
    }
}
