//! The server: a process of its own that keeps the ledgers of some groups in files, and nobody off them.
//!
//! It is this test binary again. It takes its time for each call, and goes wrong as often as it is told: it cuts the
//! connection instead of doing what it is asked, or instead of answering, and it kills itself in between.
#![expect(clippy::disallowed_methods, reason = "a server that is far away takes real time")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cccc_core::disk::RealDisk;
use cccc_core::index::TailIndex;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{
    Appended, Batch, Checkpoint, Durability, FileLedger, Ledger, Lookup, Page, ReadLimit, Verdict,
};
use cccc_core::testing::Random;
use cccc_core::{Error, GroupId, Result, Seq, block_on};
use serde::{Deserialize, Serialize};

use super::wire::{self, Answer, Ask, Look, PageHead, Request};

/// What a server is told, in JSON.
pub(super) const SERVER: &str = "CCCC_TEST_LEDGER_SERVER";
/// How a server's line begins that says where it listens.
pub(super) const LISTENING: &str = "listening on port ";
/// For how long nothing is said to whoever waits for news.
const QUIET: Duration = Duration::from_secs(2);

/// How a server serves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manner {
    /// Where it keeps what it has.
    pub(super) dir: PathBuf,
    /// What each call takes at least.
    pub(super) delay: Duration,
    pub(super) seed: u64,
    /// Of a million calls, so many are cut off: half of them before they are carried out.
    pub(super) cut: u32,
    /// Of a million appends, after so many it kills itself instead of answering.
    pub(super) kill: u32,
}

/// A server, if this process was started as one.
#[test]
#[ignore = "it is started by the other tests"]
fn server() {
    let Ok(manner) = std::env::var(SERVER) else { return };
    let manner: Manner = serde_json::from_str(&manner).unwrap();
    // It ends with whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{LISTENING}{}", listener.local_addr().unwrap().port());
    let random = Mutex::new(Random::new(manner.seed));
    let server = Arc::new(Server { manner, random, open: Mutex::default() });
    for connection in listener.incoming().flatten() {
        let server = server.clone();
        std::thread::spawn(move || server.serve(connection));
    }
}

/// What goes wrong with a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    CutBefore,
    CutAfter,
    KilledAfter,
}

struct Server {
    manner: Manner,
    random: Mutex<Random>,
    open: Mutex<HashMap<GroupId, Arc<FileLedger>>>,
}

impl Server {
    /// Answers what comes over a connection, until it is cut.
    fn serve(&self, mut connection: TcpStream) {
        let _ = connection.set_nodelay(true);
        let _ = self.answer_all(&mut connection);
    }

    fn answer_all(&self, connection: &mut TcpStream) -> std::io::Result<()> {
        loop {
            let mut length = [0; 4];
            connection.read_exact(&mut length)?;
            let mut frame = vec![0; wire::length(length)?];
            connection.read_exact(&mut frame)?;
            let (request, bytes) = wire::parse::<Request>(&frame)?;
            if request.server != name(&self.manner.dir) {
                return Ok(());
            }
            std::thread::sleep(self.manner.delay);
            let fault = self.fault(&request.ask);
            if fault == Some(Fault::CutBefore) {
                return Ok(());
            }
            let (answer, body) = self
                .carry_out(&request.group, request.ask, bytes)
                .unwrap_or_else(|error| (Answer::Failed((&error).into()), Vec::new()));
            match fault {
                Some(Fault::KilledAfter) => kill_this_process(),
                Some(_) => return Ok(()),
                None => connection.write_all(&wire::frame(&answer, &body))?,
            }
        }
    }

    fn fault(&self, ask: &Ask) -> Option<Fault> {
        let mut random = self.random.lock().unwrap();
        if matches!(ask, Ask::Append { .. }) && random.chance(self.manner.kill) {
            return Some(Fault::KilledAfter);
        }
        let cut = [Fault::CutBefore, Fault::CutAfter];
        random.chance(self.manner.cut).then(|| random.pick(&cut))
    }

    fn ledger(&self, group: &GroupId) -> Result<Arc<FileLedger>> {
        let mut open = self.open.lock().unwrap();
        if let Some(ledger) = open.get(group) {
            return Ok(ledger.clone());
        }
        let dir = self.manner.dir.join(group.as_str());
        let ledger = FileLedger::open(Arc::new(RealDisk::new()), dir, group.clone(), Options::default())?;
        Ok(open.entry(group.clone()).or_insert(Arc::new(ledger)).clone())
    }

    fn carry_out(&self, group: &GroupId, ask: Ask, bytes: &[u8]) -> Result<(Answer, Vec<u8>)> {
        if matches!(ask, Ask::Create) {
            let dir = self.manner.dir.join(group.as_str());
            FileLedger::create(Arc::new(RealDisk::new()), dir, group.clone(), Options::default())?;
            return Ok((Answer::Done, Vec::new()));
        }
        block_on(carry_out(self.ledger(group)?.as_ref(), ask, bytes))
    }
}

