//! Credentials and region, found where the AWS CLI finds them.
//!
//! For an endpoint on this machine the look-up asks only the environment and the profiles (static
//! keys, SSO, processes, roles), not a container's or an instance's metadata service, which costs
//! seconds where there is none; and if nothing is found, test credentials do.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use millstream_base::Timestamp;
use parking_lot::Mutex;

use crate::Error;

/// The access key id and the secret of the test credentials.
pub const TEST_KEY: &str = "test";

/// The region of an endpoint on this machine when none is configured.
pub const TEST_REGION: &str = "us-east-1";

/// Credentials are fetched again this long before they expire. Source: the SDKs' identity cache
/// buffers 10 s, botocore 10 to 15 minutes; this covers a call with all its retries.
const EXPIRY_MARGIN: Duration = Duration::from_secs(120);

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// A profile by name, instead of `AWS_PROFILE` or `default`.
    pub profile: Option<String>,
    /// The endpoint is on this machine.
    pub loopback: bool,
}

impl Lookup {
    /// The region of environment, profile, or (not for loopback) instance.
    ///
    /// # Errors
    /// [`Error::NoRegion`], not for loopback.
    pub async fn region(&self) -> Result<String, Error> {
        let found = if self.loopback { self.near_region().await } else { self.any_region().await };
        match found {
            Some(region) => Ok(region),
            None if self.loopback => Ok(TEST_REGION.to_owned()),
            None => Err(Error::NoRegion),
        }
    }

    async fn any_region(&self) -> Option<String> {
        let mut chain = DefaultRegionChain::builder();
        if let Some(profile) = &self.profile {
            chain = chain.profile_name(profile);
        }
        chain.build().region().await.map(|r| r.to_string())
    }

    async fn near_region(&self) -> Option<String> {
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(profile.build());
        chain.region().await.map(|r| r.to_string())
    }

    /// Finds credentials and keeps them fresh.
    ///
    /// # Errors
    /// [`Error::Credentials`]: there are none, or a source failed (a profile that does not exist, an
    /// expired SSO session).
    pub async fn credentials(&self, region: &str) -> Result<Keys, Error> {
        let provider = if self.loopback { self.near(region) } else { self.anywhere(region).await };
        match provider.provide_credentials().await {
            Ok(found) => Ok(Keys::kept_fresh(provider, found)),
            Err(CredentialsError::CredentialsNotLoaded(_)) if self.loopback => Ok(Keys::test()),
            Err(e) => Err(Error::Credentials(crate::error::chain(&e))),
        }
    }

    async fn anywhere(&self, region: &str) -> SharedCredentialsProvider {
        let mut chain =
            DefaultCredentialsChain::builder().region(aws_config::Region::new(region.to_owned()));
        if let Some(profile) = &self.profile {
            chain = chain.profile_name(profile);
        }
        SharedCredentialsProvider::new(chain.build().await)
    }

    fn near(&self, region: &str) -> SharedCredentialsProvider {
        let config = ProviderConfig::without_region()
            .with_region(Some(aws_config::Region::new(region.to_owned())));
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&config);
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        let profile = profile.build();
        // A profile that is asked for by name goes before the environment, as in the AWS CLI.
        SharedCredentialsProvider::new(match self.profile {
            Some(_) => CredentialsProviderChain::first_try("profile", profile),
            None => CredentialsProviderChain::first_try(
                "environment",
                EnvironmentVariableCredentialsProvider::new(),
            )
            .or_else("profile", profile),
        })
    }
}

/// Credentials that are valid when asked for.
#[derive(Debug)]
pub struct Keys {
    provider: Option<SharedCredentialsProvider>,
    current: Mutex<Credentials>,
    test: bool,
}

impl Keys {
    /// These, for ever.
    pub fn fixed(credentials: Credentials) -> Keys {
        Keys { provider: None, current: Mutex::new(credentials), test: false }
    }

    /// `test`/`test`.
    pub fn test() -> Keys {
        let credentials = Credentials::new(TEST_KEY, TEST_KEY, None, None, "test");
        Keys { provider: None, current: Mutex::new(credentials), test: true }
    }

    fn kept_fresh(provider: SharedCredentialsProvider, found: Credentials) -> Keys {
        Keys { provider: Some(provider), current: Mutex::new(found), test: false }
    }

    /// Whether these are the test credentials because no others were found.
    pub fn are_test(&self) -> bool {
        self.test
    }

    /// Credentials that stay valid for a while after `now`.
    ///
    /// # Errors
    /// [`Error::Credentials`]: the old ones have expired and no new ones can be had.
    pub async fn at(&self, now: Timestamp) -> Result<Credentials, Error> {
        let current = self.current.lock().clone();
        let (Some(provider), true) =
            (&self.provider, expires_before(&current, now.plus(EXPIRY_MARGIN)))
        else {
            return Ok(current);
        };
        match provider.provide_credentials().await {
            Ok(fresh) => {
                *self.current.lock() = fresh.clone();
                Ok(fresh)
            }
            Err(error) if !expires_before(&current, now) => {
                tracing::warn!(%error, "credentials could not be renewed, the old ones go on");
                Ok(current)
            }
            Err(e) => Err(Error::Credentials(crate::error::chain(&e))),
        }
    }
}

fn expires_before(credentials: &Credentials, at: Timestamp) -> bool {
    let Some(expiry) = credentials.expiry() else { return false };
    let since = expiry.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since < Duration::from_millis(at.as_millis())
}
