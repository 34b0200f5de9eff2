//! Real forks: a child has none of its parent's locks, and takes none of them away.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `open` or `plain`, and a path: this process locks the file, forks, and is killed.
const PARENT: &str = "CCCC_TEST_PARENT";

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Forks a child that does nothing but wait to be killed, and has begun to.
fn forked() -> libc::pid_t {
    let (mut begun, begins) = std::io::pipe().unwrap();
    // SAFETY: the child calls nothing but what is safe in a signal handler.
    match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: it says that it has begun, and waits for a signal.
            unsafe {
                libc::write(begins.as_raw_fd(), c"x".as_ptr().cast(), 1);
                libc::pause();
            }
        },
        pid => {
            assert!(pid > 0);
            begun.read_exact(&mut [0]).unwrap();
            pid
        }
    }
}

fn end(pid: libc::pid_t) {
    // SAFETY: the child is this process's own and was not waited for.
    unsafe {
        assert_eq!(libc::kill(pid, libc::SIGKILL), 0);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
}

/// The parent, if this is one.
#[test]
#[ignore = "it is started by the other tests"]
fn parent() {
    let Ok(order) = std::env::var(PARENT) else { return };
    let (how, path) = order.split_once(' ').unwrap();
    let path = PathBuf::from(path);
    let (plain, ours);
    if how == "plain" {
        plain = create(&path).unwrap();
        plain.lock().unwrap();
    } else {
        ours = cccc_fork::open(|| create(&path)).unwrap();
        ours.lock().unwrap();
    }
    let child = forked();
    println!("\nchild {child}");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Whether a lock is free when the process that held it was killed and its child lives.
fn is_free_after_the_parent(how: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "parent", "--nocapture"])
        .env(PARENT, format!("{how} {}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let child = lines.find_map(|line| line.unwrap().strip_prefix("child ")?.parse::<libc::pid_t>().ok());
    let child = child.unwrap();
    let lock = create(&path).unwrap();
    assert!(lock.try_lock().is_err(), "the parent holds it");
    parent.kill().unwrap();
    parent.wait().unwrap();
    let is_free = lock.try_lock().is_ok();
    // SAFETY: the test made that process, and it lives until this.
    assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
    is_free
}

#[test]
fn a_child_that_outlives_its_parent_holds_none_of_its_locks() {
    assert!(!is_free_after_the_parent("plain"), "that is what this crate is for");
    assert!(is_free_after_the_parent("open"));
}

#[test]
fn a_lock_outlives_the_children() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let ours = cccc_fork::open(|| create(&path)).unwrap();
    ours.lock().unwrap();
    let other = create(&path).unwrap();
    for _ in 0..3 {
        let child = forked();
        assert!(other.try_lock().is_err());
        end(child);
        assert!(other.try_lock().is_err());
    }
    // What a child unlocks is not its parent's.
    // SAFETY: the child calls nothing but what is safe in a signal handler.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            let unlocked = libc::flock(ours.as_raw_fd(), libc::LOCK_UN);
            let mut byte = 0_u8;
            let read = libc::read(ours.as_raw_fd(), (&raw mut byte).cast(), 1);
            let closes = libc::fcntl(ours.as_raw_fd(), libc::F_GETFD) & libc::FD_CLOEXEC;
            libc::_exit(i32::from(unlocked != 0 || read != 0 || closes == 0));
        }
    }
    let mut status = 0;
    // SAFETY: the child is this process's own.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(other.try_lock().is_err());
    drop(ours);
    other.try_lock().unwrap();
}

/// Forks at any moment: no child keeps a file that was being opened.
#[test]
fn no_fork_comes_between_opening_and_locking() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let (done, opened) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let forking = scope.spawn(|| {
            let mut children = Vec::new();
            while !done.load(Ordering::SeqCst) {
                if opened.swap(false, Ordering::SeqCst) && children.len() < 100 {
                    children.push(forked());
                }
            }
            children
        });
        let mut late = 0;
        for n in 0..2_000 {
            let path = dir.path().join(n.to_string());
            let ours = cccc_fork::open(|| {
                let file = create(&path);
                opened.store(true, Ordering::SeqCst);
                file
            });
            let ours = ours.unwrap();
            ours.lock().unwrap();
            drop(ours);
            late += usize::from(create(&path).unwrap().try_lock().is_err());
        }
        done.store(true, Ordering::SeqCst);
        forking.join().unwrap().into_iter().for_each(end);
        assert_eq!(late, 0);
    });
}

/// What a child would wait for in vain: a lock of a thread that it does not have, and a value that such a thread makes.
#[test]
fn a_child_makes_its_own_whatever_its_parents_threads_were_at() {
    use std::sync::{Barrier, Mutex};
    static LOCKED: cccc_fork::Own<Mutex<u32>> = cccc_fork::Own::new();
    static MAKING: cccc_fork::Own<u32> = cccc_fork::Own::new();
    let (at_it, done) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut locked = LOCKED.get_or_make(Mutex::default).lock().unwrap();
            *locked = 7;
            MAKING.get_or_make(|| {
                at_it.wait();
                done.wait();
                7
            });
        });
        at_it.wait();
        // SAFETY: the child makes two values and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: a signal that ends the child.
            unsafe { libc::alarm(60) };
            let fresh = LOCKED.get().is_none() && *LOCKED.get_or_make(Mutex::default).lock().unwrap() == 0;
            let own = *MAKING.get_or_make(|| 8) == 8 && MAKING.get() == Some(&8);
            // SAFETY: nothing of the parent's is run down here.
            unsafe { libc::_exit(i32::from(!(fresh && own))) };
        }
        let mut status = 0;
        // SAFETY: the child is this process's own.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        done.wait();
        assert_eq!(status, 0);
    });
    assert_eq!((*LOCKED.get().unwrap().lock().unwrap(), MAKING.get()), (7, Some(&7)));
}
