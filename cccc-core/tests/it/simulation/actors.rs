//! What the simulated processes do: write, read, follow.

use std::time::Duration;

use cccc_core::disk::Disk;
use cccc_core::error::ErrorKind;
use cccc_core::event::{Body, ChatAck};
use cccc_core::id::Nonce;
use cccc_core::ledger::{
    Appended, Batch, Draft, Durability, Encoder, FileLedger, Ledger, Position, ReadLimit, Stamp, Turn,
};
use cccc_core::testing::Random;
use cccc_core::testing::sim::{SimDisk, block_on, timeout};
use cccc_core::{Error, EventId, Principal, Result, Seq, Timestamp};
use serde_json::value::RawValue;

use super::scenario::Stage;

/// Nobody has to wait longer for each process that died.
const WAIT_PER_DEATH: Duration = Duration::from_millis(300);
/// Nobody has to wait longer for a process that is stopped: for its turn, to begin a segment, for what others have not
/// synced, and to say that it was done; each time 2 s, and a quarter of a second more where others wait in line.
const WAIT_PER_STOP: Duration = Duration::from_millis(4 * 2250);
/// Nobody has to wait longer for the living.
const WAIT_FOR_THE_LIVING: Duration = Duration::from_millis(100);
/// A follower that was not woken for so long, though there is something, is one that nobody wakes.
const WAKE_LIMIT: Duration = Duration::from_millis(2500);

impl Stage {
    /// An operation failed. Whether it may depends on what fails in this run.
    pub(super) fn trouble(&self, who: &str, doing: &str, error: &Error) {
        self.world.note(format!("{who} could not {doing}: {error}"));
        let mut oracle = self.oracle.lock().unwrap();
        oracle.counts.errors += 1;
        let in_vain = self.rules.lock_is_refused && error.to_string().contains("holds the lock");
        if !(self.rules.errors || in_vain) || error.kind() == ErrorKind::Corrupt {
            oracle.violation(format!("{who} could not {doing}: {error}"));
        }
    }

    pub(super) fn firm(&self, who: &str, position: Position) {
        self.oracle.lock().unwrap().firm(who, position);
    }

    pub(super) fn violation(&self, text: String) {
        self.world.note(format!("VIOLATION: {text}"));
        self.oracle.lock().unwrap().violation(text);
    }

    /// Opens the ledger; where operations may fail, tries for a while.
    pub(super) fn open_patiently(&self, who: &str, disk: &SimDisk) -> Option<FileLedger> {
        for _ in 0..20 {
            match self.open(disk) {
                Ok(ledger) => return Some(ledger),
                Err(error) => self.trouble(who, "open", &error),
            }
            disk.sleep(Duration::from_millis(5));
        }
        None
    }
}

/// What a writer knows of the ledger, as a projection would.
struct View {
    /// Every place up to where it has read, beginning with the start.
    positions: Vec<Position>,
    /// Up to where it knows them to be durable.
    durable: Seq,
    epoch: Option<u64>,
}

impl View {
    fn new(start: Position) -> Self {
        Self { positions: vec![start], durable: Seq(0), epoch: None }
    }

    fn last(&self) -> Position {
        *self.positions.last().expect("the start is never removed")
    }

    /// Catches up with the tip.
    fn refresh(&mut self, stage: &Stage, who: &str, turn: &mut dyn Turn) -> Result<()> {
        if self.epoch != Some(turn.epoch()) {
            self.positions.retain(|position| position.seq <= self.durable);
            self.epoch = Some(turn.epoch());
        }
        let (tip, durable) = (turn.tip(), turn.durable());
        stage.firm(who, durable);
        while self.last().seq < tip.seq {
            let page = block_on(turn.read(self.last().seq.next(), ReadLimit { events: 7, bytes: 1 << 20 }))?;
            if page.is_empty() {
                stage.violation(format!("{who} read nothing after {} of {tip}", self.last()));
                return Ok(());
            }
            for line in page.lines() {
                match line.check(self.last()) {
                    Ok(next) => self.positions.push(next),
                    Err(reason) => {
                        stage.violation(format!("{who} read after {} a line: {reason}", self.last()));
                        return Ok(());
                    }
                }
            }
        }
        if self.last() != tip {
            let epoch = turn.epoch();
            stage.violation(format!("{who} knew {} in epoch {epoch}, and the tip is {tip}", self.last()));
        }
        self.durable = self.durable.max(durable.seq);
        Ok(())
    }
}

/// What a writer is about to append.
struct Proposal {
    batch: Batch,
    /// The place of every event.
    positions: Vec<Position>,
    commands: Vec<String>,
    durability: Durability,
}