async fn carry_out(ledger: &FileLedger, ask: Ask, bytes: &[u8]) -> Result<(Answer, Vec<u8>)> {
    let answer = match ask {
        Ask::Create => Answer::Done,
        Ask::Head => Answer::At(ledger.head().await?),
        Ask::News { after, events, bytes } => {
            let (head, page) = ledger.news(after, ReadLimit { events, bytes }).await?;
            return Ok(pages(head, vec![page]));
        }
        Ask::Read { from, events, bytes, written } => {
            let limit = ReadLimit { events, bytes };
            let page = match written {
                true => ledger.turn().await?.read(from, limit).await?,
                false => ledger.read(from, limit).await?,
            };
            return Ok(pages(ledger.head().await?, vec![page]));
        }
        Ask::ReadMany { seqs, written } => {
            let found = match written {
                true => ledger.turn().await?.read_many(&seqs).await?,
                false => ledger.read_many(&seqs).await?,
            };
            return Ok(pages(ledger.head().await?, found));
        }
        Ask::Find(look) => {
            let lookup = match look {
                Look::Target(seq) => Lookup::Target(seq),
                Look::Key(hash) => Lookup::Key(hash),
                Look::Involving(principal, before, limit) => Lookup::Involving { principal, before, limit },
            };
            let found = ledger.find(lookup).await?;
            Answer::Found { seqs: found.seqs, covered: found.covered }
        }
        Ask::Changed { seen } => {
            let clock = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            // It is waited for on this thread, which is this connection's own.
            match clock.block_on(async { tokio::time::timeout(QUIET, ledger.changed(seen)).await }) {
                Ok(head) => Answer::At(head?),
                Err(_) => Answer::At(ledger.head().await?),
            }
        }
        Ask::Turn => {
            let turn = ledger.turn().await?;
            Answer::Turn { epoch: turn.epoch(), tip: turn.tip(), durable: turn.durable() }
        }
        Ask::Append { after, end, lens, durable } => {
            let lines = Page::check(bytes.to_vec(), after).map_err(|(_, _, why)| Error::invalid(why))?;
            if lines.end().unwrap_or(after) != end {
                return Err(Error::invalid("the lines do not end where they are said to"));
            }
            let batch = Batch { after, end, bytes: bytes.to_vec(), lens };
            let durability = if durable { Durability::Durable } else { Durability::Buffered };
            match ledger.turn().await?.append(&batch, durability).await? {
                Appended::New => Answer::New,
                Appended::Already => Answer::Already,
                Appended::Lost => Answer::Lost,
            }
        }
        Ask::LoadCheckpoint(schema) => match ledger.load_checkpoint(schema).await? {
            Some(Checkpoint { position, bytes }) => {
                return Ok((Answer::Checkpoint(Some((position, bytes.len() as u64))), bytes));
            }
            None => Answer::Checkpoint(None),
        },
        Ask::NewestCheckpoint(schema) => {
            let place = ledger.checkpoint_place(schema).await?;
            Answer::Checkpoint(place.and_then(|place| place.newest()))
        }
        Ask::SaveCheckpoint(schema, position) => {
            let checkpoint = Checkpoint { position, bytes: bytes.to_vec() };
            ledger.save_checkpoint(schema, checkpoint).await?;
            Answer::Done
        }
        Ask::ExtendIndex(through) => Answer::Covered(extend_index(ledger, through).await?),
        Ask::Redact(seq, hash) => {
            ledger.redact(seq, hash).await?;
            Answer::Done
        }
        Ask::Verify => match ledger.verify().await? {
            Verdict::Sound { head, bytes, gaps } => Answer::Sound { head, bytes, gaps },
            Verdict::Damaged(damage) => Answer::Damaged(damage),
        },
    };
    Ok((answer, Vec::new()))
}

/// The lines are at hand, so nobody has to send their entries.
async fn extend_index(ledger: &FileLedger, through: cccc_core::Position) -> Result<Seq> {
    let mut tail = TailIndex::default();
    let mut at = ledger.find(Lookup::Target(Seq(0))).await?.covered;
    while at < through.seq {
        let page = ledger.read(Seq(at.0 + 1), ReadLimit::CHUNK).await?;
        for event in page.events() {
            let event = event?;
            at = event.seq;
            if at <= through.seq {
                tail.add(&event);
            }
        }
        if page.is_empty() {
            break;
        }
    }
    ledger.extend_index(&tail, through).await
}

fn pages(head: cccc_core::Position, pages: Vec<Page>) -> (Answer, Vec<u8>) {
    let heads = pages
        .iter()
        .filter_map(|page| Some(PageHead { previous: page.previous()?, bytes: page.bytes().len() }));
    let heads = heads.collect();
    (Answer::Pages { head, pages: heads }, pages.iter().flat_map(|page| page.bytes()).copied().collect())
}

/// What whoever asks must call it.
pub(super) fn name(dir: &Path) -> String {
    dir.to_string_lossy().into_owned()
}

fn kill_this_process() -> ! {
    #[cfg(unix)]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
