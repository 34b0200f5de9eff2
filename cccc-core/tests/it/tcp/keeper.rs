//! Starts a server, and starts it again when it has died.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::server::{LISTENING, Manner, SERVER};

/// A server that lasts as long as this, however often it dies.
pub(super) struct Keeper {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    child: Mutex<Option<Child>>,
    is_over: AtomicBool,
    starts: AtomicU64,
}

impl Keeper {
    /// A server that never fails.
    pub(super) fn start(delay: Duration) -> Self {
        Self::start_faulty(delay, 0, 0, 0)
    }

    /// A server that fails as [`Manner`] says.
    pub(super) fn start_faulty(delay: Duration, seed: u64, cut: u32, kill: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manner = Manner { dir: dir.path().into(), delay, seed, cut, kill };
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || keep(&shared, manner, &ready)
        });
        is_ready.recv().unwrap();
        Self { dir, shared, thread: Some(thread) }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How often it had to be started again.
    pub(super) fn deaths(&self) -> u64 {
        self.shared.starts.load(Ordering::Relaxed) - 1
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(child) = self.shared.child.lock().unwrap().as_mut() {
            let _ = child.kill();
        }
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn keep(shared: &Shared, mut manner: Manner, ready: &mpsc::Sender<()>) {
    loop {
        let output = {
            let mut slot = shared.child.lock().unwrap();
            if shared.is_over.load(Ordering::Relaxed) {
                return;
            }
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "tcp::server::server", "--ignored", "--nocapture", "--test-threads=1"])
                .env(SERVER, serde_json::to_string(&manner).unwrap())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = child.stdout.take().unwrap();
            *slot = Some(child);
            output
        };
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // libtest says something before it on the same line.
            if let Some((_, port)) = line.split_once(LISTENING) {
                shared.starts.fetch_add(1, Ordering::Relaxed);
                let path = manner.dir.join("port");
                std::fs::write(path.with_extension("new"), port).unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
                let _ = ready.send(());
            }
        }
        // Its output ends when it does.
        if let Some(mut child) = shared.child.lock().unwrap().take() {
            let _ = child.wait();
        }
        manner.seed += 1;
    }
}
