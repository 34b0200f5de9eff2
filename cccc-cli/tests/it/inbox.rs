//! What an inbox prints counts when it is printed.

use std::process::Stdio;

use serde_json::Value;

use crate::support::Place;

fn receipt(place: &Place) -> Value {
    let lines = place.lines(&["tail", "--kind", "chat.message"]);
    place.json(&["receipts", &lines.last().unwrap()["seq"].to_string()])
}

/// A run that could not print: it fails and says so, and the mail is as it was.
fn assert_not_delivered(place: &Place, output: &std::process::Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("standard output") && errors.contains("still unread"), "{errors}");
    let receipt = receipt(place);
    assert_eq!((&receipt["delivery"], &receipt["read"]), (&"ambiguous".into(), &false.into()), "{receipt}");
}

#[test]
fn an_inbox_that_nobody_could_read_is_not_delivered() {
    let place = Place::with_actors();
    let send = |text: &str| place.ok(&["--as", "lead", "send", text, "--to", "alice"]);
    let inbox = ["--as", "alice", "inbox", "--mark-read"];
    send("Hello");

    // Its reader is gone before anything is printed.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.command(&inbox);
    command.stdout(writer).stderr(Stdio::piped());
    assert_not_delivered(&place, &command.spawn().unwrap().wait_with_output().unwrap());

    #[cfg(target_os = "linux")]
    for text in ["again", &"long ".repeat(10_000)] {
        send(text);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = place.command(&inbox);
        command.stdout(full).stderr(Stdio::piped());
        assert_not_delivered(&place, &command.spawn().unwrap().wait_with_output().unwrap());
    }

    // What was not delivered is shown with the next look, which is.
    let shown = place.lines(&inbox);
    assert_eq!(shown[0]["text"], "Hello");
    assert!(shown.iter().all(|message| message["delivery"] == "accepted"));
    let receipt = receipt(&place);
    assert_eq!((&receipt["delivery"], &receipt["read"]), (&"accepted".into(), &true.into()));
    assert!(place.lines(&inbox).is_empty());
    let left = walk(&place.home().join("presence"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn notices_that_nobody_could_read_are_shown_again() {
    let place = Place::with_actors();
    place.ok(&["--as", "lead", "task", "add", "Do it", "--owner", "alice"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for command in ["notices", "inbox"] {
        let mut command = place.command(&["--as", "alice", command]);
        command.stdout(writer.try_clone().unwrap()).stderr(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(1));
    }
    assert_eq!(place.lines(&["--as", "alice", "notices"]).len(), 1);
    assert!(place.lines(&["--as", "alice", "notices"]).is_empty());
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
