//! How an agent stands, and messages as it is shown them: for this server's answers, and for hooks that put the
//! same before an agent without being asked.
//!
//! What is made of messages here is one line of JSON each: a text cannot leave its line, so it cannot pass for
//! anything but what its sender said.

use cccc_core::event::{GroupMode, Role};
use cccc_core::rule::presence::Condition;
use cccc_core::{ActorId, Error, Group, GroupId, Message, ObligationView, Result, Voices};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::{self, Owed};
use crate::bounds::{MAX_TEXT_BYTES, fitting, head};
use crate::calls::calls_in_digest;
use crate::message::{View, all_unread};

/// How much of the shared context is shown.
const CONTEXT_BYTES: usize = 1500;
/// How much of what is owed is named.
const MAX_OWED: usize = 6;
/// How many of the tasks and of the others are named.
const MAX_NAMED: usize = 10;
/// How much is said of each.
const LINE_BYTES: usize = 120;

/// How an agent stands: all that it needs when it begins, or when its context was cleared.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Brief {
    /// Who you are.
    actor: ActorId,
    pub(crate) role: Role,
    /// What is worth knowing of how you came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
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
}

impl Brief {
    /// Of the actor that a group is bound to.
    ///
    /// # Errors
    /// `Refused` if it is bound to no actor.
    pub async fn of(group: &Group) -> Result<Self> {
        let actor =
            group.by().actor().ok_or_else(|| Error::refused(format!("{} is no actor", group.by())))?;
        let standing = group.standing(0).await?;
        let summary = group.summary().await?;
        Ok(Self {
            actor: actor.clone(),
            role: standing.role.unwrap_or_default(),
            note: None,
            group: summary.group_id.clone(),
            title: head(&summary.title, LINE_BYTES).0.to_owned(),
            state: summary.state,
            owed: answer::owed(group, MAX_OWED).await?,
            owed_count: standing.owed_count,
            unread: standing.unread,
            rules: include_str!("text/rules.txt"),
            tasks: tasks(group).await?,
            members: members(group, actor).await?,
            context: calls_in_digest(&group.context_digest(CONTEXT_BYTES).await?),
        })
    }
}

/// How many of these messages, from the first, can be shown in so many bytes; at least one, cut if need be.
#[must_use]
pub fn room_for(messages: &[Message], voices: &Voices, max_bytes: usize) -> usize {
    let views: Vec<View> = messages.iter().map(|one| View::unread(one, voices, MAX_TEXT_BYTES)).collect();
    fitting(&views, max_bytes).max(1).min(messages.len())
}

/// Messages as an agent is shown them, a line of JSON each, none of them left out: with texts as long as fit.
#[must_use]
pub fn messages(messages: &[Message], voices: &Voices, max_bytes: usize) -> Vec<String> {
    all_unread(messages, voices, max_bytes).iter().map(line).collect()
}

/// Messages that are only named, a line of JSON each.
#[must_use]
pub fn heads(messages: &[Message], voices: &Voices) -> Vec<String> {
    messages.iter().map(|one| line(&View::unread(one, voices, LINE_BYTES))).collect()
}

/// What is owed, a line of JSON each, with the call that settles it.
#[must_use]
pub fn owed(owed: &[ObligationView]) -> Vec<String> {
    owed.iter().map(|one| line(&Owed::from(one))).collect()
}

/// A value as one line. Programs put what hooks say between tags of their own, so no tag may be closed or begun by
/// a text.
#[must_use]
pub fn line(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.replace("</", "\\u003c/").replace("<s", "\\u003cs").replace("<S", "\\u003cS")
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
