//! Groups as files, and attachments that nobody names, on the command line.

use std::fs;
use std::path::PathBuf;

use crate::support::{Place, has, refusal};

#[test]
fn a_group_is_exported_and_imported() {
    let place = Place::with_actors();
    place.file("plan.md", "# Plan");
    place.ok(&["send", "see", "--to", "alice", "--file", "plan.md"]);
    let exported = place.json(&["group", "export", "team.tar"]);
    has(&exported, &["file", "group_id", "head", "events", "blobs", "missing_blobs"]);
    assert_eq!((exported["blobs"].as_u64(), exported["missing_blobs"].as_u64()), (Some(1), Some(0)));
    // What is there is not overwritten, and what is not whole is not left.
    let error = place.refused(&["group", "export", "team.tar"]);
    assert_eq!(error["kind"], "unavailable");
    assert!(error["hint"].as_str().unwrap().contains("give another name"), "{error}");
    assert_eq!(place.refused(&["group", "export", "none/team.tar"])["kind"], "not_found");

    let imported = place.json(&["group", "import", "team.tar"]);
    has(
        &imported,
        &["group_id", "was", "title", "head", "events", "blobs", "missing_blobs", "scopes", "detached"],
    );
    assert_eq!(imported["was"], exported["group_id"]);
    let id = imported["group_id"].as_str().unwrap();
    assert_eq!(place.json(&["--group", id, "status"])["state"], "idle");
    assert_eq!(place.json(&["--group", id, "--as", "alice", "inbox"])["text"], "see");
    place.ok(&["--group", id, "ledger", "verify"]);
    let text = place.ok(&["group", "import", "team.tar"]);
    assert!(text.contains("an id of its own") && text.contains("group resume"), "{text}");

    // Over a pipe, it is the same.
    let piped = place.run(&["group", "export", "-"]);
    assert!(piped.status.success());
    let imported = place.fed(&["group", "import", "-", "--json"], &piped.stdout);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let cut = place.fed(&["group", "import", "-", "--json"], &piped.stdout[..piped.stdout.len() / 2]);
    let error = refusal(&cut, &["group", "import"]);
    assert!(error["message"].as_str().unwrap().contains("standard input"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("cut short on the way"), "{error}");
    place.file("x.tar", "not a bundle");
    assert_eq!(place.refused(&["group", "import", "x.tar"])["kind"], "invalid");
    assert_eq!(place.refused(&["group", "import", "none.tar"])["kind"], "not_found");
    assert_eq!(place.refused(&["--as", "lead", "group", "import", "team.tar"])["kind"], "refused");
    assert_eq!(place.lines(&["groups"]).len(), 4);
}

/// What there is of files that are not whole.
fn unfinished(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.project()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn an_export_that_is_killed_leaves_nothing_in_its_place() {
    let place = Place::with_actors();
    place.file("large.bin", "x".repeat(40 << 20));
    place.ok(&["send", "see", "--to", "alice", "--file", "large.bin"]);
    let target = place.project().join("team.tar");
    let mut killed = 0;
    while killed < 5 {
        let mut export = place.command(&["group", "export", "team.tar"]).spawn().unwrap();
        // As soon as there is something of it.
        let begun = loop {
            if !unfinished(&place).is_empty() {
                break true;
            }
            if export.try_wait().unwrap().is_some() {
                break false;
            }
        };
        export.kill().unwrap();
        export.wait().unwrap();
        if begun && !target.exists() {
            killed += 1;
            assert_eq!(unfinished(&place).len(), 1, "that of an earlier one is gone");
        } else {
            let _ = fs::remove_file(&target);
        }
    }
    // One that somebody is writing stays.
    let held = fs::File::create(place.project().join(".cccc-held.part")).unwrap();
    held.lock().unwrap();
    for output in [&["group", "export", "team.tar"][..], &["ledger", "export", "--output", "team.jsonl"]] {
        place.ok(output);
    }
    assert_eq!(unfinished(&place), [".cccc-held.part"]);
    assert_eq!(place.json(&["group", "import", "team.tar"])["blobs"], 1);
}

#[test]
fn attachments_that_nobody_names_are_collected() {
    let place = Place::with_actors();
    place.file("plan.md", "# Plan");
    place.ok(&["send", "see", "--to", "alice", "--file", "plan.md"]);
    // Refused after its file was stored: so it was stored for nothing.
    place.refused(&["send", "see", "--to", "nobody", "--file", "plan.md"]);
    let found = place.json(&["group", "gc", "--dry-run"]);
    has(&found, &["dry_run", "removed", "broken_off", "bytes", "named", "young"]);
    assert_eq!((found["young"].as_u64(), found["dry_run"].as_bool()), (Some(1), Some(true)));
    assert!(place.ok(&["group", "gc"]).contains("1 are younger than a day"));
    assert_eq!(place.refused(&["--as", "alice", "group", "gc"])["kind"], "refused");
    place.ok(&["group", "archive"]);
    assert_eq!(place.refused(&["group", "gc"])["kind"], "refused");
    place.ok(&["group", "gc", "--dry-run"]);
}

#[test]
fn a_copy_that_was_broken_off_is_told_of_and_collected() {
    let place = Place::with_actors();
    place.file("large.bin", "x".repeat(60 << 20));
    let path = place.json(&["ledger", "path"])["path"].as_str().unwrap().to_owned();
    let blobs = PathBuf::from(path).join("blobs");
    let copies = || {
        let names = fs::read_dir(&blobs).into_iter().flatten();
        names.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")).count()
    };
    while copies() == 0 {
        let args = ["send", "see", "--to", "alice", "--file", "large.bin"];
        let mut sending = place.command(&args).spawn().unwrap();
        while copies() == 0 && sending.try_wait().unwrap().is_none() {}
        sending.kill().unwrap();
        sending.wait().unwrap();
    }
    let doctor = |args: &[&str]| place.run(&[&["doctor", "--quick"], args].concat()).stdout;
    let json: serde_json::Value = serde_json::from_slice(&doctor(&["--json"])).unwrap();
    assert_eq!((&json["groups"][0]["broken_off"], &json["groups"][0]["ok"]), (&1.into(), &true.into()));
    let text = String::from_utf8(doctor(&[])).unwrap();
    assert!(text.contains("1 broken-off copies") && text.contains("group gc"), "{text}");
    assert_eq!(place.json(&["group", "gc", "--dry-run"])["broken_off"], 1);
    assert_eq!(copies(), 1);
    assert!(place.ok(&["group", "gc"]).contains("0 attachments and 1 copy that was broken off"));
    assert_eq!(copies(), 0);
    assert_eq!(place.json(&["group", "gc"])["broken_off"], 0);
}

#[test]
fn an_export_is_whole_although_an_old_head_was_put_back() {
    let place = Place::with_actors();
    let head = PathBuf::from(place.json(&["ledger", "path"])["path"].as_str().unwrap()).join("head");
    let old = fs::read(&head).unwrap();
    for text in ["one", "two", "three"] {
        place.ok(&["send", text, "--to", "bob"]);
    }
    let put_back = || fs::write(&head, &old).unwrap();
    put_back();
    assert_eq!(place.ok(&["ledger", "export"]).lines().count(), 8);
    put_back();
    assert_eq!(place.json(&["ledger", "export", "--output", "team.jsonl"])["events"], 8);
    put_back();
    assert_eq!(place.json(&["group", "export", "team.tar"])["events"], 8);
    assert_eq!(place.json(&["group", "import", "team.tar"])["events"], 8);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_file_to_import() {
    let place = Place::with_actors();
    let pipe = place.project().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let directory = place.project();
    for args in [&["group", "import"][..], &["--as", "bob", "memory", "import"]] {
        for (path, what) in [(&pipe, "is a pipe"), (&directory, "is a directory")] {
            let error = place.refused(&[args, &[path.to_str().unwrap()]].concat());
            assert_eq!(error["kind"], "invalid", "{error}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(path.to_str().unwrap()) && message.contains(what), "{error}");
        }
        let error = place.refused(&[args, &[pipe.to_str().unwrap()]].concat());
        assert!(error["hint"].as_str().unwrap().contains("import -"), "{error}");
    }
}

/// A file system of 64 kB is mounted in a name space of its own; where that is not allowed, the test says so.
#[cfg(target_os = "linux")]
#[test]
fn an_export_to_a_full_disk_names_the_file_and_leaves_nothing() {
    let place = Place::with_actors();
    place.file("large.bin", "x".repeat(1 << 20));
    place.ok(&["send", "see", "--to", "alice", "--file", "large.bin"]);
    place.fed(&["send", "-", "--to", "bob"], &vec![b'x'; 200_000]);
    for note in 0..16 {
        place.ok(&["--as", "bob", "memory", "add", &format!("{note} {}", "word ".repeat(1_500))]);
    }
    let full = place.path().join("full");
    fs::create_dir(&full).unwrap();
    let mounted = |program: &std::process::Command| {
        let script = r#"mount -t tmpfs -o size=64k none "$1" && dir="$1" && shift && "$@"; code=$?; ls -A "$dir"; exit $code"#;
        let mut command = place.program("unshare");
        command.args(["-rm", "sh", "-c", script, "sh"]).arg(&full);
        command.arg(program.get_program()).args(program.get_args()).stdin(std::process::Stdio::null());
        command.output()
    };
    match mounted(&std::process::Command::new("true")) {
        Ok(output) if output.status.success() => {}
        other => return println!("not checked: {other:?}"),
    }
    let target = full.join("copy");
    let target = target.to_str().unwrap();
    for args in [
        &["group", "export", target][..],
        &["ledger", "export", "--output", target],
        &["memory", "export", "--output", target],
    ] {
        let error = refusal(&mounted(&place.command(&[args, &["--json"]].concat())).unwrap(), args);
        assert_eq!(error["kind"], "unavailable", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("cannot write {target}: the disk is full")), "{error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("free space") && hint.contains("nothing was left behind"), "{error}");
    }
    for args in [&["group", "export", "-"][..], &["ledger", "export"], &["memory", "export"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = place.command(args).arg("--json").stdout(full).output().unwrap();
        let error = refusal(&output, args);
        assert!(error["message"].as_str().unwrap().contains("standard output: the disk is full"), "{error}");
    }
}
