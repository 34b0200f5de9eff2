//! Homes: who may open them, which directory belongs to which group, and what survives damage.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cccc_core::disk::RealDisk;
use cccc_core::event::GroupMode;
use cccc_core::{ErrorKind, GroupId, Home, HomeOptions, block_on};

/// A home that shares nothing with others in this process, as another process would open it.
pub(crate) async fn open_apart(path: impl AsRef<Path>) -> cccc_core::Result<Home> {
    let mut options = HomeOptions::default();
    options.disk = Arc::new(RealDisk::new());
    Home::open_with(path, options).await
}

#[test]
fn a_directory_has_one_group_however_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("project");
    fs::create_dir_all(project.join("src/deep")).unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let first = home.attach_as(&project, None).await.unwrap();
        assert!(first.created);
        let again = home.attach_as(project.join("src/deep"), Some("other".into())).await.unwrap();
        assert!(!again.created);
        assert_eq!(again.group.id(), first.group.id());
        assert_eq!(again.group.summary().await.unwrap().title, "project");
        assert!(home.find(dir.path()).await.unwrap().is_none());
        assert_eq!(home.attach(project.join("none")).await.unwrap_err().kind(), ErrorKind::NotFound);

        // Another process of the same home finds the same.
        let other = open_apart(dir.path().join("home")).await.unwrap();
        assert_eq!(other.attach(&project).await.unwrap().id(), first.group.id());
        assert_eq!(other.active().await.unwrap().unwrap().id(), first.group.id());
    });
}

#[test]
fn scopes_are_added_and_removed_and_belong_to_one_group() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::create_dir_all(&one).unwrap();
    fs::create_dir_all(&two).unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let group = home.attach(&one).await.unwrap();
        home.add_scope(&group, &two).await.unwrap();
        assert_eq!(home.attach(&two).await.unwrap().id(), group.id());
        let other = home.create_group("other").await.unwrap();
        assert_eq!(home.add_scope(&other, &two).await.unwrap_err().kind(), ErrorKind::Conflict);
        fs::remove_dir(&two).unwrap();
        home.remove_scope(&group, &two).await.unwrap();
        assert_eq!(home.remove_scope(&group, &two).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(group.summary().await.unwrap().scopes.len(), 1);
    });
}

#[test]
fn only_an_archived_group_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let group = home.attach(dir.path()).await.unwrap();
        let id = group.id().clone();
        assert_eq!(home.delete_group(&id).await.unwrap_err().kind(), ErrorKind::Refused);
        group.set_state(GroupMode::Archived, "done").await.unwrap();
        home.delete_group(&id).await.unwrap();
        drop(group);
        assert_eq!(home.group(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(home.groups().await.unwrap().is_empty());
        assert!(home.active().await.unwrap().is_none());
    });
}

#[test]
fn what_is_left_of_a_group_is_deleted_without_ado() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let id = |name: &str| GroupId::new(name).unwrap();
        // As older versions left it when they died: no ledger, one without a segment, one without an event.
        fs::create_dir_all(home.group_path(&id("gbare"))).unwrap();
        fs::create_dir_all(home.group_path(&id("ghalf")).join("ledger")).unwrap();
        let options = cccc_core::ledger::file::Options::default();
        let path = home.group_path(&id("gempty"));
        cccc_core::ledger::FileLedger::create(Arc::new(RealDisk::new()), path, id("gempty"), options)
            .unwrap();
        for name in ["gbare", "ghalf", "gempty"] {
            assert!(home.groups().await.unwrap().iter().any(|group| group.group_id.as_str() == name));
            if name != "gempty" {
                let error = home.group(&id(name)).await.unwrap_err();
                assert!(error.to_string().contains("cccc group delete"), "{error}");
            }
            home.delete_group(&id(name)).await.unwrap();
            assert_eq!(home.delete_group(&id(name)).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        // One that has events is not, whatever else it lacks.
        let group = home.create_group("kept").await.unwrap();
        assert_eq!(home.delete_group(group.id()).await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(home.groups().await.unwrap().len(), 1);
    });
}

#[test]
fn what_died_in_the_middle_is_swept_and_named_until_then() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let kept = home.create_group("kept").await.unwrap();
        let groups = home.path().join("groups");
        for left in [".new-x", ".import-x", ".gone-x"] {
            fs::create_dir_all(groups.join(left).join("ledger")).unwrap();
            fs::write(groups.join(format!("{left}.lock")), "").unwrap();
        }
        assert_eq!(home.leftovers().unwrap().len(), 3);
        assert_eq!(home.groups().await.unwrap().len(), 1, "nobody sees them");
        let made = home.create_group("made").await.unwrap();
        assert!(home.leftovers().unwrap().is_empty());
        assert_eq!(fs::read_dir(&groups).unwrap().count(), 2);
        // A registry that names a group which is gone does not keep its directory from having one.
        let project = dir.path().join("project");
        fs::create_dir(&project).unwrap();
        home.add_scope(&made, &project).await.unwrap();
        fs::remove_dir_all(home.group_path(made.id())).unwrap();
        drop(made);
        assert_eq!(home.find(&project).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(home.attach_as(&project, None).await.unwrap().created);
        assert_eq!(home.find(&project).await.unwrap().unwrap().summary().await.unwrap().title, "project");
        drop(kept);
    });
}

