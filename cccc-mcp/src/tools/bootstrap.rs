//! Coming in: who one is, what one owes, what the others are at.

use cccc_core::event::{GroupMode, Role};
use cccc_core::rule::presence::Condition;
use cccc_core::{ActorId, Error, Group, GroupId, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Effect, Tool};
use crate::answer::{self, Owed};
use crate::args::names;
use crate::bounds::head;
use crate::calls::calls_in_digest;
use crate::packs::{Packs, Who};
use crate::seat::{As, Seated};

/// How much of the shared context is shown.
const CONTEXT_BYTES: usize = 1500;
/// How much of what is owed is named.
const MAX_OWED: usize = 6;
/// How many of the tasks and of the others are named.
const MAX_NAMED: usize = 10;
/// How much is said of each.
const LINE_BYTES: usize = 120;

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
    /// Who you are.
    actor: ActorId,
    role: Role,
    /// What is worth knowing of how you came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    group: GroupId,
    title: String,
    state: GroupMode,
    /// What you owe, the most urgent first, each with the call that settles it.
    owed: Vec<Owed>,
    owed_count: u64,
    unread: u64,
    rules: &'static str,
    /// What you are to do.
    tasks: Vec<String>,
    /// Who else is here.
    members: Vec<String>,
    /// What the team shares.
    context: String,
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
        let standing = seated.group().standing(0).await?;
        let role = standing.role.unwrap_or_default();
        let packs = switched(call, &seated, role, &args.packs).await?;
        let summary = seated.group().summary().await?;
        Ok(Bootstrapped {
            actor: seated.actor().clone(),
            role,
            note: note(&seated, fresh).await,
            group: summary.group_id.clone(),
            title: head(&summary.title, LINE_BYTES).0.to_owned(),
            state: summary.state,
            owed: answer::owed(seated.group(), MAX_OWED).await?,
            owed_count: standing.owed_count,
            unread: standing.unread,
            rules: include_str!("../text/rules.txt"),
            tasks: tasks(seated.group()).await?,
            members: members(seated.group(), seated.actor()).await?,
            context: calls_in_digest(&seated.group().context_digest(CONTEXT_BYTES).await?),
            packs,
        })
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

async fn tasks(group: &Group) -> Result<Vec<String>> {
    let tasks = group.tasks().owner(group.by().to_string()).await?;
    let line = |task: &cccc_core::TaskView| head(&task.to_string(), LINE_BYTES).0.to_owned();
    Ok(tasks.iter().take(MAX_NAMED).map(line).collect())
}

async fn members(group: &Group, me: &ActorId) -> Result<Vec<String>> {
    let mut members = group.who().await?;
    members.retain(|member| member.actor.actor_id != *me);
    // Who is here comes first: the rest may not fit.
    members.sort_by_key(|member| std::cmp::Reverse(member.presence));
    let agents = group.agent_states().await?;
    let line = |member: &cccc_core::Member| {
        let id = &member.actor.actor_id;
        let role = match member.actor.role {
            Role::Foreman => "foreman ",
            Role::Peer => "",
        };
        let presence = match member.presence {
            Condition::Present => "",
            Condition::Absent => ", away",
            Condition::Unknown => ", not known whether here",
        };
        let labels: Vec<String> = member.actor.labels.iter().map(|label| format!(" #{label}")).collect();
        let focus = agents.iter().find(|agent| agent.actor_id == *id).filter(|agent| !agent.focus.is_empty());
        let focus = focus.map(|agent| format!(": {}", agent.focus)).unwrap_or_default();
        head(&format!("{role}{id}{presence}{}{focus}", labels.concat()), LINE_BYTES).0.to_owned()
    };
    Ok(members.iter().take(MAX_NAMED).map(line).collect())
}
