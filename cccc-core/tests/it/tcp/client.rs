//! A ledger at the other end of a TCP connection, as a store in a database would be written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cccc_core::index::TailIndex;
use cccc_core::ledger::{
    Appended, Batch, Checkpoint, CheckpointPlace, Durability, Executor, Found, Ledger, Lookup, Page,
    ReadLimit, TokioExecutor, Turn, Verdict,
};
use cccc_core::{Error, ErrorKind, GroupId, Position, Result, Seq};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::server::name;
use super::wire::{self, Answer, Ask, Look, Request};

/// Calls on their way at once, and so connections; those that wait for news have their own.
const CALLS: usize = 16;
/// When to come back to a server that is not there.
const COME_BACK: Duration = Duration::from_millis(50);
/// No server takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A group's ledger on a server. Nothing is locked there between calls.
#[derive(Debug)]
pub(super) struct TcpLedger(Arc<Line>);

#[derive(Debug)]
struct Line {
    group_id: GroupId,
    /// The directory of the server, where its port is written down.
    server: PathBuf,
    executor: Arc<TokioExecutor>,
    idle: Mutex<Vec<TcpStream>>,
    free: Semaphore,
    /// Journeys there and back, without those that wait for news.
    journeys: AtomicU64,
}

/// How a call failed.
enum Broken {
    /// It was not sent.
    Before(io::Error),
    /// It was sent, perhaps in part.
    After(io::Error),
}

impl Line {
    async fn connect(&self) -> io::Result<TcpStream> {
        let port = std::fs::read_to_string(self.server.join("port"))?;
        let port: u16 = port.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let connection = TcpStream::connect(("127.0.0.1", port)).await?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }

    /// One journey, over a connection that is kept only if all went well.
    async fn journey(&self, frame: &[u8], fresh: bool) -> Result<Vec<u8>, Broken> {
        let idle = if fresh { None } else { self.idle.lock().unwrap().pop() };
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await.map_err(Broken::Before)?,
        };
        let exchange = async {
            connection.write_all(frame).await?;
            let mut length = [0; 4];
            connection.read_exact(&mut length).await?;
            let mut answer = vec![0; wire::length(length)?];
            connection.read_exact(&mut answer).await?;
            Ok(answer)
        };
        let in_time = tokio::time::timeout(PATIENCE, exchange).await;
        let answer =
            in_time.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(Broken::After)?;
        self.idle.lock().unwrap().push(connection);
        Ok(answer)
    }

    fn frame(&self, ask: Ask, bytes: &[u8]) -> Vec<u8> {
        let request = Request { server: name(&self.server), group: self.group_id.clone(), ask };
        wire::frame(&request, bytes)
    }

    /// A call that may be made twice: over a connection that was cut it is made once more.
    async fn ask(&self, ask: Ask, bytes: &[u8]) -> Result<(Answer, Vec<u8>)> {
        let frame = self.frame(ask, bytes);
        let _place = self.free.acquire().await.unwrap();
        self.ask_twice(&frame).await
    }

    async fn ask_twice(&self, frame: &[u8]) -> Result<(Answer, Vec<u8>)> {
        self.journeys.fetch_add(1, Ordering::Relaxed);
        let answer = match self.journey(frame, false).await {
            Ok(answer) => answer,
            Err(_) => {
                self.idle.lock().unwrap().clear();
                self.journeys.fetch_add(1, Ordering::Relaxed);
                self.journey(frame, true).await.map_err(|(Broken::Before(e) | Broken::After(e))| away(e))?
            }
        };
        understood(&answer)
    }

    /// A call that must not be made twice.
    async fn append(&self, ask: Ask, bytes: &[u8]) -> Result<Answer> {
        let frame = self.frame(ask, bytes);
        let _place = self.free.acquire().await.unwrap();
        self.journeys.fetch_add(1, Ordering::Relaxed);
        match self.journey(&frame, false).await {
            Ok(answer) => understood(&answer).map(|(answer, _)| answer),
            Err(Broken::Before(error)) => Err(away(error)),
            Err(Broken::After(error)) => {
                self.idle.lock().unwrap().clear();
                Err(Error::unknown("the connection to the ledger's server was cut").source(error))
            }
        }
    }

    async fn pages(&self, ask: Ask) -> Result<(Position, Vec<Page>)> {
        let (answer, bytes) = self.ask(ask, &[]).await?;
        let Answer::Pages { head, pages } = answer else { return Err(misunderstood(&answer)) };
        let (mut found, mut rest) = (Vec::with_capacity(pages.len()), &bytes[..]);
        for page in pages {
            let (lines, after) = rest.split_at(page.bytes);
            rest = after;
            let checked = Page::check(lines.to_vec(), page.previous);
            found.push(checked.map_err(|(_, seq, why)| Error::diverged(format!("event {seq}: {why}")))?);
        }
        Ok((head, found))
    }

    async fn page(&self, ask: Ask) -> Result<(Position, Page)> {
        let (head, pages) = self.pages(ask).await?;
        Ok((head, pages.into_iter().next().unwrap_or_default()))
    }
}

