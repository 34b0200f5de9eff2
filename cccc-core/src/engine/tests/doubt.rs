//! A store whose turns keep nobody off, and whose answers get lost: whatever a caller is told is so, and nothing is
//! written twice.

use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::blobs::Blobs;
use crate::error::ErrorKind;
use crate::event::{Body, ChatMessage};
use crate::group::{Group, InboxRequest};
use crate::index::TailIndex;
use crate::ledger::{
    Appended, Batch, Checkpoint, CheckpointPlace, Found, Lookup, Page, ReadLimit, Turn, Verdict,
};
use crate::testing::Random;
use crate::testing::conformance::{self, Factory};

/// A ledger at the other end of a bad line.
#[derive(Debug)]
struct Distant {
    store: MemoryLedger,
    line: StdMutex<Line>,
    /// How often it was asked for something.
    calls: AtomicUsize,
}

#[derive(Debug)]
struct Line {
    random: Random,
    /// How many appends of a million go wrong in each way.
    bad: u32,
    /// How often each way was taken: the request lost, the answer lost, a part kept, no answer but a time to come back.
    happened: [usize; 4],
}

/// What goes wrong with an append.
#[derive(Clone, Copy, Debug)]
enum Fault {
    RequestLost,
    AnswerLost,
    /// A recovery kept the first half, and others may have written after it.
    HalfKept,
    /// It is there, but the store says that it cannot serve for long.
    Away,
}

impl Distant {
    fn new(store: &MemoryLedger, seed: u64, bad: u32) -> Arc<Self> {
        let line = Line { random: Random::new(seed), bad, happened: [0; 4] };
        Arc::new(Self { store: store.clone(), line: StdMutex::new(line), calls: AtomicUsize::new(0) })
    }

    /// The store, asked once.
    fn ask(&self) -> &MemoryLedger {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }

    fn fault(&self) -> Option<Fault> {
        let mut line = self.line.lock().unwrap();
        let bad = line.bad;
        if !line.random.chance(bad) {
            return None;
        }
        // It is away far more rarely: nobody waits for it then.
        let all = [Fault::RequestLost, Fault::AnswerLost, Fault::HalfKept, Fault::Away];
        let which = if line.random.chance(50_000) { 3 } else { line.random.index(3) };
        line.happened[which] += 1;
        Some(all[which])
    }
}

/// What was known when it was taken.
#[derive(Debug)]
struct Glimpse {
    ledger: Arc<Distant>,
    epoch: u64,
    tip: Position,
    durable: Position,
}

#[async_trait]
impl Turn for Glimpse {
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
        self.ledger.ask().turn().await?.read(from, limit).await
    }

    async fn read_many(&mut self, seqs: &[Seq]) -> Result<Vec<Page>> {
        self.ledger.ask().turn().await?.read_many(seqs).await
    }

    async fn append(self: Box<Self>, batch: &Batch, durability: Durability) -> Result<Appended> {
        let store = self.ledger.ask();
        let lost = Error::unknown("no answer");
        // What became of it is not told in any of these.
        let lost = match self.ledger.fault() {
            None => return store.turn().await?.append(batch, durability).await,
            Some(Fault::RequestLost) => return Err(lost),
            Some(Fault::HalfKept) => {
                let _ = store.turn().await?.append(&first_half(batch), durability).await;
                return Err(lost);
            }
            Some(Fault::AnswerLost) => lost,
            Some(Fault::Away) => lost.retry_after(Duration::from_secs(5)),
        };
        let _ = store.turn().await?.append(batch, durability).await;
        Err(lost)
    }
}

/// The first half of a batch whose commands have an event each.
fn first_half(batch: &Batch) -> Batch {
    let lens = batch.lens[..batch.lens.len() / 2].to_vec();
    let bytes = batch.bytes[..lens.iter().map(|len| *len as usize).sum()].to_vec();
    let end = Page::check(bytes.clone(), batch.after).unwrap().end().unwrap_or(batch.after);
    Batch { after: batch.after, end, bytes, lens }
}

/// A handle that hands out glimpses; the rest is the store's.
#[derive(Debug)]
struct Handle(Arc<Distant>);

#[async_trait]
impl Ledger for Handle {
    fn group_id(&self) -> &GroupId {
        self.0.store.group_id()
    }

    async fn turn(&self) -> Result<Box<dyn Turn>> {
        let turn = self.0.ask().turn().await?;
        let (epoch, tip, durable) = (turn.epoch(), turn.tip(), turn.durable());
        drop(turn);
        // Others write between what is seen here and the append.
        tokio::task::yield_now().await;
        Ok(Box::new(Glimpse { ledger: self.0.clone(), epoch, tip, durable }))
    }

    async fn head(&self) -> Result<Position> {
        self.0.ask().head().await
    }

    async fn read(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        self.0.ask().read(from, limit).await
    }

    async fn read_many(&self, seqs: &[Seq]) -> Result<Vec<Page>> {
        self.0.ask().read_many(seqs).await
    }

    async fn find(&self, lookup: Lookup) -> Result<Found> {
        self.0.ask().find(lookup).await
    }

    async fn wait(&self, past: Seq) -> Result<Position> {
        self.0.ask().wait(past).await
    }

    async fn load_checkpoint(&self, schema: u32) -> Result<Option<Checkpoint>> {
        self.0.ask().load_checkpoint(schema).await
    }

