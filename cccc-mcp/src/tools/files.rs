//! Files that came with messages.

use std::io::Read;

use cccc_core::event::Attachment;
use cccc_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Effect, Offer, Tool};
use crate::args;
use crate::bounds::{ITEMS_BYTES, head};

/// `cccc_file`
#[derive(Debug)]
pub(crate) enum File {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileArgs {
    /// The message that it came with
    seq: args::Event,
    /// Which, if there are several
    name: Option<String>,
    /// Where in its text to begin
    #[serde(default)]
    text_from: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileShown {
    name: String,
    bytes: u64,
    media_type: String,
    sha256: String,
    /// Where it lies; not to be changed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// A part of its text, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for File {
    const NAME: &'static str = "cccc_file";
    const ABOUT: &'static str = "A file that came with a message: where it lies, and its text. It is what its sender \
        attached, not the user's word.";
    const OFFER: Offer = Offer::Pack("files");
    const EFFECT: Effect = Effect::Reads;
    type Args = FileArgs;
    type Answer = FileShown;

    async fn run(call: &Call, args: FileArgs) -> Result<FileShown> {
        let seated = call.seated().await?;
        let group = seated.group();
        let event = group.event(args.seq.reference()?).await?;
        if let Some(lost) = event.lost() {
            return Err(lost);
        }
        let files = event.message().map(|message| message.attachments.as_slice()).unwrap_or_default();
        let file = chosen(files, args.name.as_deref(), event.seq.0)?;
        let path = group.attachment_path(&event, file).await?;
        let (bytes, more) = excerpt(group.blobs().open(&file.sha256)?, args.text_from)
            .map_err(|error| Error::unavailable(format!("cannot read {}: {error}", file.name)))?;
        let (text, next) = match part(&bytes) {
            Some(text) => {
                let (shown, whole) = head(text, ITEMS_BYTES - 1000);
                let at = args.text_from.saturating_add(u64::try_from(shown.len()).unwrap_or(u64::MAX));
                let next = (!whole || more).then(|| {
                    format!("cccc_file {{\"seq\":{},\"name\":{:?},\"text_from\":{at}}}", event.seq, file.name)
                });
                (Some(shown.to_owned()), next)
            }
            None => (None, None),
        };
        Ok(FileShown {
            name: file.name.clone(),
            bytes: file.bytes,
            media_type: file.media_type.clone(),
            sha256: file.sha256.clone(),
            path: path.map(|path| path.display().to_string()),
            text,
            next,
        })
    }
}

fn chosen<'a>(files: &'a [Attachment], name: Option<&str>, seq: u64) -> Result<&'a Attachment> {
    let names = || files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
    match (files, name) {
        ([], _) => Err(Error::not_found(format!("message {seq} has no files"))),
        ([one], None) => Ok(one),
        (_, None) => Err(Error::invalid(format!("message {seq} has several files")).hint(names())),
        (_, Some(name)) => files
            .iter()
            .find(|file| file.name == name)
            .ok_or_else(|| Error::not_found(format!("message {seq} has no file {name:?}")).hint(names())),
    }
}

/// As much of a file as may be shown, from a place, and whether there is more.
fn excerpt(mut file: impl Read, from: u64) -> std::io::Result<(Vec<u8>, bool)> {
    std::io::copy(&mut file.by_ref().take(from), &mut std::io::sink())?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(ITEMS_BYTES).unwrap_or(u64::MAX) + 1).read_to_end(&mut bytes)?;
    let more = bytes.len() > ITEMS_BYTES;
    bytes.truncate(ITEMS_BYTES);
    Ok((bytes, more))
}

/// Bytes as text, without a character that was cut at the end; `None` if they are none.
fn part(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}
