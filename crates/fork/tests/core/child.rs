//! Forked children, and what they are forked from.

use std::future::Future;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use cccc_core::{Error, ErrorKind, Group, Home, LiveSession, Position, block_on};

/// So long a child may take, in seconds: one that waits for what it does not have is ended by then.
const DEADLINE: u32 = 60;

/// A forked child at work.
pub(crate) struct Child(libc::pid_t);

impl Child {
    /// Forks one that does `work` and then ends, without anything else of this process.
    pub(crate) fn forked(work: impl FnOnce() -> bool) -> Self {
        // SAFETY: the other threads of this process hold nothing that `work` needs: the C library sees to its
        // allocator, and the rest is what these tests are about.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: a signal that ends the child.
                unsafe { libc::alarm(DEADLINE) };
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
                // SAFETY: nothing of the parent's is run down here.
                unsafe { libc::_exit(i32::from(!done)) }
            }
            child => {
                assert!(child > 0);
                Self(child)
            }
        }
    }

    /// Waits for its end, and answers whether its work said yes. Where that hung or panicked, it did not.
    pub(crate) fn said_yes(self) -> bool {
        let mut status = 0;
        // SAFETY: the child is this process's own, and not waited for by anybody else.
        assert_eq!(unsafe { libc::waitpid(self.0, &raw mut status, 0) }, self.0);
        status == 0
    }
}

/// Does `work` in a forked child, and answers whether it said yes.
pub(crate) fn in_child(work: impl FnOnce() -> bool) -> bool {
    Child::forked(work).said_yes()
}

/// Something that one process tells another, once.
pub(crate) struct Signal(PipeReader, PipeWriter);

impl Signal {
    pub(crate) fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        Self(reader, writer)
    }

    pub(crate) fn give(&self) {
        (&self.1).write_all(b"x").unwrap();
    }

    pub(crate) fn wait(&self) {
        (&self.0).read_exact(&mut [0]).unwrap();
    }
}

/// A home with a group, and what a process may have open of it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) home: Home,
    pub(crate) user: Group,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        block_on(async {
            let home = Home::open(dir.path().join("home")).await.unwrap();
            let user = home.create_group("g").await.unwrap();
            user.add_actor("lead").await.unwrap();
            Self { dir, home, user }
        })
    }

    pub(crate) fn join(&self, name: &str) -> LiveSession {
        block_on(self.user.join().id(name)).unwrap().session
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The group, opened again.
    pub(crate) async fn again(&self) -> Group {
        Home::open(self.path()).await.unwrap().group(self.user.id()).await.unwrap()
    }

    /// Opens the group again and uses what needs locks, threads and notification.
    pub(crate) fn works_when_opened_again(&self, text: &str) -> bool {
        block_on(async {
            let mine = self.again().await;
            let sent = mine.send(text).to("lead").await.unwrap().seq;
            let mut news = mine.watch(Position::start(mine.id()));
            while news.next().await.unwrap().seq < sent {}
            // Nothing comes until this is sent, on a thread of this process's own pool.
            let next = mine.clone();
            let sending = std::thread::spawn(move || {
                let mut send = Box::pin(next.send("And one more").to("lead").into_future());
                while poll_once(send.as_mut()).is_pending() {
                    std::thread::yield_now();
                }
            });
            news.next().await.unwrap();
            sending.join().is_ok()
        })
    }
}

/// Whether an error says that the home is to be opened again.
pub(crate) fn says_what_to_do(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict
        && error.hint_text().is_some_and(|hint| hint.contains("again in the child"))
}

pub(crate) fn poll_once<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
