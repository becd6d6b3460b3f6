//! File descriptors: every socket is one. The only place that names `rustix`.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are no sockets: the store's files, listeners, pipes of the threads.
pub(super) const RESERVED: u64 = 1024;

/// Raises the soft limit to the hard one and tells how many there may be; `None` is any number. Shells
/// commonly start programs with 1 024, for the sake of `select`, which nobody calls here.
pub(crate) fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of file descriptors cannot be raised");
        }
    }
    getrlimit(Resource::Nofile).current
}
