//! The engine's stories, against rows in memory and a clock that is moved by hand.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_base::{AccountId, Region, Scope, Timestamp};
use millstream_env::{Clock, Env};
use millstream_kms::{AliasName, Error, Key, KeyArn, Kms, Manager, NewKey, Options, Origin, State};
use millstream_meta::{Key as RowKey, MemoryMeta, MetaStore};
use millstream_secrets::{EncryptionContext, KeyError, KeyRing, Root, RootKey};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

struct World {
    clock: Arc<HandClock>,
    env: Env,
    meta: Arc<dyn MetaStore>,
    kms: Kms,
}

struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn root() -> Root {
    Root::fixed(RootKey::from_bytes([42; 32]))
}

impl World {
    async fn new() -> World {
        let clock = Arc::new(HandClock(AtomicU64::new(START.as_millis())));
        let env = Env { clock: clock.clone(), ..Env::real(".") };
        let meta: Arc<dyn MetaStore> = Arc::new(MemoryMeta::new(env.clone()));
        let kms = Kms::open(env.clone(), meta.clone(), root(), Options::default()).await.unwrap();
        World { clock, env, meta, kms }
    }

    /// Another process over the same rows.
    async fn another(&self) -> Kms {
        let (env, meta) = (self.env.clone(), self.meta.clone());
        let options = Options { upkeep_interval: Duration::from_millis(5) };
        Kms::open(env, meta, root(), options).await.unwrap()
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    async fn key(&self) -> Arc<Key> {
        self.kms.create_key(&scope(), NewKey::default()).await.unwrap()
    }

    async fn encrypt(&self, key: &Key, plain: &str) -> Vec<u8> {
        let key = self.kms.find_usable(&scope(), &key.arn.to_string()).await.unwrap();
        self.kms.encrypt(&key, &context("1"), plain.as_bytes()).await.unwrap().ciphertext
    }

    async fn decrypt(&self, ciphertext: &[u8]) -> Result<String, Error> {
        let opened = self.kms.decrypt(&scope(), None, &context("1"), ciphertext).await?;
        Ok(opened.plaintext.expose_text().unwrap().to_owned())
    }

    async fn state(&self, key: &Key) -> State {
        self.kms.find(&scope(), &key.arn.to_string()).await.unwrap().state()
    }
}

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("eu-west-1").unwrap())
}

fn elsewhere() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

fn context(value: &str) -> EncryptionContext {
    [("tenant".to_owned(), value.to_owned())].into()
}

fn alias(name: &str) -> AliasName {
    AliasName::new(scope(), name).unwrap()
}

#[tokio::test]
async fn a_ciphertext_opens_in_its_context_and_region_only() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    let ciphertext = world.encrypt(&key, "hello").await;
    assert!(!ciphertext.windows(5).any(|w| w == b"hello"));
    assert_eq!(world.decrypt(&ciphertext).await.unwrap(), "hello");

    let kms = &world.kms;
    let opened = |scope, expected, context| {
        let ciphertext = ciphertext.clone();
        async move { kms.decrypt(&scope, expected, &context, &ciphertext).await.map(drop) }
    };
    assert_eq!(opened(scope(), Some(&key.arn), context("1")).await, Ok(()));
    assert_eq!(opened(scope(), None, context("2")).await, Err(Error::InvalidCiphertext));
    let empty = EncryptionContext::new();
    assert_eq!(opened(scope(), None, empty).await, Err(Error::InvalidCiphertext));
    assert_eq!(opened(elsewhere(), None, context("1")).await, Err(Error::InvalidCiphertext));
    let wrong = opened(scope(), Some(&other.arn), context("1")).await;
    assert_eq!(wrong, Err(Error::IncorrectKey { arn: other.arn.to_string() }));
    for at in 0..ciphertext.len() {
        let mut bent = ciphertext.clone();
        bent[at] ^= 1;
        assert!(world.decrypt(&bent).await.is_err(), "byte {at}");
    }
}

