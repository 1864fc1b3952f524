//! The metrics' store about itself.

use std::fmt;

use millstream_monitoring::Monitoring;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Page;

/// Shows the figures of the store.
pub struct MonitoringFigures(pub Monitoring);

impl fmt::Debug for MonitoringFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MonitoringFigures")
    }
}

impl Collector for MonitoringFigures {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        let figures = self.0.figures();
        let mut page = Page(&mut out);
        page.gauge("monitoring_series", "Metrics kept", figures.series as u64)?;
        page.gauge("monitoring_points", "Points in memory", figures.points as u64)?;
        page.counter("monitoring_recorded", "Data taken in", figures.recorded)?;
        page.counter("monitoring_refused", "Data refused because of a bound", figures.refused)
    }
}
