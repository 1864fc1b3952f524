//! The data directory as a whole: who owns it, and in which format it is.
//!
//! ```text
//! data_dir/
//!   LOCK      held while a node (or fsck) uses the directory; holds the owner's process id
//!   FORMAT    the version of the directory's layout
//!   log/      the log store
//!   meta/     the tables
//! ```

use std::io;
use std::path::{Path, PathBuf};

use millstream_env::{Disk, OpenMode};

/// The layout this build reads and writes.
pub const FORMAT_VERSION: u32 = 1;

const LOCK: &str = "LOCK";
const FORMAT: &str = "FORMAT";
const FORMAT_HEAD: &str = "millstream data directory, format ";
/// Longest text looked at in LOCK and FORMAT.
const TEXT_BYTES_MAX: u64 = 256;

#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("data directory {dir} is used by {owner}: stop it first, or choose another directory")]
    Locked { dir: PathBuf, owner: String },
    #[error("data directory {dir} can't be used: {source}")]
    Io { dir: PathBuf, source: io::Error },
    #[error(
        "data directory {dir} has format {found}, this build reads format {FORMAT_VERSION}: \
         use the version of millstream that wrote it, or a newer one"
    )]
    OtherFormat { dir: PathBuf, found: u32 },
    #[error("{dir}/FORMAT says {text:?}: this is not a millstream data directory")]
    NotOurs { dir: PathBuf, text: String },
}

/// The exclusive right to a data directory, until it is dropped.
pub struct DataDirLock {
    _guard: Box<dyn Send + Sync>,
}

/// Takes the directory at the root of `disk`, which exists, for this process; writes or checks its
/// format. `dir` is its name in messages.
///
/// # Errors
/// Another process holds it, it has another format, or it can't be read or written.
pub fn claim(disk: &dyn Disk, dir: &Path) -> Result<DataDirLock, DataDirError> {
    let io = |source| DataDirError::Io { dir: dir.to_owned(), source };
    let guard = match disk.lock(Path::new(LOCK)) {
        Ok(guard) => guard,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            return Err(DataDirError::Locked { dir: dir.to_owned(), owner: owner(disk) });
        }
        Err(e) => return Err(io(e)),
    };
    write_text(disk, LOCK, &format!("{}\n", std::process::id())).map_err(io)?;
    check_format(disk, dir)?;
    Ok(DataDirLock { _guard: guard })
}

/// Who holds the lock, as far as it can be known.
fn owner(disk: &dyn Disk) -> String {
    match read_text(disk, LOCK) {
        Ok(Some(text)) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}

fn check_format(disk: &dyn Disk, dir: &Path) -> Result<(), DataDirError> {
    let io = |source| DataDirError::Io { dir: dir.to_owned(), source };
    let Some(text) = read_text(disk, FORMAT).map_err(io)? else {
        write_text(disk, FORMAT, &format!("{FORMAT_HEAD}{FORMAT_VERSION}\n")).map_err(io)?;
        return disk.sync_dir(Path::new("")).map_err(io);
    };
    let version = text.trim().strip_prefix(FORMAT_HEAD).and_then(|v| v.parse::<u32>().ok());
    match version {
        Some(FORMAT_VERSION) => Ok(()),
        Some(found) => Err(DataDirError::OtherFormat { dir: dir.to_owned(), found }),
        None => Err(DataDirError::NotOurs { dir: dir.to_owned(), text }),
    }
}

/// `None`: there is no such file, or it is empty because a crash came between making and writing.
fn read_text(disk: &dyn Disk, name: &str) -> io::Result<Option<String>> {
    let file = match disk.open(Path::new(name), OpenMode::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = vec![0; file.len()?.min(TEXT_BYTES_MAX) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Some(text).filter(|t| !t.is_empty()))
}

fn write_text(disk: &dyn Disk, name: &str, text: &str) -> io::Result<()> {
    let file = disk.open(Path::new(name), OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(text.as_bytes(), 0)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use millstream_env::RealDisk;

    use super::*;

    fn message(result: Result<DataDirLock, DataDirError>) -> String {
        result.err().expect("refused").to_string()
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, again) = (RealDisk::new(dir.path()), RealDisk::new(dir.path()));
        let held = claim(&disk, Path::new("d")).unwrap();
        let expected = format!(
            "data directory d is used by process {}: stop it first, or choose another directory",
            std::process::id()
        );
        assert_eq!(message(claim(&again, Path::new("d"))), expected);
        drop(held);
        claim(&again, Path::new("d")).unwrap();
    }

    #[test]
    fn a_directory_of_another_format_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        write_text(&disk, FORMAT, "millstream data directory, format 9\n").unwrap();
        assert!(message(claim(&disk, Path::new("d"))).contains("has format 9"));
        write_text(&disk, FORMAT, "x").unwrap();
        assert!(message(claim(&disk, Path::new("d"))).contains("not a millstream data directory"));
    }
}
