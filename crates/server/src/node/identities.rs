//! A node's identities: opened, given a first administrator, and kept as the declarative file says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millstream_base::AccountId;
use millstream_env::{Env, Task};
use millstream_identity::{
    Declaration, Identities, Issuer, Kind, NewEntity, Options, References, Subject, fresh_key,
};
use millstream_meta::MetaStore;
use millstream_secrets::{Root, Secret};
use tokio::sync::Notify;

use super::StartError;
use crate::config::{AuthMode, Config};
use crate::keys::Keys;
use crate::private_file;
use crate::stores::Stores;

/// The name of the first administrator.
pub const ADMIN: &str = "admin";
/// What it may do: everything in its account.
const ADMIN_POLICY: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// The identities of a node that runs.
pub(super) struct Running {
    pub(super) engine: Identities,
    /// Where the first administrator's key was written, if this start made one.
    pub(super) admin_key_file: Option<PathBuf>,
    again: Arc<Notify>,
    tasks: Vec<Task>,
}

impl Running {
    /// Looks at the declarative file now.
    pub(super) fn reload(&self) {
        self.again.notify_one();
    }

    /// Whether no file declares identities.
    pub(super) fn is_undeclared(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) async fn stop(&self) {
        self.tasks.iter().for_each(Task::abort);
        self.engine.shutdown().await;
    }
}

/// Opens the identities in `meta`. In mode "iam" nobody is let in before the declarative file was
/// applied, and a node without any key makes one for its first administrator.
pub(super) async fn open(
    env: &Env,
    config: &Config,
    meta: Arc<dyn MetaStore>,
    root: Root,
) -> Result<Running, StartError> {
    let failed = |what: &dyn std::fmt::Display| StartError::Identities(what.to_string());
    let issuers = issuer(config);
    let options = Options {
        last_used_interval: config.identity.last_used_interval.0,
        issuers: issuers.clone(),
    };
    let engine =
        Identities::open(env.clone(), meta, root, options).await.map_err(|e| failed(&e))?;
    let mut tasks = Vec::new();
    let again = Arc::new(Notify::new());
    if config.auth.mode == AuthMode::Iam {
        engine.unlock().await.map_err(|e| failed(&e))?;
    }
    let file = &config.identity.file;
    if !file.as_os_str().is_empty() {
        let text = apply(&engine, file, None).await.map_err(|e| failed(&e))?;
        let interval = config.identity.file_interval.0;
        let following =
            follow(env.clone(), engine.clone(), file.clone(), text, interval, again.clone());
        tasks.push(env.spawn("identities-file", following));
    }
    let mut admin_key_file = None;
    if config.auth.mode == AuthMode::Iam && !engine.has_keys() {
        let account = AccountId::new(&config.server.account)?;
        let file = make_admin(&engine, account, ADMIN, &config.identity.admin_key_file).await;
        admin_key_file = Some(file.map_err(|e| failed(&e))?);
    }
    for issuer in issuers {
        let (jwks, interval) =
            (config.identity.oidc.jwks.clone(), config.identity.oidc.jwks_interval.0);
        refresh_keys(&issuer, &jwks).await;
        let refreshing = keep_keys(env.clone(), issuer, jwks, interval);
        tasks.push(env.spawn("oidc-keys", refreshing));
    }
    Ok(Running { engine, admin_key_file, again, tasks })
}

fn issuer(config: &Config) -> Vec<Issuer> {
    let oidc = &config.identity.oidc;
    match oidc.issuer.is_empty() {
        true => Vec::new(),
        false => vec![Issuer::new(&oidc.issuer, oidc.audiences.clone())],
    }
}

/// As [`make_admin`], on the stores of a node that does not run.
pub(super) async fn make_admin_in(
    env: &Env,
    config: &Config,
    stores: &Stores,
    user: &str,
) -> Result<PathBuf, StartError> {
    let keys = Keys::open(env, config, stores.meta.clone()).await?;
    let told = |e: millstream_identity::Error| StartError::Identities(e.to_string());
    let (meta, options) = (stores.meta.clone(), Options::default());
    let engine =
        Identities::open(env.clone(), meta, keys.root.clone(), options).await.map_err(told)?;
    let account = AccountId::new(&config.server.account)?;
    let made = make_admin(&engine, account, user, &config.identity.admin_key_file).await;
    engine.shutdown().await;
    keys.kms.shutdown().await;
    made.map_err(StartError::Identities)
}

