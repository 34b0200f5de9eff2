//! One bad command, or one bad moment, is one failed command, and never the end of the group.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// A clock that panics so many times.
#[derive(Debug)]
struct Broken(AtomicUsize);

impl Clock for Broken {
    fn now(&self) -> Timestamp {
        let more = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(more.is_err(), "the clock is broken, as it was asked to be");
        Timestamp::default()
    }
}

async fn go_on_after_panics(engine: Arc<Engine>, clock: Arc<Broken>) {
    create(&engine).await;
    for i in 0..3 {
        clock.0.store(1, Ordering::SeqCst);
        let failed = add(&engine, "lead").await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unknown, "{failed}");
        assert!(failed.to_string().contains("may or may not"), "{failed}");
        add(&engine, &format!("a{i}")).await.unwrap();
        assert_eq!(actors(&engine).await.unwrap().len(), i + 1);
    }
}

fn with_broken_clock() -> (tempfile::TempDir, Arc<Engine>, Arc<Broken>) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Broken(AtomicUsize::new(0)));
    let ledger = file_ledger(Arc::new(RealDisk::new()), dir.path());
    (dir, Arc::new(Engine::new(ledger, clock.clone())), clock)
}

#[test]
fn a_panic_fails_what_was_decided_together_and_the_writer_lives() {
    in_time(|| {
        let (_dir, engine, clock) = with_broken_clock();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(go_on_after_panics(engine, clock));
    });
}

#[test]
fn a_panic_on_the_callers_own_thread_is_an_error_too() {
    in_time(|| {
        let (_dir, engine, clock) = with_broken_clock();
        block_on(go_on_after_panics(engine, clock));
    });
}
