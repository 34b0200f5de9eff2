//! Homes and groups that cannot be written to are read, and say why they are not written to.
//!
//! Root may write whatever the permissions say. So a mount that is read-only is made, in a name space of its own,
//! and what is about permissions runs as nobody; where that is not allowed, the test says so and checks nothing.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Place, refusal, succeeded};

const NOBODY: u32 = 65534;

/// A group of five events and a message with a file, and the directory of it.
fn group() -> (Place, PathBuf) {
    let place = Place::with_actors();
    place.file("a.txt", "content");
    place.ok(&["send", "look", "--to", "bob", "--file", "a.txt"]);
    let dir = place.json(&["ledger", "path"])["path"].as_str().unwrap().into();
    (place, dir)
}

/// What must be possible wherever reading is: `run` runs the program with these arguments.
fn is_read(place: &Place, run: impl Fn(&[&str]) -> Output) {
    let json = |args: &[&str]| -> Vec<Value> {
        let text = succeeded(&run(&[args, &["--json"]].concat()), args);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(json(&["tail", "-n", "100"]).len(), 6);
    assert_eq!(json(&["show", "6"])[0]["data"]["text"], "look");
    assert_eq!(json(&["ledger", "verify"])[0]["ok"], true);
    assert_eq!(json(&["--as", "bob", "inbox", "--peek"])[0]["text"], "look");
    for quick in [&[] as &[&str], &["--quick"]] {
        let found = &json(&[&["doctor"], quick].concat())[0]["groups"][0];
        assert_eq!((&found["ok"], found["attachments"].is_null()), (&true.into(), !quick.is_empty()));
    }
    let bundle = place.project().join("group.tar");
    json(&["group", "export", bundle.to_str().unwrap()]);
    let other = place.path().join("other");
    let mut import = place.command(&["group", "import", bundle.to_str().unwrap()]);
    succeeded(&import.env("CCCC_HOME", &other).output().unwrap(), &["group", "import"]);
    fs::remove_file(bundle).unwrap();
    fs::remove_dir_all(other).unwrap();
}

/// What is refused, with its reason, and is no hang.
fn is_refused(run: impl Fn(&[&str]) -> Output, args: &[&str], reason: &str) {
    let error = refusal(&run(&[args, &["--json"]].concat()), args);
    assert_eq!(error["kind"], "unavailable", "{error}");
    assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
}

#[test]
fn a_home_on_a_read_only_file_system_is_read() {
    let (place, _) = group();
    let mounted = |program: &mut Command| {
        let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;
        let mut command = place.program("unshare");
        command.args(["-rm", "sh", "-c", script, "sh"]).arg(place.home());
        command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null()).output()
    };
    match mounted(&mut Command::new("true")) {
        Ok(output) if output.status.success() => {}
        Ok(output) => return println!("not checked: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => return println!("not checked: unshare: {error}"),
    }
    let run = |args: &[&str]| mounted(&mut place.command(args)).unwrap();
    is_read(&place, run);
    for args in [
        &["send", "x", "--to", "bob"] as &[&str],
        &["send", "x", "--to", "bob", "--file", "a.txt"],
        &["--as", "bob", "inbox"],
        &["ledger", "repair"],
        &["group", "create", "--title", "another"],
    ] {
        is_refused(run, args, "Read-only file system");
    }
    let error = refusal(&run(&["--as", "bob", "inbox", "--json"]), &["inbox"]);
    assert!(error["hint"].as_str().unwrap().contains("inbox --peek"), "{error}");
}

/// Gives nobody all that is below a directory.
fn give_away(path: &Path) -> std::io::Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| give_away(&entry?.path()))?;
    }
    Ok(())
}

/// Sets the permissions of all that is below a directory, directories after what they hold.
fn set_modes(path: &Path, file: u32, dir: u32) {
    let is_dir = path.is_dir();
    if is_dir {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::read_dir(path).unwrap().for_each(|entry| set_modes(&entry.unwrap().path(), file, dir));
    }
    let mode = if is_dir { dir } else { file };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_group_without_write_permission_is_read() {
    let (place, dir) = group();
    // Where nobody may look at the build, either.
    let program = place.path().join("cccc");
    fs::copy(env!("CARGO_BIN_EXE_cccc"), &program).unwrap();
    let is_root = fs::metadata(place.path()).unwrap().uid() == 0;
    if is_root && let Err(error) = give_away(place.path()) {
        return println!("not checked: {error}");
    }
    let run = |args: &[&str]| {
        let mut command = place.program(&program);
        command.args(args).stdin(Stdio::null());
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output()
    };
    if let Err(error) = run(&["version"]) {
        return println!("not checked: {error}");
    }
    let run = |args: &[&str]| run(args).unwrap();

    set_modes(&dir, 0o400, 0o500);
    is_read(&place, run);
    is_refused(run, &["send", "x", "--to", "bob"], "Permission denied");
    is_refused(run, &["--as", "bob", "inbox"], "Permission denied");
    is_refused(run, &["ledger", "repair"], "Permission denied");

    // Where only no file can be made or replaced, what is there is still written to.
    set_modes(&dir, 0o600, 0o500);
    is_read(&place, run);
    succeeded(&run(&["send", "x", "--to", "bob"]), &["send"]);
    set_modes(&dir, 0o600, 0o700);
}
