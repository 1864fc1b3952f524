//! IAM policies: documents of every kind, their evaluation, and which action on which resource each
//! operation of our services is.
//!
//! [`Policy::parse`] reads and compiles a document; [`decide`] answers an [`Ask`]; [`rules`] has
//! the action of each operation. Nothing here reads a clock, a file or a row: what a decision depends on comes with
//! the question.
//!
//! Promises: what AWS documents of evaluation holds here; any text is a policy or a [`Fault`] with
//! its place, never a panic; time to decide is bounded by the documents' sizes.
//!
//! Why not a crate: `iam-rs` 0.7 evaluates one list of policies against one request; it knows no
//! permission boundaries, session policies, accounts or closeness of principals, keeps documents
//! uncompiled and reads conditions from JSON at each request. `aws-iam` 0.2 has an unfinished
//! offline evaluator and rests since 2022. Cedar is another language. The slow reference in
//! `tests/` was written from AWS's documentation alone and checks this one on random policies.

mod action;
mod condition;
mod context;
mod date;
mod decide;
mod facts;
mod fault;
mod grammar;
mod json;
mod network;
mod pattern;
mod policy;
mod principal;
mod principals;
mod rights;
pub mod rules;
pub mod tables;
mod template;

pub use action::{Action, NotAnAction};
pub use context::{Context, Value};
pub use decide::{
    Applying, Ask, Decision, PolicyType, Reason, Resource, ResourcePolicy, decide, explain,
};
pub use fault::Fault;
pub use policy::{Kind, Policy, Version};
pub use principal::{Principal, PrincipalKind};
pub use rights::{NamedPolicy, Rights};
