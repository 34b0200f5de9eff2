//! Coming in: who one is, what one owes, what the others are at.

use cccc_core::event::Role;
use cccc_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Effect, Tool};
use crate::args::names;
use crate::brief::Brief;
use crate::packs::{Packs, Who};
use crate::seat::{As, Seated};

/// `cccc_bootstrap`
#[derive(Debug)]
pub(crate) enum Bootstrap {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BootstrapArgs {
    /// Your actor id if you know it; auto: as before or under a new name, whatever the environment says
    #[serde(rename = "as")]
    who: Option<String>,
    /// What you call yourself
    title: Option<String>,
    /// Labels to take
    #[serde(deserialize_with = "names")]
    labels: Vec<String>,
    /// Packs of tools to switch on (cccc_help {"topic":"packs"})
    #[serde(deserialize_with = "names")]
    packs: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Bootstrapped {
    #[serde(flatten)]
    brief: Brief,
    packs: Vec<String>,
}

impl Tool for Bootstrap {
    const NAME: &'static str = "cccc_bootstrap";
    const ABOUT: &'static str = "Call this first, and again after your context was cleared: joins the group of this \
        directory and says who you are, what you owe, what is unread, your tasks, who else is here, and what the \
        team has agreed on.";
    const EFFECT: Effect = Effect::Settles;
    type Args = BootstrapArgs;
    type Answer = Bootstrapped;

    async fn run(call: &Call, args: BootstrapArgs) -> Result<Bootstrapped> {
        let seat = call.server.seat();
        let who = match args.who.as_deref() {
            None => As::Told,
            Some("auto") => As::Before,
            Some(id) => As::Named(id.trim_start_matches('@').to_owned()),
        };
        let (seated, fresh) = seat.sit(&who).await?;
        if let Some(title) = args.title {
            seated.group().update_actor(seated.actor().as_str()).title(title).await?;
        }
        if !args.labels.is_empty() {
            seated.group().add_labels(&args.labels).await?;
        }
        let mut brief = Brief::of(seated.group()).await?;
        brief.note = note(&seated, fresh).await;
        let packs = switched(call, &seated, brief.role, &args.packs).await?;
        Ok(Bootstrapped { brief, packs })
    }
}

/// Switches packs on; answers which are.
async fn switched(call: &Call, seated: &Seated, role: Role, wanted: &[String]) -> Result<Vec<String>> {
    let seat = call.server.seat();
    let packs = Packs::of_home(seat.home().await?.path())?;
    let who = Who { actor: seated.actor().as_str(), role };
    for name in wanted {
        let known: Vec<&str> = super::packs().iter().map(|pack| pack.name).collect();
        if !known.contains(&name.as_str()) {
            return Err(Error::not_found(format!("there is no pack {name:?}"))
                .hint(format!("packs: {}", known.join(", "))));
        }
        if !packs.may(who, name) {
            return Err(Error::refused(format!("{} may not switch on the pack {name}", seated.actor()))
                .hint("the user allows packs in mcp.json of the home"));
        }
    }
    for name in wanted {
        seat.add_pack(name);
    }
    Ok(packs.on(who, &seat.packs()).into_iter().collect())
}

async fn note(seated: &Seated, fresh: bool) -> Option<String> {
    if let Err(error) = seated.session().check().await {
        let id = seated.actor();
        return Some(format!(
            "{error}. If you should go on as {id}: cccc_bootstrap {{\"as\":\"{id}\"}}; else {{\"as\":\"auto\"}}"
        ));
    }
    if !fresh && seated.replaced.is_none() {
        return seated
            .added
            .then(|| "you joined under a new name; the user can give you a lasting one".into());
    }
    match &seated.replaced {
        Some(old) => {
            Some(format!("you took over from a session in {} that still ran; it is told so", old.cwd))
        }
        None if seated.added => {
            Some("you joined under a new name; the user can give you a lasting one".into())
        }
        None => None,
    }
}
