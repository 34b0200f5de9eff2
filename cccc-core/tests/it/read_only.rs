//! A home that can only be read.
//!
//! Root may write whatever the permissions say, so a mount that is read-only is needed; where one cannot be made,
//! this says so and checks nothing.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use cccc_core::{ErrorKind, Home, block_on};

const HOME: &str = "CCCC_TEST_READ_ONLY_HOME";

/// Enough for checkpoints and an index.
const MESSAGES: u64 = 350;

/// Not a test: what runs where the home is mounted read-only.
#[test]
#[ignore = "run by the other test, in a name space of its own"]
fn reader() {
    let Ok(path) = std::env::var(HOME) else { return };
    block_on(async {
        let home = Home::open(&path).await.unwrap();
        assert!(home.read_only().unwrap().contains("read-only"));
        let groups = home.groups().await.unwrap();
        let id = &groups[0].group_id;
        assert_eq!(groups[0].scopes.len(), 1);
        assert!(home.leftovers().unwrap().is_empty());
        // Derived files that cannot be written are missed by nobody.
        let group = home.group(id).await.unwrap();
        for _ in 0..2 {
            assert_eq!(group.summary().await.unwrap().actors.len(), 1);
            assert_eq!(group.history().kind("actor").await.unwrap().events.len(), 1);
            assert_eq!(group.history().limit(1).await.unwrap().events[0].seq.0, MESSAGES + 3);
        }
        for error in [
            home.create_group("x").await.unwrap_err(),
            home.attach(Path::new(&path).parent().unwrap()).await.unwrap_err(),
            home.set_active(id).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains("ead-only file system"), "{error}");
        }
    });
}

#[test]
fn it_is_opened_and_says_why_nothing_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (path, project) = (dir.path().join("home"), dir.path().join("project"));
    std::fs::create_dir(&project).unwrap();
    block_on(async {
        let group = Home::open(&path).await.unwrap().attach(&project).await.unwrap();
        group.add_actor("lead").await.unwrap();
        for _ in 0..MESSAGES {
            group.send("x".repeat(16_000)).to("lead").await.unwrap();
        }
        // Without what is derived, which a reader makes anew where it can.
        let dir = group.files().unwrap().path().to_owned();
        let files = [&dir, &dir.join("ledger")].map(|dir| std::fs::read_dir(dir).unwrap());
        let derived = files.into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("checkpoint") || name.ends_with(".idx")
        });
        let derived: Vec<_> = derived.collect();
        assert!(derived.len() >= 2, "so long a ledger has checkpoints: {derived:?}");
        derived.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    });
    // As of a medium that knows no permissions.
    std::os::unix::fs::chown(&path, Some(12345), None).ok();
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" --exact read_only::reader --ignored"#;
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(&path)
        .arg(std::env::current_exe().unwrap())
        .env(HOME, &path)
        .output();
    let Ok(output) = output else { return println!("not checked: there is no unshare") };
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.contains("running 1 test") {
        return println!("not checked: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
