//! Where everything lies in a group's directory.

use std::path::{Path, PathBuf};

use crate::id::Seq;

/// The names in one group's directory.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    /// The segments and what belongs to them.
    pub(super) ledger: PathBuf,
    pub(super) head: PathBuf,
    pub(super) tip: PathBuf,
    pub(super) lock: PathBuf,
    /// Held by whoever extends the index. Apart from `lock`, so that nobody waits for derived files.
    pub(super) index_lock: PathBuf,
    /// Held by whoever saves a checkpoint.
    pub(super) checkpoint_lock: PathBuf,
    /// What is being redacted.
    pub(super) redacting: PathBuf,
    /// Held by whoever overwrites durable bytes.
    pub(super) redacting_lock: PathBuf,
    /// Bytes set aside.
    pub(super) torn: PathBuf,
}

impl Layout {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            ledger: dir.join("ledger"),
            head: dir.join("head"),
            tip: dir.join("tip"),
            lock: dir.join("lock"),
            index_lock: dir.join("index.lock"),
            checkpoint_lock: dir.join("checkpoint.lock"),
            redacting: dir.join("redacting"),
            redacting_lock: dir.join("redacting.lock"),
            torn: dir.join("torn"),
            dir,
        }
    }

    /// The segment that begins with event `first`.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.ledger.join(format!("{first:020}.jsonl"))
    }

    pub(super) fn offsets(&self, first: u64) -> PathBuf {
        self.ledger.join(format!("{first:020}.off"))
    }

    pub(super) fn index(&self, first: u64) -> PathBuf {
        self.ledger.join(format!("{first:020}.idx"))
    }

    /// Where the next version of an index is written before it takes its name.
    pub(super) fn index_draft(&self, first: u64) -> PathBuf {
        self.ledger.join(format!("{first:020}.idx.tmp"))
    }

    /// Where a segment is written anew before it takes its name.
    pub(super) fn segment_draft(&self, first: u64) -> PathBuf {
        self.ledger.join(format!("{first:020}.new"))
    }

    /// Where a head page is written that takes the place of another file.
    pub(super) fn head_draft(&self) -> PathBuf {
        self.dir.join("head.new")
    }

    /// A checkpoint: `a` or `b`.
    pub(super) fn checkpoint(&self, schema: u32, generation: char) -> PathBuf {
        self.dir.join(format!("checkpoint.{schema}.{generation}"))
    }

    pub(super) fn checkpoint_draft(&self, schema: u32) -> PathBuf {
        self.dir.join(format!("checkpoint.{schema}.tmp"))
    }

    /// Where bytes are set aside that begin where event `seq` should stand. `time` only makes it unique.
    pub(super) fn torn_file(&self, seq: Seq, time: u128) -> PathBuf {
        self.torn.join(format!("{seq}-{time}.bin"))
    }

    /// Where a note of a redaction is set aside that leads nowhere.
    pub(super) fn torn_note(&self, time: u128) -> PathBuf {
        self.torn.join(format!("redacting-{time}.bin"))
    }
}

/// The first seq of a segment, from its name; `None` for other files.
pub(super) fn segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|first| *first > 0)
}

/// A path in a message or a report of damage.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
