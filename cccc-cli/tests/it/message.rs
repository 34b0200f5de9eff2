//! Sending, reading, answering, taking back.

use std::fs;

use serde_json::json;

use crate::support::{Place, has};

#[test]
fn a_message_goes_its_way_and_the_answers_have_the_promised_fields() {
    let place = Place::with_actors();
    let sent = place.json(&["send", "Review src/auth.rs", "--to", "#reviewer", "--reply-within", "15m"]);
    has(&sent, &["event_id", "seq", "recipients", "duplicate"]);
    assert_eq!((&sent["recipients"], &sent["duplicate"]), (&json!(["alice"]), &json!(false)));
    let seq = sent["seq"].to_string();

    let inbox = place.lines(&["--as", "alice", "inbox"]);
    assert_eq!(inbox.len(), 1);
    let message = &inbox[0];
    let promised =
        ["event_id", "seq", "ts", "by", "to", "text", "priority", "reply_required", "delivery", "owed"];
    has(message, &promised);
    assert_eq!(message["event_id"], sent["event_id"]);
    assert_eq!((&message["by"], &message["to"]), (&json!("user"), &json!(["#reviewer"])));
    assert_eq!((&message["reply_required"], &message["owed"]), (&json!(true), &json!(["reply"])));
    assert_eq!((&message["delivery"], &message["priority"]), (&json!("accepted"), &json!("normal")));

    let open = place.json(&["receipts", &seq]);
    has(&open, &["recipient", "delivery", "read", "ack", "reply", "overdue"]);
    assert_eq!(
        (&open["read"], &open["reply"], &open["overdue"]),
        (&json!(false), &json!("open"), &json!(false))
    );

    let on_it = place.json(&["--as", "alice", "reply", &seq, "On it", "--progress"]);
    assert_eq!(on_it["recipients"], json!(["user"]));
    assert_eq!(place.json(&["receipts", &seq])["reply"], "open");
    place.ok(&["--as", "alice", "reply", sent["event_id"].as_str().unwrap(), "Two findings"]);
    let met = place.json(&["receipts", &seq]);
    assert_eq!(
        (&met["delivery"], &met["read"], &met["reply"]),
        (&json!("accepted"), &json!(true), &json!("met"))
    );
    let answers = place.lines(&["inbox", "--mark-read"]);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["progress"], true);
    assert_eq!(place.lines(&["inbox"]), Vec::<serde_json::Value>::new());
}

#[test]
fn attention_is_met_by_an_acknowledgement() {
    let place = Place::with_actors();
    let seq = place.json(&["send", "Stop deploying", "--to", "@all", "--attention"])["seq"].to_string();
    let receipts = place.lines(&["receipts", &seq]);
    assert_eq!(receipts.len(), 3);
    assert!(receipts.iter().all(|receipt| receipt["ack"] == "open"));
    let done = place.json(&["--as", "bob", "ack", &seq]);
    assert_eq!(done["changed"], true);
    assert_eq!(place.json(&["--as", "bob", "ack", &seq])["changed"], false);
    let bob = place.lines(&["receipts", &seq]).into_iter().find(|r| r["recipient"] == "bob").unwrap();
    assert_eq!(bob["ack"], "met");
    assert_eq!(place.lines(&["obligations", "--all"]).len(), 2);
    assert_eq!(place.lines(&["--as", "alice", "obligations", "--mine"]).len(), 1);
    assert_eq!(place.lines(&["--as", "bob", "obligations"]).len(), 0);
    assert_eq!(place.lines(&["obligations"]).len(), 2, "what is owed to the user concerns the user");
    assert_eq!(place.lines(&["obligations", "--mine"]).len(), 0);
}

#[test]
fn every_option_of_a_message_reaches_the_ledger() {
    let place = Place::with_actors();
    place.file("findings.md", "# Two\n");
    let first = place.json(&["send", "draft", "--to", "alice", "--client-id", "k1"]);
    let id = first["event_id"].as_str().unwrap();
    let sent = place.json(&[
        "send",
        "final",
        "--to",
        "alice",
        "--to",
        "bob",
        "--low",
        "--reply-required",
        "--intent",
        "question",
        "--file",
        "findings.md",
        "--ref",
        "src/auth.rs",
        "--client-id",
        "k2",
        "--expires",
        "10m",
        "--supersedes",
        id,
        "--reply-to",
        id,
        "--quote",
        "draft",
        "--format",
        "markdown",
    ]);
    let event = place.json(&["show", &sent["seq"].to_string()]);
    let data = &event["data"];
    assert_eq!((&data["to"], &data["priority"]), (&json!(["alice", "bob"]), &json!("low")));
    assert_eq!((&data["reply_required"], &data["intent"]), (&json!(true), &json!("question")));
    assert_eq!((&data["refs"], &data["client_id"]), (&json!(["src/auth.rs"]), &json!("k2")));
    assert_eq!((&data["supersedes"], &data["reply_to"]), (&json!(id), &json!(id)));
    assert_eq!((&data["quote"], &data["format"]), (&json!("draft"), &json!("markdown")));
    assert!(data["expires_at"].is_string());
    assert_eq!(data["attachments"][0]["name"], "findings.md");
    assert_eq!(event["via"]["door"], "cli");

    let shown = place.ok(&["show", id]);
    assert!(shown.contains("from the user") && shown.contains("draft"), "{shown}");
    let shown = place.ok(&["show", &sent["seq"].to_string()]);
    let path = shown.lines().find_map(|line| line.split_once("text/markdown): ")).unwrap().1;
    assert_eq!(fs::read_to_string(path).unwrap(), "# Two\n");
}

