//! A root key that a program prints: of a password manager, a security module, a cloud.

use std::process::Stdio;
use std::time::Duration;

use millstream_secrets::RootKey;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::error::HolderError;
use crate::text;

/// How long the program may take: it may ask a person or a network.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Runs `line` in a shell and reads the key from its standard output.
pub(crate) async fn read(line: &str) -> Result<RootKey, HolderError> {
    let failed = |reason: String| HolderError::Command { line: line.to_owned(), reason };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let mut output = Zeroizing::new(Vec::with_capacity(text::TEXT_BYTES_MAX));
    let reading = async {
        let stdout = child.stdout.take().expect("standard output is piped");
        stdout.take(text::TEXT_BYTES_MAX as u64).read_to_end(&mut output).await?;
        child.wait().await
    };
    let status = match tokio::time::timeout(TIME_MAX, reading).await {
        Ok(status) => status.map_err(|e| failed(e.to_string()))?,
        Err(_) => return Err(failed(format!("it took more than {} s", TIME_MAX.as_secs()))),
    };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    let no_key = || HolderError::NoKey { place: format!("the output of `{line}`") };
    text::parse(&output).ok_or_else(no_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_prints_the_key() {
        let hex = "0b".repeat(32);
        let key = read(&format!("echo {hex}")).await.unwrap();
        assert_eq!(key, RootKey::from_bytes([11; 32]));
    }

    #[tokio::test]
    async fn a_program_that_fails_or_prints_something_else_is_told() {
        let failed = read(&format!("echo {}; exit 3", "0b".repeat(32))).await.unwrap_err();
        assert!(failed.to_string().contains("exit status: 3"), "{failed}");
        let wrong = read("echo hello").await.unwrap_err();
        assert!(wrong.to_string().contains("holds no root key"), "{wrong}");
    }
}
