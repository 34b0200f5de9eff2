//! Running a server over streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use cccc_core::{Error, Result};
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::options::Options;
use crate::server::Server;

/// The longest message that is read; a longer one is passed over. More than any event may hold.
const MAX_LINE_BYTES: usize = 12 << 20;

/// Serves whoever writes to `reader` and reads from `writer`, until `reader` ends.
///
/// # Errors
/// `Unavailable` if the streams fail before the client has introduced itself. That it goes away, at whatever
/// moment, is no error.
pub async fn serve<R, W>(options: Options, reader: R, writer: W) -> Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let gone = CancellationToken::new();
    let server = Server::new(options, gone.clone());
    let reader = UntilEnd { inner: reader, gone: gone.clone() };
    let transport = AsyncRwTransport::new_server(reader, writer).with_max_line_length(MAX_LINE_BYTES);
    let transport = server.arrivals().through(transport);
    let result = match server.clone().serve(transport).await {
        Ok(running) => running
            .waiting()
            .await
            .map(drop)
            .map_err(|error| Error::unavailable(format!("the server failed: {error}"))),
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(Error::unavailable(format!("the client did not introduce itself: {error}"))),
    };
    gone.cancel();
    server.ended().await;
    result
}

/// Serves this process's standard input and output, on the calling thread.
///
/// # Errors
/// As for [`serve`]; `Unavailable` if there is no runtime to be had.
pub fn serve_stdio(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("the runtime does not start").source(error))?;
    let result = runtime.block_on(async {
        let (reader, writer) = rmcp::transport::io::stdio_pipes();
        serve(options, reader, writer).await
    });
    // A read of standard input that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    result
}

/// Says at once when its stream has ended. Without that, a call that waits would keep the server, and with it the
/// presence of its actor, for seconds after the client is gone.
#[derive(Debug)]
struct UntilEnd<R> {
    inner: R,
    gone: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for UntilEnd<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(context, buffer);
        let ended = match &poll {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.gone.cancel();
        }
        poll
    }
}
