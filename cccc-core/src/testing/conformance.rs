//! What every [`Ledger`] must do, as one suite: memory, files and databases are checked by the same code.
//!
//! It checks one ledger in use by several handles, without faults. What must hold in spite of them is
//! checked by the simulation of the file ledger.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use serde_json::value::RawValue;

use crate::error::{ErrorKind, Result};
use crate::event::{Body, ChatMessage, Event, Format, Priority, key_hash};
use crate::id::{ActorId, GroupId, Nonce, Principal, Seq};
use crate::index::TailIndex;
use crate::ledger::{
    Appended, Batch, Checkpoint, Draft, Durability, Encoder, Ledger, Lookup, Position, ReadLimit, Stamp,
    Turn, Verdict, for_anybody, is_redacted,
};
use crate::testing::Random;
use crate::time::Timestamp;

/// Makes the ledgers to be checked.
#[async_trait]
pub trait Factory: Sync {
    /// A new, empty ledger of a group.
    async fn create(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>>;

    /// The same ledger as another process would open it.
    async fn open(&self, group_id: &GroupId) -> Result<Arc<dyn Ledger>>;
}

/// Of a text of which a few fill the answer to one read.
const MANY_BYTES: usize = 300 << 10;

/// Runs every check on a ledger of its own.
///
/// It may be polled anywhere: the calls of a ledger that has an [executor](Ledger::executor) run there. Callers bound
/// the time: a ledger that does not wake its waiters lets this wait for ever.
///
/// # Errors
/// Those of the ledger, where there should be none.
///
/// # Panics
/// At the first thing that is not as it must be.
pub async fn check(factory: &dyn Factory) -> Result<()> {
    for (name, run) in CHECKS {
        let group_id = GroupId::new(name)?;
        let ledger = for_anybody(factory.create(&group_id).await?);
        let other = for_anybody(factory.open(&group_id).await?);
        let case = Case { factory, group_id, ledger, other };
        run(&case).await.map_err(|error| {
            let message = format!("conformance check {name:?}: {error}");
            crate::Error::new(error.kind(), message).source(error)
        })?;
        sound(&case).await?;
    }
    Ok(())
}

type Check = for<'a> fn(&'a Case<'a>) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

macro_rules! checks {
    ($($name:ident)*) => {
        const CHECKS: &[(&str, Check)] = &[$((stringify!($name), |case| Box::pin($name(case)))),*];
    };
}

checks! {
    an_empty_ledger_begins_at_the_groups_start
    what_was_appended_is_read_back
    handles_take_turns_and_see_one_order
    a_read_keeps_its_limits
    many_are_read_at_once
    news_are_the_head_and_what_is_read
    the_same_batch_again_is_there_already
    a_batch_for_another_tip_is_a_conflict
    what_was_supposed_wrongly_is_a_conflict
    an_empty_batch_writes_nothing
    buffered_events_are_ordered_and_seen_once_durable
    a_turn_that_is_dropped_is_given_back
    waiting_ends_with_an_append
    the_index_finds_what_it_covers
    a_checkpoint_is_found_again
    redacted_data_is_gone_and_the_chain_holds
    another_handle_resumes_where_one_left_off
}

/// One check's ledger.
struct Case<'a> {
    factory: &'a dyn Factory,
    group_id: GroupId,
    ledger: Arc<dyn Ledger>,
    /// A second handle.
    other: Arc<dyn Ledger>,
}

impl Case<'_> {
    /// Encodes messages as one command.
    fn batch(&self, turn: &dyn Turn, texts: &[&str]) -> Result<(Batch, Vec<Event>)> {
        self.batch_of(turn.tip(), turn.durable().seq, texts.iter().map(|text| message(text)).collect())
    }

    fn batch_of(
        &self,
        after: Position,
        durable: Seq,
        messages: Vec<ChatMessage>,
    ) -> Result<(Batch, Vec<Event>)> {
        // Another batch has other ids.
        let text: String = messages.iter().map(|message| message.text.as_str()).collect();
        let mut random = Random::new(key_hash(&Principal::User, &text) ^ after.seq.0);
        let stamp = Stamp {
            ts: Timestamp::from_millis(1_764_000_000_000),
            by: Principal::User,
            via: None,
            scope_key: "".into(),
        };
        let mut encoder = Encoder::new(self.group_id.clone(), after, durable);
        let drafts = messages.into_iter().map(Draft::from).collect();
        let events = encoder.push(drafts, &stamp, || Nonce::from_bits(random.next_u64()))?;
        Ok((encoder.finish(), events))
    }

    /// Appends messages as one command, durably.
    async fn append(&self, ledger: &dyn Ledger, texts: &[&str]) -> Result<Batch> {
        let turn = ledger.turn().await?;
        let (batch, _) = self.batch(&*turn, texts)?;
        let appended = turn.append(&batch, Durability::Durable).await?;
        assert_eq!(appended, Appended::New);
        Ok(batch)
    }
}

