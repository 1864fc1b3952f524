//! Waiting for a stream to become active or to be gone, with a word on stderr about how long.

use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_api::kinesis::StreamStatus;
use millstream_client::{Client, Error};
use millstream_env::Env;
use tokio::time::Instant;

use super::describe;

/// How long a stream is waited for; AWS takes about a minute for large ones.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Pauses between two looks; the first is for servers that are done at once.
const PAUSE: Duration = Duration::from_millis(10);
/// AWS allows 20 looks in a second for all callers of an account.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// # Errors
/// The stream can't be looked at, is being deleted, or takes longer than ten minutes.
pub async fn until_active(env: &Env, client: &Client, name: &str) -> anyhow::Result<()> {
    until(env, client, name, "active", |status| match status {
        Some(StreamStatus::Active) => Ok(true),
        Some(StreamStatus::Deleting) | None => bail!("stream {name} is being deleted"),
        Some(_) => Ok(false),
    })
    .await
}

/// # Errors
/// The stream can't be looked at, or takes longer than ten minutes.
pub async fn until_gone(env: &Env, client: &Client, name: &str) -> anyhow::Result<()> {
    until(env, client, name, "gone", |status| Ok(status.is_none())).await
}

/// Whether the stream is being deleted, or gone by now.
///
/// # Errors
/// The stream can't be looked at.
pub async fn is_going(client: &Client, name: &str) -> anyhow::Result<bool> {
    match describe::summary(client, name).await {
        Ok(summary) => Ok(summary.stream_status == StreamStatus::Deleting),
        Err(e) if is_missing(&e) => Ok(true),
        Err(e) => Err(e.into()),
    }
}

/// `done` sees the status, or none if there is no such stream.
async fn until(
    env: &Env,
    client: &Client,
    name: &str,
    goal: &str,
    done: impl Fn(Option<StreamStatus>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a template"));
    bar.set_message(format!("waiting until stream {name} is {goal}"));
    let mut pause = PAUSE;
    loop {
        let status = match describe::summary(client, name).await {
            Ok(summary) => Some(summary.stream_status),
            Err(e) if is_missing(&e) => None,
            Err(e) => return Err(e.into()),
        };
        if done(status)? {
            bar.finish_and_clear();
            return Ok(());
        }
        if start.elapsed() > WAIT_MAX {
            bail!("stream {name} is not {goal} after {WAIT_MAX:?}");
        }
        bar.tick();
        env.sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn is_missing(error: &Error) -> bool {
    error.code() == Some("ResourceNotFoundException")
}
