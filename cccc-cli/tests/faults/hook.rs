//! Hooks: an agent goes on whatever happens to them, and what they did not say is said later.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::matrix::{Case, Ended};
use crate::place::{Place, Running};

/// What a hook is told.
fn told(place: &Place, source: &str) -> Vec<u8> {
    json!({"session_id": "c1", "cwd": place.project(), "source": source}).to_string().into_bytes()
}

fn hook(place: &Place, event: &str) -> Command {
    place.command(&["hook", event, "--runtime", "claude"])
}

/// What a hook says without a fault.
fn say(place: &Place, event: &str, source: &str) -> String {
    let output = Running::start(hook(place, event), &told(place, source)).end();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Who of the group joined by itself, each with whether it is there.
fn joined(place: &Place) -> Vec<(String, Value)> {
    let members = place.lines(&["--as", "user", "who"]);
    let name = |one: &Value| one["actor_id"].as_str().unwrap().to_owned();
    let others = members.iter().filter(|one| !["lead", "alice", "beside"].contains(&name(one).as_str()));
    others.map(|one| (name(one), one["presence"].clone())).collect()
}

/// An agent's program here is this test: it goes on.
#[test]
fn start() {
    let place = Place::with_group();
    Case {
        name: "hook_start",
        place: &place,
        command: &|| (hook(&place, "start"), told(&place, "startup")),
        check: &|ended| {
            assert!(ended.killed || ended.done, "{ended:?}");
            // However it ended, nobody is taken for two.
            place.ok(&["whoami"]);
            let said = say(&place, "start", "compact");
            assert!(said.contains("You are "), "{said:?}, and before: {ended:?}");
            // One that was killed may have joined, which shows when the next has written.
            let there = joined(&place);
            let present: Vec<&String> =
                there.iter().filter(|(_, presence)| presence == "present").map(|(name, _)| name).collect();
            assert_eq!((present.len(), there.len()), (1, 1), "one program is one actor: {there:?}");
            let me = place.lines(&["whoami"])[0]["principal"].clone();
            assert_eq!(me, present[0].as_str());
        },
    }
    .run();
}

/// An agent's program that ends with its hook: a shell that somebody types into.
#[test]
fn start_of_one_that_ends() {
    let place = Place::with_group();
    let script = format!(
        "{} hook start --runtime claude <<'END'\n{}\nEND\nexit 0\n",
        Path::new(env!("CARGO_BIN_EXE_cccc")).display(),
        String::from_utf8(told(&place, "startup")).unwrap()
    );
    Case {
        name: "hook_start_ends",
        place: &place,
        command: &|| (place.program("sh"), script.clone().into_bytes()),
        check: &|_| {
            let there = joined(&place);
            assert!(there.iter().all(|(_, presence)| presence != "present"), "the dead are here: {there:?}");
            for (name, _) in there {
                place.user(&["actor", "remove", &name]);
            }
        },
    }
    .run();
}

/// The text is named by the hook that met the fault, or by the next that may: nothing that waits is forgotten.
fn named(place: &Place, text: &str, ended: &Ended) {
    assert!(ended.killed || ended.done, "{ended:?}");
    if ended.done && ended.printed.contains(text) {
        return;
    }
    let next = [say(place, "prompt", ""), say(place, "start", "compact")];
    assert!(next.iter().any(|said| said.contains(text)), "never named again: {ended:?}, then {next:?}");
}

#[test]
fn prompt_with_mail() {
    let place = Place::with_group();
    say(&place, "start", "startup");
    let me = joined(&place).remove(0).0;
    place.user(&["send", "look at this", "--to", &me]);
    Case {
        name: "hook_prompt",
        place: &place,
        command: &|| (hook(&place, "prompt"), told(&place, "")),
        check: &|ended| named(&place, "look at this", ended),
    }
    .run();
}

/// The faults above hit one hook; here the one after it finds what it left, and is killed as well.
#[test]
fn two_in_a_row() {
    let place = Place::with_group();
    say(&place, "start", "startup");
    let me = joined(&place).remove(0).0;
    place.user(&["send", "look at this", "--to", &me]);
    // Claimed and not said: it is killed when it has claimed and written to the ledger.
    let log = place.path().join("first");
    let mut first = hook(&place, "prompt");
    Fault::arm(&mut first, None, 0, &place.home(), &log);
    place.keep();
    Running::start(first, &told(&place, "")).end();
    let calls = crate::fault::calls(&log);
    let claimed = calls.iter().find(|call| call.name == "fdatasync").unwrap().at + 1;
    place.put_back();
    let mut first = hook(&place, "prompt");
    Fault::arm(&mut first, Some(Fault::Kill), claimed, &place.home(), &log);
    Running::start(first, &told(&place, "")).end();
    std::fs::remove_dir_all(place.path().join("kept")).unwrap();
    Case {
        name: "hook_prompt_again",
        place: &place,
        command: &|| (hook(&place, "prompt"), told(&place, "")),
        check: &|ended| named(&place, "look at this", ended),
    }
    .run();
}