fn message(text: &str) -> ChatMessage {
    ChatMessage {
        text: text.into(),
        format: Format::Plain,
        to: Vec::new(),
        recipients: Vec::new(),
        priority: Priority::Normal,
        reply_required: false,
        due_at: None,
        reply_to: None,
        quote: None,
        progress: false,
        intent: None,
        refs: Vec::new(),
        attachments: Vec::new(),
        client_id: None,
        expires_at: None,
        supersedes: None,
        not_if: Vec::new(),
        options: Vec::new(),
        choice: None,
        root: Seq(1),
        depth: 0,
        quiet: Vec::new(),
        task_id: None,
        relay_to: Vec::new(),
        src_group_id: None,
        src_group_title: None,
        src_event_id: None,
    }
}

/// Everything durable, as bytes; read in pages of every size.
async fn all(ledger: &dyn Ledger) -> Result<Vec<u8>> {
    let (mut bytes, mut next) = (Vec::new(), Seq(1));
    loop {
        let page = ledger.read(next, ReadLimit::CHUNK).await?;
        if page.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(page.bytes());
        next = Seq(next.0 + page.len() as u64);
    }
}

/// After each check: the ledger verifies, and ends where its head says.
async fn sound(case: &Case<'_>) -> Result<()> {
    let bytes = all(&*case.ledger).await?.len() as u64;
    for ledger in [&case.ledger, &case.other] {
        match ledger.verify().await? {
            Verdict::Sound { head, bytes: read, .. } => {
                assert_eq!((head, read), (ledger.head().await?, bytes), "{}", case.group_id);
            }
            Verdict::Damaged(damage) => panic!("{}: {damage:?}", case.group_id),
        }
    }
    Ok(())
}

async fn an_empty_ledger_begins_at_the_groups_start(case: &Case<'_>) -> Result<()> {
    let start = Position::start(&case.group_id);
    for ledger in [&case.ledger, &case.other] {
        assert_eq!(ledger.group_id(), &case.group_id);
        assert_eq!(ledger.head().await?, start);
        assert!(ledger.read(Seq(1), ReadLimit::CHUNK).await?.is_empty());
        assert_eq!(ledger.find(Lookup::Target(Seq(1))).await?.covered, Seq(0));
        let mut turn = ledger.turn().await?;
        assert_eq!((turn.tip(), turn.durable()), (start, start));
        assert!(turn.read(Seq(1), ReadLimit::CHUNK).await?.is_empty());
    }
    Ok(())
}

async fn what_was_appended_is_read_back(case: &Case<'_>) -> Result<()> {
    let first = case.append(&*case.ledger, &["one", "two", "three"]).await?;
    let second = case.append(&*case.ledger, &["four"]).await?;
    assert_eq!((second.after, second.end.seq), (first.end, Seq(4)));
    for ledger in [&case.ledger, &case.other] {
        assert_eq!(ledger.head().await?, second.end);
        assert_eq!(all(&**ledger).await?, [&first.bytes[..], &second.bytes].concat());
        let page = ledger.read(Seq(2), ReadLimit { events: 2, bytes: 1 << 20 }).await?;
        let events: Vec<Event> = page.events().collect::<Result<_>>()?;
        let texts: Vec<&str> = events.iter().filter_map(Event::message).map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["two", "three"]);
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [Seq(2), Seq(3)]);
        assert_eq!(events.last().map(|event| event.chain), Some(first.end.chain));
        for beyond in [5, 6, u64::MAX] {
            assert!(ledger.read(Seq(beyond), ReadLimit::CHUNK).await?.is_empty());
        }
    }
    Ok(())
}

