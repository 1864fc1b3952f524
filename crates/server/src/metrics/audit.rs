//! The audit trail's figures.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Page;
use crate::audit::Auditor;

/// Shows the figures of an auditor.
pub struct AuditFigures(pub Arc<Auditor>);

impl fmt::Debug for AuditFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditFigures")
    }
}

impl Collector for AuditFigures {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(&mut out);
        let figures = self.0.recorder().figures();
        page.counter("audit_events", "Events on stable storage", figures.events)?;
        page.counter("audit_groups", "Writes that carried them", figures.groups)?;
        page.counter("audit_failures", "Writes that failed", figures.failures)?;
        page.counter("audit_lost", "Events given up", figures.lost)?;
        page.gauge("audit_bytes", "Bytes of all files of the trail", figures.bytes)?;
        let writable = u64::from(self.0.recorder().is_writable());
        page.gauge("audit_writable", "Whether the trail can be written", writable)?;
        if let Some(delivery) = self.0.delivery() {
            let (delivered, dropped) = delivery.counts();
            page.counter("audit_delivered", "Events that their stream took", delivered)?;
            page.counter("audit_dropped", "Events that their stream did not take", dropped)?;
        }
        Ok(())
    }
}
