use super::lines::read_range;
use super::redaction::Overwriting;
use super::*;
use crate::disk::RealDisk;
use crate::error::ErrorKind;
use crate::event::{Body, ChatMessage};
use crate::id::{ActorId, EventId, Nonce, Principal};
use crate::ledger::{Appended, Batch, Durability, Encoder, Stamp};
use crate::time::Timestamp;

mod absent;
mod basic;
mod damaged;
mod derived;
mod faults;
mod firm;
mod gaps;
mod layer;
mod moved;
mod recovery;
mod redaction;
mod repair;

fn group() -> GroupId {
    GroupId::new("g-test").unwrap()
}

fn real() -> Arc<dyn Disk> {
    Arc::new(RealDisk::new())
}

/// Drives a future of the file ledger, which never waits for anything but the disk.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn message(text: &str) -> ChatMessage {
    let json = serde_json::json!({
        "text": text, "format": "plain", "to": ["@all"], "recipients": ["bob"], "priority": "normal",
        "root": 1, "depth": 0,
    });
    serde_json::from_value(json).unwrap()
}

/// Encodes one command a text, each of as many events as the text has words.
fn batch_of(after: Position, durable: Seq, texts: &[&str]) -> Batch {
    let mut encoder = Encoder::new(group(), after, durable);
    let by = Principal::from(ActorId::new("alice").unwrap());
    let stamp = Stamp { ts: Timestamp::from_millis(1_795_250_301_120), by, via: None, scope_key: "".into() };
    for text in texts {
        let drafts = text.split(' ').map(|word| Body::from(message(word)).into()).collect();
        let mut bits = after.seq.0 * 7919 + text.len() as u64;
        let nonce = || {
            bits += 1;
            Nonce::from_bits(bits)
        };
        encoder.push(drafts, &stamp, nonce).unwrap();
    }
    encoder.finish()
}

fn append(ledger: &FileLedger, texts: &[&str]) -> Position {
    let turn = now(ledger.turn()).unwrap();
    let batch = batch_of(turn.tip(), turn.durable().seq, texts);
    let end = batch.end;
    assert_eq!(now(turn.append(&batch, Durability::Durable)).unwrap(), Appended::New);
    end
}

/// The texts of all messages, as a reader sees them.
fn texts(ledger: &FileLedger) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let page = now(ledger.read(Seq(texts.len() as u64 + 1), ReadLimit::CHUNK)).unwrap();
        if page.is_empty() {
            return texts;
        }
        for event in page.events() {
            let event = event.unwrap();
            texts.push(event.message().map_or_else(|| "(redacted)".into(), |message| message.text.clone()));
        }
    }
}

fn create(dir: &std::path::Path) -> FileLedger {
    FileLedger::create(real(), dir, group(), Options::default()).unwrap()
}

fn open(dir: &std::path::Path) -> FileLedger {
    FileLedger::open(real(), dir, group(), Options::default()).unwrap()
}

fn segment(dir: &std::path::Path, first: u64) -> PathBuf {
    Layout::new(dir.to_owned()).segment(first)
}

/// The contents of all files that were set aside.
fn torn(dir: &std::path::Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir.join("torn")) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}
