//! The writer: drains the waiting commands, decides them on the state at the tip, appends all that they want in
//! one batch, and answers when that is durable. It runs on the threads of the process's pool; a caller whose
//! own thread may block does its work itself when nobody else is at it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use crate::blocking::pool;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::id::Nonce;
use crate::ledger::{Durability, Encoder, Ledger, Position, ReadLimit, Stamp, Turn};
use crate::rule::{self, Call, Decision, Known};

use super::doubt::{Fate, append};
use super::resolve::{Decided, Source};
use super::view::View;
use super::{Executed, Job, TRIES, at_head, diverged};

/// Commands decided in one turn at most.
const BATCH_COMMANDS: usize = 256;

/// Bytes of lines after which a turn takes no more commands; bounds how long others wait for the turn.
const BATCH_BYTES: usize = 4 << 20;

/// How often a batch is decided again after recoveries discarded it, before the callers are told.
const LOST_RETRIES: usize = 5;

/// How often a batch is decided again because others wrote first, before the callers are told. Each time somebody's
/// append succeeded, so this is how many may be at it in a store whose turns keep nobody off.
const OVERTAKEN_RETRIES: usize = 100;

/// What waits for the writer.
#[derive(Debug)]
pub(super) enum Work {
    /// A command.
    Job(Box<Job>),
    /// Derived state is to be saved.
    Maintain,
}

/// Carries out one command on the calling thread, as nobody else is at it: that saves waking another thread
/// and being woken by it. Answers whether derived state is to be saved.
pub(super) async fn carry_out_here(mut writer: OwnedMutexGuard<Writer>, job: Job) -> bool {
    let (due, mut is_due) = oneshot::channel();
    let mut turn: pool::Work = Box::pin(async move {
        if caught(writer.carry_out(vec![job])).await {
            let _ = due.send(writer.is_maintenance_due());
        }
    });
    if poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await.is_ready() {
        return is_due.try_recv().unwrap_or_default();
    }
    // It has to wait for another task. A caller's future may be dropped while it waits; a turn should not.
    if let Err(refused) = pool::spawn(turn)
        && let Some(turn) = refused.work
    {
        turn.await;
    }
    false
}

/// Starts the writer. It ends when the last sender of work is gone.
pub(super) fn start(writer: Arc<Mutex<Writer>>, queue: mpsc::Receiver<Work>) -> Result<(), pool::Refused> {
    pool::spawn(Box::pin(run(writer, queue)))
}

async fn run(writer: Arc<Mutex<Writer>>, mut queue: mpsc::Receiver<Work>) {
    while let Some(first) = queue.recv().await {
        let (mut batch, mut next) = (Vec::new(), Some(first));
        while let Some(work) = next {
            if let Work::Job(job) = work {
                batch.push(*job);
            }
            next = if batch.len() < BATCH_COMMANDS { queue.try_recv().ok() } else { None };
        }
        {
            let mut writer = writer.lock().await;
            caught(writer.carry_out(batch)).await;
            caught(writer.maintain()).await;
        }
        // Groups take turns on the threads that there are.
        pool::step_back().await;
    }
}

/// Whether `work` came to its end: a panic ends it and nothing else. Whoever waits for an answer of it finds that
/// there will be none.
async fn caught(work: impl Future<Output = ()>) -> bool {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(true),
        Err(_) => Poll::Ready(false),
    })
    .await
}

/// Decides and appends; one at a time.
#[derive(Debug)]
pub(super) struct Writer {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    durable: Arc<Mutex<Option<View>>>,
    /// The view at the tip; `None` when it has to be made anew, and during a turn, so that one which ends
    /// before its time leaves nothing behind that was not written.
    tip: Option<Tip>,
    /// Whether what the tip says is durable, as far as this writer knows.
    is_durable: bool,
    /// Whether nobody else wrote lately, as far as this writer knows.
    is_alone: bool,
}

/// A view to decide on.
#[derive(Debug)]
struct Tip {
    view: View,
    /// What it was made under; `None` if it holds only what was durable, which no recovery takes back.
    epoch: Option<u64>,
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

impl Outcome {
    /// All its commands, to be decided again, and then these.
    fn again(self, later: Vec<Job>) -> Vec<Job> {
        self.answers.into_iter().map(|(job, _)| job).chain(later).collect()
    }