#[test]
fn a_group_whose_files_were_replaced_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let group = home.create_group("g").await.unwrap();
        // Which files they are is known from the first use on.
        group.summary().await.unwrap();
        let path = home.group_path(group.id());
        fs::rename(&path, dir.path().join("away")).unwrap();
        assert_eq!(home.group(group.id()).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(group.summary().await.unwrap_err().kind(), ErrorKind::NotFound);
        copy(&dir.path().join("away"), &path);
        assert_eq!(group.summary().await.unwrap().title, "g", "the old handle finds them");
        assert_eq!(home.group(group.id()).await.unwrap().summary().await.unwrap().title, "g");
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_in_the_place_of_one_holds_nobody_up() {
    use cccc_core::testing::make_pipe;

    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        make_pipe(&home.path().join("registry.json")).unwrap();
        let error = home.groups().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("a pipe"), "{error}");
        assert_eq!(home.attach(dir.path()).await.unwrap_err().kind(), ErrorKind::Corrupt);
        fs::remove_file(home.path().join("registry.json")).unwrap();
        fs::remove_file(home.path().join("registry.lock")).ok();
        make_pipe(&home.path().join("registry.lock")).unwrap();
        let error = home.attach(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("registry.lock"), "{error}");
        fs::remove_file(home.path().join("registry.lock")).unwrap();
        // What a project has in the place of git's files is no reason to wait, either.
        let project = dir.path().join("project");
        fs::create_dir(&project).unwrap();
        make_pipe(&project.join(".git")).unwrap();
        assert!(home.attach_as(&project, None).await.unwrap().created);
    });
}

#[test]
fn two_homes_in_one_process_do_not_know_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let one = Home::open(dir.path().join("one")).await.unwrap();
        let two = Home::open(dir.path().join("two")).await.unwrap();
        let group = one.create_group("here").await.unwrap();
        assert_eq!(two.group(group.id()).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(GroupId::new("../one").is_err());
    });
}

#[cfg(unix)]
#[test]
fn a_home_that_others_may_enter_or_own_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home");
    block_on(async {
        drop(Home::open(&path).await.unwrap().create_group("x").await.unwrap());
        for file in walk(&path) {
            let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", file.display());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Home::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("chmod 700"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        // Giving it away needs a privilege that a test may not have.
        if chown(&path, Some(12345), None).is_ok() {
            let error = Home::open(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("another user"), "{error}");
        }
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Home::open(&file).await.unwrap_err().to_string().contains("file"));
    });
}

#[cfg(unix)]
fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { Vec::new() };
    entries.flat_map(|path| [vec![path.clone()], below(path)].concat()).collect()
}

/// Writes garbage over every file that is derived: offsets, indexes, checkpoints.
fn spoil_derived(group: &Path, garbage: &[u8]) -> usize {
    let mut spoilt = 0;
    for dir in [group.to_owned(), group.join("ledger")] {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("checkpoint.") || name.ends_with(".off") || name.ends_with(".idx") {
                fs::write(&path, garbage).unwrap();
                spoilt += 1;
            }
        }
    }
    spoilt
}

#[test]
fn derived_files_may_lie_without_anyone_being_told_wrong() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.create_group("derived").await.unwrap();
        user.add_actor("lead").await.unwrap();
        user.add_actor("alice").await.unwrap();
        let text = "x".repeat(2000);
        let mut last = None;
        for i in 0..400 {
            let message = user.send(format!("{i} {text}")).to("alice").client_id(format!("k{i}"));
            last = Some(if i % 10 == 0 { message.reply_required().await } else { message.await }.unwrap());
        }
        let id = user.id().clone();
        drop(user);
        let mut summaries = Vec::new();
        for garbage in
            [None, Some(vec![]), Some(vec![0; 64]), Some(vec![0xff; 5000]), Some(b"x".repeat(100_000))]
        {
            if let Some(garbage) = garbage {
                assert!(spoil_derived(&home.group_path(&id), &garbage) >= 2);
            }
            let home = open_apart(dir.path().join("home")).await.unwrap();
            let user = home.group(&id).await.unwrap();
            let again = user.send(format!("399 {text}")).to("alice").client_id("k399").await.unwrap();
            assert_eq!(Some(again.event_id), last.as_ref().map(|sent| sent.event_id));
            assert_eq!(user.event(200).await.unwrap().seq.0, 200);
            let alice = user.bind("alice").await.unwrap();
            assert_eq!(alice.inbox().limit(1000).peek().await.unwrap().messages.len(), 400);
            summaries.push(user.summary().await.unwrap());
        }
        assert!(summaries.windows(2).all(|two| two[0] == two[1]), "{summaries:?}");
    });
}
