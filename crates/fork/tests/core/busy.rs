//! Forks while other threads of the parent are in the middle of something.

use std::fs::File;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use cccc_core::{ErrorKind, block_on};

use crate::child::{Child, Place, Signal, in_child, poll_once, says_what_to_do};

/// Whether this process has a thread that waits for a lock in the kernel's queue. Where that cannot be told, the
/// test is a weaker one.
fn has_a_thread_for_the_lock() -> bool {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return true };
    tasks.flatten().any(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "cccc-lock")
    })
}

#[test]
fn a_child_works_whose_parent_waits_for_a_lock_and_in_the_pool_and_for_news() {
    let place = Place::new();
    let (free, refused) = (Signal::new(), Signal::new());
    let lock = File::open(place.home.group_path(place.user.id()).join("lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        // One waits on its own thread, one on a thread of the pool, and one for what they write.
        let mut news = place.user.watch(block_on(place.user.position()).unwrap());
        let watching = scope.spawn(move || block_on(news.next()).is_ok());
        // A slow machine may make its patience end.
        let waiting = scope.spawn(|| while block_on(place.user.send("From a thread").to("lead")).is_err() {});
        let mut send = pin!(place.user.send("From the pool").to("lead").into_future());
        assert!(poll_once(send.as_mut()).is_pending());
        while !has_a_thread_for_the_lock() {
            thread::yield_now();
        }
        let child = Child::forked(|| {
            let told = block_on(place.user.send("Hello").to("lead")).is_err_and(|e| says_what_to_do(&e));
            let pending = block_on(send.as_mut()).is_err_and(|e| says_what_to_do(&e));
            refused.give();
            free.wait();
            told && pending && place.works_when_opened_again("Hello from the child")
        });
        refused.wait();
        lock.unlock().unwrap();
        free.give();
        assert!(child.said_yes());
        waiting.join().unwrap();
        assert!(watching.join().unwrap());
        assert!(block_on(send).map_or_else(|e| e.kind() == ErrorKind::Unavailable, |_| true));
    });
}

#[test]
fn children_that_are_forked_at_any_moment_work() {
    let place = Place::new();
    let (done, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for name in ["one", "two"] {
            let (place, done, turns) = (&place, &done, &turns);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    // What is opened and closed again is what all homes of a process share.
                    let mine = block_on(place.again());
                    let mut send = pin!(mine.send(name).to("lead").into_future());
                    while poll_once(send.as_mut()).is_pending() {
                        thread::yield_now();
                    }
                    turns.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            let mut news = place.user.watch(cccc_core::Position::start(place.user.id()));
            while !done.load(Ordering::SeqCst) {
                block_on(news.next()).unwrap();
            }
        });
        let mut failed = 0;
        for _ in 0..30 {
            let before = turns.load(Ordering::SeqCst);
            while turns.load(Ordering::SeqCst) == before {
                thread::yield_now();
            }
            failed += usize::from(!in_child(|| place.works_when_opened_again("Hello from a child")));
        }
        done.store(true, Ordering::SeqCst);
        // Whoever waits for news sees that it is done.
        block_on(place.user.send("The end").to("lead")).unwrap();
        assert_eq!(failed, 0);
    });
}
