//! From the global options to a client.

use std::io::IsTerminal;

use anyhow::Context;
use millstream_client::{Builder, Client, Endpoint, Trust};

use crate::args::{DEFAULT_PORT, Global};

/// A client for the global options; says on stderr when test credentials stand in.
pub async fn client(global: &Global) -> anyhow::Result<Client> {
    from(global, Client::builder()).await
}

/// As [`client`], with more settings in `builder`.
pub async fn from(global: &Global, builder: Builder) -> anyhow::Result<Client> {
    let client = quietly(global, builder).await?;
    if client.uses_test_credentials() {
        let (key, endpoint) = (millstream_client::TEST_KEY, client.endpoint());
        // A script's logs need not hear it from each command.
        if std::io::stderr().is_terminal() {
            eprintln!("note: no AWS credentials found, signing as {key:?} for {endpoint}");
        } else {
            tracing::info!(key, %endpoint, "no AWS credentials found, signing with test ones");
        }
    }
    Ok(client)
}

/// As [`from`], for a second client: the first one has said it.
pub async fn quietly(global: &Global, builder: Builder) -> anyhow::Result<Client> {
    Ok(configured(global, builder)?.build().await?)
}

fn configured(global: &Global, mut builder: Builder) -> anyhow::Result<Builder> {
    let (text, origin) = endpoint_text(global, |name| std::env::var(name).ok());
    if text != "aws" {
        builder = builder.endpoint(Endpoint::parse(&text).with_context(|| origin.to_owned())?);
    }
    if let Some(region) = &global.region {
        builder = builder.region(region);
    }
    if let Some(profile) = &global.profile {
        builder = builder.profile(profile);
    }
    // An empty variable is none, as for the AWS CLI.
    if let Some(file) = global.ca_bundle.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        builder = builder.trust(Trust::Bundle(file.clone()));
    }
    Ok(builder)
}

/// The endpoint's text and where it stands: the option, then the AWS CLI's variables, then a server
/// on this machine.
fn endpoint_text(
    global: &Global,
    variable: impl Fn(&str) -> Option<String>,
) -> (String, &'static str) {
    if let Some(text) = &global.endpoint_url {
        return (text.clone(), "--endpoint-url");
    }
    for name in ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"] {
        if let Some(text) = variable(name).filter(|v| !v.is_empty()) {
            return (text, name);
        }
    }
    (format!("http://127.0.0.1:{DEFAULT_PORT}"), "default endpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_goes_before_the_variables_and_these_before_the_default() {
        let given = Global { endpoint_url: Some("aws".into()), ..Global::default() };
        let both = |name: &str| Some(format!("http://{}", name.to_lowercase()));
        let general = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| "http://x".to_owned());
        assert_eq!(endpoint_text(&given, both).0, "aws");
        let none = Global::default();
        assert_eq!(endpoint_text(&none, both).0, "http://aws_endpoint_url_kinesis");
        assert_eq!(endpoint_text(&none, general), ("http://x".into(), "AWS_ENDPOINT_URL"));
        assert_eq!(endpoint_text(&none, |_| None).0, "http://127.0.0.1:4567");
    }
}