/// Appends commands until `count` succeeded, or too many did not.
pub(super) fn write(stage: &Stage, disk: &SimDisk, who: &str, seed: u64, count: u64) {
    let mut random = Random::new(seed);
    let Some(mut ledger) = stage.open_patiently(who, disk) else { return };
    let mut view = View::new(stage.start());
    let (mut done, mut tries) = (0, 0);
    while done < count && tries < 3 * count + 20 {
        tries += 1;
        if random.chance(50_000) {
            let Some(reopened) = stage.open_patiently(who, disk) else { return };
            (ledger, view) = (reopened, View::new(stage.start()));
        }
        if random.chance(200_000) {
            disk.sleep(Duration::from_micros(random.below(3000)));
        }
        let (started, name) = (disk.monotonic() - disk.stopped(), format!("{who}-{tries}"));
        match attempt(stage, &ledger, who, &name, &mut view, &mut random) {
            Ok(true) => done += 1,
            Ok(false) => {}
            Err(error) => {
                stage.trouble(who, "append", &error);
                disk.sleep(Duration::from_millis(1 + random.below(5)));
            }
        }
        // It may have been stopped itself.
        let took = (disk.monotonic() - disk.stopped()).saturating_sub(started);
        let deaths = stage.world.deaths().len();
        let mut limit = WAIT_FOR_THE_LIVING + WAIT_PER_DEATH * u32::try_from(deaths).unwrap_or(u32::MAX);
        if stage.rules.stops {
            limit += WAIT_PER_STOP;
        }
        if stage.rules.bounded && took > limit {
            stage.violation(format!("{who} took {took:?} for an append after {deaths} deaths"));
        }
    }
}

/// One turn. True if something was appended.
fn attempt(
    stage: &Stage,
    ledger: &FileLedger,
    who: &str,
    name: &str,
    view: &mut View,
    random: &mut Random,
) -> Result<bool> {
    let mut turn = block_on(ledger.turn())?;
    view.refresh(stage, who, &mut *turn)?;
    if random.chance(50_000) {
        return Ok(false);
    }
    let proposal = propose(stage, &*turn, name, random);
    let result = block_on(turn.append(&proposal.batch, proposal.durability));
    stage.world.note(format!("{name} after {}: {result:?}", proposal.batch.after.seq));
    match &result {
        Ok(Appended::New) => {}
        Ok(Appended::Lost) => {
            let mut oracle = stage.oracle.lock().unwrap();
            oracle.counts.lost += 1;
            oracle.gone(&proposal.commands);
            return Ok(false);
        }
        Ok(Appended::Already) => {
            stage.violation(format!("{name} was there already, before it was first appended"));
            return Ok(false);
        }
        Err(error) => {
            if stage.rules.failed_is_gone {
                stage.oracle.lock().unwrap().gone(&proposal.commands);
            } else if random.chance(500_000) {
                stage.trouble(who, "append", error);
                return again(stage, ledger, name, &proposal);
            }
            return result.map(|_| false);
        }
    }
    if proposal.durability == Durability::Durable {
        // For an empty batch this is what a refusal was decided on.
        stage.firm(name, proposal.batch.end);
        proposal.positions.iter().for_each(|position| stage.firm(name, *position));
        view.durable = view.durable.max(proposal.batch.end.seq);
    }
    view.positions.extend(&proposal.positions);
    stage.oracle.lock().unwrap().counts.appended += 1;
    if random.chance(100_000) && !proposal.positions.is_empty() {
        again(stage, ledger, name, &proposal)?;
    }
    Ok(!proposal.positions.is_empty())
}

