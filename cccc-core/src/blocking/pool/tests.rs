use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::blocking::{block_on, blocking_section, may_block, off_thread};

fn run(work: impl Future<Output = ()> + Send + 'static) {
    assert!(spawn(Box::pin(work)).is_ok());
}

/// Waits for an answer of the pool, no longer than a busy machine needs.
fn answer<T>(receiver: &mpsc::Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(30)).expect("the pool should have gone on")
}

#[test]
fn work_runs_where_it_may_block_and_wakes_again() {
    let (tell, told) = mpsc::channel();
    let (wake, woken) = tokio::sync::oneshot::channel::<u32>();
    run(async move {
        tell.send(u32::from(may_block())).unwrap();
        let number = woken.await.unwrap();
        step_back().await;
        tell.send(number).unwrap();
    });
    assert_eq!(answer(&told), 1);
    wake.send(7).unwrap();
    assert_eq!(answer(&told), 7);
}

#[test]
fn futures_that_wait_take_no_thread() {
    let (tell, told) = mpsc::channel();
    let (go, gone) = tokio::sync::watch::channel(false);
    for i in 0..500 {
        let (tell, mut gone) = (tell.clone(), gone.clone());
        run(async move {
            gone.wait_for(|go| *go).await.unwrap();
            tell.send(i).unwrap();
        });
    }
    go.send(true).unwrap();
    let mut all: Vec<i32> = (0..500).map(|_| answer(&told)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
}

/// More threads than may work at once wait for each other: none would go on if those that wait were counted.
#[test]
fn threads_that_wait_make_room_for_others() {
    const MANY: usize = 4 * MAX_FREE;
    let barrier = Arc::new(Barrier::new(MANY));
    let (tell, told) = mpsc::channel();
    for _ in 0..MANY {
        let (barrier, tell) = (barrier.clone(), tell.clone());
        run(async move {
            blocking_section(|| barrier.wait());
            tell.send(()).unwrap();
        });
    }
    for _ in 0..MANY {
        answer(&told);
    }
}

#[test]
fn a_panic_ends_its_own_work_only() {
    let (tell, told) = mpsc::channel();
    for i in 0..2 * MAX_FREE {
        let tell = tell.clone();
        run(async move {
            assert!(i % 2 == 0, "as it was asked to");
            tell.send(i).unwrap();
        });
    }
    for _ in 0..MAX_FREE {
        answer(&told);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failed = runtime.block_on(off_thread("the work", || -> crate::Result<()> { panic!("as asked") }));
    assert_eq!(failed.unwrap_err().kind(), crate::ErrorKind::Unavailable);
}

#[test]
fn where_a_thread_may_block_work_is_done_on_it() {
    let here = thread::current().id();
    let there = block_on(off_thread("the work", move || Ok(thread::current().id()))).unwrap();
    assert_eq!(there, here);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let there = runtime.block_on(off_thread("the work", move || Ok(thread::current().id()))).unwrap();
    assert_ne!(there, here);
}

#[test]
fn no_more_work_than_there_may_be_threads_at_once() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    for _ in 0..200 {
        let tell = tell.clone();
        run(async move {
            let now = NOW.fetch_add(1, Ordering::SeqCst) + 1;
            thread::yield_now();
            NOW.fetch_sub(1, Ordering::SeqCst);
            tell.send(now).unwrap();
        });
    }
    // Those of other tests may have been let in beyond the bound while some waited.
    let most = (0..200).map(|_| answer(&told)).max().unwrap();
    assert!(most <= MAX_THREADS, "{most}");
}