fn understood(answer: &[u8]) -> Result<(Answer, Vec<u8>)> {
    match wire::parse(answer) {
        Ok((Answer::Failed(failure), _)) => Err(failure.into()),
        Ok((answer, bytes)) => Ok((answer, bytes.to_vec())),
        Err(error) => Err(Error::unsupported("the ledger's server speaks another language").source(error)),
    }
}

fn misunderstood(answer: &Answer) -> Error {
    Error::unsupported(format!("the ledger's server answered something else: {answer:?}"))
}

fn away(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the ledger's server does not answer: {error}"))
        .retry_after(COME_BACK)
        .source(error)
}

impl TcpLedger {
    /// A ledger on the server that works in this directory.
    pub(super) fn open(server: &Path, group_id: GroupId) -> Result<Self> {
        Ok(Self::on(TokioExecutor::here()?, server, group_id))
    }

    pub(super) fn on(executor: TokioExecutor, server: &Path, group_id: GroupId) -> Self {
        Self(Arc::new(Line {
            group_id,
            server: server.into(),
            executor: Arc::new(executor),
            idle: Mutex::default(),
            free: Semaphore::new(CALLS),
            journeys: AtomicU64::new(0),
        }))
    }

    /// Has the server make it.
    pub(super) async fn create(&self) -> Result<()> {
        let (line, (done, is_done)) = (self.0.clone(), tokio::sync::oneshot::channel());
        self.0.executor.spawn(Box::pin(async move {
            let _ = done.send(line.ask(Ask::Create, &[]).await.map(drop));
        }));
        is_done.await.unwrap()
    }

