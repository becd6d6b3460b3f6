//! The thread that talks to Redis. Callers may come from any runtime, and may go away: what they asked for goes on here.

use std::future::Future;
use std::io;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime on a thread of its own; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Thread {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Thread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("redis".into()).spawn(move || {
            // Dropped, not sent: that is the sign.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// Starts something; dropping what is returned does not end it. `None`: the thread has ended meanwhile.
    pub(super) fn start_task<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        self.handle.spawn(task).map(Result::ok).boxed()
    }
}
