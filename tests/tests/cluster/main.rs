//! Several processes on one Redis, with everything done to them that happens to processes: the promises of a system of
//! several (G1-G7, G9, G13-G15). `jono-load replay` is the judge.

mod campaigns;
mod claims;
mod operators;
mod random;
mod sleepers;

/// Runs a test of one thread's clients; the processes have their own.
fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// A pause between two blows: what happens in the meantime is judged by `jono-load`, not here.
async fn seconds(seconds: u64) {
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
}