    /// What counts the journeys.
    pub(super) fn journeys(&self) -> impl Fn() -> u64 + use<> {
        let line = self.0.clone();
        move || line.journeys.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Ledger for TcpLedger {
    fn group_id(&self) -> &GroupId {
        &self.0.group_id
    }

    fn executor(&self) -> Option<Arc<dyn Executor>> {
        Some(self.0.executor.clone())
    }

    async fn turn(&self) -> Result<Box<dyn Turn>> {
        match self.0.ask(Ask::Turn, &[]).await? {
            (Answer::Turn { epoch, tip, durable }, _) => {
                Ok(Box::new(TcpTurn { line: self.0.clone(), epoch, tip, durable }))
            }
            (other, _) => Err(misunderstood(&other)),
        }
    }

    fn suppose(&self, tip: Position) -> Option<Box<dyn Turn>> {
        Some(Box::new(TcpTurn { line: self.0.clone(), epoch: 0, tip, durable: tip }))
    }

    async fn head(&self) -> Result<Position> {
        match self.0.ask(Ask::Head, &[]).await? {
            (Answer::At(head), _) => Ok(head),
            (other, _) => Err(misunderstood(&other)),
        }
    }

    async fn read(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let ReadLimit { events, bytes } = limit;
        Ok(self.0.page(Ask::Read { from, events, bytes, written: false }).await?.1)
    }

    async fn read_many(&self, seqs: &[Seq]) -> Result<Vec<Page>> {
        Ok(self.0.pages(Ask::ReadMany { seqs: seqs.to_vec(), written: false }).await?.1)
    }

    async fn news(&self, after: Seq, limit: ReadLimit) -> Result<(Position, Page)> {
        let ReadLimit { events, bytes } = limit;
        self.0.page(Ask::News { after, events, bytes }).await
    }

    async fn find(&self, lookup: Lookup) -> Result<Found> {
        let look = match lookup {
            Lookup::Target(seq) => Look::Target(seq),
            Lookup::Key(hash) => Look::Key(hash),
            Lookup::Involving { principal, before, limit } => Look::Involving(principal, before, limit),
        };
        match self.0.ask(Ask::Find(look), &[]).await? {
            (Answer::Found { seqs, covered }, _) => Ok(Found { seqs, covered }),
            (other, _) => Err(misunderstood(&other)),
        }
    }

    async fn wait(&self, past: Seq) -> Result<Position> {
        let mut head = self.head().await?;
        while head.seq <= past {
            head = self.changed(head).await?;
        }
        Ok(head)
    }

    async fn changed(&self, seen: Position) -> Result<Position> {
        let frame = self.0.frame(Ask::Changed { seen }, &[]);
        loop {
            match self.0.ask_twice(&frame).await? {
                (Answer::At(head), _) if head != seen => return Ok(head),
                (Answer::At(_), _) => {}
                (other, _) => return Err(misunderstood(&other)),
            }
        }
    }

    async fn load_checkpoint(&self, schema: u32) -> Result<Option<Checkpoint>> {
        match self.0.ask(Ask::LoadCheckpoint(schema), &[]).await? {
            (Answer::Checkpoint(found), bytes) => {
                Ok(found.map(|(position, _)| Checkpoint { position, bytes }))
            }
            (other, _) => Err(misunderstood(&other)),
        }
    }

    async fn checkpoint_place(&self, schema: u32) -> Result<Option<Box<dyn CheckpointPlace>>> {
        match self.0.ask(Ask::NewestCheckpoint(schema), &[]).await? {
            (Answer::Checkpoint(newest), _) => {
                Ok(Some(Box::new(TcpPlace { line: self.0.clone(), schema, newest })))
            }
            (other, _) => Err(misunderstood(&other)),
        }
    }

    async fn extend_index(&self, _: &TailIndex, through: Position) -> Result<Seq> {
        match self.0.ask(Ask::ExtendIndex(through), &[]).await? {
            (Answer::Covered(covered), _) => Ok(covered),
            (other, _) => Err(misunderstood(&other)),
        }
    }

    async fn redact(&self, seq: Seq, data_hash: [u8; 32]) -> Result<()> {
        self.0.ask(Ask::Redact(seq, data_hash), &[]).await.map(drop)
    }

    async fn verify(&self) -> Result<Verdict> {
        match self.0.ask(Ask::Verify, &[]).await? {
            (Answer::Sound { head, bytes, gaps }, _) => Ok(Verdict::Sound { head, bytes, gaps }),
            (Answer::Damaged(damage), _) => Ok(Verdict::Damaged(damage)),
            (other, _) => Err(misunderstood(&other)),
        }
    }
}

/// What was known of the ledger when it was taken.
#[derive(Debug)]
struct TcpTurn {
    line: Arc<Line>,
    epoch: u64,
    tip: Position,
    durable: Position,
}

#[async_trait]
impl Turn for TcpTurn {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn tip(&self) -> Position {
        self.tip
    }

    fn durable(&self) -> Position {
        self.durable
    }

    async fn read(&mut self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let events = usize::try_from((self.tip.seq.0 + 1).saturating_sub(from.0)).unwrap_or(usize::MAX);
        let (events, bytes) = (events.min(limit.events), limit.bytes);
        Ok(self.line.page(Ask::Read { from, events, bytes, written: true }).await?.1)
    }

    async fn read_many(&mut self, seqs: &[Seq]) -> Result<Vec<Page>> {
        let seqs = seqs.iter().copied().filter(|seq| *seq <= self.tip.seq).collect();
        Ok(self.line.pages(Ask::ReadMany { seqs, written: true }).await?.1)
    }

    async fn append(self: Box<Self>, batch: &Batch, durability: Durability) -> Result<Appended> {
        let durable = durability == Durability::Durable;
        let ask = Ask::Append { after: batch.after, end: batch.end, lens: batch.lens.clone(), durable };
        match self.line.append(ask, &batch.bytes).await? {
            Answer::New => Ok(Appended::New),
            Answer::Already => Ok(Appended::Already),
            Answer::Lost => Ok(Appended::Lost),
            other => Err(misunderstood(&other)),
        }
    }
}

struct TcpPlace {
    line: Arc<Line>,
    schema: u32,
    newest: Option<(Position, u64)>,
}

#[async_trait]
impl CheckpointPlace for TcpPlace {
    fn newest(&self) -> Option<(Position, u64)> {
        self.newest
    }

    async fn save(self: Box<Self>, checkpoint: Checkpoint) -> Result<()> {
        let ask = Ask::SaveCheckpoint(self.schema, checkpoint.position);
        self.line.ask(ask, &checkpoint.bytes).await.map(drop)
    }
}
