//! One actor of the demo, in a process of its own. It knows the group and its own id, and speaks with the
//! others through the library only; whatever it was told before it was killed it finds in the group.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use cccc_core::event::{Attachment, Priority, Role};
use cccc_core::{Error, Event, Group, Message, ObligationKind, Result, Seq};
use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::count::{Counts, count, sources};
use crate::context::Context;
use crate::output::Outcome;

/// No actor lives longer; the demo takes a few seconds.
const LIFETIME: Duration = Duration::from_secs(60);

/// Play an actor of the demo
#[derive(Args, Debug)]
pub(crate) struct DemoActorArgs {
    /// Stop working half-way, to be killed there
    #[arg(long)]
    stop_half_way: bool,
}

/// What the user asks of the foreman, and what is attached to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) root: PathBuf,
}

/// What the foreman asks of a peer, and what is attached to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<String>,
}

pub(crate) async fn cmd_demo_actor(context: &Context, args: DemoActorArgs) -> Outcome {
    end_with_the_parent();
    let group = context.group().await?;
    let desk = Desk::open(group).await?;
    let own = desk.group.actors().await?;
    let own = own.iter().find(|actor| Some(&actor.actor_id) == desk.group.by().actor());
    let role = own.map(|actor| actor.role).ok_or_else(|| Error::invalid("only an actor can play one"))?;
    let task = desk.task().await?;
    match role {
        Role::Foreman => lead(&desk, &task).await?,
        Role::Peer => work(&desk, &task, args.stop_half_way).await?,
    }
    Ok(())
}

/// Ends this process when the demo is gone, however it went: its end of the pipe closes then.
fn end_with_the_parent() {
    thread::spawn(|| {
        let mut nothing = Vec::new();
        // Whether the pipe ends or breaks, the parent is gone.
        let _ = std::io::stdin().lock().read_to_end(&mut nothing);
        std::process::exit(3);
    });
}

/// An actor's place in the group: its handle, and the knock of every event.
struct Desk {
    group: Group,
    knocks: Receiver<Result<Event>>,
    until: Instant,
}

impl Desk {
    /// Listens from now on; what was before is found by looking.
    async fn open(group: Group) -> Result<Self> {
        let position = group.position().await?;
        Ok(Self { knocks: follow(&group, position), group, until: Instant::now() + LIFETIME })
    }

    /// Waits until something happens in the group.
    fn wait(&self) -> Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.knocks.recv_timeout(left) {
            Ok(event) => event.map(drop),
            Err(_) => Err(Error::unavailable(format!(
                "{} waited {} s for nothing",
                self.group.by(),
                LIFETIME.as_secs()
            ))),
        }
    }

    /// The oldest message that waits for this actor's reply.
    ///
    /// Looking into the inbox takes delivery. What is owed is asked for apart, because a message that was
    /// read before this process began is still owed.
    async fn task(&self) -> Result<Event> {
        loop {
            self.group.inbox().await?;
            let owed = self.group.obligations().mine().await?;
            if let Some(task) = owed.iter().find(|owed| owed.kind == ObligationKind::Reply) {
                return self.group.event(task.source).await;
            }
            self.wait()?;
        }
    }

    /// What is attached to a message, as JSON.
    fn attached<T: DeserializeOwned>(&self, attachments: &[Attachment]) -> Result<T> {
        attached(&self.group, attachments)
    }

    /// Stores a value to be attached.
    async fn store<T: Serialize>(&self, name: &str, value: &T) -> Result<Attachment> {
        store(&self.group, name, value).await
    }
}

/// Every event after a position, handed on by a thread, so that waiting for the next can have a bound.
pub(crate) fn follow(group: &Group, position: cccc_core::Position) -> Receiver<Result<Event>> {
    let mut watch = group.watch(position);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let event = cccc_core::block_on(watch.next());
            let failed = event.is_err();
            if sender.send(event).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// What is attached to a message, as JSON.
pub(crate) fn attached<T: DeserializeOwned>(group: &Group, attachments: &[Attachment]) -> Result<T> {
    let first = attachments.first().ok_or_else(|| Error::invalid("nothing is attached"))?;
    let mut bytes = Vec::new();
    let read = group.blobs().open(&first.sha256)?.take(first.bytes + 1).read_to_end(&mut bytes);
    read.map_err(|e| Error::unavailable(format!("cannot read {}: {e}", first.name)))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::invalid(format!("{} is not as agreed: {e}", first.name)))
}

/// Stores a value to be attached.
pub(crate) async fn store<T: Serialize>(group: &Group, name: &str, value: &T) -> Result<Attachment> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::invalid("not JSON").source(e))?;
    group.blobs().put_bytes(name, bytes).await
}

