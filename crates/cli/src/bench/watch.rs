//! CPU and memory over the measured time: the server's, if told which process, and our own.

use std::sync::Arc;
use std::time::Duration;

use millstream_env::{Env, Task};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::load::Span;
use super::process::{Process, Usage};

/// Memory is looked at this often.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// A process under observation.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: Task,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    first: Option<Usage>,
    last: Option<Usage>,
    /// Megabytes are enough for a curve, but bytes are what was measured.
    resident: Vec<u64>,
}

/// What a process used in the measured time.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Used {
    pub cpu_seconds: f64,
    pub rss_first_bytes: u64,
    pub rss_max_bytes: u64,
    pub rss_last_bytes: u64,
    /// One per second.
    pub rss_bytes: Vec<u64>,
}

impl Watch {
    /// Looks at `process` from the span's measured start to its end.
    pub fn start(env: &Env, process: Process, span: &Span) -> Watch {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (shared, span) = (seen.clone(), span.clone());
        let task = env.spawn("bench-watch", async move {
            let mut at = span.measure;
            while Instant::now() < span.end {
                sleep_until(at.min(span.end)).await;
                let Ok(usage) = process.usage() else { break };
                let mut seen = shared.lock();
                seen.first.get_or_insert(usage);
                seen.last = Some(usage);
                seen.resident.push(usage.resident_bytes);
                at += SAMPLE_EVERY;
            }
        });
        Watch { seen, task }
    }

    /// What was used; `None` if the process was never seen.
    pub async fn finish(self) -> Option<Used> {
        self.task.abort();
        self.task.join().await;
        let seen = self.seen.lock().clone();
        let (first, last) = (seen.first?, seen.last?);
        Some(Used {
            cpu_seconds: (last.cpu - first.cpu).as_secs_f64(),
            rss_first_bytes: first.resident_bytes,
            rss_max_bytes: seen.resident.iter().copied().max().unwrap_or_default(),
            rss_last_bytes: last.resident_bytes,
            rss_bytes: seen.resident,
        })
    }
}
