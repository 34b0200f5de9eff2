//! `cccc memory`: what is passed on and printed; and many processes at once, some of which are killed.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, has, refusal};

#[test]
fn a_note_is_added_found_changed_and_forgotten() {
    let place = Place::with_actors();
    let sent = place.json(&["send", "The port is 8080", "--to", "alice"]);
    let seq = sent["seq"].to_string();
    let add = ["--as", "alice", "memory", "add", "Port 8080 is taken", "--tag", "#ports", "--source", &seq];
    let added = place.json(&add);
    has(&added, &["note_id", "scope", "text", "tags", "sources", "author", "version", "duplicate"]);
    assert_eq!((&added["note_id"], &added["duplicate"]), (&"n1".into(), &false.into()));
    assert_eq!(place.ok(&add), "n1 says so already: nothing added\n");
    let found = place.json(&["--as", "bob", "memory", "search", "which port"]);
    assert_eq!((&found["note_id"], &found["from"]), (&"n1".into(), &"from peer alice (not the user)".into()));
    let text = place.ok(&["memory", "show", "n1"]);
    assert!(
        text.contains("from peer alice") && text.contains(&format!("from event {seq} (chat.message)")),
        "{text}"
    );
    assert!(place.ok(&["memory", "list", "--tag", "ports", "--since", "1h"]).contains("Port 8080"));
    assert_eq!(place.lines(&["memory", "list", "--until", "1h"]), Vec::<Value>::new());
    assert!(place.ok(&["memory", "search", "nothing"]).contains("nothing found"));
    let refused = place.refused(&["--as", "bob", "memory", "edit", "n1", "mine"]);
    assert_eq!(refused["kind"], "refused");
    let conflict = place.refused(&["memory", "edit", "n1", "Port 8081"]);
    assert!(conflict["kind"] == "conflict" && conflict["hint"].as_str().unwrap().contains("memory show n1"));
    let edited = place.json(&["memory", "edit", "n1", "Port 8081", "--no-tags", "--base", "1"]);
    assert_eq!((&edited["version"], &edited["tags"]), (&2.into(), &serde_json::json!([])));
    place.ok(&["--as", "alice", "memory", "add", "only mine", "--own"]);
    assert_eq!(place.lines(&["--as", "bob", "memory", "list"]).len(), 1);
    assert_eq!(place.lines(&["--as", "alice", "memory", "list", "--scope", "own"]).len(), 1);
    let better = ["memory", "add", "Ports 8080 to 8090 are taken", "--supersedes", "n1"];
    assert_eq!(place.json(&better)["note_id"], "n3");
    assert_eq!(place.json(&["memory", "list", "--which", "superseded"])["superseded_by"], "n3");
    assert_eq!(place.ok(&["memory", "forget", "n3"]), "n3 forgotten (version 1)\n");
    assert!(place.ok(&["memory", "forget", "n3"]).contains("nothing changed"));
    assert_eq!(place.json(&["memory", "stats"])["forgotten"], 1);
    assert_eq!(place.json(&["--as", "lead", "memory", "purge", "--older-than", "1h"])["notes"], 0);
    assert_eq!(place.json(&["--as", "lead", "memory", "purge"])["notes"], 1);
    assert_eq!(place.refused(&["--as", "bob", "memory", "purge"])["kind"], "refused");
    assert!(place.ok(&["memory", "verify"]).starts_with("sound: 2 notes"));
    assert_eq!(place.json(&["memory", "rebuild"])["notes"], 1);
    assert!(place.json(&["memory", "compact"])["bytes"].as_u64().unwrap() > 0);
    assert_eq!(place.json(&["memory", "handover", "alice", "--to-group"])["notes"], 1);
    assert_eq!(place.lines(&["--as", "bob", "memory", "list"]).len(), 1);
}

#[test]
fn an_agent_that_does_not_say_who_it_is_sees_nothing() {
    let place = Place::with_actors();
    place.ok(&["--as", "alice", "memory", "add", "only mine", "--own"]);
    let mut command = place.command(&["memory", "list", "--json"]);
    let refused = refusal(&command.env("CLAUDECODE", "1").output().unwrap(), &["memory", "list"]);
    assert_eq!(refused["kind"], "refused");
}

#[test]
fn a_text_from_standard_input_has_the_bound_of_a_note() {
    let place = Place::with_actors();
    let args = ["memory", "add", "-", "--json"];
    let output = place.fed(&args, "zwei\nZeilen\n".as_bytes());
    let added: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(added["text"], "zwei\nZeilen");
    assert_eq!(refusal(&place.fed(&args, &vec![b'x'; 9000]), &args)["kind"], "too_large");
}