async fn handles_take_turns_and_see_one_order(case: &Case<'_>) -> Result<()> {
    let mut expected = Vec::new();
    let mut epochs = std::collections::BTreeSet::new();
    for i in 0..20 {
        let ledger = if i % 3 == 0 { &case.other } else { &case.ledger };
        let turn = ledger.turn().await?;
        epochs.insert(turn.epoch());
        assert_eq!(turn.tip().seq.0, turn.durable().seq.0);
        let (batch, _) = case.batch(&*turn, &["x", "yy"][..=i % 2])?;
        assert_eq!(turn.append(&batch, Durability::Durable).await?, Appended::New);
        expected.extend_from_slice(&batch.bytes);
    }
    assert_eq!(all(&*case.ledger).await?, expected);
    assert_eq!(all(&*case.other).await?, expected);
    assert_eq!(epochs.len(), 1, "the epoch changes only when something may have been replaced");
    Ok(())
}

async fn a_read_keeps_its_limits(case: &Case<'_>) -> Result<()> {
    let long = "x".repeat(100_000);
    let texts: Vec<&str> = (0..40).map(|i| if i == 20 { long.as_str() } else { "short" }).collect();
    let batch = case.append(&*case.ledger, &texts).await?;
    let lens: Vec<usize> = batch.lens.iter().map(|len| *len as usize).collect();
    for from in 1..=40 {
        for events in [1, 2, 7, 39, 300, usize::MAX] {
            for bytes in [0, 1, 700, 5000, 1 << 20] {
                let limit = ReadLimit { events, bytes };
                let page = case.ledger.read(Seq(from), limit).await?;
                let start = from as usize - 1;
                let size: usize = lens[start..start + page.len()].iter().sum();
                assert!(!page.is_empty() && page.len() <= events, "{from} {limit:?}");
                assert!(page.len() == 1 || size <= bytes, "{from} {limit:?}");
                let offset: usize = lens[..start].iter().sum();
                assert!(page.bytes() == &batch.bytes[offset..offset + size], "{from} {limit:?}");
            }
        }
    }
    Ok(())
}

async fn many_are_read_at_once(case: &Case<'_>) -> Result<()> {
    let long = "x".repeat(MANY_BYTES);
    let texts: Vec<&str> = (0..60).map(|i| if i % 9 == 4 { long.as_str() } else { "short" }).collect();
    let batch = case.append(&*case.ledger, &texts).await?;
    let lines: Vec<&[u8]> = batch.bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut random = Random::new(7);
    for density in [0, 1, 3, 20, 60] {
        // Some are beyond the end.
        let seqs: Vec<Seq> = (1..=70).filter(|_| random.below(60) < density).map(Seq).collect();
        let mut found = Vec::new();
        for page in case.ledger.read_many(&seqs).await? {
            found.extend(page.lines().map(|line| (line.seq().unwrap_or_default(), line.bytes().to_vec())));
        }
        assert!(found.is_sorted_by(|(a, _), (b, _)| a < b), "{seqs:?}");
        assert!(found.iter().all(|(seq, line)| lines[seq.0 as usize - 1] == line), "{seqs:?}");
        let is_found = |seq: &&Seq| found.binary_search_by_key(*seq, |(seq, _)| *seq).is_ok();
        assert_eq!(seqs.iter().filter(|seq| seq.0 <= 60).find(|seq| !is_found(seq)), None, "{seqs:?}");
    }
    Ok(())
}

async fn news_are_the_head_and_what_is_read(case: &Case<'_>) -> Result<()> {
    let batch = case.append(&*case.other, &["one", "two", "three"]).await?;
    for after in 0..6 {
        let (head, page) = case.ledger.news(Seq(after), ReadLimit { events: 2, bytes: 1 << 20 }).await?;
        assert_eq!(head, batch.end, "after {after}");
        let seqs: Vec<Seq> = page.lines().filter_map(|line| line.seq()).collect();
        assert_eq!(seqs, (after + 1..=3).take(2).map(Seq).collect::<Vec<_>>(), "after {after}");
    }
    Ok(())
}

