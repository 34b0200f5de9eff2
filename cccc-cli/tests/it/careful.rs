//! What is not what it should be: arguments and variables that are no names, files that are no files, attachments
//! that are not what was sent. It is said, at once, and nobody is taken for somebody else.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Place, refusal};

/// What no name may be.
fn garbled() -> Vec<OsString> {
    vec![
        "ali\u{1}ce".into(),
        "\u{1b}[31malice".into(),
        "a\nb".into(),
        #[cfg(unix)]
        std::os::unix::ffi::OsStringExt::from_vec(b"ali\xffce".to_vec()),
    ]
}

/// The file of the one attachment that there is.
fn blob(place: &Place) -> PathBuf {
    let dir = PathBuf::from(place.ok(&["ledger", "path"]).trim()).join("blobs");
    let mut files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.file_name().unwrap().len() == 64).unwrap()
}

#[test]
fn a_garbled_variable_is_refused_and_never_as_good_as_not_set() {
    let place = Place::with_actors();
    let before = place.lines(&["tail"]).len();
    for name in garbled() {
        for variable in ["CCCC_ACTOR_ID", "CCCC_GROUP_ID", "CCCC_HOME"] {
            for args in
                [&["send", "x", "--to", "bob", "--json"][..], &["inbox", "--json"], &["mcp", "--json"]]
            {
                let output = place.command(args).env(variable, &name).output().unwrap();
                let error = refusal(&output, args);
                assert_eq!(error["kind"], "invalid", "{variable} {name:?} {args:?}: {error}");
                assert!(error["message"].as_str().unwrap().contains(variable), "{variable}: {error}");
            }
        }
    }
    assert_eq!(place.lines(&["tail"]).len(), before, "nobody spoke");
}

#[test]
fn a_hook_with_a_garbled_variable_is_silent_and_says_so_elsewhere() {
    let place = Place::with_actors();
    place.ok(&["send", "hello", "--to", "alice"]);
    for (n, name) in garbled().iter().enumerate() {
        let mut command = place.command(&["hook", "prompt", "--runtime", "claude"]);
        let output = command.env("CCCC_ACTOR_ID", name).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b""[..]));
        let troubles = place.lines(&["hook", "--troubles"]);
        assert_eq!(troubles.len(), n + 1);
        assert!(troubles[n]["message"].as_str().unwrap().contains("CCCC_ACTOR_ID"), "{troubles:?}");
    }
}

#[test]
fn a_garbled_argument_is_an_error_and_no_panic() {
    let place = Place::with_actors();
    for name in garbled() {
        for before in [
            &["--as"][..],
            &["--group"],
            &["--home"],
            &["actor", "add"],
            &["show"],
            &["group", "delete"],
            &["group", "import"],
            &["hook"],
            &["attach"],
            &["send"],
            &["send", "x", "--to"],
            &["send", "x", "--file"],
        ] {
            let mut command = place.command(before);
            command.arg(&name);
            if matches!(before[0], "--as" | "--group" | "--home") {
                command.arg("inbox");
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("panicked"), "{before:?} {name:?}: {said}");
            // A hook never fails, and text may be anything that is text.
            let may_succeed = before[0] == "hook" || before == ["send"];
            assert!(
                matches!(output.status.code(), Some(1 | 2)) || may_succeed,
                "{before:?} {name:?}: {said}"
            );
        }
    }
}

