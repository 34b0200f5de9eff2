//! The writer: drains the waiting commands, decides them on the state at the tip, appends all that they want in
//! one batch, and answers when that is durable. It has one thread per open group and process; a caller whose
//! own thread may block does its work itself when nobody else is at it.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use crate::blocking::block_on;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::id::{GroupId, Nonce};
use crate::ledger::{Appended, Durability, Encoder, Ledger, Position, ReadLimit, Stamp, Turn};
use crate::rule::{self, Call, Decision, Known};

use super::resolve::{Decided, Source};
use super::view::View;
use super::{Executed, Job, caught_up};

/// Commands decided in one turn at most.
const BATCH_COMMANDS: usize = 256;

/// Bytes of lines after which a turn takes no more commands; bounds how long others wait for the turn.
const BATCH_BYTES: usize = 4 << 20;

/// How often a batch is decided again after recoveries discarded it, before the callers are told.
const LOST_RETRIES: usize = 5;

/// What waits for the writer's thread.
#[derive(Debug)]
pub(super) enum Work {
    /// A command.
    Job(Box<Job>),
    /// Derived state is to be saved.
    Maintain,
}

/// Carries out one command on the calling thread, as nobody else is at it: that saves waking another thread
/// and being woken by it. Answers whether derived state is to be saved.
pub(super) async fn carry_out_here(mut writer: OwnedMutexGuard<Writer>, job: Job) -> Result<bool> {
    let (due, mut is_due) = oneshot::channel();
    let mut turn = Box::pin(async move {
        writer.carry_out(vec![job]).await;
        let _ = due.send(writer.is_maintenance_due());
    });
    match poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await {
        Poll::Ready(()) => Ok(is_due.try_recv().unwrap_or_default()),
        // It has to wait for another task. A caller's future may be dropped while it waits; a turn must not.
        Poll::Pending => start_thread("cccc turn".into(), move || block_on(turn)).map(|()| false),
    }
}

/// Starts the writer's thread. It ends when the last sender of work is gone.
pub(super) fn start(
    group_id: &GroupId,
    writer: Arc<Mutex<Writer>>,
    queue: mpsc::Receiver<Work>,
) -> Result<()> {
    start_thread(format!("cccc {group_id}"), move || run(&writer, queue))
}

fn start_thread(name: String, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(name)
        .spawn(work)
        .map(drop)
        .map_err(|source| Error::unavailable(format!("cannot start the group's writer: {source}")))
}

fn run(writer: &Mutex<Writer>, mut queue: mpsc::Receiver<Work>) {
    while let Some(first) = queue.blocking_recv() {
        let (mut batch, mut next) = (Vec::new(), Some(first));
        while let Some(work) = next {
            if let Work::Job(job) = work {
                batch.push(*job);
            }
            next = if batch.len() < BATCH_COMMANDS { queue.try_recv().ok() } else { None };
        }
        block_on(async {
            let mut writer = writer.lock().await;
            writer.carry_out(batch).await;
            writer.maintain().await;
        });
    }
}

/// Decides and appends; one at a time.
#[derive(Debug)]
pub(super) struct Writer {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    durable: Arc<Mutex<Option<View>>>,
    /// The view at the tip, with the epoch it was made under; `None` when it has to be made anew.
    tip: Option<(u64, View)>,
    /// Whether what the tip says is durable, as far as this writer knows.
    is_durable: bool,
}

/// A job with the answer that it gets once the turn is durable.
type Answered = (Job, Result<Executed>);

/// What a turn has decided, with what is needed to bring the durable view up to it.
struct Outcome {
    answers: Vec<Answered>,
    /// Where the turn's first event stands after.
    after: Position,
    events: Vec<Decided>,
}