#[test]
fn the_same_client_id_is_the_same_message() {
    let place = Place::with_actors();
    let send = |text: &str| ["send", text, "--to", "alice", "--client-id", "k", "--json"].map(str::to_owned);
    let run = |text: &str| place.run(&send(text).iter().map(String::as_str).collect::<Vec<_>>());
    let first: serde_json::Value = serde_json::from_slice(&run("hello").stdout).unwrap();
    let again: serde_json::Value = serde_json::from_slice(&run("hello").stdout).unwrap();
    assert_eq!((&again["event_id"], &again["duplicate"]), (&first["event_id"], &json!(true)));
    assert_eq!(crate::support::refusal(&run("other"), &[])["kind"], "conflict");
}

#[test]
fn reading_is_one_message_or_everything_up_to_it() {
    let place = Place::with_actors();
    let seqs: Vec<String> =
        (1..=4).map(|n| place.json(&["send", &format!("{n}"), "--to", "bob"])["seq"].to_string()).collect();
    let texts = |args: &[&str]| -> Vec<String> {
        let lines = place.lines(&[&["--as", "bob", "inbox"], args].concat());
        lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&["--peek"]), ["1", "2", "3", "4"]);
    place.ok(&["--as", "bob", "read", &seqs[2]]);
    assert_eq!(texts(&[]), ["1", "2", "4"]);
    assert_eq!(texts(&["--limit", "2"]), ["1", "2"]);
    assert_eq!(texts(&["--after", &seqs[0]]), ["2", "4"]);
    place.ok(&["--as", "bob", "read", &seqs[1], "--through"]);
    assert_eq!(texts(&["--mark-read"]), ["4"]);
    assert_eq!(texts(&[]), Vec::<String>::new());
    assert_eq!(place.ok(&["--as", "bob", "inbox"]), "nothing unread for bob\n");
}

#[test]
fn what_was_said_can_be_taken_back() {
    let place = Place::with_actors();
    let send =
        |text: &str| place.json(&["send", text, "--to", "alice", "--reply-required"])["seq"].to_string();
    let (cancelled, retracted, redacted) = (send("one"), send("two"), send("the password is hunter2"));
    assert_eq!(place.refused(&["--as", "bob", "cancel", &cancelled])["kind"], "refused");
    place.ok(&["cancel", &cancelled, "--reason", "solved otherwise"]);
    place.ok(&["retract", &retracted]);
    assert_eq!(place.refused(&["--as", "alice", "redact", &redacted])["kind"], "refused");
    place.ok(&["redact", &redacted, "--reason", "secret"]);

    let receipt = place.json(&["receipts", &cancelled]);
    assert_eq!(receipt["reply"], "cancelled");
    assert!(receipt["reply_reason"].as_str().unwrap().contains("solved otherwise"), "{receipt}");
    assert_eq!(place.json(&["receipts", &retracted])["delivery"], "withheld");
    let inbox = place.lines(&["--as", "alice", "inbox"]);
    assert_eq!(inbox.iter().map(|m| &m["text"]).collect::<Vec<_>>(), [&json!("one")]);
    assert!(!place.ok(&["ledger", "export"]).contains("hunter2"));
    assert_eq!(place.json(&["ledger", "verify"])["ok"], true);
}

#[test]
fn an_actor_is_told_from_whom_a_message_is() {
    let place = Place::with_actors();
    place.ok(&["--as", "alice", "send", "from a peer", "--to", "bob"]);
    place.ok(&["--as", "lead", "send", "from the foreman", "--to", "bob", "--attention"]);
    place.ok(&["send", "from the user", "--to", "bob"]);
    let inbox = place.ok(&["--as", "bob", "inbox"]);
    for words in ["from peer alice (not the user)", "from foreman lead (not the user)", "from the user"] {
        assert!(inbox.contains(words), "{inbox}");
    }
    assert!(inbox.contains("you owe: ack (cccc ack "), "{inbox}");
    assert!(!inbox.contains('\x1b'), "styles belong on a terminal: {inbox}");
}
