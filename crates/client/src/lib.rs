//! A signed AWS client over the api shapes: transport, credentials, retries.

mod client;
mod credentials;
mod endpoint;
mod error;
mod retry;
mod sign;
mod transport;

pub use aws_credential_types::Credentials;
pub use client::{Builder, Client, Codec};
pub use credentials::{Keys, Lookup, TEST_KEY, TEST_REGION};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Error, ServiceError};
pub use retry::{Blame, RetryPolicy};
pub use sign::{PayloadHash, Signer};
pub use transport::{ANSWER_BYTES_MAX, Connector, HttpVersion, Stream, Timeouts};
