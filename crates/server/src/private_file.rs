//! Small files outside the data directory that others must not read: keys, credentials.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use millstream_secrets::Secret;

/// Names tried beside the first one, when that is taken.
const NAMES_MAX: u32 = 1000;

/// Largest file that is read.
const READ_BYTES_MAX: u64 = 64 << 20;

/// Writes a new file that only its owner can read (mode 0600), and returns where. An empty `path`
/// is `name` in the user's configuration directory, or `name` with a number where that is taken.
///
/// # Errors
/// The disk's; a file that is there already is never overwritten.
pub fn create(path: &Path, name: &str, text: &Secret) -> io::Result<PathBuf> {
    if !path.as_os_str().is_empty() {
        write_new(path, text)?;
        return Ok(path.to_owned());
    }
    let dir = config_dir()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no home directory"))?;
    std::fs::create_dir_all(&dir)?;
    for at in 1..=NAMES_MAX {
        let path = match at {
            1 => dir.join(name),
            _ => dir.join(format!("{name}.{at}")),
        };
        match write_new(&path, text) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "all names are taken"))
}

/// The whole file.
///
/// # Errors
/// The disk's, and a file larger than 64 MiB.
pub fn read(path: &Path) -> io::Result<Secret> {
    let file = std::fs::OpenOptions::new().read(true).open(path)?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > READ_BYTES_MAX {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 64 MiB")),
        false => Ok(Secret::new(bytes)),
    }
}

fn write_new(path: &Path, text: &Secret) -> io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.expose())?;
    file.sync_all()
}

/// `$XDG_CONFIG_HOME/millstream`, or `~/.config/millstream`.
fn config_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = match set("XDG_CONFIG_HOME") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(set("HOME")?).join(".config"),
    };
    Some(base.join("millstream"))
}