async fn what_was_supposed_wrongly_is_a_conflict(case: &Case<'_>) -> Result<()> {
    let first = case.append(&*case.ledger, &["one"]).await?;
    let Some(turn) = case.ledger.suppose(first.end) else { return Ok(()) };
    assert_eq!((turn.tip(), turn.durable()), (first.end, first.end));
    let (second, _) = case.batch(&*turn, &["two"])?;
    assert_eq!(turn.append(&second, Durability::Durable).await?, Appended::New);
    for texts in [&["too late"][..], &[]] {
        let Some(stale) = case.other.suppose(first.end) else { break };
        let (batch, _) = case.batch(&*stale, texts)?;
        let result = stale.append(&batch, Durability::Durable).await;
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::Conflict), "{texts:?}");
    }
    assert_eq!(all(&*case.other).await?, [first.bytes, second.bytes].concat());
    Ok(())
}

async fn the_same_batch_again_is_there_already(case: &Case<'_>) -> Result<()> {
    let first = case.append(&*case.ledger, &["one", "two"]).await?;
    let second = case.append(&*case.other, &["three"]).await?;
    for ledger in [&case.ledger, &case.other] {
        for batch in [&first, &second] {
            let again = ledger.turn().await?.append(batch, Durability::Durable).await?;
            assert_eq!(again, Appended::Already);
        }
    }
    assert_eq!(case.ledger.head().await?, second.end);
    Ok(())
}

async fn a_batch_for_another_tip_is_a_conflict(case: &Case<'_>) -> Result<()> {
    let turn = case.ledger.turn().await?;
    let (early, _) = case.batch(&*turn, &["too late"])?;
    drop(turn);
    let first = case.append(&*case.other, &["one"]).await?;
    let beyond = Position { seq: Seq(7), chain: first.end.chain };
    let elsewhere = Position { seq: first.end.seq, chain: first.after.chain };
    for after in [beyond, elsewhere] {
        let (lost, _) = case.batch_of(after, Seq(0), vec![message("nowhere")])?;
        for batch in [&early, &lost] {
            let result = case.ledger.turn().await?.append(batch, Durability::Durable).await;
            assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::Conflict));
        }
    }
    assert_eq!(all(&*case.ledger).await?, first.bytes);
    Ok(())
}

async fn an_empty_batch_writes_nothing(case: &Case<'_>) -> Result<()> {
    for _ in 0..2 {
        for durability in [Durability::Durable, Durability::Buffered] {
            let turn = case.ledger.turn().await?;
            let before = turn.tip();
            let (batch, _) = case.batch(&*turn, &[])?;
            assert_eq!(turn.append(&batch, durability).await?, Appended::New);
            assert_eq!(case.ledger.turn().await?.tip(), before);
        }
        case.append(&*case.ledger, &["one"]).await?;
    }
    Ok(())
}

async fn buffered_events_are_ordered_and_seen_once_durable(case: &Case<'_>) -> Result<()> {
    let turn = case.ledger.turn().await?;
    let (buffered, _) = case.batch(&*turn, &["one", "two"])?;
    assert_eq!(turn.append(&buffered, Durability::Buffered).await?, Appended::New);

    let mut turn = case.ledger.turn().await?;
    assert_eq!(turn.tip(), buffered.end);
    assert_eq!(turn.read(Seq(1), ReadLimit::CHUNK).await?.bytes(), buffered.bytes);
    assert!(turn.durable().seq <= turn.tip().seq);
    let (batch, _) = case.batch(&*turn, &["three"])?;
    assert_eq!(turn.append(&batch, Durability::Durable).await?, Appended::New);
    let expected = [&buffered.bytes[..], &batch.bytes].concat();
    assert_eq!(all(&*case.other).await?, expected);

    // A refusal that was decided on buffered events answers when they are durable.
    let turn = case.ledger.turn().await?;
    let (buffered, _) = case.batch(&*turn, &["four"])?;
    assert_eq!(turn.append(&buffered, Durability::Buffered).await?, Appended::New);
    let turn = case.other.turn().await?;
    let (nothing, _) = case.batch(&*turn, &[])?;
    assert_eq!(nothing.after, buffered.end);
    assert_eq!(turn.append(&nothing, Durability::Durable).await?, Appended::New);
    assert_eq!(case.ledger.head().await?, buffered.end);
    assert_eq!(case.other.head().await?, buffered.end);
    Ok(())
}

