//! All queues of this process: their rows, and the owners that serve those that are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_env::{Env, Task};
use millstream_meta::MetaStore;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::command::Command;
use super::directory::{Directory, QueueSnapshot};
use super::owner::{self, Tools, WAITING_MAX};
use crate::cache::Cache;
use crate::data_keys::Records;
use crate::error::{Error, Result};

/// Commands that wait for one owner; further ones are throttled.
const COMMANDS_MAX: usize = WAITING_MAX;
/// How often a command is given to another owner because the last one let go of the queue.
const ATTEMPTS: usize = 5;

pub(crate) struct Queues {
    tools: Tools,
    hurry: watch::Sender<bool>,
    /// By the queues' log families.
    owners: Mutex<BTreeMap<u32, Running>>,
    /// Queues that a call of this process is making, by their log families.
    making: Mutex<BTreeSet<u32>>,
}

/// A queue is being made by this process as long as this is there.
pub(crate) struct Making<'a> {
    queues: &'a Queues,
    family: u32,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.queues.making.lock().remove(&self.family);
    }
}

struct Running {
    commands: mpsc::Sender<Command>,
    task: Task,
}

impl Queues {
    /// Reads the queues' rows and follows them; owners are started when they are asked for.
    ///
    /// # Errors
    /// If the store does not answer, or a row can't be read or is of a newer program.
    pub(crate) async fn load(
        env: Env,
        records: Records,
        meta: Arc<dyn MetaStore>,
        cache: Arc<Cache>,
        node: String,
        stop: watch::Receiver<bool>,
    ) -> Result<(Queues, Task)> {
        let (directory, follow) = Directory::start(&env, meta.clone(), stop.clone()).await?;
        let (hurry, hurried) = watch::channel(false);
        let tools = Tools { env, records, meta, cache, directory, node, hurry: hurried, stop };
        let (owners, making) = (Mutex::default(), Mutex::default());
        Ok((Queues { tools, hurry, owners, making }, follow))
    }

    /// Notes that this process is making a queue: the sweeper keeps off it.
    pub(crate) fn begin_making(&self, family: u32) -> Making<'_> {
        self.making.lock().insert(family);
        Making { queues: self, family }
    }

    pub(crate) fn is_making(&self, family: u32) -> bool {
        self.making.lock().contains(&family)
    }

    /// From now on no receive waits: the node is about to end.
    pub(crate) fn stop_waiting(&self) {
        self.hurry.send_replace(true);
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.tools.directory
    }

    /// Has the queue's owner do something, and waits for the answer. `command` makes the command
    /// anew for every attempt.
    pub(crate) async fn ask<T>(
        &self,
        queue: &QueueSnapshot,
        command: impl Fn(oneshot::Sender<Result<T>>) -> Command,
    ) -> Result<T> {
        for _ in 0..ATTEMPTS {
            if *self.tools.stop.borrow() {
                break;
            }
            let commands = self.commands_of(queue);
            let (reply, answer) = oneshot::channel();
            match commands.try_send(command(reply)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err(Error::QueueThrottled { queue: queue.queue.clone() });
                }
                // It let go just now.
                Err(mpsc::error::TrySendError::Closed(_)) => continue,
            }
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
        let reason = format!("the owner of {} does not stay", queue.queue);
        Err(Error::Unavailable { reason })
    }

    /// The way to the queue's owner, which is started if there is none.
    fn commands_of(&self, queue: &QueueSnapshot) -> mpsc::Sender<Command> {
        let mut owners = self.owners.lock();
        owners.retain(|_, running| !running.commands.is_closed());
        let running = owners.entry(queue.row.family).or_insert_with(|| {
            let (commands, received) = mpsc::channel(COMMANDS_MAX);
            let run = owner::run(self.tools.clone(), queue.queue.clone(), received);
            let task = self.tools.env.spawn("queue-owner", run);
            Running { commands, task }
        });
        running.commands.clone()
    }

    /// Waits for the owners, which end when the engine does.
    pub(crate) async fn shutdown(&self) {
        let owners = std::mem::take(&mut *self.owners.lock());
        for (_, running) in owners {
            running.task.join().await;
        }
    }
}
