//! A signed AWS client over the api shapes: transport, credentials, retries.
