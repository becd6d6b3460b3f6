//! Criterion benches; `cargo bench -p jono-benches` runs them and prints throughput.
