//! A root key in a file that only its owner can read.

#![allow(
    clippy::disallowed_methods,
    reason = "a file outside the data directory, with an owner and a mode: the disk of `env` knows neither"
)]

use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use millstream_secrets::{RootKey, random};
use zeroize::Zeroizing;

use crate::error::HolderError;
use crate::text;

/// Permissions that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// `millstream/root.key` in the user's directory for configuration. `None`: the user has none.
pub fn default_path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("millstream").join("root.key"))
}

/// Reads the key. `None`: there is no file.
///
/// # Errors
/// [`HolderError::Unsafe`] if others can read or change the file, [`HolderError::NoKey`].
pub(crate) fn read(path: &Path) -> Result<Option<RootKey>, HolderError> {
    let io = |error| HolderError::io(path, error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let about = file.metadata().map_err(io)?;
    let mode = about.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(HolderError::Unsafe { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text::TEXT_BYTES_MAX));
    (&file).take(text::TEXT_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(io)?;
    let no_key = || HolderError::NoKey { place: format!("file {}", path.display()) };
    text::parse(&bytes).map(Some).ok_or_else(no_key)
}

/// Makes a new key in a new file, which only its owner can read, and returns it; or the key that
/// another process has made there in the meantime. The file appears whole or not at all.
///
/// # Errors
/// The file can't be written, or [`read`]'s.
pub fn make(path: &Path) -> Result<RootKey, HolderError> {
    let io = |error| HolderError::io(path, error);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        std::fs::create_dir_all(folder).map_err(io)?;
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).map_err(io)?;
    }
    let key = RootKey::random();
    let draft = draft_of(path);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&draft).map_err(io)?;
    let written = file.write_all(text::encode(&key).as_bytes()).and_then(|()| file.sync_all());
    // A link fails where a rename would replace the key that someone else's data needs.
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft).map_err(io)?;
    match linked {
        Ok(()) => {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| io(io::ErrorKind::NotFound.into()))
        }
        Err(error) => Err(io(error)),
    }
}

fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:016x}", u64::from_le_bytes(random())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/millstream/root.key");
        (dir, path)
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let (_dir, path) = place();
        assert_eq!(read(&path).unwrap(), None);
        let key = make(&path).unwrap();
        assert_eq!(read(&path).unwrap(), Some(key.clone()));
        assert_eq!(make(&path).unwrap(), key, "the one that is there stays");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let folder = path.parent().unwrap();
        assert_eq!(std::fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_dir, path) = place();
        make(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let refused = read(&path).unwrap_err().to_string();
            assert!(refused.contains("chmod 600"), "{refused}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        read(&path).unwrap();
    }

    #[test]
    fn a_file_with_something_else_is_refused_and_not_shown() {
        let (_dir, path) = place();
        make(&path).unwrap();
        std::fs::write(&path, "hunter2 hunter2").unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("holds no root key") && !refused.contains("hunter2"), "{refused}");
    }
}
