//! Labels, taken and dropped.

use cccc_core::{LabelView, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Effect, Offer, Tool};
use crate::args::names;
use crate::bounds::page;

/// `cccc_labels`
#[derive(Debug)]
pub(crate) enum Labels {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LabelsArgs {
    #[serde(deserialize_with = "names")]
    add: Vec<String>,
    #[serde(deserialize_with = "names")]
    remove: Vec<String>,
    /// Whose, for the foreman [yours]
    actor: Option<String>,
    /// Of a list: leave out the first so many
    skip: Option<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Labelled {
    /// Whether anything was changed.
    changed: bool,
    /// All labels, with who has them.
    labels: Vec<LabelView>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for Labels {
    const NAME: &'static str = "cccc_labels";
    const ABOUT: &'static str = "Take and drop labels, so that #label reaches you; and see who has which.";
    const OFFER: Offer = Offer::Pack("labels");
    const EFFECT: Effect = Effect::Settles;
    type Args = LabelsArgs;
    type Answer = Labelled;

    async fn run(call: &Call, args: LabelsArgs) -> Result<Labelled> {
        let seated = call.seated().await?;
        let group = seated.group();
        let (of, mut changed) = (args.actor.as_deref(), false);
        if !args.add.is_empty() {
            let request = group.add_labels(&args.add);
            let done = of.map_or(request, |id| group.add_labels(&args.add).of(id)).await?;
            changed |= !done.events.is_empty();
        }
        if !args.remove.is_empty() {
            let request = group.remove_labels(&args.remove);
            let done = of.map_or(request, |id| group.remove_labels(&args.remove).of(id)).await?;
            changed |= !done.events.is_empty();
        }
        let page = page(group.labels().await?, args.skip);
        Ok(Labelled { changed, next: page.call(Self::NAME, ""), labels: page.items })
    }
}
