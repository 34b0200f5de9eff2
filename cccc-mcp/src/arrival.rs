//! What an answer shows counts as delivered when the answer has gone out, and not before.
//!
//! A tool that hands something over leaves it here under its request's id. The transport, which every answer
//! passes on its way out, settles it when the answer was written and flushed. An answer that could not be
//! written, or that nobody wants any more, has delivered nothing: what it showed is shown again.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cccc_core::{Result, Taken, TakenNotices};
use rmcp::RoleServer;
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::watch;

/// How long a call waits for what answers before it have delivered. A client that calls on without reading
/// what it was answered has this much less to wait for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an answer shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// A page of an inbox.
    Page(Box<Taken>),
    /// Notices.
    Notices(TakenNotices),
}

impl Shown {
    async fn settle(self) -> Result<()> {
        match self {
            Self::Page(taken) => taken.settle().await,
            Self::Notices(taken) => taken.settle().await,
        }
    }

    async fn abandon(self) -> Result<()> {
        match self {
            Self::Page(taken) => taken.abandon("the answer that showed it did not go out").await,
            // Shown again.
            Self::Notices(_) => Ok(()),
        }
    }
}

/// The answers of one server that are on their way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<HashMap<RequestId, Vec<Arriving>>>,
    /// How many there are, waiting or being settled.
    open: watch::Sender<usize>,
    /// Whether a transport tells when an answer has gone out.
    is_observed: AtomicBool,
}

/// Something shown that is not settled yet.
#[derive(Debug)]
struct Arriving {
    shown: Shown,
    _open: Open,
}

/// Counts, until it is dropped.
#[derive(Debug)]
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl Arrivals {
    fn waiting(&self) -> MutexGuard<'_, HashMap<RequestId, Vec<Arriving>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be settled when the answer to this request has gone out; at once, if nobody would tell.
    pub(crate) async fn expect(&self, request: &RequestId, shown: Shown) -> Result<()> {
        if !self.0.is_observed.load(Ordering::Relaxed) {
            return shown.settle().await;
        }
        self.0.open.send_modify(|open| *open += 1);
        let arriving = Arriving { shown, _open: Open(self.0.open.clone()) };
        self.waiting().entry(request.clone()).or_default().push(arriving);
        Ok(())
    }

    /// There will be no answer to this request.
    pub(crate) async fn give_up(&self, request: &RequestId) {
        for arriving in self.take(request) {
            // Where the ledger cannot take it now, the lock that is let go of tells the same.
            let _ = arriving.shown.abandon().await;
        }
    }

    /// Waits until what was answered before has arrived, so that a client finds its mail as it saw it.
    pub(crate) async fn settled(&self) {
        let mut open = self.0.open.subscribe();
        let _ = tokio::time::timeout(PATIENCE, open.wait_for(|open| *open == 0)).await;
    }

    fn take(&self, request: &RequestId) -> Vec<Arriving> {
        self.waiting().remove(request).unwrap_or_default()
    }

    /// A transport that settles what its answers have shown.
    pub(crate) fn through<T>(&self, inner: T) -> Observed<T> {
        self.0.is_observed.store(true, Ordering::Relaxed);
        Observed { inner, arrivals: self.clone() }
    }
}

/// See [`Arrivals::through`].
#[derive(Debug)]
pub(crate) struct Observed<T> {
    inner: T,
    arrivals: Arrivals,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Observed<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = std::result::Result<(), Self::Error>> + Send + 'static {
        let request = match &item {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let arriving = request.map(|id| self.arrivals.take(id)).unwrap_or_default();
        // Done when the bytes were written and flushed.
        let sent = self.inner.send(item);
        async move {
            let result = sent.await;
            for Arriving { shown, _open } in arriving {
                // Where it cannot be settled it stays unread, and the lock that is let go of tells why.
                let _ = match &result {
                    Ok(()) => shown.settle().await,
                    Err(_) => shown.abandon().await,
                };
            }
            result
        }
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.inner.receive()
    }

    fn close(&mut self) -> impl Future<Output = std::result::Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
