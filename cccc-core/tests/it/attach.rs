//! Making the groups of directories at once: no executor hangs, and every directory has one group.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use cccc_core::disk::RealDisk;
use cccc_core::event::GroupMode;
use cccc_core::{ErrorKind, GroupId, Home, HomeOptions};
use tokio::runtime::Builder;

/// For how long a test may run before it counts as hanging.
const BOUND: Duration = Duration::from_secs(60);

/// Runs on a thread of its own, so that what hangs is a failure.
fn within_bound<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(BOUND).expect("it hangs, or has failed")
}

/// Runs on every kind of executor.
fn on_every_runtime<F: Future<Output = ()> + Send + 'static>(work: impl Fn() -> F + Send + 'static) {
    within_bound(move || {
        Builder::new_current_thread().build().unwrap().block_on(work());
        let two = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        two.block_on(work());
        cccc_core::block_on(work());
    });
}

/// A home, and another one on the same path that shares nothing with it, as another process would open it.
async fn two_homes(path: PathBuf) -> [Home; 2] {
    let mut options = HomeOptions::default();
    options.disk = Arc::new(RealDisk::new());
    [Home::open(&path).await.unwrap(), Home::open_with(&path, options).await.unwrap()]
}

#[test]
fn groups_that_are_made_at_once_do_not_hold_each_other_up() {
    on_every_runtime(|| async {
        let dir = tempfile::tempdir().unwrap();
        let homes = two_homes(dir.path().join("home")).await;
        let directories: Vec<PathBuf> = (0..3).map(|n| dir.path().join(format!("d{n}"))).collect();
        for directory in &directories {
            fs::create_dir(directory).unwrap();
        }
        let tries = (0..12).map(|n| (homes[n % 2].clone(), directories[n % 3].clone()));
        let attached = futures(tries.map(|(home, directory)| async move {
            let attached = home.attach_as(&directory, None).await.unwrap();
            (directory, attached.group.id().clone(), attached.created)
        }))
        .await;
        let found: BTreeSet<(PathBuf, GroupId)> =
            attached.iter().map(|(directory, id, _)| (directory.clone(), id.clone())).collect();
        assert_eq!(found.len(), 3, "one group for each directory: {attached:?}");
        assert_eq!(attached.iter().filter(|(.., created)| *created).count(), 3);
        assert_eq!(homes[0].groups().await.unwrap().len(), 3, "and none besides");
    });
}

#[test]
fn everything_that_changes_the_registry_may_be_done_at_once() {
    on_every_runtime(|| async {
        let dir = tempfile::tempdir().unwrap();
        let [home, other] = two_homes(dir.path().join("home")).await;
        let group = home.create_group("shared").await.unwrap();
        let id = group.id().clone();
        futures((0..8).map(|n| {
            let directory = dir.path().join(format!("d{n}"));
            fs::create_dir(&directory).unwrap();
            let (home, id) = (if n % 2 == 0 { home.clone() } else { other.clone() }, id.clone());
            async move {
                let group = home.group(&id).await.unwrap();
                home.set_active(&id).await.unwrap();
                home.add_scope(&group, &directory).await.unwrap();
                let made = home.create_group("passing").await.unwrap();
                made.set_state(GroupMode::Archived, "").await.unwrap();
                home.delete_group(made.id()).await.unwrap();
                home.remove_scope(&group, &directory).await.unwrap();
            }
        }))
        .await;
        assert_eq!(home.groups().await.unwrap().len(), 1);
        assert!(group.summary().await.unwrap().scopes.is_empty());
        assert_eq!(other.active().await.unwrap().unwrap().id(), &id);
    });
}

#[test]
fn a_registry_that_somebody_holds_is_named_and_not_waited_for_for_ever() {
    on_every_runtime(|| async {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let holder = fs::File::create(home.path().join("registry.lock")).unwrap();
        holder.lock().unwrap();
        let error = home.attach(dir.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let held = format!("holds the lock on {}", home.path().join("registry.lock").display());
        assert!(error.to_string().contains(&held), "{error}");
        assert!(home.groups().await.unwrap().is_empty(), "what was made for it is gone");
        holder.unlock().unwrap();
        assert!(home.attach_as(dir.path(), None).await.unwrap().created);
    });
}

#[test]
fn a_refused_attach_leaves_no_group_behind() {
    on_every_runtime(|| async {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let title = Some("x".repeat(10_000));
        assert_eq!(home.attach_as(dir.path(), title).await.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(home.create_group("x".repeat(10_000)).await.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(fs::read_dir(home.path().join("groups")).unwrap().count(), 0);
    });
}

const CHURN: &str = "CCCC_TEST_CHURN";

/// Not a test: makes and deletes groups until it is killed.
#[test]
#[ignore = "it is started by the other tests"]
fn churn() {
    let Ok(path) = std::env::var(CHURN) else { return };
    cccc_core::block_on(async {
        let home = Home::open(&path).await.unwrap();
        let project = home.path().parent().unwrap().join("project");
        println!("> begun");
        loop {
            let group = home.attach(&project).await.unwrap();
            group.set_state(GroupMode::Archived, "").await.unwrap();
            home.delete_group(group.id()).await.unwrap();
        }
    });
}

#[test]
fn whoever_is_killed_while_it_makes_or_deletes_leaves_nothing_that_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (path, project) = (dir.path().join("home"), dir.path().join("project"));
    fs::create_dir(&project).unwrap();
    for round in 0..40_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "attach::churn", "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHURN, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().contains("> begun") {}
        // At an ever other point of what it does.
        (0..round * 200).for_each(|_| std::thread::yield_now());
        child.kill().unwrap();
        child.wait().unwrap();
        let path = path.clone();
        let project = project.clone();
        within_bound(move || {
            cccc_core::block_on(async {
                let home = Home::open(&path).await.unwrap();
                for entry in home.groups().await.unwrap() {
                    let group = home.group(&entry.group_id).await.unwrap();
                    assert_eq!(group.summary().await.unwrap().title, "project", "half a group is seen");
                }
                drop(home.attach(&project).await.unwrap());
                for entry in home.groups().await.unwrap() {
                    let group = home.group(&entry.group_id).await.unwrap();
                    group.set_state(GroupMode::Archived, "").await.unwrap();
                    home.delete_group(&entry.group_id).await.unwrap();
                }
                assert!(home.find(&project).await.unwrap().is_none());
                assert_eq!(fs::read_dir(home.path().join("groups")).unwrap().count(), 0);
            });
        });
    }
}

/// Polls all of them together until they are done, on one task.
async fn futures<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, result) in &mut waiting {
            if result.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *result = Some(output);
            }
        }
        match waiting.iter().all(|(_, result)| result.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, result)| result).collect()
}
