//! Which attachments a ledger names, and which of them were redacted: what is not there is lost, unless somebody
//! wanted it so.

use std::collections::BTreeMap;

use super::Digest;
use crate::event::{Body, Event};
use crate::id::Seq;
use crate::ledger::codec::parse_hex;

/// What was read of a ledger about attachments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    /// The first and the last event that name one.
    by: BTreeMap<Digest, (Seq, Seq)>,
    /// The last event that had one removed.
    redacted: BTreeMap<Digest, Seq>,
}

impl Named {
    /// Takes note of the next event.
    pub(crate) fn note(&mut self, event: &Event) {
        for digest in named_by(event) {
            self.by.entry(digest).or_insert((event.seq, event.seq)).1 = event.seq;
        }
        if let Body::ChatRedact(redact) = &event.body {
            let gone = redact.blobs.iter().filter_map(|blob| parse_hex(blob.as_bytes()));
            self.redacted.extend(gone.map(|digest: Digest| (digest, event.seq)));
        }
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.by.contains_key(digest)
    }

    /// Those that are named, each with the first event that does, in order of their digests.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Digest, Seq)> {
        self.by.iter().map(|(digest, (first, _))| (digest, *first))
    }

    /// Whether one was removed after it was named last.
    pub(crate) fn is_redacted(&self, digest: &Digest) -> bool {
        let named = self.by.get(digest).map(|(_, last)| *last);
        self.redacted.get(digest).is_some_and(|redacted| named.is_none_or(|named| named < *redacted))
    }
}

/// The attachments that an event names.
pub(crate) fn named_by(event: &Event) -> impl Iterator<Item = Digest> {
    let attachments = match &event.body {
        Body::ChatMessage(message) => message.attachments.as_slice(),
        _ => &[],
    };
    attachments.iter().filter_map(|attachment| parse_hex(attachment.sha256.as_bytes()))
}
