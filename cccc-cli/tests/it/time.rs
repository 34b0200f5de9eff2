//! What happens by itself after a while: waits, policies, schedules.

use serde_json::json;

use crate::support::{Place, has};

#[test]
fn waits_are_shown_and_drawn() {
    let place = Place::with_actors();
    assert_eq!(place.ok(&["waits"]), "nobody waits\n");
    place.ok(&["--as", "alice", "send", "Which branch?", "--to", "bob", "--reply-required"]);
    place.ok(&["--as", "bob", "send", "Which release?", "--to", "alice", "--reply-required"]);
    let graph = place.json(&["waits"]);
    assert_eq!(graph["cycles"][0]["members"], json!(["alice", "bob"]));
    assert_eq!(graph["waits"].as_array().unwrap().len(), 2);
    let text = place.ok(&["waits"]);
    assert!(
        text.contains("cycle: alice -> bob -> alice\n") && text.contains("bob can break it: cccc reply"),
        "{text}"
    );
    let dot = place.ok(&["waits", "--dot"]);
    assert!(dot.starts_with("digraph waits {\n") && dot.ends_with("}\n"), "{dot}");
}

#[test]
fn what_is_due_is_listed() {
    let place = Place::with_actors();
    assert_eq!(place.json(&["policy", "due"]), json!({"effects": [], "checks": [], "next_at": null}));
    place.ok(&["group", "update", "--set", "policy.unread_ms=1"]);
    place.ok(&["--as", "lead", "send", "Look", "--to", "alice"]);
    let due = place.json(&["policy", "due"]);
    let effect = &due["effects"][0];
    has(effect, &["effect", "key", "policy", "batch", "level", "targets", "related", "due_at"]);
    assert_eq!((&effect["policy"], &effect["targets"]), (&json!("unread"), &json!(["alice"])));
    assert!(place.ok(&["policy", "due"]).contains("unread"));
    let refused = place.refused(&["group", "update", "--set", "policy.unread_ms=\"soon\""]);
    assert_eq!(refused["kind"], "invalid");
}

#[test]
fn schedules_are_made_listed_and_removed() {
    let place = Place::with_actors();
    assert_eq!(place.ok(&["schedule", "list"]), "there are no schedules\n");
    let every = place.json(&[
        "schedule",
        "add",
        "Say what you do",
        "--to",
        "@peers",
        "--every",
        "15m",
        "--id",
        "hourly",
    ]);
    has(&every, &["schedule_id", "author", "trigger", "action", "enabled", "completed", "next_at"]);
    assert_eq!(every["trigger"]["interval"]["every_ms"], 900_000);
    assert_eq!(every["action"], json!({"notify": {"to": ["@peers"], "text": "Say what you do"}}));
    let cron =
        ["schedule", "add", "Stand-up", "--to", "alice", "--cron", "0 9 * * 1-5", "--tz", "Europe/Paris"];
    assert_eq!(place.json(&cron)["trigger"], json!({"cron": {"expr": "0 9 * * 1-5", "tz": "Europe/Paris"}}));
    let at = place.json(&["schedule", "add", "--set-state", "paused", "--at", "17:00"]);
    assert!(at["trigger"]["once"]["at"].is_string(), "{at}");
    place.ok(&["schedule", "add", "--restart", "alice", "--at", "17:00", "--tz", "UTC"]);
    assert_eq!(place.lines(&["schedule", "list"]).len(), 4);
    let table = place.ok(&["schedule", "list"]);
    assert!(
        table.contains("every 15m") && table.contains("set paused") && table.contains("restart alice"),
        "{table}"
    );

    assert_eq!(place.json(&["schedule", "disable", "hourly"])["changed"], true);
    assert!(place.ok(&["schedule", "list"]).contains("rests"));
    assert_eq!(place.json(&["schedule", "enable", "hourly"])["changed"], true);
    assert_eq!(place.refused(&["--as", "bob", "schedule", "remove", "hourly"])["kind"], "refused");
    assert_eq!(place.json(&["schedule", "remove", "hourly"])["changed"], true);
    assert_eq!(place.json(&["schedule", "clear"])["changed"], false);
    let zone = ["schedule", "add", "x", "--to", "alice", "--cron", "0 9 * * *", "--tz", "Mars/Olympus"];
    assert_eq!(place.refused(&zone)["kind"], "invalid");
    for wrong in [
        &["schedule", "add", "x", "--every", "15m"][..],
        &["schedule", "add", "--every", "15m"],
        &["schedule", "add", "x", "--to", "alice"],
        &["schedule", "add", "x", "--to", "alice", "--every", "15m", "--at", "17:00"],
        &["schedule", "add", "x", "--to", "alice", "--start", "alice", "--at", "17:00"],
    ] {
        assert_eq!(place.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