#[tokio::test]
async fn a_disabled_key_works_for_nobody_until_it_is_enabled() {
    let world = World::new().await;
    let key = world.key().await;
    let ciphertext = world.encrypt(&key, "hello").await;
    world.kms.disable_key(&key.arn).await.unwrap();
    let arn = key.arn.to_string();
    let disabled = Error::Disabled { arn: arn.clone() };
    assert_eq!(world.decrypt(&ciphertext).await, Err(disabled.clone()));
    assert_eq!(world.kms.find_usable(&scope(), &arn).await, Err(disabled));
    let reference = millstream_secrets::KeyRef::new(arn.as_str());
    assert_eq!(world.kms.usable(&reference), Err(KeyError::Disabled { key: arn }));
    world.kms.enable_key(&key.arn).await.unwrap();
    assert_eq!(world.kms.usable(&reference), Ok(()));
    assert_eq!(world.decrypt(&ciphertext).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_key_goes_at_its_time_with_its_aliases_and_not_before() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms.create_alias(&alias("alias/mine"), &key).await.unwrap();
    let ciphertext = world.encrypt(&key, "hello").await;
    let arn = key.arn.to_string();

    let at = world.kms.schedule_deletion(&key.arn, 7).await.unwrap();
    assert_eq!(at, START.plus(7 * DAY));
    let pending = Error::PendingDeletion { arn: arn.clone() };
    assert_eq!(world.decrypt(&ciphertext).await, Err(pending.clone()));
    assert_eq!(world.kms.enable_key(&key.arn).await, Err(pending.clone()));
    assert_eq!(world.kms.schedule_deletion(&key.arn, 7).await, Err(pending));

    world.kms.cancel_deletion(&key.arn).await.unwrap();
    assert_eq!(world.state(&key).await, State::Disabled);
    let not_pending = Error::NotPendingDeletion { arn: arn.clone() };
    assert_eq!(world.kms.cancel_deletion(&key.arn).await, Err(not_pending));
    world.kms.enable_key(&key.arn).await.unwrap();
    assert_eq!(world.decrypt(&ciphertext).await.unwrap(), "hello");

    world.kms.schedule_deletion(&key.arn, 7).await.unwrap();
    world.pass(7 * DAY - Duration::from_millis(1));
    assert!(matches!(world.state(&key).await, State::PendingDeletion { .. }));
    world.pass(Duration::from_millis(1));
    let gone = Error::NotFound { arn: arn.clone() };
    assert_eq!(world.decrypt(&ciphertext).await, Err(gone.clone()));
    assert_eq!(world.kms.cancel_deletion(&key.arn).await, Err(gone), "too late");
    assert_eq!(world.kms.list_keys(&scope(), None, 10), vec![]);
    assert_eq!(world.kms.list_aliases(&scope(), None, None, 10), vec![]);

    // Another process's upkeep removes the rows, and this one hears of it.
    let another = world.another().await;
    let rows = async || world.meta.scan("kms/", None, 10).await.unwrap();
    while !rows().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    another.shutdown().await;
    assert!(world.kms.find(&scope(), "alias/mine").await.is_err());
}

#[tokio::test]
async fn rotation_gives_new_material_and_keeps_the_old() {
    let world = World::new().await;
    let key = world.key().await;
    let old = world.encrypt(&key, "old").await;
    let rotated = world.kms.rotate_on_demand(&key.arn).await.unwrap();
    assert_eq!(rotated.materials().len(), 2);
    assert_eq!(rotated.current().origin, Origin::OnDemand);
    assert_ne!(rotated.current().id, key.current().id);
    let new = world.encrypt(&key, "new").await;
    assert_eq!(world.decrypt(&old).await.unwrap(), "old");
    assert_eq!(world.decrypt(&new).await.unwrap(), "new");

    world.kms.enable_rotation(&key.arn, Some(90)).await.unwrap();
    let another = world.another().await;
    world.pass(90 * DAY);
    let materials = async || world.kms.find(&scope(), &key.arn.to_string()).await.unwrap();
    while materials().await.materials().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    another.shutdown().await;
    let key = materials().await;
    assert_eq!(key.current().origin, Origin::Automatic);
    assert_eq!(key.rotation().unwrap().next(), START.plus(180 * DAY));
    assert_eq!(world.decrypt(&old).await.unwrap(), "old");
}

#[tokio::test]
async fn rotations_on_demand_are_counted() {
    let world = World::new().await;
    let key = world.key().await;
    for _ in 0..25 {
        world.kms.rotate_on_demand(&key.arn).await.unwrap();
    }
    let refused = world.kms.rotate_on_demand(&key.arn).await;
    assert!(matches!(refused, Err(Error::TooManyRotations { max: 25, .. })), "{refused:?}");
}

#[tokio::test]
async fn aliases_name_one_key_at_a_time() {
    let world = World::new().await;
    let (first, second) = (world.key().await, world.key().await);
    let mine = alias("alias/mine");
    let kms = &world.kms;
    kms.create_alias(&mine, &first).await.unwrap();
    let exists = Error::AliasExists { arn: mine.arn() };
    assert_eq!(kms.create_alias(&mine, &second).await, Err(exists));
    assert_eq!(kms.find(&scope(), "alias/mine").await.unwrap().arn, first.arn);
    kms.update_alias(&mine, &second).await.unwrap();
    assert_eq!(kms.find(&scope(), &mine.arn()).await.unwrap().arn, second.arn);
    assert_eq!(kms.list_aliases(&scope(), Some(first.arn.id), None, 10), vec![]);
    assert_eq!(kms.list_aliases(&scope(), Some(second.arn.id), None, 10).len(), 1);
    kms.delete_alias(&mine).await.unwrap();
    let missing = Error::AliasNotFound { arn: mine.arn() };
    assert_eq!(kms.delete_alias(&mine).await, Err(missing.clone()));
    assert_eq!(kms.update_alias(&mine, &first).await, Err(missing.clone()));
    assert_eq!(kms.find(&scope(), "alias/mine").await, Err(missing));
    assert!(kms.find(&elsewhere(), &first.arn.to_string()).await.is_err(), "another region");
    assert!(kms.find(&elsewhere(), &first.arn.id.to_string()).await.is_err());
}

#[tokio::test]
async fn the_services_key_is_made_once_by_all_who_ask_first() {
    let world = World::new().await;
    let another = world.another().await;
    let scope = scope();
    let (one, other) = tokio::join!(
        world.kms.resolve(&scope, "alias/aws/kinesis"),
        another.resolve(&scope, "arn:aws:kms:eu-west-1:000000000000:alias/aws/kinesis"),
    );
    assert_eq!(one.clone().unwrap(), other.unwrap());
    let key = world.kms.find(&scope, "alias/aws/kinesis").await.unwrap();
    assert_eq!((key.arn.to_string(), key.manager()), (one.unwrap().to_string(), Manager::Service));
    assert_eq!(world.kms.list_keys(&scope, None, 10).len(), 1);
    let managed = Err(Error::Managed { arn: key.arn.to_string() });
    assert_eq!(world.kms.disable_key(&key.arn).await, managed);
    let other = world.kms.resolve(&scope, "alias/aws/s3").await;
    assert_eq!(other, Err(KeyError::NotFound { key: "alias/aws/s3".to_owned() }));
    let stranger = "arn:aws:kms:eu-west-1:000000000009:alias/aws/kinesis";
    assert!(world.kms.resolve(&scope, stranger).await.is_err(), "another account's is not made");
}

/// A crash between the alias and its key leaves a name without a key; the next one makes it.
#[tokio::test]
async fn a_services_key_that_was_half_made_is_made_whole() {
    let world = World::new().await;
    let scope = scope();
    let made = world.kms.resolve(&scope, "alias/aws/kinesis").await.unwrap();
    let arn = KeyArn::parse(made.as_str()).unwrap();
    let row = RowKey::new(format!("kms/key/{}/{}", arn.scope, arn.id));
    world.meta.delete(row, millstream_meta::Expect::Anything).await.unwrap();
    let another = world.another().await;
    assert_eq!(another.resolve(&scope, "alias/aws/kinesis").await, Ok(made));
}

#[tokio::test]
async fn the_ring_wraps_and_unwraps_over_rotations_and_restarts() {
    let world = World::new().await;
    let ring: &dyn KeyRing = &world.kms;
    let scope = scope();
    let key = ring.resolve(&scope, "alias/aws/kinesis").await.unwrap();
    let made = ring.generate_data_key(&key, &context("orders")).await.unwrap();
    assert_eq!(made.plaintext.len(), 32);
    let another = world.another().await;
    let ring: &dyn KeyRing = &another;
    let opened = ring.unwrap_data_key(&key, &made.wrapped, &context("orders")).await;
    assert_eq!(opened, Ok(made.plaintext));
    let wrong = ring.unwrap_data_key(&key, &made.wrapped, &context("other")).await;
    assert!(matches!(wrong, Err(KeyError::InvalidCiphertext { .. })), "{wrong:?}");
}

/// Everything secret stands sealed in the rows, and not without the root key.
#[tokio::test]
async fn rows_open_with_the_right_root_key_only() {
    let world = World::new().await;
    let key = world.key().await;
    let ciphertext = world.encrypt(&key, "hello").await;
    let stranger = Root::fixed(RootKey::random());
    let (env, meta) = (world.env.clone(), world.meta.clone());
    let kms = Kms::open(env, meta, stranger, Options::default()).await.unwrap();
    let opened = kms.decrypt(&scope(), None, &context("1"), &ciphertext).await;
    assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
    // A material moved to another key's row opens neither.
    assert_eq!(world.decrypt(&ciphertext).await.unwrap(), "hello");
}

#[tokio::test]
async fn descriptions_policies_and_tags_are_kept() {
    let world = World::new().await;
    let tags = [("team".to_owned(), "a".to_owned())].into();
    let new = NewKey { description: "d".into(), policy: Some("{}".into()), tags };
    let key = world.kms.create_key(&scope(), new).await.unwrap();
    let kms = &world.kms;
    kms.update_description(&key.arn, "e").await.unwrap();
    kms.put_policy(&key.arn, "{ }").await.unwrap();
    kms.tag(&key.arn, &[("cost".to_owned(), "b".to_owned())].into()).await.unwrap();
    kms.untag(&key.arn, &["team".to_owned()]).await.unwrap();
    let reserved = kms.tag(&key.arn, &[("aws:x".to_owned(), "b".to_owned())].into()).await;
    assert!(matches!(reserved, Err(Error::Tag(_))), "{reserved:?}");
    let key = world.another().await.find(&scope(), &key.arn.to_string()).await.unwrap();
    assert_eq!((key.description(), key.policy()), ("e", Some("{ }")));
    assert_eq!(key.tags().iter().next(), Some((&"cost".to_owned(), &"b".to_owned())));
}
