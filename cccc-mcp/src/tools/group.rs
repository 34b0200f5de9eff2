//! The group itself, for the foreman.

use std::collections::BTreeMap;

use cccc_core::event::{GroupMode, GroupUpdate, JoinPolicy};
use cccc_core::{GroupSummary, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Call, Done, Effect, Offer, Tool};

/// The most actors, and people, that are listed with a group.
const MAX_LISTED: usize = 30;

/// `cccc_group`
#[derive(Debug)]
pub(crate) enum Group {}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Show,
    Update,
    Resume,
    Idle,
    Pause,
    Stop,
    Archive,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupArgs {
    action: Action,
    /// update
    title: Option<String>,
    /// update: where messages without an address go; empty: to the foreman
    default_to: Option<Vec<String>>,
    /// update: who may join by itself
    join: Option<JoinPolicy>,
    /// update: settings by name, like policy.unread_ms; null takes one back
    #[serde(default)]
    settings: BTreeMap<String, Value>,
    /// Why, for the others
    reason: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Grouped {
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupSummary>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    done: Option<Done>,
}

impl Tool for Group {
    const NAME: &'static str = "cccc_group";
    const ABOUT: &'static str = "The group: show it, change its title, default address and joining; pause, resume, \
        idle (schedules only), stop, archive.";
    const OFFER: Offer = Offer::Foreman;
    const EFFECT: Effect = Effect::Changes;
    type Args = GroupArgs;
    type Answer = Grouped;

    async fn run(call: &Call, args: GroupArgs) -> Result<Grouped> {
        let seated = call.seated().await?;
        let group = seated.group();
        let mode = match args.action {
            Action::Show => {
                let mut summary = group.summary().await?;
                summary.actors.truncate(MAX_LISTED);
                summary.people.truncate(MAX_LISTED);
                return Ok(Grouped { group: Some(summary), done: None });
            }
            Action::Update => {
                let GroupArgs { title, default_to, join, settings, .. } = args;
                let update = GroupUpdate { title, default_to, join, settings };
                return Ok(Grouped { done: Some(group.update(update).await?.into()), group: None });
            }
            Action::Resume => GroupMode::Active,
            Action::Idle => GroupMode::Idle,
            Action::Pause => GroupMode::Paused,
            Action::Stop => GroupMode::Stopped,
            Action::Archive => GroupMode::Archived,
        };
        let done = group.set_state(mode, args.reason.unwrap_or_default()).await?;
        Ok(Grouped { done: Some(done.into()), group: None })
    }
}