/// Appends the same batch once more, as a caller does that does not know how it ended.
fn again(stage: &Stage, ledger: &FileLedger, name: &str, proposal: &Proposal) -> Result<bool> {
    let turn = block_on(ledger.turn())?;
    let result = block_on(turn.append(&proposal.batch, Durability::Durable));
    stage.world.note(format!("{name} again: {result:?}"));
    match result {
        Ok(Appended::New | Appended::Already) => {
            proposal.positions.iter().for_each(|position| stage.firm(name, *position));
            Ok(true)
        }
        Ok(Appended::Lost) => Ok(false),
        // Others wrote there meanwhile.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            match proposal.positions.first().map(|first| stage.oracle.lock().unwrap().known(first.seq)) {
                Some(Some(chain)) if proposal.positions.first().map(|p| p.chain) == Some(chain) => {
                    stage.violation(format!("{name} is there, but appending it again is a conflict"));
                }
                _ => {}
            }
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Up to two commands of up to four events each; sometimes none, which is what a refusal appends.
fn propose(stage: &Stage, turn: &dyn Turn, name: &str, random: &mut Random) -> Proposal {
    let stamp = Stamp {
        ts: Timestamp::from_millis(1_764_000_000_000),
        by: Principal::System,
        via: None,
        scope_key: "".into(),
    };
    let mut encoder = Encoder::new(stage.group_id.clone(), turn.tip(), turn.durable().seq);
    let (mut positions, mut commands) = (Vec::new(), Vec::new());
    for i in 0..random.pick(&[0, 1, 1, 1, 2]) {
        let command = format!("{name}.{i}");
        let count = 1 + random.below(4);
        let about = 1 + random.below(turn.tip().seq.0);
        let drafts = match random.chance(150_000) {
            true => vec![ack(Seq(about))],
            false => (0..count).map(|index| draft(&command, index, count, random)).collect(),
        };
        let mut nonces = random.clone();
        let events = encoder
            .push(drafts, &stamp, || Nonce::from_bits(nonces.next_u64()))
            .expect("the events are small");
        random.next_u64();
        positions.extend(events.iter().map(|event| Position { seq: event.seq, chain: event.chain }));
        commands.push(command);
    }
    let durability = if random.chance(stage.buffered) { Durability::Buffered } else { Durability::Durable };
    Proposal { batch: encoder.finish(), positions, commands, durability }
}

/// Something about another event, for the index to find.
fn ack(seq: Seq) -> Draft {
    let event_id = EventId { seq, nonce: Nonce::from_bits(0) };
    Body::ChatAck(ChatAck { actor_id: Principal::User, event_id }).into()
}

fn draft(command: &str, index: u64, count: u64, random: &mut Random) -> Draft {
    let longest = random.pick(&[10, 300, 300, 3000]);
    let pad = "x".repeat(random.index(longest));
    let data = serde_json::json!({ "command": command, "index": index, "count": count, "pad": pad });
    let data = RawValue::from_string(data.to_string()).expect("it is JSON");
    Body::Unknown { kind: "x.simulated".into(), data }.into()
}

/// Reads in every way there is.
pub(super) fn read(stage: &Stage, disk: &SimDisk, who: &str, seed: u64, rounds: u64) {
    let mut random = Random::new(seed);
    let Some(ledger) = stage.open_patiently(who, disk) else { return };
    let (mut at, mut head) = (stage.start(), stage.start());
    for _ in 0..rounds {
        if let Err(error) = read_once(stage, &ledger, who, &mut random, &mut at, &mut head) {
            stage.trouble(who, "read", &error);
        }
        disk.sleep(Duration::from_micros(random.below(2000)));
    }
}

fn read_once(
    stage: &Stage,
    ledger: &FileLedger,
    who: &str,
    random: &mut Random,
    at: &mut Position,
    head: &mut Position,
) -> Result<()> {
    let now = block_on(ledger.head())?;
    stage.firm(who, now);
    if now.seq < head.seq {
        stage.violation(format!("{who} saw the head go back from {head} to {now}"));
    }
    *head = now;
    if random.chance(300_000) && head.seq.0 > 0 {
        let seq = Seq(1 + random.below(head.seq.0));
        let page = block_on(ledger.read(seq, ReadLimit::ONE))?;
        let Some(line) = page.lines().next().filter(|line| line.seq() == Some(seq)) else {
            stage.violation(format!("{who} could not find event {seq} of {head}"));
            return Ok(());
        };
        if let Ok(chain) = line.chain() {
            stage.firm(who, Position { seq, chain });
        }
        return Ok(());
    }
    let limit = ReadLimit { events: 1 + random.index(20), bytes: random.index(5000) };
    let page = block_on(ledger.read(at.seq.next(), limit))?;
    if page.is_empty() && at.seq < head.seq {
        stage.violation(format!("{who} read nothing after {at} of {head}"));
    }
    *at = stage.oracle.lock().unwrap().page(who, *at, &page);
    Ok(())
}

/// Reads everything as it comes, woken by the ledger, until nothing has come for a while.
pub(super) fn follow(stage: &Stage, disk: &SimDisk, who: &str) {
    let Some(ledger) = stage.open_patiently(who, disk) else { return };
    let mut at = stage.start();
    let mut behind = false;
    loop {
        match timeout(WAKE_LIMIT, ledger.wait(at.seq)) {
            Some(Ok(head)) => {
                behind = false;
                stage.firm(who, head);
                if head.seq <= at.seq {
                    stage.violation(format!("{who} waited for more than {at} and was told {head}"));
                    return;
                }
            }
            Some(Err(error)) => {
                stage.trouble(who, "wait", &error);
                disk.sleep(Duration::from_millis(50));
            }
            None => {
                match block_on(ledger.head()) {
                    // It may have come in the last moment.
                    Ok(head) if head.seq > at.seq && !behind => {
                        behind = true;
                        continue;
                    }
                    Ok(head) if head.seq > at.seq => {
                        stage.violation(format!("{who} waited after {at} and was not told of {head}"));
                    }
                    Ok(_) => {}
                    Err(error) => stage.trouble(who, "read the head", &error),
                }
                return;
            }
        }
        match block_on(ledger.read(at.seq.next(), ReadLimit::CHUNK)) {
            Ok(page) => at = stage.oracle.lock().unwrap().page(who, at, &page),
            Err(error) => stage.trouble(who, "read", &error),
        }
    }
}
