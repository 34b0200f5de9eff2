//! Groups as files, and attachments that nobody names, on the command line.

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
    assert_eq!(place.refused(&["group", "export", "team.tar"])["kind"], "unavailable");
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
    place.file("x.tar", "not a bundle");
    assert_eq!(place.refused(&["group", "import", "x.tar"])["kind"], "invalid");
    assert_eq!(place.refused(&["group", "import", "none.tar"])["kind"], "not_found");
    assert_eq!(place.refused(&["--as", "lead", "group", "import", "team.tar"])["kind"], "refused");
    assert_eq!(place.lines(&["groups"]).len(), 4);
    assert!(error["hint"].as_str().unwrap().contains("cut short on the way"), "{error}");
}

#[test]
fn attachments_that_nobody_names_are_collected() {
    let place = Place::with_actors();
    place.file("plan.md", "# Plan");
    place.ok(&["send", "see", "--to", "alice", "--file", "plan.md"]);
    // Refused after its file was stored: so it was stored for nothing.
    place.refused(&["send", "see", "--to", "nobody", "--file", "plan.md"]);
    let found = place.json(&["group", "gc", "--dry-run"]);
    has(&found, &["dry_run", "removed", "bytes", "named", "young"]);
    assert_eq!((found["young"].as_u64(), found["dry_run"].as_bool()), (Some(1), Some(true)));
    assert!(place.ok(&["group", "gc"]).contains("1 are younger than a day"));
    assert_eq!(place.refused(&["--as", "alice", "group", "gc"])["kind"], "refused");
    place.ok(&["group", "archive"]);
    assert_eq!(place.refused(&["group", "gc"])["kind"], "refused");
    place.ok(&["group", "gc", "--dry-run"]);
}