    /// Keeps the first commands, which have so many events; those that have more are to be decided again, and so is
    /// what comes after them.
    fn keep(&mut self, events: usize) -> Vec<Job> {
        let (mut kept, mut commands) = (0, 0);
        for (_, result) in &self.answers {
            let through = kept + result.as_ref().map_or(0, |executed| executed.events.len());
            if through > events {
                break;
            }
            (kept, commands) = (through, commands + 1);
        }
        self.events.truncate(kept);
        self.answers.split_off(commands).into_iter().map(|(job, _)| job).collect()
    }
}

impl Writer {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        durable: Arc<Mutex<Option<View>>>,
    ) -> Self {
        Self { ledger, clock, durable, tip: None, is_durable: false, is_alone: true }
    }

    /// Decides and appends these commands, and answers every one of them.
    async fn carry_out(&mut self, mut jobs: Vec<Job>) {
        let (mut lost, mut overtaken) = (0, 0);
        while !jobs.is_empty() {
            match self.turn(jobs).await {
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
                Progress::Overtaken(again, _) if overtaken < OVERTAKEN_RETRIES => {
                    overtaken += 1;
                    jobs = again;
                }
                Progress::Overtaken(again, error) => return answer_all(again, &error),
            }
        }
    }

    /// One turn on the ledger.
    async fn turn(&mut self, jobs: Vec<Job>) -> Progress {
        let (mut turn, mut view) = match self.begin().await {
            Ok(begun) => begun,
            Err(error) => {
                answer_all(jobs, &error);
                return Progress::Later(Vec::new());
            }
        };
        let durability = match jobs.iter().any(|job| job.durability == Durability::Durable) {
            true => Durability::Durable,
            false => Durability::Buffered,
        };
        let epoch = turn.epoch();
        let mut encoder = Encoder::new(self.ledger.group_id().clone(), turn.tip(), turn.durable().seq);
        let mut decided = Outcome { answers: Vec::new(), after: turn.tip(), events: Vec::new() };
        let mut waiting = jobs.into_iter();
        for job in waiting.by_ref() {
            let result = self.decide(turn.as_mut(), &mut view, &job, &mut encoder, &mut decided.events).await;
            decided.answers.push((job, result));
            if encoder.batch().bytes.len() >= BATCH_BYTES {
                break;
            }
        }
        let later: Vec<Job> = waiting.collect();
        let batch = encoder.finish();
        match append(self.ledger.as_ref(), turn, &batch, durability).await {
            Fate::There(events) => {
                let again = decided.keep(events);
                if again.is_empty() {
                    let epoch = (durability == Durability::Buffered).then_some(epoch);
                    self.tip = Some(Tip { view, epoch });
                }
                self.publish(decided, durability).await;
                Progress::Later(again.into_iter().chain(later).collect())
            }
            Fate::Lost => Progress::Lost(decided.again(later)),
            Fate::Overtaken(error) => {
                self.is_alone = false;
                Progress::Overtaken(decided.again(later), error)
            }
            Fate::Failed(error) => {
                answer_all(decided.again(Vec::new()), &error);
                Progress::Later(later)
            }
        }
    }

    /// Takes a turn, with the view at its tip. A view is had first: whoever has the turn waits for none.
    async fn begin(&mut self) -> Result<(Box<dyn Turn>, View)> {
        for _ in 0..TRIES {
            let kept = self.tip.take();
            let is_kept = kept.is_some();
            let mut tip = match kept {
                Some(tip) => tip,
                None => {
                    let mut durable = self.durable.lock().await;
                    let view = match durable.as_ref().filter(|view| self.may_suppose(view)) {
                        Some(view) => view.clone(),
                        None => at_head(&mut durable, self.ledger.as_ref()).await?.clone(),
                    };
                    Tip { view, epoch: None }
                }
            };
            if let Some(turn) = self.suppose(&mut tip) {
                return Ok((turn, tip.view));
            }
            let mut turn = match self.ledger.turn().await {
                Ok(turn) => turn,
                Err(error) => {
                    self.tip = Some(tip);
                    return Err(error);
                }
            };
            if is_kept {
                self.is_alone = tip.view.position() == turn.tip();
            }
            if tip.view.is_of(self.ledger.as_ref())
                && let Some(view) = tip.catch_up(turn.as_mut()).await?
            {
                return Ok((turn, view));
            }
        }
        Err(diverged())
    }

