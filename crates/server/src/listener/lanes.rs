//! Spreads connections over the lanes: each goes where the fewest are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct LaneLoads {
    open: Box<[AtomicUsize]>,
}

/// A connection's place in a lane, until it is dropped.
pub(super) struct Lane {
    pub(super) number: usize,
    loads: Arc<LaneLoads>,
}

impl LaneLoads {
    pub(super) fn new(lanes: usize) -> Self {
        LaneLoads { open: (0..lanes).map(|_| AtomicUsize::new(0)).collect() }
    }

    pub(super) fn enter(self: &Arc<Self>) -> Lane {
        let load = |lane: &(usize, &AtomicUsize)| lane.1.load(Ordering::Relaxed);
        let (number, open) =
            self.open.iter().enumerate().min_by_key(load).expect("there is at least one lane");
        open.fetch_add(1, Ordering::Relaxed);
        Lane { number, loads: self.clone() }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.loads.open[self.number].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_where_the_fewest_are() {
        let loads = Arc::new(LaneLoads::new(3));
        let mut lanes: Vec<Lane> = (0..6).map(|_| loads.enter()).collect();
        let open = || loads.open.iter().map(|n| n.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!(open(), [2, 2, 2]);
        lanes.retain(|lane| lane.number != 1);
        assert_eq!(loads.enter().number, 1);
        drop(lanes);
        assert_eq!(open(), [0, 0, 0]);
    }
}
