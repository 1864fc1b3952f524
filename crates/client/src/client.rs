//! One client of one service at one endpoint: finds out where and as whom, signs, sends, repeats.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body_util::Full;
use millstream_base::Timestamp;
use millstream_env::Env;
use millstream_wire::operation::{Call, decode_output};
use millstream_wire::{Codec, Value};

use crate::credentials::{Keys, Lookup};
use crate::retry::{Blame, Budget, RetryPolicy};
use crate::sign::{PayloadHash, Signer};
use crate::transport::{Connector, HttpVersion, Timeouts, Transport, Trust};
use crate::{Credentials, Endpoint, Error, ServiceError};

pub(crate) const USER_AGENT: &str = concat!("millstream/", env!("CARGO_PKG_VERSION"));

/// A client of one service. Cheap to share behind an `Arc`; connections and the retry budget are
/// shared by all its calls.
pub struct Client {
    env: Env,
    endpoint: Endpoint,
    signer: Option<Signer>,
    region: String,
    keys: Keys,
    codec: Codec,
    version: HttpVersion,
    timeouts: Timeouts,
    trust: Trust,
    transport: Transport,
    policy: RetryPolicy,
    budget: Budget,
}

/// What a client is made of; everything has a default.
#[derive(Default)]
pub struct Builder {
    service: Option<&'static str>,
    endpoint: Option<Endpoint>,
    region: Option<String>,
    profile: Option<String>,
    credentials: Option<Credentials>,
    unsigned: bool,
    codec: Option<Codec>,
    version: HttpVersion,
    timeouts: Timeouts,
    trust: Trust,
    policy: RetryPolicy,
    env: Option<Env>,
}

impl Builder {
    /// The service's name in endpoints and credential scopes. Default: `kinesis`.
    pub fn service(mut self, service: &'static str) -> Self {
        self.service = Some(service);
        self
    }

    /// Default: AWS's endpoint in the region.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Default: from environment or profile; see [`Lookup::region`].
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// A profile of the AWS CLI by name.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Default: found as the AWS CLI finds them; see [`Lookup::credentials`].
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sends requests without a signature, for a server that is told not to ask for one.
    pub fn unsigned(mut self) -> Self {
        self.unsigned = true;
        self
    }

    /// The text of the bodies. Default: JSON 1.1.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    pub fn http(mut self, version: HttpVersion) -> Self {
        self.version = version;
        self
    }

    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Whom `https://` endpoints are believed. Default: whom the system trusts.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The clock and the chance of another world. Default: the machine's.
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Looks up what was not given. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::NoRegion`], [`Error::Credentials`], [`Error::Endpoint`] (a region that can't be part
    /// of a name), [`Error::Transport`] (no trusted certificates for `https://`).
    pub async fn build(self) -> Result<Client, Error> {
        let service = self.service.unwrap_or("kinesis");
        let loopback = self.endpoint.as_ref().is_some_and(Endpoint::is_loopback);
        let lookup = Lookup { profile: self.profile, loopback };
        let region = match self.region {
            Some(region) => region,
            None => lookup.region().await?,
        };
        let keys = match (self.credentials, self.unsigned) {
            (Some(credentials), _) => Keys::fixed(credentials),
            (None, true) => Keys::test(),
            (None, false) => lookup.credentials(&region).await?,
        };
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint,
            None => Endpoint::aws(service, &region)?,
        };
        let signer = (!self.unsigned)
            .then(|| Signer { region: region.clone(), service: service.to_owned() });
        Ok(Client {
            env: self.env.unwrap_or_else(|| Env::real(".")),
            transport: Transport::new(&endpoint, self.version, self.timeouts, &self.trust)?,
            trust: self.trust,
            signer,
            region,
            endpoint,
            keys,
            codec: self.codec.unwrap_or(Codec::Json),
            version: self.version,
            timeouts: self.timeouts,
            policy: self.policy,
            budget: Budget::new(),
        })
    }
}

impl Client {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether no credentials were found and the test credentials stand in for them, which happens
    /// for an endpoint on this machine only. A program should say so.
    pub fn uses_test_credentials(&self) -> bool {
        self.signer.is_some() && self.keys.are_test()
    }