#[test]
fn what_became_of_an_attachment_is_said() {
    let place = Place::with_actors();
    place.file("plan.md", "# Plan");
    place.ok(&["send", "see", "--to", "alice", "--file", "plan.md"]);
    let path = blob(&place);
    assert!(place.ok(&["show", "6"]).contains(path.to_str().unwrap()));
    let verified = place.json(&["ledger", "verify"]);
    assert_eq!((&verified["ok"], &verified["attachments"]["sound"]), (&true.into(), &1.into()));
    let failing = |args: &[&str]| -> (Value, String) {
        let json = place.run(&[args, &["--json"]].concat());
        assert_eq!(json.status.code(), Some(1), "{args:?}");
        let text = String::from_utf8(place.run(args).stdout).unwrap();
        (serde_json::from_slice(&json.stdout).unwrap(), text)
    };

    fs::write(&path, "# Prank").unwrap();
    let shown = || {
        let output = place.run(&["show", "6"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let changed = shown();
    assert!(changed.contains("NOT what was sent") && !changed.contains("blobs/"), "{changed}");
    let (verified, text) = failing(&["ledger", "verify"]);
    assert_eq!(verified["ok"], false);
    assert_eq!(verified["attachments"]["faults"][0]["event"], 6);
    assert!(text.contains("sound: 6 events") && text.contains("attachment of event 6"), "{text}");
    let (doctor, text) = failing(&["doctor"]);
    assert_eq!(doctor["groups"][0]["ok"], false);
    assert!(text.contains("NOT what was sent"), "{text}");
    assert_eq!(place.refused(&["group", "export", "x.tar"])["kind"], "corrupt");

    fs::remove_file(&path).unwrap();
    assert!(shown().contains("LOST"));
    assert_eq!(failing(&["ledger", "verify"]).0["attachments"]["faults"][0]["fault"], "lost");
    let output = place.run(&["group", "export", "y.tar", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let exported: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&exported["missing_blobs"], exported["lost_blobs"].as_array().unwrap().len()),
        (&0.into(), 1)
    );
    let piped = place.run(&["group", "export", "-"]);
    assert_eq!(piped.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&piped.stderr).contains("lost"));
    let imported = place.json(&["group", "import", "y.tar"]);
    assert_eq!(imported["lost_blobs"], exported["lost_blobs"]);

    place.ok(&["redact", "6", "--reason", "never mind"]);
    let verified = place.json(&["ledger", "verify"]);
    assert_eq!(verified["ok"], true, "nobody names it any more");
}

#[test]
fn what_is_left_of_a_group_is_named_and_can_be_removed() {
    let place = Place::with_actors();
    let groups = place.home().join("groups");
    fs::create_dir_all(groups.join("ghalf0000000/ledger")).unwrap();
    fs::create_dir_all(groups.join(".new-dead/ledger")).unwrap();
    fs::write(groups.join(".new-dead.lock"), "").unwrap();
    let output = place.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(".new-dead") && said.contains("cccc group delete ghalf0000000"), "{said}");
    place.ok(&["group", "delete", "ghalf0000000"]);
    assert!(!groups.join(".new-dead").exists(), "it was swept on the way");
    place.ok(&["doctor"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let place = Place::with_actors();
    let pipe = |name: &str| {
        let path = place.home().join(name);
        fs::remove_file(&path).ok();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let path = pipe("registry.json");
    assert_eq!(place.refused(&["status"])["kind"], "corrupt");
    assert_eq!(place.refused(&["attach", ".."])["kind"], "corrupt");
    fs::remove_file(path).unwrap();
    place.ok(&["attach"]);
    pipe("hooks.log");
    assert_eq!(place.refused(&["hook", "--troubles"])["kind"], "invalid");
    pipe("runtimes.toml");
    assert_eq!(place.run(&["hook", "start", "--runtime", "claude"]).status.code(), Some(0));
    assert_eq!(place.run(&["doctor"]).status.code(), Some(1));
    place.ok(&["--as", "alice", "memory", "add", "hello"]);
    let group =
        std::path::PathBuf::from(place.json(&["--as", "user", "ledger", "path"])["path"].as_str().unwrap());
    for name in ["tip", "lock"] {
        let (path, aside) = (group.join(name), group.join("aside"));
        fs::rename(&path, &aside).unwrap();
        pipe(path.to_str().unwrap());
        let output = place.run(&["doctor", "--quick"]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(path.to_str().unwrap()) && said.contains("move it away"), "{said}");
        fs::rename(&aside, &path).unwrap();
    }
    for name in ["memory.db-journal", "memory.db-wal"] {
        let path = group.join(name);
        fs::create_dir(&path).unwrap();
        let error = place.refused(&["--as", "alice", "memory", "search", "hello"]);
        assert!(error["message"].as_str().unwrap().contains(name), "{error}");
        fs::remove_dir(path).unwrap();
    }
    assert!(place.ok(&["--as", "alice", "memory", "search", "hello"]).contains("hello"));
}