/// The peer: says that it is on it, counts, answers with the result.
///
/// Both replies have a client_id made from the task, so a peer that was killed repeats them safely: what
/// was on the ledger already comes back as a duplicate.
async fn work(desk: &Desk, task: &Event, stop_half_way: bool) -> Result<()> {
    let message = task.message().ok_or_else(|| Error::invalid("the task is no message"))?;
    let share: Share = desk.attached(&message.attachments)?;
    let (first, second) = share.files.split_at(share.files.len() / 2);
    let on_it = format!("On it: {} files", share.files.len());
    desk.group.reply(task, on_it).progress().client_id(format!("progress-{}", task.seq)).await?;
    let mut counts = count(&share.root, first)?;
    if stop_half_way {
        // Whoever asked for this kills the process here.
        while Instant::now() < desk.until {
            thread::park_timeout(LIFETIME);
        }
        return Err(Error::unavailable("nobody killed this process"));
    }
    counts.add(&count(&share.root, second)?);
    let total = counts.total();
    let result =
        format!("Counted {} lines and {} TODO marks in {} files", total.lines, total.todos, total.files);
    let attachment = desk.store("counts.json", &counts).await?;
    let reply = desk.group.reply(task, result).intent("result").priority(Priority::Attention);
    reply.attachment(attachment).client_id(format!("result-{}", task.seq)).await?;
    Ok(())
}

/// The foreman: splits the files between the peers, adds up what they answer, reports.
async fn lead(desk: &Desk, job: &Event) -> Result<()> {
    let message = job.message().ok_or_else(|| Error::invalid("the job is no message"))?;
    let Job { root } = desk.attached(&message.attachments)?;
    let actors = desk.group.actors().await?;
    let peers: Vec<String> =
        actors.iter().filter(|a| a.role == Role::Peer).map(|a| a.actor_id.to_string()).collect();
    let shares = split(&root, &peers)?;
    let plan = format!(
        "Splitting {} files between {}",
        shares.values().map(Vec::len).sum::<usize>(),
        peers.join(" and ")
    );
    desk.group.reply(job, plan).progress().client_id(format!("plan-{}", job.seq)).await?;
    let mut open = Vec::new();
    for (peer, files) in shares {
        let text = format!("Count lines and TODO marks per language in these {} files", files.len());
        let attachment = desk.store("share.json", &Share { root: root.clone(), files }).await?;
        let share = desk.group.send(text).to(&peer).intent("task").reply_within(LIFETIME);
        let sent = share.attachment(attachment).client_id(format!("share-{}-{peer}", job.seq)).await?;
        open.push(sent.seq);
    }
    let counts = collect(desk, open).await?;
    let total = counts.total();
    let report =
        format!("Done: {} lines and {} TODO marks in {} files", total.lines, total.todos, total.files);
    let attachment = desk.store("totals.json", &counts).await?;
    let reply = desk.group.reply(job, report).intent("result").attachment(attachment);
    reply.client_id(format!("report-{}", job.seq)).await?;
    Ok(())
}

/// Divides the files so that every peer has about the same to read.
fn split(root: &Path, peers: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut shares: BTreeMap<&String, (u64, Vec<String>)> =
        peers.iter().map(|peer| (peer, (0, Vec::new()))).collect();
    let mut files = sources(root)?;
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    for file in files {
        if let Some((bytes, paths)) = shares.values_mut().min_by_key(|(bytes, paths)| (*bytes, paths.len())) {
            *bytes += file.bytes;
            paths.push(file.path);
        }
    }
    Ok(shares.into_iter().map(|(peer, (_, paths))| (peer.clone(), paths)).collect())
}

/// Takes the answers to the shares as they come, acknowledges each, and adds them up.
async fn collect(desk: &Desk, mut open: Vec<Seq>) -> Result<Counts> {
    let mut counts = Counts::default();
    while !open.is_empty() {
        for message in desk.group.inbox().mark_read().await?.messages {
            if let Some(share) = answered(&message, &open) {
                counts.add(&desk.attached(&message.content.attachments)?);
                desk.group.ack(&message).await?;
                open.retain(|seq| *seq != share);
            }
        }
        if !open.is_empty() {
            desk.wait()?;
        }
    }
    Ok(counts)
}

/// The share that a message is the result of.
fn answered(message: &Message, open: &[Seq]) -> Option<Seq> {
    let answers = message.content.reply_to?.seq;
    (!message.content.progress && open.contains(&answers)).then_some(answers)
}