    /// Opens streams to this client's endpoint, for a caller that keeps connections by itself.
    ///
    /// # Errors
    /// [`Error::Transport`]: the trusted certificates can't be read.
    pub fn connector(&self) -> Result<Connector, Error> {
        Connector::new(&self.endpoint, self.version, self.timeouts, &self.trust)
    }

    /// Completes `request` (whose URI is a path) for this endpoint and signs it, now. A caller that
    /// keeps connections by itself sends it as it is and may send it again for some minutes.
    ///
    /// # Errors
    /// [`Error::Credentials`]: they have expired and can't be renewed. [`Error::Signing`].
    pub async fn prepare<B>(
        &self,
        mut request: http::Request<B>,
        payload: &PayloadHash,
    ) -> Result<http::Request<B>, Error> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() =
            self.endpoint.uri(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        if let Some(signer) = &self.signer {
            let now = self.env.now();
            let credentials = self.keys.at(now).await?;
            signer.sign(&mut request, payload, &credentials, now)?;
        }
        Ok(request)
    }

    /// Calls an operation that travels in a body: `client.send::<ops::ListStreams>(&input)`.
    ///
    /// Repeats as the policy says. An attempt whose answer got lost is repeated as well: the service
    /// may have done it twice.
    ///
    /// # Errors
    /// [`Error::Service`] with the service's code, or what kept the call from being answered.
    pub async fn send<C: Call>(&self, input: &C::Input) -> Result<C::Output, Error>
    where
        C::Output: Value + Default,
    {
        let answer = self.exchange(&self.encode::<C>(input)).await?;
        decode_output(self.codec, answer.body())
            .map_err(|e| Error::Decode(format!("{}: {e}", C::OPERATION.name)))
    }

    /// As [`Client::send`], for operations that answer nothing but success.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn tell<C: Call<Output = ()>>(&self, input: &C::Input) -> Result<(), Error> {
        self.exchange(&self.encode::<C>(input)).await.map(drop)
    }

    /// A page of the server by its path and query, which AWS does not have: `/hot?stream=orders`.
    /// Signed and repeated as calls are.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&self, path: &str) -> Result<Bytes, Error> {
        let request = http::Request::get(path)
            .header("user-agent", USER_AGENT)
            .body(Bytes::new())
            .map_err(|e| Error::Invalid(format!("{path}: {e}")))?;
        Ok(self.exchange(&request).await?.into_body())
    }

    /// The request of a call, not yet complete and not signed: see [`Client::prepare`].
    pub fn encode<C: Call>(&self, input: &C::Input) -> http::Request<Bytes> {
        http::Request::post("/")
            .header("content-type", self.codec.content_type())
            .header("x-amz-target", C::OPERATION.target())
            .header("user-agent", USER_AGENT)
            .body(self.codec.encode(input))
            .expect("names of operations and codecs are header values")
    }

    /// Sends `request` (whose URI is a path) until it succeeds, is refused, or the policy's attempts
    /// are over.
    pub(crate) async fn exchange(
        &self,
        request: &http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Error> {
        let payload = PayloadHash::of(request.body());
        let mut paid = None;
        let mut attempt = 1;
        loop {
            let error = match self.attempt(request, &payload).await {
                Ok(answer) => {
                    self.budget.give_back(paid);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error.blame() == Blame::Call || attempt >= self.policy.attempts_max {
                return Err(error);
            }
            paid = self.budget.take(matches!(error, Error::Timeout { .. }));
            if paid.is_none() {
                return Err(error);
            }
            let pause = self.policy.pause_after(attempt, self.env.random_u64());
            tracing::debug!(%error, attempt, ?pause, "trying again");
            self.env.sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        request: &http::Request<Bytes>,
        payload: &PayloadHash,
    ) -> Result<http::Response<Bytes>, Error> {
        let request = self.prepare(request.clone().map(Full::new), payload).await?;
        let answer = self.transport.send(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let error_type = header("x-amzn-errortype");
        let request_id = header("x-amzn-requestid");
        let status = answer.status().as_u16();
        let error = ServiceError::read(self.codec, status, error_type.as_deref(), answer.body());
        Err(ServiceError { request_id, ..error }.into())
    }

    /// The time by this client's clock.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }
}
