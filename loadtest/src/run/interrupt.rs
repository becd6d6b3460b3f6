//! Ctrl-C and SIGTERM: what a run has made is removed, and what it has started is ended, before this program ends. The second time it ends at once.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use tokio::signal::unix::{SignalKind, signal};

use super::Stop;
use crate::cli::EXIT_INTERRUPTED;

static IS_ASKED: AtomicBool = AtomicBool::new(false);
static LISTENS: Once = Once::new();

/// From now on signals are heeded by whoever calls [`check`].
pub(crate) fn listen() {
    LISTENS.call_once(|| {
        let (ready, is_ready) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
            runtime.block_on(async {
                // Without them signals end this program as they always did.
                let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
                else {
                    return;
                };
                drop(ready);
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if IS_ASKED.swap(true, Ordering::Relaxed) {
                        std::process::exit(i32::from(EXIT_INTERRUPTED));
                    }
                }
            });
        });
        // Until the other end is dropped, whether it listens or cannot.
        let _ = is_ready.recv();
    });
}

/// Goes on, or not if somebody wants an end.
pub(crate) fn check() -> Result<(), Stop> {
    if IS_ASKED.load(Ordering::Relaxed) {
        return Err(Stop { code: EXIT_INTERRUPTED, why: "interrupted: nothing is written".to_owned() });
    }
    Ok(())
}