async fn a_turn_that_is_dropped_is_given_back(case: &Case<'_>) -> Result<()> {
    drop(case.ledger.turn().await?);
    drop(case.other.turn().await?);
    case.append(&*case.ledger, &["one"]).await?;
    Ok(())
}

/// Polls once; true if the future is not done.
async fn is_pending<F: Future + ?Sized>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

async fn waiting_ends_with_an_append(case: &Case<'_>) -> Result<()> {
    for ledger in [&case.ledger, &case.other] {
        let before = ledger.head().await?;
        let mut waits = pin!(ledger.wait(before.seq));
        assert!(is_pending(waits.as_mut()).await);
        // A wait that is dropped harms nobody.
        let mut dropped = Box::pin(ledger.wait(before.seq));
        assert!(is_pending(dropped.as_mut()).await);
        drop(dropped);
        let batch = case.append(&*case.ledger, &["one", "two"]).await?;
        assert_eq!(waits.await?, batch.end);
        // What happened before is no reason to wait.
        assert_eq!(ledger.wait(Seq(0)).await?, batch.end);
        assert_eq!(ledger.wait(Seq(batch.end.seq.0 - 1)).await?, batch.end);
    }
    Ok(())
}

async fn the_index_finds_what_it_covers(case: &Case<'_>) -> Result<()> {
    let alice = Principal::from(ActorId::new("alice")?);
    let mut tail = TailIndex::default();
    for round in 0..6 {
        let turn = case.ledger.turn().await?;
        let mut ask = message("ask");
        ask.client_id = Some(format!("key-{}", round % 2));
        ask.recipients = vec![alice.clone()];
        let (_, events) = case.batch_of(turn.tip(), turn.durable().seq, vec![ask.clone()])?;
        let mut answer = message("answer");
        answer.reply_to = events.first().map(|event| event.id);
        let (batch, events) = case.batch_of(turn.tip(), turn.durable().seq, vec![ask, answer])?;
        turn.append(&batch, Durability::Durable).await?;
        events.iter().for_each(|event| tail.add(event));
        if round % 2 == 1 {
            let covered = case.ledger.extend_index(&tail, batch.end).await?;
            assert!(covered <= batch.end.seq);
            if round == 3 {
                tail.trim(covered);
            }
        }
    }
    // A tail that the index has already changes nothing.
    let head = case.ledger.head().await?;
    let covered = case.ledger.extend_index(&tail, head).await?;
    assert_eq!(case.ledger.extend_index(&tail, head).await?, covered);
    let third = factory_open(case).await?;
    let asks = [1, 3, 5, 7, 9, 11];
    for ledger in [&case.ledger, &case.other, &third] {
        for target in asks {
            let found = ledger.find(Lookup::Target(Seq(target))).await?;
            let expected = [target + 1].into_iter().filter(|seq| *seq <= found.covered.0);
            assert_eq!(found.seqs, expected.map(Seq).collect::<Vec<_>>(), "target {target}");
        }
        for parity in 0..2 {
            let hash = key_hash(&Principal::User, &format!("key-{parity}"));
            let found = ledger.find(Lookup::Key(hash)).await?;
            let of_key = asks.into_iter().rev().filter(|seq| (seq - 1) / 2 % 2 == parity);
            let expected: Vec<Seq> = of_key.map(Seq).filter(|seq| *seq <= found.covered).collect();
            assert_eq!(found.seqs, expected, "key {parity}");
        }
        assert!(ledger.find(Lookup::Key(12345)).await?.seqs.is_empty());
        for (before, limit) in [(u64::MAX, 100), (7, 100), (8, 2), (1, 5), (12, 0)] {
            let lookup = Lookup::Involving { principal: alice.clone(), before: Seq(before), limit };
            let found = ledger.find(lookup).await?;
            let older = asks.into_iter().rev().filter(|seq| *seq < before && *seq <= found.covered.0);
            let expected: Vec<Seq> = older.take(limit).map(Seq).collect();
            assert_eq!(found.seqs, expected, "before {before}, {limit}");
        }
    }
    assert_eq!(case.ledger.find(Lookup::Target(Seq(1))).await?.covered, covered);
    Ok(())
}

