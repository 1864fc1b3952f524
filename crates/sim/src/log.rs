//! Runs of the log store and the metadata store, through their contracts alone.

mod meta;
mod oracle;
mod run;

pub(crate) use run::run;