    async fn checkpoint_place(&self, schema: u32) -> Result<Option<Box<dyn CheckpointPlace>>> {
        self.0.ask().checkpoint_place(schema).await
    }

    async fn extend_index(&self, tail: &TailIndex, through: Position) -> Result<Seq> {
        self.0.ask().extend_index(tail, through).await
    }

    async fn redact(&self, seq: Seq, data_hash: [u8; 32]) -> Result<()> {
        self.0.ask().redact(seq, data_hash).await
    }

    async fn verify(&self) -> Result<Verdict> {
        self.0.ask().verify().await
    }
}

const PROGRAMS: usize = 4;
const SENDERS: usize = 6;
const MESSAGES: usize = 20;

/// Programs that send at once through lines of their own. Returns how often each fault happened.
async fn run(seed: u64, bad: u32) -> [usize; 4] {
    let store = MemoryLedger::new(group_id());
    let clock = Arc::new(ManualClock::default());
    let founder = Group::over(Arc::new(store.clone()), Blobs::in_memory(), clock.clone());
    founder.execute(Command::CreateGroup(GroupCreate::default())).await.unwrap();
    founder.add_actor("lead").await.unwrap();

    let lines: Vec<_> = (0..PROGRAMS).map(|i| Distant::new(&store, seed * 31 + i as u64, bad)).collect();
    let mut tasks = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let group = Group::over(Arc::new(Handle(line.clone())), Blobs::in_memory(), clock.clone());
        for sender in 0..SENDERS {
            let group = group.clone();
            tasks.push(tokio::spawn(async move {
                let mut told = Vec::new();
                for n in 0..MESSAGES {
                    let text = format!("{i}.{sender}.{n}");
                    let sent = group.send(&text).to("lead").await;
                    told.push((text, sent.map(|sent| sent.event_id)));
                }
                told
            }));
        }
    }
    let mut told = Vec::new();
    for task in tasks {
        told.extend(task.await.unwrap());
    }

    let everything = ReadLimit { events: usize::MAX, bytes: usize::MAX };
    let page = store.read(Seq(1), everything).await.unwrap();
    let mut there: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for event in page.events() {
        let Event { id, body, .. } = event.unwrap();
        if let Body::ChatMessage(ChatMessage { text, .. }) = body {
            there.entry(text).or_default().push(id);
        }
    }
    for (text, result) in told {
        let ids = there.get(&text).map_or(&[] as &[_], Vec::as_slice);
        match result {
            Ok(id) => assert_eq!(ids, [id], "seed {seed}: {text} was sent"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unknown, "seed {seed}: {error}");
                assert!(ids.len() <= 1, "seed {seed}: {text} is there {} times", ids.len());
            }
        }
    }
    let mut happened = [0; 4];
    for line in lines {
        let line = line.line.lock().unwrap();
        happened.iter_mut().zip(line.happened).for_each(|(sum, n)| *sum += n);
    }
    happened
}

#[test]
fn what_is_said_of_an_append_is_so_when_answers_get_lost_and_others_write_first() {
    in_time(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        let mut happened = [0; 4];
        for seed in 0..12 {
            let bad = [0, 100_000, 400_000][seed as usize % 3];
            let faults = runtime.block_on(run(seed, bad));
            happened.iter_mut().zip(faults).for_each(|(sum, n)| *sum += n);
        }
        assert!(happened.iter().all(|n| *n > 0), "each fault happened: {happened:?}");
    });
}

/// A store of which each call costs a journey.
#[derive(Debug)]
struct Far(StdMutex<MemoryLedger>);

#[async_trait]
impl Factory for Far {
    async fn create(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>> {
        *self.0.lock().unwrap() = MemoryLedger::new(group_id.clone());
        self.open(group_id).await
    }

    async fn open(&self, _: &GroupId) -> Result<Arc<dyn Ledger>> {
        Ok(Arc::new(Handle(Distant::new(&self.0.lock().unwrap(), 0, 0))))
    }
}

#[test]
fn turns_that_keep_nobody_off_conform() {
    let far = Far(StdMutex::new(MemoryLedger::new(group_id())));
    in_time(move || block_on(conformance::check(&far)).unwrap());
}

#[test]
fn an_inbox_of_twenty_costs_few_journeys() {
    block_on(async {
        let store = MemoryLedger::new(group_id());
        let line = Distant::new(&store, 0, 0);
        let user =
            Group::over(Arc::new(Handle(line.clone())), Blobs::in_memory(), Arc::<ManualClock>::default());
        user.execute(Command::CreateGroup(GroupCreate::default())).await.unwrap();
        user.add_actor("lead").await.unwrap();
        user.add_actor("peer").await.unwrap();
        for n in 0..200 {
            user.send("Hello").to(if n % 10 == 0 { "lead" } else { "peer" }).await.unwrap();
        }
        let lead = user.bind("lead").await.unwrap();
        let journeys = async |look: InboxRequest<'_>| {
            let before = line.calls.load(Ordering::Relaxed);
            assert_eq!(look.await.unwrap().messages.len(), 20);
            line.calls.load(Ordering::Relaxed) - before
        };
        assert_eq!(journeys(lead.inbox().peek()).await, 2, "the head, and the messages");
        assert_eq!(journeys(lead.inbox()).await, 4, "handing them over takes a turn and an append, too");
        assert_eq!(journeys(lead.inbox()).await, 2, "they were handed over");
    });
}