async fn factory_open(case: &Case<'_>) -> Result<Arc<dyn Ledger>> {
    case.factory.open(&case.group_id).await.map(for_anybody)
}

async fn a_checkpoint_is_found_again(case: &Case<'_>) -> Result<()> {
    assert!(case.ledger.load_checkpoint(1).await?.is_none());
    for text in ["one", "two", "three"] {
        let batch = case.append(&*case.ledger, &[text]).await?;
        let bytes = text.repeat(1000).into_bytes();
        let saved = Checkpoint { position: batch.end, bytes };
        case.ledger.save_checkpoint(1, saved.clone()).await?;
        case.append(&*case.other, &["more"]).await?;
        for ledger in [&case.ledger, &case.other, &factory_open(case).await?] {
            let loaded = ledger.load_checkpoint(1).await?.map(|found| (found.position, found.bytes));
            assert!(loaded == Some((saved.position, saved.bytes.clone())), "{text}");
            assert!(ledger.load_checkpoint(2).await?.is_none());
        }
    }
    Ok(())
}

async fn redacted_data_is_gone_and_the_chain_holds(case: &Case<'_>) -> Result<()> {
    let secret = "password: tango ".repeat(20);
    let batch = case.append(&*case.ledger, &["before", &secret, "after"]).await?;
    let data_hash = {
        let page = case.ledger.read(Seq(2), ReadLimit::ONE).await?;
        page.lines().next().map(|line| line.data_hash()).unwrap_or_default()
    };
    assert!(case.ledger.redact(Seq(2), [7; 32]).await.is_err(), "another hash");
    assert!(case.ledger.redact(Seq(9), data_hash).await.is_err(), "no such event");
    for _ in 0..2 {
        case.ledger.redact(Seq(2), data_hash).await?;
    }
    for ledger in [&case.ledger, &case.other, &factory_open(case).await?] {
        let bytes = all(&**ledger).await?;
        assert_eq!(bytes.len(), batch.bytes.len());
        assert!(!String::from_utf8_lossy(&bytes).contains("tango"));
        let page = ledger.read(Seq(1), ReadLimit::CHUNK).await?;
        let redacted: Vec<bool> = page.lines().map(|line| is_redacted(line.data())).collect();
        assert_eq!(redacted, [false, true, false]);
        let events: Vec<Event> = page.events().collect::<Result<_>>()?;
        assert!(matches!(&events[1].body, Body::Redacted { kind } if &**kind == "chat.message"));
        assert_eq!(ledger.head().await?, batch.end);
    }
    case.append(&*case.other, &["and on"]).await?;
    Ok(())
}

async fn another_handle_resumes_where_one_left_off(case: &Case<'_>) -> Result<()> {
    let first = case.append(&*case.ledger, &["one", "two"]).await?;
    let reopened = factory_open(case).await?;
    assert_eq!(reopened.head().await?, first.end);
    // Kinds of other versions are carried along as they are.
    let turn = reopened.turn().await?;
    let data = RawValue::from_string(r#"{"n": 1.50}"#.into())
        .map_err(|error| crate::Error::invalid("not JSON").source(error))?;
    let body = Body::Unknown { kind: "x.later".into(), data };
    let stamp = Stamp { ts: Timestamp::default(), by: Principal::System, via: None, scope_key: "s".into() };
    let mut encoder = Encoder::new(case.group_id.clone(), turn.tip(), turn.durable().seq);
    encoder.push(vec![Draft { body, must: true }], &stamp, || Nonce::from_bits(5))?;
    let batch = encoder.finish();
    assert_eq!(turn.append(&batch, Durability::Durable).await?, Appended::New);
    let page = case.ledger.read(Seq(3), ReadLimit::CHUNK).await?;
    assert_eq!(page.bytes(), batch.bytes);
    let events: Vec<Event> = page.events().collect::<Result<_>>()?;
    assert!(events[0].must && events[0].body.data_json()? == r#"{"n": 1.50}"#);
    case.append(&*case.ledger, &["three"]).await?;
    assert_eq!(reopened.head().await?, case.ledger.head().await?);
    Ok(())
}
