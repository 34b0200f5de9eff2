//! Whether the files that messages name are there, and what was stored.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::blobs::{BlobState, Named, hex, parse_digest};
use crate::blocking::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Attachment, Body, Event};
use crate::id::Seq;

/// How the bytes of an attachment are, and whether that is how they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttachmentState {
    /// There, and those that were stored.
    Sound,
    /// Not there, because the user had them removed.
    Redacted,
    /// Not there, and nobody had them removed.
    Lost,
    /// Something else is in their place: this.
    Changed(String),
}

/// An attachment that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AttachmentFault {
    /// The first message that names it.
    pub event: Seq,
    /// Its digest, which is the name of its file.
    pub sha256: String,
    /// What is wrong with it.
    pub fault: AttachmentState,
}

/// What a look at all attachments of a group found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AttachmentReport {
    /// How many are what was stored.
    pub sound: u64,
    /// How many are not there because they were redacted.
    pub redacted: u64,
    /// Those that are lost or changed, in order of their digests.
    pub faults: Vec<AttachmentFault>,
}

impl Group {
    /// Reads every attachment that a message names, and says which are lost or changed. What nobody names is not
    /// looked at.
    ///
    /// # Errors
    /// `Corrupt` if the ledger is damaged, as then nobody knows what is named; `Unavailable` if the disk refuses.
    pub async fn check_attachments(&self) -> Result<AttachmentReport> {
        let (named, blobs) = (self.named_attachments(Seq(1)).await?, self.blobs().clone());
        off_thread("checking attachments", move || {
            let mut report = AttachmentReport::default();
            for (digest, event) in named.iter() {
                match judge(blobs.examine_here(digest)?, || named.is_redacted(digest)) {
                    AttachmentState::Sound => report.sound += 1,
                    AttachmentState::Redacted => report.redacted += 1,
                    fault => {
                        report.faults.push(AttachmentFault { event, sha256: hex(digest), fault });
                    }
                }
            }
            Ok(report)
        })
        .await
    }

    /// How each of the attachments of a message is, in their order. All of their bytes are read.
    ///
    /// # Errors
    /// As for [`check_attachments`](Self::check_attachments).
    pub async fn attachment_states(&self, message: &Event) -> Result<Vec<AttachmentState>> {
        let Body::ChatMessage(content) = &message.body else { return Ok(Vec::new()) };
        let mut later = None;
        let mut states = Vec::new();
        for attachment in &content.attachments {
            let state = self.blobs().examine(&attachment.sha256).await?;
            // Only what happened since can be why it is not there.
            if state == BlobState::Missing && later.is_none() {
                later = Some(self.named_attachments(message.seq).await?);
            }
            let digest = parse_digest(&attachment.sha256)?;
            states.push(judge(state, || later.as_ref().is_some_and(|later| later.is_redacted(&digest))));
        }
        Ok(states)
    }

    /// Where an attachment of a message lies, if attachments are files: after all of it was read and found to be
    /// what was stored.
    ///
    /// # Errors
    /// `NotFound` if it was redacted or is lost, and which; `Corrupt` if something else is in its place.
    pub async fn attachment_path(&self, message: &Event, attachment: &Attachment) -> Result<Option<PathBuf>> {
        let sha256 = &attachment.sha256;
        let attachments = message.message().map(|message| message.attachments.as_slice()).unwrap_or_default();
        let place = attachments.iter().position(|one| one.sha256 == *sha256);
        let states = self.attachment_states(message).await?;
        let name = &attachment.name;
        match place.and_then(|place| states.into_iter().nth(place)) {
            Some(AttachmentState::Sound) => self.blobs().path(sha256),
            Some(AttachmentState::Redacted) => {
                Err(Error::not_found(format!("{name} was redacted")).hint("nobody has it any more"))
            }
            Some(AttachmentState::Lost) => Err(Error::not_found(format!(
                "{name} is lost: there is no {sha256}"
            ))
            .hint("`cccc ledger verify` names what is lost; restore it from a copy, or ask its sender")),
            Some(AttachmentState::Changed(why)) => {
                Err(Error::new(ErrorKind::Corrupt, format!("{name} is not what was sent: {why}"))
                    .hint("do not use it; restore it from a copy, or ask its sender"))
            }
            None => Err(Error::not_found(format!("message {} has no file {name}", message.seq))),
        }
    }

    /// What the ledger says of attachments from an event on.
    pub(super) async fn named_attachments(&self, from: Seq) -> Result<Named> {
        let mut named = Named::default();
        self.each_event(from, |event| named.note(event)).await?;
        Ok(named)
    }
}

fn judge(state: BlobState, is_redacted: impl FnOnce() -> bool) -> AttachmentState {
    match state {
        BlobState::Sound => AttachmentState::Sound,
        BlobState::Missing if is_redacted() => AttachmentState::Redacted,
        BlobState::Missing => AttachmentState::Lost,
        BlobState::Changed(why) => AttachmentState::Changed(why),
    }
}
