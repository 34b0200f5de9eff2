//! `cccc statusline`

use serde_json::json;

use crate::support::{Place, succeeded};

#[test]
fn one_line_says_who_and_what_is_waiting_and_nothing_ever_fails() {
    let place = Place::bare();
    let args = ["statusline"];
    assert_eq!(place.ok(&args), "", "no group");
    let place = Place::with_actors();
    let as_alice = ["--as", "alice", "statusline"];
    assert_eq!(place.ok(&as_alice), "alice in project\n");
    place.ok(&["send", "?", "--to", "alice", "--reply-within", "1h"]);
    place.ok(&["send", "!", "--to", "alice"]);
    assert_eq!(place.ok(&as_alice), "alice in project: 2 unread, 1 owed\n");
    place.ok(&["group", "pause"]);
    let answer = place.json(&as_alice);
    assert_eq!(
        (&answer["unread"], &answer["state"], &answer["overdue"]),
        (&json!(2), &json!("paused"), &json!(0))
    );
    // What an agent writes to it is not needed.
    let input = br#"{"session_id":"s","cwd":"/"}"#;
    assert_eq!(
        succeeded(&place.fed(&as_alice, input), &as_alice),
        "alice in project: 2 unread, 1 owed, paused\n"
    );
    let mut command = place.command(&args);
    let output = command.env("CLAUDECODE", "1").output().unwrap();
    assert_eq!(succeeded(&output, &args), "cccc: not joined\n");
    let mut command = place.command(&args);
    let output = command.env("CCCC_ACTOR_ID", "nobody").output().unwrap();
    assert_eq!(succeeded(&output, &args), "", "removed, or never there");
}
