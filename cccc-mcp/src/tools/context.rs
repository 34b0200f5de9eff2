//! What the team shares.

use cccc_core::event::{ContextValue, Service};
use cccc_core::{AgentView, EntryView, Error, Result, Seq};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Effect, Tool};
use crate::bounds::{page, part};
use crate::calls::calls_in_digest;

/// How much of the context is shown as one text.
const DIGEST_BYTES: usize = 5000;
/// How much of the text of one entry is shown.
const TEXT_BYTES: usize = 6000;
/// The most changes of one call.
const MAX_CHANGES: usize = 20;

/// `cccc_context_get`
#[derive(Debug)]
pub(crate) enum Get {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GetArgs {
    /// An entry or a section: brief, decisions, notes, services/api, agents [a digest of all]
    key: Option<String>,
    /// Of a list: leave out the first so many
    skip: Option<usize>,
    /// Of one entry: where in its text to begin
    text_from: Option<usize>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Got {
    /// All of it in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Entries with their versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryView>,
    /// What agents say they are doing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents: Vec<AgentView>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for Get {
    const NAME: &'static str = "cccc_context_get";
    const ABOUT: &'static str = "What the team shares: brief, decisions, services, notes, who is at what.";
    const EFFECT: Effect = Effect::Reads;
    type Args = GetArgs;
    type Answer = Got;

    async fn run(call: &Call, args: GetArgs) -> Result<Got> {
        let seated = call.seated().await?;
        let group = seated.group();
        match args.key.as_deref() {
            None => {
                let text = calls_in_digest(&group.context_digest(DIGEST_BYTES).await?);
                let text = if text.is_empty() { "nothing is shared yet".to_owned() } else { text };
                Ok(Got { text: Some(text), ..Got::default() })
            }
            Some("agents") => {
                let page = page(group.agent_states().await?, args.skip);
                let next = page.call(Self::NAME, "\"key\":\"agents\"");
                Ok(Got { agents: page.items, next, ..Got::default() })
            }
            Some(key) => {
                let mut entries = group.context_of(key).await?;
                if let [entry] = entries.as_mut_slice() {
                    let next = excerpt(entry, args.text_from.unwrap_or(0));
                    return Ok(Got { entries, next, ..Got::default() });
                }
                let page = page(entries, args.skip);
                let next = page.call(Self::NAME, &format!("\"key\":{key:?}"));
                Ok(Got { entries: page.items, next, ..Got::default() })
            }
        }
    }
}

/// Leaves of an entry's text what fits, from a place; answers the call that shows what follows.
fn excerpt(entry: &mut EntryView, from: usize) -> Option<String> {
    let ContextValue::Text(text) = &mut entry.value else { return None };
    let (shown, next) = part(text, from, TEXT_BYTES);
    *text = shown.to_owned();
    next.map(|next| format!("{} {{\"key\":\"{}\",\"text_from\":{next}}}", Get::NAME, entry.key))
}

/// `cccc_context_sync`
#[derive(Debug)]
pub(crate) enum Sync {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncArgs {
    /// Made one after the other; those before a refused one stay
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// brief, vision, sketch, milestones, services/api...
    key: String,
    /// What it shall say
    text: Option<String>,
    /// For services/NAME
    service: Option<ServiceArgs>,
    #[serde(default)]
    remove: bool,
    /// The version that you read, if somebody else set it
    base: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ServiceArgs {
    /// http, database...
    kind: String,
    address: String,
    #[serde(default)]
    owner: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Synced {
    /// What became of each; `seq` is the entry's version.
    changes: Vec<Done>,
}

impl Tool for Sync {
    const NAME: &'static str = "cccc_context_sync";
    const ABOUT: &'static str = "Set or remove entries of the shared context.";
    const OFFER: super::Offer = super::Offer::Foreman;
    const EFFECT: Effect = Effect::Changes;
    type Args = SyncArgs;
    type Answer = Synced;

    async fn run(call: &Call, args: SyncArgs) -> Result<Synced> {
        let seated = call.seated().await?;
        let group = seated.group();
        if args.changes.is_empty() || args.changes.len() > MAX_CHANGES {
            return Err(Error::invalid(format!("cccc_context_sync takes 1 to {MAX_CHANGES} changes")));
        }
        let mut changes = Vec::with_capacity(args.changes.len());
        for change in args.changes {
            let key = change.key.clone();
            let mut request = match (change.text, change.service, change.remove) {
                (Some(text), None, false) => group.set_context(&key, text),
                (None, Some(service), false) => {
                    let owner = service.owner.map(|owner| owner.parse()).transpose()?;
                    let value = Service { kind: service.kind, address: service.address, owner };
                    group.set_context_value(&key, ContextValue::Service(value))
                }
                (None, None, true) => group.remove_context(&key),
                _ => {
                    return Err(Error::invalid(format!(
                        "the change of {key} needs one of `text`, `service` and `remove`"
                    )));
                }
            };
            if let Some(base) = change.base {
                request = request.base(Seq(base));
            }
            changes.push(request.await?.into());
        }
        Ok(Synced { changes })
    }
}