/// Gives `account` an administrator with a new key, which is written to a file first: a key whose
/// secret nobody knows would lock everyone out.
///
/// # Errors
/// A sentence.
async fn make_admin(
    engine: &Identities,
    account: AccountId,
    user: &str,
    file: &Path,
) -> Result<PathBuf, String> {
    let told = |e: millstream_identity::Error| e.to_string();
    let (id, secret) = fresh_key();
    let text = Secret::from(format!(
        "# {user} of account {account}, who may do everything in it. For AWS's tools:\n\
         # AWS_SHARED_CREDENTIALS_FILE=THIS-FILE aws iam list-users --endpoint-url ENDPOINT\n\
         [default]\naws_access_key_id = {id}\naws_secret_access_key = {}\n",
        secret.expose_text().unwrap_or_default()
    ));
    let path = private_file::create(file, "admin.credentials", &text).map_err(|e| e.to_string())?;
    let subject = Subject::new(account, Kind::User, user);
    if engine.entity(subject).is_err() {
        engine.create_entity(subject, NewEntity::default()).await.map_err(told)?;
    }
    engine.attach(subject, ADMIN_POLICY).await.map_err(told)?;
    // Who lost a key may have lost two.
    let keys = engine.entity(subject).map_err(told)?.entity.keys.clone();
    if keys.len() >= millstream_base::limits::IAM_ACCESS_KEYS_PER_USER_MAX {
        let oldest = keys.iter().min_by_key(|key| key.created).expect("there are two");
        engine.delete_key(subject, &oldest.id).await.map_err(told)?;
        tracing::warn!(user, access_key_id = oldest.id, "the oldest key was deleted for a new one");
    }
    engine.import_key(subject, &id, secret).await.map_err(told)?;
    tracing::warn!(user, access_key_id = id, file = %path.display(), "made an administrator's key");
    Ok(path)
}

/// Makes true what the file says, unless it says what `known` did; returns its text.
async fn apply(engine: &Identities, file: &Path, known: Option<&str>) -> Result<String, String> {
    let shown = file.display();
    let text = private_file::read(file).map_err(|e| format!("{shown}: {e}"))?;
    let text = text.expose_text().ok_or_else(|| format!("{shown} is not UTF-8"))?.to_owned();
    let declaration = Declaration::parse(&text).map_err(|e| format!("{shown}: {e}"))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut references = References::new();
    for reference in declaration.references() {
        let found = resolve(reference, folder).map_err(|e| format!("{shown}: {reference}: {e}"))?;
        references.insert(reference.to_owned(), found);
    }
    // Referenced files may have changed though the text has not.
    let done = engine.reconcile(&declaration, &references).await;
    let done = done.map_err(|e| format!("{shown}: {e}"))?;
    for done in &done {
        tracing::info!(file = %shown, "identities: {done}");
    }
    if done.is_empty() && known != Some(&*text) {
        tracing::info!(file = %shown, "identities are as declared");
    }
    Ok(text)
}

/// What `env:NAME` or `file:PATH` leads to, without a final line break.
fn resolve(reference: &str, folder: &Path) -> Result<Secret, String> {
    let found = match reference.split_once(':') {
        Some(("env", name)) => {
            let value = std::env::var(name).map_err(|_| "it is not set".to_owned())?;
            Secret::from(value)
        }
        Some((_, path)) => private_file::read(&folder.join(path)).map_err(|e| e.to_string())?,
        None => return Err("no reference".to_owned()),
    };
    let trimmed = found.expose().trim_ascii_end();
    Ok(Secret::new(trimmed))
}

/// Applies the file again and again. A file that can't be read or applied changes nothing.
async fn follow(
    env: Env,
    engine: Identities,
    file: PathBuf,
    mut text: String,
    interval: Duration,
    again: Arc<Notify>,
) {
    let mut failed = String::new();
    loop {
        tokio::select! {
            () = env.sleep(interval) => {}
            () = again.notified() => {}
        }
        match apply(&engine, &file, Some(&text)).await {
            Ok(read) => {
                text = read;
                failed.clear();
            }
            Err(error) if error == failed => {}
            Err(error) => {
                tracing::error!("identities stay as they are: {error}");
                failed = error;
            }
        }
    }
}

async fn keep_keys(env: Env, issuer: Issuer, jwks: String, interval: Duration) {
    loop {
        env.sleep(interval).await;
        refresh_keys(&issuer, &jwks).await;
    }
}

/// Fetches an issuer's keys; those known stay if that fails.
async fn refresh_keys(issuer: &Issuer, jwks: &str) {
    let fetched = match jwks.contains("://") {
        true => fetch(jwks).await,
        false => private_file::read(Path::new(jwks))
            .map_err(|e| e.to_string())
            .and_then(|s| s.expose_text().map(str::to_owned).ok_or("not UTF-8".to_owned())),
    };
    let set = fetched.and_then(|text| issuer.set_keys(&text).map_err(|e| e.to_string()));
    match set {
        Ok(count) => tracing::info!(issuer = &*issuer.url, jwks, count, "keys of the issuer"),
        Err(error) => tracing::error!(issuer = &*issuer.url, jwks, error, "no keys of the issuer"),
    }
}

async fn fetch(url: &str) -> Result<String, String> {
    use millstream_client::{Client, Endpoint};
    let scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url[scheme..].find('/').map_or(url.len(), |at| at + scheme);
    let endpoint = Endpoint::parse(&url[..path]).map_err(|e| e.to_string())?;
    if !url.starts_with("https://") && !endpoint.is_loopback() {
        return Err("keys are fetched over https, or from this machine".to_owned());
    }
    let client = Client::builder().endpoint(endpoint).region("us-east-1").unsigned();
    let client = client.build().await.map_err(|e| e.to_string())?;
    let path = if path == url.len() { "/" } else { &url[path..] };
    let bytes = client.get(path).await.map_err(|e| e.to_string())?;
    String::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8".to_owned())
}
