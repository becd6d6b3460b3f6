//! `jono-armed`: the program with kill points, which no ordinary build makes. The first test that needs it builds it, beside the
//! shipped program and under a name of its own; every run asks cargo, so that it is never an old one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::server::binary;

/// Where it is.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn armed_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

fn build() -> PathBuf {
    let armed = binary().with_file_name("jono-armed");
    let folder = armed.parent().expect("it lies in target/<profile>");
    let (target, profile) = (folder.parent().expect("as above"), folder.file_name().expect("as above"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace"));
    cargo.args(["build", "--quiet", "--locked", "-p", "jono-gateway", "--features", "armed", "--bin", "jono-armed"]);
    cargo.arg("--profile").arg(if profile == "debug" { "dev".as_ref() } else { profile });
    let status = cargo.arg("--target-dir").arg(target).status().expect("cargo can be run");
    assert!(status.success(), "jono-armed cannot be built: {status}");
    armed
}
