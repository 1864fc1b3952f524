//! Clients that switch capacity modes: an on-demand stream looks after its shards itself.

use millstream_api::kinesis::{self as api, Kinesis};
use millstream_env::sim::Rng;

use super::client::{Life, StreamClient, ask};
use crate::lives::Reply;

impl StreamClient {
    /// Switches the mode of a stream of one's own.
    pub(super) async fn switch_mode(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        rng: &mut Rng,
    ) -> Reply<()> {
        let on_demand = !rng.one_in(3);
        let mode = if on_demand { api::StreamMode::OnDemand } else { api::StreamMode::Provisioned };
        let name = mode.as_str().to_owned();
        let asked = {
            let mut oracle = self.oracle.borrow_mut();
            let asked = oracle.now();
            let s = oracle.streams.get_mut(stream).expect("a known stream");
            if s.owner != self.client {
                return Ok(());
            }
            s.modes.insert(name.clone());
            s.reshard_asked |= on_demand;
            asked
        };
        let wire = self.wire(stream);
        let done = ask(life, |p, c| async move {
            let input = api::UpdateStreamModeInput {
                stream_arn: format!(
                    "arn:aws:kinesis:{}:{}:stream/{wire}",
                    p.scope.region, p.scope.account
                ),
                stream_mode_details: api::StreamModeDetails { stream_mode: mode },
                ..Default::default()
            };
            p.service.update_stream_mode(&c, input).await
        });
        match done.await? {
            Ok(()) => {
                life.world.note(format_args!("client {}: {stream} is {name}", self.client));
                life.judge.count(|s| s.acknowledged += 1);
                let mut oracle = self.oracle.borrow_mut();
                let s = oracle.streams.get_mut(stream).expect("a known stream");
                s.modes = [name].into();
            }
            Err(e) => self.excuse(life, stream, asked, &e),
        }
        Ok(())
    }
}
