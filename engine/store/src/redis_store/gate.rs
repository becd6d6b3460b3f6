//! Who may still come in, and who has not left yet: what closing waits for.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_closed: bool,
    inside: usize,
}

/// Counts calls that are under way.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<watch::Sender<State>>);

/// One call; it has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Pass(Gate);

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// `None` when the gate is closed.
    pub(super) fn enter(&self) -> Option<Pass> {
        let mut entered = false;
        self.0.send_modify(|state| {
            entered = !state.is_closed;
            state.inside += usize::from(entered);
        });
        entered.then(|| Pass(self.clone()))
    }

    /// Lets nobody in any more; resolves when everybody has left.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.send_modify(|state| state.is_closed = true);
        let mut watched = self.0.subscribe();
        async move {
            // The gate goes only when nobody can be inside.
            let _ = watched.wait_for(|state| state.inside == 0).await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.inside -= 1);
    }
}
