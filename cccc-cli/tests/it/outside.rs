//! Standard input, closed pipes, and homes that cannot be used.

#[cfg(unix)]
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, refusal, succeeded};

#[test]
fn a_message_may_come_from_standard_input() {
    let place = Place::with_actors();
    let args = ["send", "-", "--to", "bob", "--json"];
    succeeded(&place.fed(&args, "Grüße\nzweite Zeile\n".as_bytes()), &args);
    let message = place.json(&["--as", "bob", "inbox", "--mark-read"]);
    assert_eq!(message["text"], "Grüße\nzweite Zeile");

    let error = refusal(&place.fed(&args, b"\xff\xfe\0binary"), &args);
    assert_eq!(error["kind"], "invalid");
    assert!(error["message"].as_str().unwrap().contains("UTF-8"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--file"), "{error}");

    let largest = vec![b'a'; 1 << 20];
    succeeded(&place.fed(&args, &largest), &args);
    for size in [(1 << 20) + 1, 8 << 20] {
        let error = refusal(&place.fed(&args, &vec![b'a'; size]), &args);
        assert_eq!(error["kind"], "too_large");
        assert!(error["hint"].as_str().unwrap().contains("attach"), "{error}");
    }
    let umlauts = "ü".repeat(1 << 20);
    assert_eq!(refusal(&place.fed(&args, umlauts.as_bytes()), &args)["kind"], "too_large");
    assert_eq!(refusal(&place.fed(&args, b""), &args)["kind"], "invalid");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let place = Place::with_actors();
    place.fed(&["send", "-", "--to", "bob"], &vec![b'x'; 900_000]);
    place.fed(&["send", "-", "--to", "bob"], &vec![b'y'; 900_000]);
    // An inbox that was not read to its end has delivered nothing, and says so.
    let unread = "the messages are still unread";
    for (args, code, said) in [
        (&["tail", "--json"][..], 0, ""),
        (&["ledger", "export"], 0, ""),
        (&["--as", "bob", "inbox", "--json"], 1, unread),
    ] {
        let mut command = place.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{args:?}: {errors}");
        assert!(errors.contains(said) && errors.is_empty() == said.is_empty(), "{args:?}: {errors}");
    }
}

#[test]
fn a_follower_sees_what_another_process_writes() {
    let place = Place::with_actors();
    let mut command =
        place.command(&["tail", "-n", "1", "-f", "--json", "--kind", "chat", "--kind", "actor"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["data"]["actor_id"], "bob");
    place.ok(&["group", "pause"]);
    let sent = place.json(&["send", "news", "--to", "bob"]);
    let event = next();
    assert_eq!((&event["id"], &event["data"]["text"]), (&sent["event_id"], &Value::from("news")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_home_that_cannot_be_used_is_named() {
    let place = Place::bare();
    let file = place.file("file", "");
    let below = file.join("home");
    let error = place.refused(&["--home", below.to_str().unwrap(), "attach"]);
    assert!(error["message"].as_str().unwrap().contains(below.to_str().unwrap()), "{error}");
    place.ok(&["attach"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.home(), PermissionsExt::from_mode(0o755)).unwrap();
        let error = place.refused(&["status"]);
        assert_eq!(error["kind"], "refused");
        assert!(error["hint"].as_str().unwrap().contains("chmod 700"), "{error}");
    }
}

/// Permissions do not hold for the superuser, so there the ledger's place is taken by a file instead.
#[test]
#[cfg(unix)]
fn a_home_that_cannot_be_written_to_names_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::bare();
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), PermissionsExt::from_mode(0o500)).unwrap();
    let held = fs::write(place.home().join("probe"), "").is_err();
    fs::set_permissions(place.home(), PermissionsExt::from_mode(0o700)).unwrap();
    if held {
        fs::set_permissions(place.home(), PermissionsExt::from_mode(0o500)).unwrap();
    } else {
        fs::write(place.home().join("groups"), "").unwrap();
    }
    let error = place.refused(&["attach"]);
    fs::set_permissions(place.home(), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(error["message"].as_str().unwrap().contains(place.home().to_str().unwrap()), "{error}");
}

#[test]
fn a_follower_of_a_group_that_is_deleted_ends_at_once_and_says_so() {
    let place = Place::with_actors();
    let of_directory = place.json(&["attach"])["group_id"].as_str().unwrap().to_owned();
    let of_none = place.json(&["group", "create", "--title", "x"])["group_id"].as_str().unwrap().to_owned();
    for id in [of_directory, of_none] {
        place.ok(&["--group", &id, "group", "archive"]);
        let mut command = place.command(&["--group", &id, "tail", "-f"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        place.ok(&["group", "delete", &id]);
        let begun = std::time::Instant::now();
        let output = child.wait_with_output().unwrap();
        // Files that are only away are waited for, for 5 s.
        assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("group {id} was deleted")), "{said}");
        let error = place.refused(&["--group", &id, "status"]);
        assert_eq!(error["message"], format!("group {id} was deleted"));
    }
}
