//! Clients of other languages at a TLS door: let in with the right secret, told why not with a wrong
//! one and as a stranger.
//!
//! The drivers sign with the account of a call and with the secret `secret`; the server's
//! configuration decides what that is.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::client::{Call, Client};
use crate::server::{Options, SELF_SIGNED, Server};

const ACCOUNT: &str = "000000000042";

/// A key in the server's configuration, and the error that a driver then gets.
const KEYS: [(&str, &str, Option<&str>); 3] = [
    (ACCOUNT, "secret", None),
    (ACCOUNT, "another secret", Some("InvalidSignatureException")),
    ("AKIDSOMEONEELSE", "secret", Some("UnrecognizedClientException")),
];

/// Asks a server of each kind; `connect` makes the client, which must trust
/// [`Server::ca_file`].
///
/// # Errors
/// A server or client that can't be started, or an answer that is not as it must be.
pub fn play_doors(connect: &dyn Fn(&Server) -> Result<Box<dyn Client>>) -> Result<()> {
    for (key, secret, expected) in KEYS {
        let config = format!(
            "[auth]\nmode = \"keys\"\nkeys = [{{ access_key_id = {key:?}, secret_access_key = \
             {secret:?} }}]\n"
        );
        let mut server = Server::start(Options { config, args: vec![SELF_SIGNED.to_owned()] })?;
        let mut client = connect(&server)?;
        let call = Call {
            operation: "ListStreams".to_owned(),
            params: json!({}),
            account: ACCOUNT.to_owned(),
            region: "us-east-1".to_owned(),
        };
        let name = client.name();
        let answer = client.call(&call).with_context(|| format!("{name}\n{}", server.log()))?;
        let found = answer.fault.as_ref().map(|fault| fault.kind.as_str());
        ensure!(found == expected, "{name}: {answer:?} instead of {expected:?}");
        drop(client);
        server.stop()?;
    }
    Ok(())
}
