//! Who may call: accounts, users with access keys, groups, roles, policies, sessions.
//!
//! Identities are rows of the metadata store, changed by compare-and-set. Each process holds a copy
//! in memory that a watch keeps true ([`Identities::find`] costs far below a microsecond); a change
//! takes effect at once wherever the copy has it, and the call that made it returns no earlier.
//! Sessions are no rows at all: their tokens say everything, sealed.
//!
//! Invariant: secret access keys are on disk only sealed, with a key derived from the root key.
//! Invariant: a policy that can't be read takes all rights from its holders, and never gives any.
//! Invariant: knows no HTTP and no AWS shapes.

mod access_keys;
mod built_in;
mod by_arn;
mod declaration;
mod directory;
mod documents;
mod engine;
mod entities;
mod error;
mod find;
mod held;
mod ids;
mod managed;
pub mod model;
pub mod oidc;
mod providers;
mod reconcile;
mod rights;
mod rows;
mod session;
mod simulate;
mod sts;
mod tokens;
mod who;

pub use access_keys::{NewKey, fresh_key};
pub use declaration::{DECLARATION_BYTES_MAX, Declaration, DeclarationError};
pub use engine::{Identities, LastUse, Options};
pub use entities::{NewEntity, RoleChange, Subject};
pub use error::{Error, Obstacle, Quota, Result, What};
pub use find::{Found, Stranger};
pub use held::{Held, HeldPolicy};
pub use managed::{Holders, NewPolicy, Usage, find_version};
pub use model::Kind;
pub use oidc::Issuer;
pub use providers::NewProvider;
pub use reconcile::{Deed, Done, References};
pub use session::{Session, WebIdentity};
pub use simulate::{
    Outcome, Simulation, Verdict, custom_boundary, custom_policies, custom_principal,
    custom_resource_policy,
};
pub use sts::{AssumeRole, Assumed, StsError};
pub use tokens::Credentials;
pub use who::Authenticated;
