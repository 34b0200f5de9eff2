//! Something else in the place of each file and directory that this library opens in a home: whoever meets it fails
//! with its path and with what to do about it, or goes on without; nobody waits for it, and nobody panics.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cccc_core::event::GroupMode;
use cccc_core::ledger::Verdict;
use cccc_core::ledger::file::RepairOptions;
use cccc_core::presence::{Presence, Record};
use cccc_core::{Error, GroupId, Home, Result, block_on, testing};

/// Where, from the group's directory.
const IN_GROUP: [&str; 27] = [
    "head",
    "head.new",
    "tip",
    "lock",
    "index.lock",
    "checkpoint.lock",
    "checkpoint.3.a",
    "checkpoint.3.b",
    "checkpoint.3.tmp",
    "redacting",
    "redacting.lock",
    "torn",
    "torn/4-1.bin",
    "torn/redacting-1.bin",
    "ledger",
    "ledger/00000000000000000001.jsonl",
    "ledger/00000000000000000001.off",
    "ledger/00000000000000000001.idx",
    "ledger/00000000000000000001.idx.tmp",
    "ledger/00000000000000000001.new",
    "ledger/00000000000000000099.jsonl",
    "ledger/00000000000000000099.off",
    "blobs",
    "blobs/.lock",
    "blobs/.x.tmp",
    // The digest of `kept`.
    "blobs/79f076abdd19a752db7267bfff2f9022161d120dea919fdaca2ffdfc24ca8c96",
    "blobs/stray",
];

/// Where, from the home; `GROUP` is the group's id.
const IN_HOME: [&str; 9] = [
    "registry.json",
    "registry.json.tmp",
    "registry.lock",
    "groups",
    "groups/GROUP",
    "groups/.new-x.lock",
    "presence",
    "presence/GROUP",
    "presence/GROUP/alice",
];

const WHAT: [&str; 6] = ["pipe", "directory", "device", "loop", "dead link", "socket"];

/// Puts something there, in the place of what there is.
fn put(what: &str, path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => fs::create_dir_all(path.parent().unwrap()).unwrap(),
    }
    match what {
        "pipe" => testing::make_pipe(path).unwrap(),
        "directory" => fs::create_dir(path).unwrap(),
        "device" => symlink("/dev/zero", path).unwrap(),
        "loop" => symlink(path, path).unwrap(),
        "dead link" => symlink(path.with_file_name("nowhere"), path).unwrap(),
        "socket" => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        other => panic!("{other}"),
    }
}

async fn make(home: &Path) -> GroupId {
    let home = Home::open(home).await.unwrap();
    let user = home.create_group("g").await.unwrap();
    user.add_actor("alice").await.unwrap();
    let kept = user.blobs().put_bytes("kept", b"kept".to_vec()).await.unwrap();
    user.send("see").to("alice").attachment(kept).await.unwrap();
    user.id().clone()
}

/// Does what can be done with a home; answers what failed.
async fn use_all(home: &Path, id: &GroupId) -> Vec<(&'static str, Error)> {
    let mut failed = Vec::new();
    let mut note = |what, result: Result<()>| failed.extend(result.err().map(|error| (what, error)));
    let at = home;
    let home = match Home::open(at).await {
        Ok(home) => home,
        Err(error) => return vec![("open", error)],
    };
    note("groups", home.groups().await.map(drop));
    note("leftovers", home.leftovers().map(drop));
    note("create", home.create_group("another").await.map(drop));
    note("active", home.set_active(id).await);
    let record = Record {
        principal: "alice".parse().unwrap(),
        session: "s".into(),
        process: None,
        program: None,
        deliverer: false,
        joining: false,
    };
    let presence = Presence::in_directory(at.join("presence").join(id.as_str()));
    note("hold", presence.hold(record).map(drop));
    note("look", presence.look().map(drop));
    let user = match home.group(id).await {
        Ok(user) => user,
        Err(error) => {
            note("group", Err(error));
            return failed;
        }
    };
    note("summary", user.summary().await.map(drop));
    note("send", user.send("more").to("alice").await.map(drop));
    note("store", user.blobs().put_bytes("f", b"other".to_vec()).await.map(drop));
    match user.bind("alice").await {
        Ok(alice) => note("inbox", alice.inbox().await.map(drop)),
        Err(error) => note("bind", Err(error)),
    }
    note("redact", user.redact(cccc_core::Seq(3), "").await.map(drop));
    note("collect", user.collect_blobs().await.map(drop));
    note("attachments", user.check_attachments().await.map(drop));
    note("export", user.export(std::io::sink()).await.map(drop));
    let files = user.files().unwrap();
    note("stats", files.stats().await.map(drop));
    for (cut, dry_run) in [(true, true), (false, true), (false, false), (true, false)] {
        let mut options = RepairOptions::default();
        (options.cut, options.dry_run) = (cut, dry_run);
        note("repair", files.repair(options).await.map(drop));
    }
    let verified = user.ledger().verify().await;
    note(
        "verify",
        verified.map(|verdict| assert!(matches!(verdict, Verdict::Sound { .. } | Verdict::Damaged(_)))),
    );
    note("send again", user.send("and more").to("alice").await.map(drop));
    match user.set_state(GroupMode::Archived, "").await {
        Ok(_) => note("delete", home.delete_group(id).await),
        Err(error) => note("archive", Err(error)),
    }
    failed
}

#[test]
fn what_stands_in_the_place_of_a_file_is_named_and_nobody_waits_for_it() {
    let in_group = IN_GROUP.iter().map(|name| format!("groups/GROUP/{name}"));
    let (mut told, mut wrong) = (0, Vec::new());
    for name in in_group.chain(IN_HOME.iter().map(|name| (*name).to_owned())) {
        for what in WHAT {
            // Where a directory belongs, one is nothing else.
            let is_directory = ["torn", "ledger", "blobs", "groups", "GROUP", "presence", "alice"]
                .iter()
                .any(|dir| name.rsplit('/').next() == Some(dir));
            if is_directory && what == "directory" {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let home = dir.path().join("h");
            let id = block_on(make(&home));
            let path = home.join(name.replace("GROUP", id.as_str()));
            // Longer paths no socket can have.
            if what == "socket" && path.as_os_str().len() > 100 {
                continue;
            }
            put(what, &path);
            let (done, end) = mpsc::channel();
            let at = home.clone();
            let worker = thread::spawn(move || done.send(block_on(use_all(&at, &id))));
            let failed = match end.recv_timeout(Duration::from_secs(60)) {
                Ok(failed) => failed,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("a {what} at {name} is waited for"),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    panic!("a {what} at {name}: {:?}", worker.join())
                }
            };
            let place = path.to_string_lossy();
            for (doing, error) in &failed {
                let (text, hint) = (error.to_string(), error.hint_text().unwrap_or_default());
                let says = ["move it away", "from a copy"].iter().any(|says| hint.contains(says));
                if !text.contains(&*place) || !says {
                    wrong.push(format!("a {what} at {name}, {doing}: {text}"));
                }
            }
            told += failed.len();
        }
    }
    assert!(wrong.is_empty(), "{} of {told}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(told > 100, "{told}");
}
