//! Telling a client of what comes: a word that there is mail, never the mail itself.
//!
//! A notification is no delivery: nothing says that the agent was shown it. What was told of is delivered when the
//! agent takes it from its inbox, or through another door.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cccc_core::event::Body;
use cccc_core::{ActorId, ErrorKind, Event, Group, Principal};
use rmcp::RoleServer;
use rmcp::model::{CustomNotification, RequestId, ResourceUpdatedNotificationParam, ServerNotification};
use rmcp::service::{Peer, SubscriptionSink};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::resource;
use crate::seat::Seated;
use crate::server::Server;

/// The notification that Claude Code shows, where it was told to.
const CHANNEL_METHOD: &str = "notifications/claude/channel";

/// Follows the ledger for one client.
#[derive(Debug)]
pub(crate) struct Watcher {
    gone: CancellationToken,
    subscribed: Arc<Mutex<BTreeSet<String>>>,
    /// The streams of notifications that clients of the newest protocol have opened.
    streams: Arc<Mutex<Vec<SubscriptionSink>>>,
    following: Mutex<Option<Following>>,
}

#[derive(Debug)]
struct Following {
    actor: ActorId,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watcher {
    pub(crate) fn new(gone: CancellationToken) -> Self {
        Self { gone, subscribed: Arc::default(), streams: Arc::default(), following: Mutex::default() }
    }

    pub(crate) fn subscribe(&self, uri: &str) {
        locked(&self.subscribed).insert(uri.to_owned());
    }

    pub(crate) fn unsubscribe(&self, uri: &str) {
        locked(&self.subscribed).remove(uri);
    }

    /// Tells a stream of what comes, until what is answered is dropped.
    pub(crate) fn stream(&self, sink: &SubscriptionSink) -> Stream {
        locked(&self.streams).push(sink.clone());
        Stream { id: sink.id().clone(), all: self.streams.clone() }
    }

    /// Tells all streams that asked for it that other tools are offered.
    pub(crate) async fn tell_streams_of_tools(&self) {
        let streams = locked(&self.streams).clone();
        for stream in streams {
            let _ = stream.notify_tool_list_changed().await;
        }
    }

    /// Follows on behalf of whoever sits there now, if there is anybody to tell.
    pub(crate) fn follow(&self, server: &Server, seated: &Seated, peer: &Peer<RoleServer>) {
        let channel = server.seat().options().channel;
        if !channel && locked(&self.subscribed).is_empty() && locked(&self.streams).is_empty() {
            return;
        }
        let mut following = locked(&self.following);
        if let Some(following) = &*following
            && following.actor == *seated.actor()
            && !following.task.is_finished()
        {
            return;
        }
        if let Some(before) = following.take() {
            before.stop.cancel();
        }
        let stop = self.gone.child_token();
        let bell = Bell {
            group: seated.group().clone(),
            me: seated.actor().clone().into(),
            peer: peer.clone(),
            subscribed: self.subscribed.clone(),
            streams: self.streams.clone(),
            channel,
        };
        let task = tokio::spawn(ring(bell, stop.clone()));
        *following = Some(Following { actor: seated.actor().clone(), stop, task });
    }

    /// Ends following, and waits until it has ended.
    pub(crate) async fn stop(&self) {
        let following = locked(&self.following).take();
        if let Some(Following { stop, task, .. }) = following {
            stop.cancel();
            let _ = task.await;
        }
    }
}

/// A stream that is told of what comes.
#[derive(Debug)]
pub(crate) struct Stream {
    id: RequestId,
    all: Arc<Mutex<Vec<SubscriptionSink>>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        locked(&self.all).retain(|sink| *sink.id() != self.id);
    }
}

/// Whom to tell of what.
struct Bell {
    group: Group,
    me: Principal,
    peer: Peer<RoleServer>,
    subscribed: Arc<Mutex<BTreeSet<String>>>,
    streams: Arc<Mutex<Vec<SubscriptionSink>>>,
    channel: bool,
}

async fn ring(bell: Bell, stop: CancellationToken) {
    let Ok(position) = bell.group.position().await else { return };
    let mut watch = bell.group.watch(position);
    loop {
        let event = tokio::select! {
            event = watch.next() => event,
            () = stop.cancelled() => return,
        };
        match event {
            Ok(event) if bell.is_news(&event) => bell.tell(&event).await,
            Ok(_) => {}
            // What was followed is no more: what comes now is told of. That it was replaced is said by the next answer.
            Err(error) if error.kind() == ErrorKind::Diverged => {
                let Ok(position) = bell.group.position().await else { return };
                watch = bell.group.watch(position);
            }
            // A ledger that cannot be read: whoever calls a tool is told what is wrong with it.
            Err(_) => return,
        }
    }
}

impl Bell {
    /// Whether an event is mail for the one who is told, or a notice.
    fn is_news(&self, event: &Event) -> bool {
        match &event.body {
            Body::ChatMessage(message) => event.by != self.me && message.recipients.contains(&self.me),
            Body::SystemNotify(notice) => notice.target.as_ref().is_none_or(|target| *target == self.me),
            _ => false,
        }
    }

    async fn tell(&self, event: &Event) {
        let uri = resource::inbox_uri(self.group.id());
        let subscribed = locked(&self.subscribed).contains(&uri);
        if subscribed {
            // A client that is gone needs no word.
            let _ = self.peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(&uri)).await;
        }
        let streams = locked(&self.streams).clone();
        for stream in streams {
            // It takes what it asked for.
            let _ = stream.notify_resource_updated(&uri).await;
        }
        let interrupts = self.channel && event.message().is_some();
        if interrupts && self.group.may_interrupt(event).await.unwrap_or(false) {
            let _ = self.peer.send_notification(self.through_channel(event).await).await;
        }
    }

    async fn through_channel(&self, event: &Event) -> ServerNotification {
        let from = match self.group.voices().await {
            Ok(voices) => {
                let group = event.message().and_then(|message| message.src_group_title.as_deref());
                voices.from(&event.by, group)
            }
            Err(_) => "from somebody (not the user)".to_owned(),
        };
        let content = format!("Message {} {from} is in your inbox. cccc_inbox_list shows it.", event.seq);
        let params = json!({
            "content": content,
            "meta": {
                "group": self.group.id(),
                "actor": self.me,
                "seq": event.seq.to_string(),
                "from": event.by,
            },
        });
        ServerNotification::CustomNotification(CustomNotification::new(CHANNEL_METHOD, Some(params)))
    }
}
