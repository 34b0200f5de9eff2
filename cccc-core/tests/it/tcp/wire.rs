//! What goes over the wire: frames of a length, JSON and bytes.

use std::time::Duration;

use cccc_core::error::Damage;
use cccc_core::ledger::Position;
use cccc_core::{Error, ErrorKind, GroupId, Principal, Seq};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A longer frame is no frame of ours.
pub(super) const MAX_FRAME: usize = 256 << 20;

/// What is asked of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// Whose server: a port may be another's by now.
    pub(super) server: String,
    pub(super) group: GroupId,
    pub(super) ask: Ask,
}

/// What is asked of a ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Create,
    Head,
    /// Lines after a seq, with the head.
    News {
        after: Seq,
        events: usize,
        bytes: usize,
    },
    /// Durable lines, or all that are written.
    Read {
        from: Seq,
        events: usize,
        bytes: usize,
        written: bool,
    },
    ReadMany {
        seqs: Vec<Seq>,
        written: bool,
    },
    Find(Look),
    /// Answered when the head is another, or after a while.
    Changed {
        seen: Position,
    },
    Turn,
    /// The lines follow.
    Append {
        after: Position,
        end: Position,
        lens: Vec<u32>,
        durable: bool,
    },
    LoadCheckpoint(u32),
    NewestCheckpoint(u32),
    /// Its bytes follow.
    SaveCheckpoint(u32, Position),
    ExtendIndex(Position),
    Redact(Seq, [u8; 32]),
    Verify,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Look {
    Target(Seq),
    Key(u64),
    Involving(Principal, Seq, usize),
}

/// What a server answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    At(Position),
    Turn {
        epoch: u64,
        tip: Position,
        durable: Position,
    },
    /// The lines of all pages follow.
    Pages {
        head: Position,
        pages: Vec<PageHead>,
    },
    Found {
        seqs: Vec<Seq>,
        covered: Seq,
    },
    New,
    Already,
    Lost,
    /// Its bytes may follow.
    Checkpoint(Option<(Position, u64)>),
    Covered(Seq),
    Sound {
        head: Position,
        bytes: u64,
        gaps: u64,
    },
    Damaged(Damage),
    Failed(Failure),
}

/// A page without its lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PageHead {
    pub(super) previous: Position,
    pub(super) bytes: usize,
}

/// An error on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    damage: Option<Damage>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            retry_after: error.retry_after_duration(),
            damage: error.damage().cloned(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = match failure.damage {
            Some(damage) => Self::corrupt(damage),
            None => Self::new(failure.kind, failure.message),
        };
        failure.retry_after.into_iter().fold(error, Self::retry_after)
    }
}

/// `<length of what follows> <length of the JSON> <JSON> <bytes>`, lengths as four bytes.
pub(super) fn frame(head: &impl Serialize, bytes: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(head).unwrap();
    let mut frame = Vec::with_capacity(8 + json.len() + bytes.len());
    frame.extend_from_slice(&u32::try_from(4 + json.len() + bytes.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(&u32::try_from(json.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(&json);
    frame.extend_from_slice(bytes);
    frame
}

/// The length of what follows these bytes.
pub(super) fn length(bytes: [u8; 4]) -> std::io::Result<usize> {
    let length = u32::from_le_bytes(bytes) as usize;
    if (4..=MAX_FRAME).contains(&length) { Ok(length) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

/// What a frame holds after its length.
pub(super) fn parse<T: DeserializeOwned>(frame: &[u8]) -> std::io::Result<(T, &[u8])> {
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let (length, rest) = frame.split_first_chunk::<4>().ok_or_else(bad)?;
    let (json, bytes) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(bad)?;
    Ok((serde_json::from_slice(json)?, bytes))
}