#[test]
fn an_export_is_a_file_of_its_own_and_comes_back() {
    let place = Place::with_actors();
    for n in 0..30 {
        place.ok(&["--as", "alice", "memory", "add", &format!("note {n}")]);
    }
    let file = place.path().join("notes.jsonl");
    let path = file.to_str().unwrap();
    assert_eq!(place.json(&["memory", "export", "--output", path])["notes"], 30);
    assert_eq!(place.ok(&["memory", "export"]), std::fs::read_to_string(&file).unwrap());
    assert_eq!(place.ok(&["memory", "export", "--output", "-"]), place.ok(&["memory", "export"]));
    assert!(
        place.refused(&["memory", "export", "--output", path])["message"].as_str().unwrap().contains(path)
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let directory = place.ok(&["ledger", "path"]);
    std::fs::remove_file(std::path::Path::new(directory.trim()).join("memory.db")).unwrap();
    assert_eq!(place.json(&["memory", "import", path])["added"], 30);
    assert_eq!(place.refused(&["--as", "lead", "memory", "import", path])["kind"], "refused");
    let cut: String =
        std::fs::read_to_string(&file).unwrap().lines().take(5).map(|l| format!("{l}\n")).collect();
    let args = ["memory", "import", "-", "--json"];
    let error = refusal(&place.fed(&args, cut.as_bytes()), &args);
    assert!(error["message"].as_str().unwrap().contains("line 6"), "{error}");
    assert!(
        place.refused(&["memory", "import", "none.jsonl"])["message"]
            .as_str()
            .unwrap()
            .contains("none.jsonl")
    );
}

#[test]
fn a_damaged_memory_says_where_it_is() {
    let place = Place::with_actors();
    place.ok(&["memory", "add", "one"]);
    let directory = place.ok(&["ledger", "path"]);
    let file = std::path::Path::new(directory.trim()).join("memory.db");
    std::fs::write(&file, "not a database at all, whatever it is called".repeat(200)).unwrap();
    let error = place.refused(&["memory", "list"]);
    assert_eq!(error["kind"], "corrupt");
    assert!(error["message"].as_str().unwrap().contains(file.to_str().unwrap()), "{error}");
    let output = place.run(&["memory", "verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["ok"], false);
    // Everything else of the group goes on.
    place.ok(&["send", "hello", "--to", "alice"]);
    place.ok(&["ledger", "verify"]);
}

#[test]
fn many_processes_write_at_once() {
    const WRITERS: usize = 6;
    const NOTES: usize = 8;
    let place = Place::with_actors();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let place = &place;
            scope.spawn(move || {
                let who = ["alice", "bob", "lead"][writer % 3];
                for n in 0..NOTES {
                    let text = format!("writer {writer} says {n}");
                    place.ok(&["--as", who, "memory", "add", &text, "--tag", "t"]);
                    // All of them say this, and it is one note in the end.
                    place.ok(&["--as", who, "memory", "add", &format!("shared {n}")]);
                    place.ok(&["--as", who, "memory", "search", "writer"]);
                }
            });
        }
    });
    let notes = place.lines(&["memory", "list", "--limit", "1000"]);
    assert_eq!(notes.len(), WRITERS * NOTES + NOTES);
    assert_eq!(place.json(&["memory", "verify"])["ok"], true);
}

/// Kills a process that is writing, after a while that differs.
fn killed_after(mut child: Child, wait: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < wait {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
    true
}

#[test]
fn what_a_killed_process_began_is_whole_or_not_there() {
    let place = Place::with_actors();
    place.ok(&["memory", "add", "first"]);
    // How long one takes when nobody kills it.
    let begun = Instant::now();
    place.ok(&["memory", "add", "second", "--tag", "a"]);
    let usual = begun.elapsed();
    let killed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..2_u32 {
            let (place, killed) = (&place, &killed);
            scope.spawn(move || {
                for n in 0..40_u32 {
                    let text = format!("killed {writer} {n} {}", "words ".repeat(800));
                    let mut command = place.command(&["memory", "add", &text, "--tag", "a", "--tag", "b"]);
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                    let wait = usual.mul_f64(0.3 + f64::from(n) / 25.0);
                    if killed_after(command.spawn().unwrap(), wait) {
                        killed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(killed.load(Ordering::Relaxed) > 5, "some must have been killed");
    let verdict = place.json(&["memory", "verify"]);
    assert_eq!(verdict["ok"], true, "{verdict}");
    for note in place.lines(&["memory", "list", "--limit", "1000"]) {
        let text = note["text"].as_str().unwrap();
        assert!(!text.starts_with("killed") || note["tags"] == serde_json::json!(["a", "b"]), "{note}");
    }
    place.ok(&["memory", "add", "last"]);
}
