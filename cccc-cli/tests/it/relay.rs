//! Messages between groups on the command line.

use crate::support::{Place, has};

#[test]
fn a_message_goes_to_another_group_and_its_answer_comes_back() {
    let place = Place::with_actors();
    let other = place.json(&["group", "create", "--title", "infra"])["group_id"].as_str().unwrap().to_owned();
    let there = |args: &[&str]| place.json(&[&["--group", "infra"], args].concat());
    there(&["actor", "add", "ops"]);
    let sent = place.json(&["--as", "lead", "send", "Is it up?", "--to", "ops@infra", "--reply-required"]);
    assert_eq!(sent["recipients"][0], format!("ops@{other}"));
    let seq = sent["seq"].to_string();
    let text = place.ok(&["--group", &other[..8], "--as", "ops", "inbox"]);
    assert!(text.contains("from lead in group") && text.contains("\"project\" (not the user)"), "{text}");
    let copy = there(&["--as", "ops", "inbox"]);
    there(&["--as", "ops", "reply", &copy["seq"].to_string(), "It is"]);
    let receipt = place.json(&["receipts", &seq]);
    has(&receipt, &["recipient", "delivery", "transport", "evidence", "reply"]);
    assert_eq!((&receipt["delivery"], &receipt["reply"]), (&"accepted".into(), &"met".into()));
    let back = place.json(&["--as", "lead", "inbox"]);
    assert_eq!((&back["text"], &back["reply_to"]), (&"It is".into(), &sent["event_id"]));
    assert!(place.ok(&["show", &back["seq"].to_string()]).contains("from ops in group"));
    // The user of one group is the user of the other.
    place.ok(&["send", "hello", "--to", "ops@infra"]);
    let text = place.ok(&["--group", "infra", "--as", "ops", "inbox"]);
    assert!(text.contains("from the user in group"), "{text}");

    assert_eq!(place.lines(&["relay", "list"]).len(), 0);
    assert!(place.ok(&["relay", "retry"]).contains("everything has arrived"));
    let refused = place.refused(&["send", "x", "--to", "opps@infra"]);
    assert_eq!(refused["kind"], "not_found");
    assert_eq!(place.refused(&["send", "x", "--to", "ops@nowhere"])["kind"], "not_found");
    assert_eq!(place.refused(&["--group", "infra", "--as", "lead@x", "send", "x"])["kind"], "refused");
}

#[test]
fn what_has_not_arrived_is_listed() {
    let place = Place::with_actors();
    place.json(&["group", "create", "--title", "infra"]);
    place.ok(&["--group", "infra", "actor", "add", "ops"]);
    place.ok(&["group", "pause"]);
    let text = place.ok(&["send", "Is it up?", "--to", "ops@infra"]);
    assert!(text.contains("not yet there: ops@") && text.contains("cccc relay list"), "{text}");
    let waiting = place.json(&["relay", "list"]);
    has(&waiting, &["event_id", "group_id", "recipients", "tries"]);
    assert!(place.ok(&["relay", "list"]).contains("ops@"));
    assert_eq!(place.refused(&["relay", "retry"])["kind"], "unavailable");
    place.ok(&["group", "resume"]);
    let message = waiting["event_id"].as_str().unwrap();
    assert_eq!(place.lines(&["relay", "retry", message]).len(), 0);
    assert_eq!(place.lines(&["relay", "list"]).len(), 0);
    assert_eq!(place.lines(&["--group", "infra", "--as", "ops", "inbox"]).len(), 1);
}
