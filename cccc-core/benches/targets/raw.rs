//! What this machine can do at best: the same bytes with nothing around them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A line of the length that a short message has.
const LINE: [u8; 300] = [b'x'; 300];

/// A directory on the disk that the project is built on, since a temporary one may lie in memory.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A file to append to.
pub(crate) struct RawFile(File);

impl RawFile {
    pub(crate) fn new(dir: &Path) -> Self {
        Self(File::create(dir.join("raw")).unwrap())
    }

    /// Appends a line and syncs it.
    pub(crate) fn append(&mut self) {
        self.0.write_all(&LINE).unwrap();
        self.0.sync_data().unwrap();
    }
}

/// Appends a second of `senders` threads whose lines one writer takes together and syncs once.
pub(crate) fn queue_rate(dir: &Path, senders: usize, time: Duration) -> f64 {
    let (queue, lines) = mpsc::sync_channel::<mpsc::SyncSender<()>>(1024);
    let mut file = File::create(dir.join("queue")).unwrap();
    let writer = thread::spawn(move || {
        let mut count = 0u32;
        while let Ok(first) = lines.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(lines.try_iter().take(255)).collect();
            file.write_all(&LINE.repeat(batch.len())).unwrap();
            file.sync_data().unwrap();
            for answer in &batch {
                answer.send(()).unwrap();
            }
            count += u32::try_from(batch.len()).unwrap();
        }
        count
    });
    let start = Instant::now();
    let threads: Vec<_> = (0..senders)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || {
                let (answer, done) = mpsc::sync_channel(1);
                while start.elapsed() < time {
                    queue.send(answer.clone()).unwrap();
                    done.recv().unwrap();
                }
            })
        })
        .collect();
    drop(queue);
    for thread in threads {
        thread.join().unwrap();
    }
    f64::from(writer.join().unwrap()) / start.elapsed().as_secs_f64()
}

/// Appends and syncs a second of one thread.
pub(crate) fn one_thread_rate(dir: &Path, time: Duration) -> f64 {
    let (mut file, start, mut count) = (RawFile::new(dir), Instant::now(), 0u32);
    while start.elapsed() < time {
        file.append();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}