impl Writer {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        durable: Arc<Mutex<Option<View>>>,
    ) -> Self {
        Self { ledger, clock, durable, tip: None, is_durable: false }
    }

    /// Decides and appends these commands, and answers every one of them.
    async fn carry_out(&mut self, mut jobs: Vec<Job>) {
        let mut lost = 0;
        while !jobs.is_empty() {
            match self.turn(jobs).await {
                Progress::Done => return,
                Progress::Later(rest) => jobs = rest,
                Progress::Lost(again) if lost < LOST_RETRIES => {
                    lost += 1;
                    jobs = again;
                }
                Progress::Lost(again) => {
                    let error = Error::unavailable("recoveries of the ledger kept discarding the append")
                        .hint("the disk fails to sync; see `cccc doctor`");
                    return answer_all(again, &error);
                }
                Progress::Failed(failed, error) => return answer_all(failed, &error),
            }
        }
    }

    /// One turn on the ledger.
    async fn turn(&mut self, jobs: Vec<Job>) -> Progress {
        let mut turn = match self.ledger.turn().await {
            Ok(turn) => turn,
            Err(error) => return Progress::Failed(jobs, error),
        };
        if let Err(error) = self.catch_up(turn.as_mut()).await {
            self.tip = None;
            return Progress::Failed(jobs, error);
        }
        let durability = match jobs.iter().any(|job| job.durability == Durability::Durable) {
            true => Durability::Durable,
            false => Durability::Buffered,
        };
        let mut encoder = Encoder::new(self.ledger.group_id().clone(), turn.tip(), turn.durable().seq);
        let mut decided = Outcome { answers: Vec::new(), after: turn.tip(), events: Vec::new() };
        let mut waiting = jobs.into_iter();
        for job in waiting.by_ref() {
            let result = self.decide(turn.as_mut(), &job, &mut encoder, &mut decided.events).await;
            decided.answers.push((job, result));
            if encoder.batch().bytes.len() >= BATCH_BYTES {
                break;
            }
        }
        let later: Vec<Job> = waiting.collect();
        match turn.append(encoder.finish(), durability).await {
            Ok(Appended::New | Appended::Already) => {
                self.publish(decided, durability).await;
                if later.is_empty() { Progress::Done } else { Progress::Later(later) }
            }
            Ok(Appended::Lost) => {
                self.tip = None;
                Progress::Lost(decided.answers.into_iter().map(|(job, _)| job).chain(later).collect())
            }
            Err(error) => {
                self.tip = None;
                Progress::Failed(
                    decided.answers.into_iter().map(|(job, _)| job).chain(later).collect(),
                    error,
                )
            }
        }
    }

    /// Brings the view at the tip up to the turn's tip.
    async fn catch_up(&mut self, turn: &mut dyn Turn) -> Result<()> {
        let mut view = match self.tip.take() {
            Some((epoch, view)) if epoch == turn.epoch() => view,
            _ => caught_up(&mut *self.durable.lock().await, self.ledger.as_ref()).await?.clone(),
        };
        while view.position().seq < turn.tip().seq {
            let page = turn.read(view.position().seq.next(), ReadLimit::CHUNK).await?;
            if page.is_empty() {
                return Err(Error::unavailable("the ledger ends before its tip"));
            }
            view.apply_page(&page)?;
        }
        self.tip = Some((turn.epoch(), view));
        Ok(())
    }

    /// Decides one command and, if it is agreed, encodes and applies what it wants written.
    async fn decide(
        &mut self,
        turn: &mut dyn Turn,
        job: &Job,
        encoder: &mut Encoder,
        events: &mut Vec<Decided>,
    ) -> Result<Executed> {
        let (_, view) =
            self.tip.as_mut().ok_or_else(|| Error::unavailable("the state is being read again"))?;
        let call = Call { by: job.by.clone(), now: self.clock.now() };
        let needs = rule::needs(&view.state, &call, &job.command);
        let mut source = Source::Tip(self.ledger.as_ref(), turn, events);
        let resolved = source.resolve(view, &needs).await?;
        let Decision { drafts, duplicate } = rule::decide(&view.state, &call, &job.command, &resolved)?;
        let duplicate = match duplicate {
            Some(id) => source.event(id.seq).await?,
            None => None,
        };
        let stamp =
            Stamp { ts: call.now, by: call.by, via: job.via.clone(), scope_key: job.scope_key.clone() };
        let first = encoder.batch().lens.len();
        let encoded = encoder.push(drafts, &stamp, random_nonce)?;
        let lens = encoder.batch().lens.iter().skip(first);
        for ((event, len), data_hash) in
            encoded.iter().zip(lens).zip(encoder.data_hashes().iter().skip(first))
        {
            let len = usize::try_from(*len).unwrap_or(usize::MAX);
            view.apply(event, len);
            events.push(Decided { known: Known { event: event.clone(), data_hash: *data_hash }, len });
        }
        Ok(Executed { events: encoded, duplicate })
    }

    /// Brings the durable view up to what this turn appended, answers, and then saves derived state.
    async fn publish(&mut self, decided: Outcome, durability: Durability) {
        {
            let mut slot = self.durable.lock().await;
            // Where others' events came in between, the next query reads them from the ledger instead.
            if durability == Durability::Durable
                && let Some(view) = slot.as_mut()
                && view.position() == decided.after
            {
                for one in &decided.events {
                    view.apply(&one.known.event, one.len);
                }
            }
        }
        for (job, result) in decided.answers {
            // A caller that went away does not undo what it asked for.
            let _ = job.answer.send(result);
        }
        self.is_durable = durability == Durability::Durable;
    }

    /// Whether enough has come together for [`maintain`](Self::maintain), and nothing of it can be lost.
    fn is_maintenance_due(&self) -> bool {
        self.is_durable && self.tip.as_ref().is_some_and(|(_, tip)| tip.is_maintenance_due())
    }

    /// Saves derived state when enough has come together.
    async fn maintain(&mut self) {
        if !self.is_maintenance_due() {
            return;
        }
        let Some((_, tip)) = self.tip.as_mut() else { return };
        // What is saved is derived: a failure to save it concerns nobody.
        let mut slot = self.durable.lock().await;
        match slot.as_mut() {
            Some(view) => {
                let _ = view.refresh(self.ledger.as_ref()).await;
                tip.follow(view);
            }
            None => {
                let _ = tip.maintain(self.ledger.as_ref()).await;
            }
        }
    }
}

/// How a turn ended.
enum Progress {
    /// Every command was answered.
    Done,
    /// These did not fit into the turn.
    Later(Vec<Job>),
    /// A recovery discarded the turn: these have to be decided again.
    Lost(Vec<Job>),
    /// The ledger could not serve: nothing of these was written.
    Failed(Vec<Job>, Error),
}

fn answer_all(jobs: Vec<Job>, error: &Error) {
    for job in jobs {
        let _ = job.answer.send(Err(error.clone()));
    }
}

/// Forty random bits. Without a source of randomness ids are still unique by their seq.
#[expect(clippy::disallowed_methods, reason = "the writer is where ids are made")]
fn random_nonce() -> Nonce {
    Nonce::from_bits(getrandom::u64().unwrap_or_default())
}
