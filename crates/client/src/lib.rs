//! A signed AWS client over the api shapes: transport, credentials, retries.
//!
//! ```no_run
//! # async fn first() -> Result<(), millstream_client::Error> {
//! use millstream_api::kinesis::{ListStreamsInput, ops};
//! use millstream_client::{Client, Endpoint};
//!
//! let endpoint = Endpoint::parse("http://127.0.0.1:4567")?;
//! let client = Client::builder().endpoint(endpoint).build().await?;
//! let streams = client.send::<ops::ListStreams>(&ListStreamsInput::default()).await?;
//! println!("{:?}", streams.stream_names);
//! # Ok(())
//! # }
//! ```
//!
//! Invariant: works against AWS as well as against a server of ours, and depends on nothing of the
//! server.

mod client;
mod credentials;
mod element;
mod endpoint;
mod error;
mod query;
mod retry;
mod sign;
mod transport;

pub use aws_credential_types::Credentials;
pub use client::{Builder, Client};
pub use credentials::{Keys, Lookup, TEST_KEY, TEST_REGION};
pub use element::Element;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Error, ServiceError};
pub use millstream_wire::Codec;
pub use retry::{Blame, RetryPolicy};
pub use sign::{PayloadHash, Signer};
pub use transport::{ANSWER_BYTES_MAX, Connector, HttpVersion, Stream, Timeouts, Transport, Trust};
