//! The root key of this process: given, read from a file, or made at the first start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::auth::{Auth, random_bits};
use crate::config::{RootKey, check_root_key};

/// A key, and where it is.
pub(super) struct Found {
    pub(super) key: String,
    place: Place,
}

enum Place {
    /// The operator knows.
    Known,
    /// Made now, in this file.
    Made(PathBuf),
    /// Made now, and nowhere else.
    Unkept,
}

impl Found {
    /// What the operator should hear about a key that was made now.
    pub(super) fn notice(&self) -> Option<String> {
        match &self.place {
            Place::Known => None,
            Place::Made(file) => Some(format!("The root key, which creates organisations, was made: {}\n", file.display())),
            Place::Unkept => Some(format!("The root key, for as long as this process lasts: {}\n", self.key)),
        }
    }
}

/// The key.
pub(super) fn find(wanted: &RootKey, data: Option<&Path>) -> Result<Found, Failure> {
    match (wanted, data) {
        (RootKey::Given(key), _) => Ok(Found { key: key.clone(), place: Place::Known }),
        (RootKey::File(file), _) => read(file),
        (RootKey::Generated, None) => Ok(Found { key: generate(), place: Place::Unkept }),
        (RootKey::Generated, Some(data)) => {
            let file = data.join("root.key");
            if file.exists() {
                return read(&file);
            }
            let key = generate();
            write(&file, &key).map_err(|error| Failure::running(format!("{}: cannot be written: {error}", file.display())))?;
            Ok(Found { key, place: Place::Made(file) })
        }
    }
}

/// The key of all processes on one Redis: the one that is given, or one that follows from the secret they share.
pub(super) fn find_among(wanted: &RootKey, auth: &Auth) -> Result<Found, Failure> {
    match wanted {
        RootKey::Generated => Ok(Found { key: derived(auth), place: Place::Known }),
        RootKey::Given(_) | RootKey::File(_) => find(wanted, None),
    }
}

/// What `jono root-key` prints.
pub(crate) fn derived(auth: &Auth) -> String {
    let bytes = auth.derive("root key", "");
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("jroot_{digits}")
}

fn generate() -> String {
    format!("jroot_{:032x}{:032x}", random_bits(), random_bits())
}

fn read(file: &Path) -> Result<Found, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| Failure::Configuration(format!("{shown}: cannot be read: {error}")))?;
    let key = text.lines().next().unwrap_or_default().trim().to_owned();
    check_root_key(&key).map_err(|why| Failure::Configuration(format!("{shown}: {why}")))?;
    let others = fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    if others {
        tracing::warn!(file = %shown, "the root key can be read by others: chmod 600");
    }
    Ok(Found { key, place: Place::Known })
}

/// Whole or not at all, and for the owner only.
fn write(file: &Path, key: &str) -> io::Result<()> {
    let unfinished = file.with_extension("key.new");
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    out.write_all(format!("{key}\n").as_bytes())?;
    out.sync_all()?;
    fs::rename(&unfinished, file)?;
    file.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = find(&RootKey::Generated, Some(dir.path())).ok().unwrap();
        assert!(check_root_key(&first.key).is_ok());
        assert!(first.notice().unwrap().contains("root.key") && !first.notice().unwrap().contains(&first.key));
        let mode = fs::metadata(dir.path().join("root.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = find(&RootKey::Generated, Some(dir.path())).ok().unwrap();
        assert_eq!(first.key, second.key);
        assert_eq!(second.notice(), None);
    }

    #[test]
    fn a_file_with_a_poor_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "secret\n").unwrap();
        let refused = find(&RootKey::File(file), None).err();
        assert!(matches!(refused, Some(Failure::Configuration(why)) if why.contains("32 characters")));
    }
}