    /// A turn that is not asked for, where the store has such turns, on the supposition that nobody wrote since this
    /// process last looked. It saves a journey as long as that is right, which the append finds out.
    fn suppose(&self, tip: &mut Tip) -> Option<Box<dyn Turn>> {
        if tip.epoch.is_some() || !self.may_suppose(&tip.view) {
            return None;
        }
        // Whoever looked last may have seen more.
        if let Ok(durable) = self.durable.try_lock()
            && let Some(view) = durable.as_ref().filter(|view| self.may_suppose(view))
            && view.position().seq > tip.view.position().seq
        {
            tip.view = view.clone();
        }
        self.ledger.suppose(tip.view.position())
    }

    /// Whether it may be supposed that the ledger ends where this view does, which holds what is durable.
    fn may_suppose(&self, view: &View) -> bool {
        self.is_alone && view.is_of(self.ledger.as_ref()) && self.ledger.suppose(view.position()).is_some()
    }

    /// Decides one command and, if it is agreed, encodes and applies what it wants written.
    async fn decide(
        &self,
        turn: &mut dyn Turn,
        view: &mut View,
        job: &Job,
        encoder: &mut Encoder,
        events: &mut Vec<Decided>,
    ) -> Result<Executed> {
        let call = Call { by: job.by.clone(), now: self.clock.now() };
        let needs = rule::needs(&view.state, &call, &job.command);
        let mut source = Source::Tip(self.ledger.as_ref(), turn, events);
        let resolved = source.resolve(view, &needs).await?;
        let Decision { drafts, duplicate } = rule::decide(&view.state, &call, &job.command, &resolved)?;
        let duplicate = match duplicate {
            Some(id) => match resolved.keyed.into_iter().find(|event| event.id == id) {
                None => source.events([id.seq]).await?.remove(&id.seq),
                found => found,
            },
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
        if durability == Durability::Durable {
            let mut slot = self.durable.lock().await;
            // Where others' events came in between, the next query reads them from the ledger instead.
            if let Some(mut view) = slot.take_if(|view| view.position() == decided.after) {
                for one in &decided.events {
                    view.apply(&one.known.event, one.len);
                }
                *slot = Some(view);
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
        self.is_durable && self.tip.as_ref().is_some_and(|tip| tip.view.is_maintenance_due())
    }

    /// Saves derived state when enough has come together. What is saved is derived: a failure to save it concerns
    /// nobody.
    async fn maintain(&mut self) {
        if !self.is_maintenance_due() {
            return;
        }
        let Some(mut tip) = self.tip.take() else { return };
        let mut slot = self.durable.lock().await;
        if slot.is_none() {
            let _ = tip.view.maintain(self.ledger.as_ref()).await;
        } else if let Ok(view) = at_head(&mut slot, self.ledger.as_ref()).await {
            tip.view.follow(view);
        }
        self.tip = Some(tip);
    }
}

impl Tip {
    /// The view at the turn's tip; `None` if the turn is one of another history, or of other events after what is
    /// durable, than this was made of.
    async fn catch_up(self, turn: &mut dyn Turn) -> Result<Option<View>> {
        let Self { mut view, epoch } = self;
        if epoch.is_some_and(|epoch| epoch != turn.epoch()) {
            return Ok(None);
        }
        while view.position().seq < turn.tip().seq {
            let page = turn.read(view.position().seq.next(), ReadLimit::CHUNK).await?;
            if page.is_empty() {
                return Err(Error::unavailable("the ledger ends before its tip"));
            }
            if !view.apply_page(&page)? {
                return Ok(None);
            }
        }
        // What is durable is written, so no view of this history is beyond the tip.
        Ok((view.position() == turn.tip()).then_some(view))
    }
}

/// How a turn ended: what is still to be done.
enum Progress {
    /// All that was decided was answered. These did not fit into the turn.
    Later(Vec<Job>),
    /// A recovery discarded the turn: these have to be decided again.
    Lost(Vec<Job>),
    /// Others wrote before the turn did, as the error says: these have to be decided again.
    Overtaken(Vec<Job>, Error),
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
