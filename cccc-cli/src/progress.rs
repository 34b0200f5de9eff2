//! A sign of life on standard error while something takes long, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Shown after this long; most work is done before.
const AFTER: Duration = Duration::from_millis(500);

/// Shows `what` with the seconds gone by, until dropped.
#[derive(Debug, Default)]
pub(crate) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    pub(crate) fn start(what: impl Into<String>) -> Self {
        if !io::stderr().is_terminal() {
            return Self::default();
        }
        let (what, started) = (what.into(), Instant::now());
        let (stop, stopped) = mpsc::channel();
        let shown = thread::spawn(move || {
            let mut any = false;
            // Ends when the sender is dropped.
            while stopped.recv_timeout(AFTER) == Err(RecvTimeoutError::Timeout) {
                any = true;
                let _ = write!(io::stderr(), "\r{what}... {} s", started.elapsed().as_secs());
            }
            if any {
                let _ = write!(io::stderr(), "\r\x1b[K");
            }
        });
        Self(Some((stop, shown)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, shown)) = self.0.take() {
            drop(stop);
            // A thread that panicked has nothing left to clear.
            let _ = shown.join();
        }
    }
}
