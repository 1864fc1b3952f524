//! The file that says what a data directory is: the format's version and the directory's incarnation.
//!
//! One line of text, so that a person can read it too:
//! `millstream-log format 1 incarnation 0123…ef check 89abcdef`

use millstream_env::Disk;

use crate::codec::crc;
use crate::damage::{Damage, FileError};
use crate::frame::Incarnation;
use crate::manifest::{read_file, write_file};

pub(crate) const FORMAT_FILE: &str = "log.format";
/// Raised when an older program could not read what this one writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

#[derive(Debug)]
pub(crate) enum FormatError {
    /// Written by a program of the future.
    Newer {
        version: u32,
    },
    File(FileError),
}

/// The incarnation, or `None` where no store has been made yet.
pub(crate) fn load(disk: &dyn Disk) -> Result<Option<Incarnation>, FormatError> {
    let bytes = match read_file(disk, FORMAT_FILE) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other.map_err(FormatError::File)?,
    };
    let damaged = || {
        let what = "this is not the line that a log store writes there";
        FormatError::File(Damage::new(FORMAT_FILE, 0, what).into())
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let words: Vec<&str> = text.trim_end().split(' ').collect();
    let ["millstream-log", "format", version, rest @ ..] = words.as_slice() else {
        return Err(damaged());
    };
    match version.parse::<u32>() {
        Ok(v) if v > FORMAT_VERSION && checked(text).is_some() => {
            return Err(FormatError::Newer { version: v });
        }
        Ok(FORMAT_VERSION) => {}
        _ => return Err(damaged()),
    }
    let ["incarnation", hex, "check", _] = rest else { return Err(damaged()) };
    let incarnation = checked(text).and_then(|_| from_hex(hex)).ok_or_else(damaged)?;
    if text != line(&incarnation) {
        return Err(damaged());
    }
    Ok(Some(incarnation))
}

pub(crate) fn store(disk: &dyn Disk, incarnation: &Incarnation) -> Result<(), FileError> {
    write_file(disk, FORMAT_FILE, line(incarnation).as_bytes())
}

fn line(incarnation: &Incarnation) -> String {
    let hex: String = incarnation.iter().map(|b| format!("{b:02x}")).collect();
    let start = format!("millstream-log format {FORMAT_VERSION} incarnation {hex}");
    format!("{start} check {:08x}\n", crc(start.as_bytes()))
}

fn checked(text: &str) -> Option<&str> {
    let (start, sum) = text.trim_end().rsplit_once(" check ")?;
    (u32::from_str_radix(sum, 16).ok()? == crc(start.as_bytes())).then_some(start)
}

fn from_hex(hex: &str) -> Option<Incarnation> {
    let mut out = [0; 16];
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(out)
}
