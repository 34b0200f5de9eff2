//! Writing a bundle.

use std::io::{self, Read, Write};

use super::{BEGIN, Begin, END, End, Exported, FORMAT};
use crate::blobs::{Blobs, Digest, Named, hex};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Ledger, copy, end_of_all};
use crate::time::Timestamp;

/// How much of the ledger goes into one entry, and into memory.
const PIECE_BYTES: usize = 4 << 20;

/// Writes everything durable of a group, and says how much that was. Every line and every attachment is
/// checked on the way.
pub(crate) async fn write(
    ledger: &dyn Ledger,
    blobs: &Blobs,
    now: Timestamp,
    to: impl Write,
) -> Result<Exported> {
    let head = end_of_all(ledger).await?;
    let group_id = ledger.group_id().clone();
    let mut archive = Archive {
        tar: tar::Builder::new(to),
        seconds: u64::try_from(now.as_millis() / 1000).unwrap_or_default(),
    };
    archive.note(BEGIN, &Begin { cccc_group: FORMAT, group_id: group_id.clone(), head })?;

    let (mut named, mut piece, mut first) = (Named::default(), Vec::new(), Seq(1));
    let gaps = copy(ledger, head, |page, at| {
        for event in page.events() {
            named.note(&event?);
        }
        piece.extend_from_slice(page.bytes());
        if piece.len() >= PIECE_BYTES || at == head {
            archive.entry(&format!("ledger/{:020}.jsonl", first.0), piece.len(), piece.as_slice())?;
            (first, piece) = (at.seq.next(), Vec::new());
        }
        Ok(())
    })
    .await?;
    let (mut written, mut missing, mut lost) = (0, 0, Vec::new());
    for (digest, _) in named.iter() {
        match archive.blob(blobs, digest)? {
            true => written += 1,
            false if named.is_redacted(digest) => missing += 1,
            false => lost.push(hex(digest)),
        }
    }
    archive.note(END, &End { events: head.seq, blobs: written })?;
    archive.tar.into_inner().and_then(|mut to| to.flush()).map_err(|e| failed(e, "the end"))?;
    Ok(Exported {
        group_id,
        head,
        events: head.seq.0,
        gaps,
        blobs: written,
        missing_blobs: missing,
        lost_blobs: lost,
    })
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    /// When the bundle was made; what its entries say.
    seconds: u64,
}

impl<W: Write> Archive<W> {
    fn entry(&mut self, name: &str, bytes: usize, content: impl Read) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(|e| failed(e, name))?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(u64::try_from(bytes).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_mtime(self.seconds);
        header.set_cksum();
        self.tar.append(&header, content).map_err(|e| failed(e, name))
    }

    fn note(&mut self, name: &str, note: &impl serde::Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(note)
            .map_err(|e| Error::invalid("the bundle cannot be described").source(e))?;
        text.push(b'\n');
        self.entry(name, text.len(), text.as_slice())
    }

    /// Whether it was there.
    fn blob(&mut self, blobs: &Blobs, digest: &Digest) -> Result<bool> {
        let name = hex(digest);
        let mut content = Vec::new();
        match blobs.open(&name) {
            // Read to its end without an error, it is what was stored.
            Ok(mut blob) => blob.read_to_end(&mut content).map_err(|e| match e.kind() {
                io::ErrorKind::InvalidData => {
                    Error::new(ErrorKind::Corrupt, format!("the attachment {name}: {e}"))
                        .hint("restore the file from a copy, or redact the message that names it")
                }
                _ => Error::unavailable(format!("cannot read the attachment {name}: {e}")).source(e),
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        self.entry(&format!("blobs/{name}"), content.len(), content.as_slice())?;
        Ok(true)
    }
}

/// A failure to write, which may be a pipe that nobody reads any more.
fn failed(source: io::Error, what: &str) -> Error {
    Error::unavailable(format!("cannot write {what}: {source}")).source(source)
}
