//! `cccc join`, `cccc leave`, and who speaks after that.
//!
//! The program that runs the commands here, as an agent would, is the test itself.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Place, refusal};

fn agent(place: &Place, args: &[&str]) -> Output {
    place.command(args).arg("--json").env("CLAUDECODE", "1").output().unwrap()
}

fn answer(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn presence(place: &Place, id: &str) -> Value {
    place.lines(&["who"]).into_iter().find(|member| member["actor_id"] == id).unwrap()["presence"].clone()
}

#[test]
fn who_joined_speaks_without_saying_who_it_is() {
    let place = Place::with_actors();
    assert_eq!(refusal(&agent(&place, &["whoami"]), &[])["kind"], "refused");
    let joined = answer(&agent(&place, &["join", "--label", "reviewer"]));
    assert_eq!((&joined["added"], &joined["generation"]), (&json!(true), &json!(1)));
    let id = joined["actor_id"].as_str().unwrap();
    let me = answer(&agent(&place, &["whoami"]));
    assert_eq!((&me["principal"], &me["source"]), (&json!(id), &json!("session")));
    let who = place.lines(&["who"]).into_iter().find(|member| member["actor_id"] == id).unwrap();
    assert_eq!((&who["presence"], &who["session"]["runtime"]), (&json!("present"), &json!("claude")));
    assert_eq!(presence(&place, "bob"), "absent");

    // Once another session of the actor runs, this one is told so.
    place.ok(&["--as", "user", "send", "hi", "--to", id]);
    let mut holder = place.command(&["join", "--hold", "--id", id, "--json"]);
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let newer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&newer["replaced"], &newer["generation"]), (&joined["session"], &json!(2)));
    assert_eq!(presence(&place, id), "present");
    let error = refusal(&agent(&place, &["inbox"]), &[]);
    assert!(error["message"].as_str().unwrap().contains("replaced by a newer one"), "{error}");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(presence(&place, id), "absent");

    // It comes back as whom it was, receives, and leaves.
    let again = answer(&agent(&place, &["join"]));
    assert_eq!(
        (&again["actor_id"], &again["added"], &again["generation"]),
        (&json!(id), &json!(false), &json!(3))
    );
    assert_eq!(answer(&agent(&place, &["inbox"]))["text"], "hi");
    answer(&agent(&place, &["leave", "--reason", "done"]));
    assert_eq!(refusal(&agent(&place, &["whoami"]), &[])["kind"], "refused");
    assert_eq!(presence(&place, id), "absent");
}

#[test]
fn who_joined_is_not_the_user_of_another_group() {
    let place = Place::with_actors();
    let other = place.json(&["--as", "user", "group", "create", "--title", "other"]);
    let other = other["group_id"].as_str().unwrap();
    place.ok(&["--as", "user", "--group", other, "actor", "add", "carol"]);
    // Nothing in its environment says that this is an agent.
    place.ok(&["join", "--id", "alice"]);
    for named in [other, "other", &other[..8]] {
        for args in [&["--group", named, "whoami"][..], &["--group", named, "send", "x", "--to", "carol"]] {
            let error = place.refused(args);
            assert_eq!(error["kind"], "refused", "{error}");
            assert!(error["message"].as_str().unwrap().contains("is alice of group"), "{error}");
        }
    }
    let output = place.command(&["whoami", "--json"]).env("CCCC_GROUP_ID", other).output().unwrap();
    assert_eq!(refusal(&output, &[])["kind"], "refused");
    assert!(place.ok(&["--as", "user", "--group", other, "whoami"]).contains("user"));
    place.ok(&["--group", "other", "tail"]);
    place.ok(&["--group", "other", "join", "--id", "dave"]);
    assert_eq!(place.json(&["--group", "other", "whoami"])["principal"], "dave");
}

#[test]
fn the_same_name_in_another_group_is_somebody_else() {
    let place = Place::with_actors();
    answer(&agent(&place, &["join", "--id", "alice"]));
    let other = place.json(&["--as", "user", "group", "create", "--title", "other"]);
    let other = other["group_id"].as_str().unwrap();
    place.ok(&["--as", "user", "--group", other, "actor", "add", "alice"]);
    let error = refusal(&agent(&place, &["--group", other, "send", "x", "--to", "user"]), &[]);
    assert_eq!(error["kind"], "refused");
    assert_eq!(answer(&agent(&place, &["whoami"]))["principal"], "alice");
    answer(&agent(&place, &["--group", other, "join", "--id", "bob"]));
    let error = refusal(&agent(&place, &["whoami"]), &[]);
    assert!(error["message"].as_str().unwrap().contains("as bob in"), "{error}");
    assert_eq!(answer(&agent(&place, &["--group", other, "whoami"]))["principal"], "bob");
}
