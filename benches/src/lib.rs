//! What the benches stand on. `cargo bench -p jono-benches` runs them and prints throughput; `-- --quick` takes fewer
//! samples. `docs/performance.md` says how to read them.
//!
//! [`scene`] is one conversation as the pure machines see it, [`town`] an engine with many of them, [`listeners`]
//! the sessions of a gateway that only counts, [`timing`] how long each bench may take.

pub mod listeners;
pub mod scene;
pub mod timing;
pub mod town;

/// The allocator of the server, since it is the server that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
