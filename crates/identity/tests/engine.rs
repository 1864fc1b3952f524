//! The engine's contract: who is found, what changes at once, what a declaration does, what no
//! secret escapes from.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_base::{AccountId, Tags, Timestamp};
use millstream_env::Env;
use millstream_identity::model::RoleFacts;
use millstream_identity::{
    AssumeRole, Authenticated, Declaration, Deed, Error, Identities, Kind, NewEntity, NewPolicy,
    Options, References, Stranger, StsError, Subject, What,
};
use millstream_meta::{Key, MemoryMeta, MetaStore};
use millstream_policy::{Action, Ask, Context, Resource, ResourcePolicy, decide};
use millstream_secrets::{Root, RootKey, Secret};

const ACCOUNT: AccountId = AccountId::DEFAULT;

fn allow(action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
    )
}

fn trust(principal: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}]}}"#
    )
}

fn user(name: &str) -> Subject<'_> {
    Subject::new(ACCOUNT, Kind::User, name)
}

fn role(name: &str) -> Subject<'_> {
    Subject::new(ACCOUNT, Kind::Role, name)
}

async fn open(meta: &Arc<MemoryMeta>) -> Identities {
    let root = Root::fixed(RootKey::from_bytes([9; 32]));
    let meta: Arc<dyn MetaStore> = meta.clone();
    let opened = Identities::open(Env::real("."), meta, root, Options::default()).await.unwrap();
    opened.unlock().await.unwrap();
    opened
}

async fn fresh() -> (Arc<MemoryMeta>, Identities) {
    let meta = Arc::new(MemoryMeta::new(Env::real(".")));
    let identities = open(&meta).await;
    (meta, identities)
}

fn may(who: &Authenticated, action: &str) -> bool {
    let action = Action::new(action).unwrap();
    let context = Context::new();
    decide(&Ask {
        principal: &who.principal,
        rights: &who.rights,
        action: &action,
        resource: Resource { arn: "*", owner: Some(ACCOUNT) },
        resource_policy: ResourcePolicy::None,
        endpoint_policy: None,
        context: &context,
    })
    .is_allow()
}

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A user with a key.
async fn with_key(identities: &Identities, name: &str) -> (String, Arc<Secret>) {
    identities.create_entity(user(name), NewEntity::default()).await.unwrap();
    let made = identities.create_key(user(name)).await.unwrap();
    (made.key.id, made.secret)
}

async fn make_role(identities: &Identities, name: &str, trust: String) -> String {
    let facts = RoleFacts { trust, description: None, session_secs_max: 7200 };
    let new = NewEntity { role: Some(facts), ..NewEntity::default() };
    identities.create_entity(role(name), new).await.unwrap().arn()
}

#[tokio::test]
async fn a_key_finds_its_owner_until_it_does_not() {
    let (meta, identities) = fresh().await;
    let (key, secret) = with_key(&identities, "ada").await;
    let found = identities.find(&key, None, NOW).unwrap();
    assert_eq!(found.secret, secret);
    assert_eq!(&*found.who.principal.arn, "arn:aws:iam::000000000000:user/ada");
    assert_eq!(identities.find("AKIAOTHER", None, NOW).unwrap_err(), Stranger::Unknown);
    assert_eq!(identities.find(&key, Some("token"), NOW).unwrap_err(), Stranger::Unknown);

    // Another process on the same rows sees the same.
    let other = open(&meta).await;
    assert_eq!(other.find(&key, None, NOW).unwrap().secret, secret);

    identities.set_key_active(user("ada"), &key, false).await.unwrap();
    assert!(identities.find(&key, None, NOW).is_err());
    identities.set_key_active(user("ada"), &key, true).await.unwrap();
    assert!(identities.find(&key, None, NOW).is_ok());
    identities.rename_entity(user("ada"), Some("/x/"), Some("eve")).await.unwrap();
    let who = identities.find(&key, None, NOW).unwrap().who;
    assert_eq!(&*who.principal.arn, "arn:aws:iam::000000000000:user/x/eve");
    identities.delete_key(user("eve"), &key).await.unwrap();
    assert!(identities.find(&key, None, NOW).is_err());
}

#[tokio::test]
async fn rights_follow_every_change_at_once() {
    let (_, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    let may = |action: &str| may(&identities.find(&key, None, NOW).unwrap().who, action);
    assert!(!may("kinesis:PutRecord"));
    identities.put_inline(user("ada"), "put", &allow("kinesis:PutRecord")).await.unwrap();
    assert!(may("kinesis:PutRecord"));

    let group = Subject::new(ACCOUNT, Kind::Group, "staff");
    identities.create_entity(group, NewEntity::default()).await.unwrap();
    let new = NewPolicy {
        name: "read".into(),
        document: allow("kinesis:GetRecords"),
        ..NewPolicy::default()
    };
    let policy = identities.create_policy(ACCOUNT, new).await.unwrap().arn.clone();
    identities.attach(group, &policy).await.unwrap();
    assert!(!may("kinesis:GetRecords"));
    identities.add_to_group(ACCOUNT, "staff", "ada").await.unwrap();
    assert!(may("kinesis:GetRecords"), "through the group");
    let other = allow("kinesis:ListShards");
    identities.create_version(ACCOUNT, &policy, &other, true).await.unwrap();
    assert!(!may("kinesis:GetRecords") && may("kinesis:ListShards"), "through the version");
    identities.set_boundary(user("ada"), Some(&policy)).await.unwrap();
    assert!(!may("kinesis:PutRecord") && may("kinesis:ListShards"), "within the boundary");
    identities.set_boundary(user("ada"), None).await.unwrap();
    identities.remove_from_group(ACCOUNT, "staff", "ada").await.unwrap();
    assert!(may("kinesis:PutRecord") && !may("kinesis:ListShards"));
}

/// A membership or attachment means the id, never the name: what is made anew gets nobody back.
#[tokio::test]
async fn what_is_made_anew_has_no_old_members() {
    let (meta, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    let group = Subject::new(ACCOUNT, Kind::Group, "staff");
    identities.create_entity(group, NewEntity::default()).await.unwrap();
    identities.add_to_group(ACCOUNT, "staff", "ada").await.unwrap();
    // Deleted behind the engine's back, as by a node that did not see the member yet.
    let row = Key::new("identity/000000000000/group/staff");
    meta.delete(row, millstream_meta::Expect::Anything).await.unwrap();
    while identities.entity(group).is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    identities.create_entity(group, NewEntity::default()).await.unwrap();
    identities.put_inline(group, "all", &allow("*")).await.unwrap();
    assert!(!may(&identities.find(&key, None, NOW).unwrap().who, "kinesis:PutRecord"));
    assert!(identities.groups_of(ACCOUNT, "ada").unwrap().is_empty());
}

/// Whose policy can't be read any more may do nothing: what it denied is unknown.
#[tokio::test]
async fn an_unreadable_policy_takes_all_rights() {
    let (meta, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    identities.put_inline(user("ada"), "all", &allow("*")).await.unwrap();
    identities.put_inline(user("ada"), "more", &allow("kinesis:*")).await.unwrap();
    let row = Key::new("identity/000000000000/user/ada");
    let held = meta.get(&row).await.unwrap().unwrap();
    let text = String::from_utf8(held.value.to_vec()).unwrap();
    let bent = text.replace("kinesis:*", "kinesis").into_bytes().into();
    meta.put(row.clone(), bent, millstream_meta::Expect::Anything).await.unwrap();
    let mut denied = false;
    for _ in 0..1000 {
        denied = !may(&identities.find(&key, None, NOW).unwrap().who, "iam:ListUsers");
        if denied {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(denied);
}

#[tokio::test]
async fn deletion_is_refused_while_something_is_left() {
    let (_, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    let left = async || match identities.delete_entity(user("ada")).await {
        Err(Error::InUse { obstacle, .. }) => Some(obstacle),
        Ok(()) => None,
        Err(other) => panic!("{other}"),
    };
    use millstream_identity::Obstacle::*;
    assert_eq!(left().await, Some(AccessKeys));
    identities.delete_key(user("ada"), &key).await.unwrap();
    identities.put_inline(user("ada"), "p", &allow("*")).await.unwrap();
    assert_eq!(left().await, Some(InlinePolicies));
    identities.delete_inline(user("ada"), "p").await.unwrap();
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    identities.attach(user("ada"), admin).await.unwrap();
    assert_eq!(left().await, Some(AttachedPolicies));
    identities.detach(user("ada"), admin).await.unwrap();
    assert_eq!(left().await, None);
    let missing = identities.delete_entity(user("ada")).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { what: What::User, .. }));
}

/// Twenty at once each add a tag: none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_all_count() {
    let (_, identities) = fresh().await;
    with_key(&identities, "ada").await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let identities = identities.clone();
            tokio::spawn(async move {
                let tags = Tags::from([(format!("k{n}"), String::new())]);
                identities.tag_entity(user("ada"), &tags).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(identities.entity(user("ada")).unwrap().entity.tags.len(), 20);
}

#[tokio::test]
async fn sessions_have_the_rights_of_their_role_as_it_is_now() {
    let (meta, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    let ada = identities.find(&key, None, NOW).unwrap().who;
    let arn = make_role(&identities, "reader", trust(&ada.principal.arn)).await;
    identities.put_inline(role("reader"), "read", &allow("kinesis:*")).await.unwrap();
    let asked = |policy: Option<&str>| AssumeRole {
        role_arn: arn.clone(),
        session_name: "night".into(),
        policy: policy.map(str::to_owned),
        tags: Tags::from([("job".to_owned(), "7".to_owned())]),
        source_identity: Some("ada".into()),
        ..AssumeRole::default()
    };
    let context = Context::new();
    let assume = |policy| identities.assume_role(&ada, asked(policy), &context, NOW);
    let made = assume(None).unwrap();
    let narrow = allow("kinesis:ListShards");
    let narrowed = assume(Some(&narrow)).unwrap();
    let find = |identities: &Identities, c: &millstream_identity::Credentials, now| {
        identities.find(&c.access_key_id, c.session_token.expose_text(), now)
    };
    let found = find(&identities, &made.credentials, NOW).unwrap();
    assert_eq!(&*found.who.principal.arn, "arn:aws:sts::000000000000:assumed-role/reader/night");
    assert_eq!(found.who.principal.tags["job"], "7");
    assert!(may(&found.who, "kinesis:PutRecord"));
    let found = find(&identities, &narrowed.credentials, NOW).unwrap();
    assert!(!may(&found.who, "kinesis:PutRecord") && may(&found.who, "kinesis:ListShards"));

    // Any node can tell, from the token alone.
    let other = open(&meta).await;
    assert!(may(&find(&other, &made.credentials, NOW).unwrap().who, "kinesis:PutRecord"));

    let late = NOW.plus(Duration::from_secs(3600));
    assert_eq!(find(&identities, &made.credentials, late).unwrap_err(), Stranger::Expired);
    assert_eq!(find(&other, &narrowed.credentials, late).unwrap_err(), Stranger::Expired);

    identities.delete_inline(role("reader"), "read").await.unwrap();
    assert!(!may(&find(&identities, &made.credentials, NOW).unwrap().who, "kinesis:PutRecord"));
    identities.delete_entity(role("reader")).await.unwrap();
    assert_eq!(find(&identities, &made.credentials, NOW).unwrap_err(), Stranger::Unknown);
    make_role(&identities, "reader", trust("*")).await;
    assert_eq!(find(&identities, &made.credentials, NOW).unwrap_err(), Stranger::Unknown);
}

#[tokio::test]
async fn roles_are_given_to_whom_they_trust() {
    let (_, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    let ada = identities.find(&key, None, NOW).unwrap().who;
    let context = Context::new();
    let assume = |arn: &str, secs: Option<u32>| {
        let asked = AssumeRole {
            role_arn: arn.to_owned(),
            session_name: "s1".into(),
            duration_secs: secs,
            ..AssumeRole::default()
        };
        identities.assume_role(&ada, asked, &context, NOW)
    };
    let other = make_role(&identities, "other", trust("arn:aws:iam::000000000000:user/eve")).await;
    assert!(matches!(assume(&other, None), Err(StsError::Denied(_))));
    // The account as a whole trusts whom its own policies allow.
    let whole = make_role(&identities, "whole", trust("000000000000")).await;
    assert!(matches!(assume(&whole, None), Err(StsError::Denied(_))));
    identities.put_inline(user("ada"), "assume", &allow("sts:AssumeRole")).await.unwrap();
    let ada = identities.find(&key, None, NOW).unwrap().who;
    let asked = |secs| AssumeRole {
        role_arn: whole.clone(),
        session_name: "s1".into(),
        duration_secs: secs,
        ..AssumeRole::default()
    };
    let made = identities.assume_role(&ada, asked(None), &context, NOW).unwrap();
    assert_eq!(made.credentials.expires, NOW.plus(Duration::from_secs(3600)));
    let long = identities.assume_role(&ada, asked(Some(9000)), &context, NOW);
    assert!(matches!(long, Err(StsError::Invalid(_))), "the role allows 7200 seconds");
    assert!(matches!(
        assume("arn:aws:iam::000000000000:role/none", None),
        Err(StsError::Denied(_))
    ));
}

const DECLARED: &str = r#"
    [[account]]
    id = "000000000000"
    [[account.policy]]
    name = "read"
    document = '{"Statement":{"Effect":"Allow","Action":"kinesis:Get*","Resource":"*"}}'
    [[account.group]]
    name = "staff"
    policies = ["read"]
    [[account.user]]
    name = "ada"
    groups = ["staff"]
    key = [{ id = "AKIADECLARED00000001", secret = "env:ADA" }]
    [[account.role]]
    name = "robot"
    trust = '{"Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"sts:AssumeRole"}}'
    policies = ["AmazonKinesisFullAccess"]
"#;

#[tokio::test]
async fn a_declaration_is_made_true_and_taken_back() {
    let (_, identities) = fresh().await;
    with_key(&identities, "by-hand").await;
    let references = References::from([("env:ADA".to_owned(), Secret::from("s".repeat(40)))]);
    let apply = async |text: &str| {
        let declaration = Declaration::parse(text).unwrap();
        identities.reconcile(&declaration, &references).await
    };
    let done = apply(DECLARED).await.unwrap();
    assert_eq!(done.iter().filter(|d| d.deed == Deed::Made).count(), 4, "{done:?}");
    let found = identities.find("AKIADECLARED00000001", None, NOW).unwrap();
    assert_eq!(found.secret.expose(), "s".repeat(40).as_bytes());
    assert!(may(&found.who, "kinesis:GetRecords") && !may(&found.who, "kinesis:PutRecord"));

    assert_eq!(apply(DECLARED).await.unwrap(), [], "again changes nothing");

    let done = apply(&DECLARED.replace("kinesis:Get*", "kinesis:Put*")).await.unwrap();
    assert_eq!(done.len(), 1, "{done:?}");
    let found = identities.find("AKIADECLARED00000001", None, NOW).unwrap();
    assert!(may(&found.who, "kinesis:PutRecord"));

    // What was changed by hand is put right.
    identities.put_inline(user("ada"), "all", &allow("*")).await.unwrap();
    let done = apply(DECLARED).await.unwrap();
    assert!(done.iter().any(|d| d.what == What::User && d.deed == Deed::Changed), "{done:?}");
    assert!(identities.inline(user("ada"), "all").is_err());

    let done = apply("").await.unwrap();
    assert_eq!(done.iter().filter(|d| d.deed == Deed::Removed).count(), 4, "{done:?}");
    assert!(identities.find("AKIADECLARED00000001", None, NOW).is_err());
    assert!(identities.entity(user("by-hand")).is_ok(), "what it did not make it never removes");
}

#[tokio::test]
async fn last_uses_outlive_a_restart() {
    let (meta, identities) = fresh().await;
    let (key, _) = with_key(&identities, "ada").await;
    assert_eq!(identities.key_last_used(ACCOUNT, &key).await.unwrap().1, None);
    identities.find(&key, None, NOW).unwrap().note_use(NOW, "kinesis", "eu-west-1");
    identities.shutdown().await;
    let again = open(&meta).await;
    let last = again.key_last_used(ACCOUNT, &key).await.unwrap().1.unwrap();
    assert_eq!((last.secs, &*last.service, &*last.region), (NOW.as_secs(), "kinesis", "eu-west-1"));
}

#[tokio::test]
async fn no_secret_is_in_rows_or_debug() {
    let (meta, identities) = fresh().await;
    let (key, secret) = with_key(&identities, "ada").await;
    let secret = secret.expose_text().unwrap();
    for row in meta.scan("identity", None, 100).await.unwrap() {
        let text = String::from_utf8_lossy(&row.value).into_owned();
        assert!(!text.contains(secret), "{}", row.key);
    }
    let found = identities.find(&key, None, NOW).unwrap();
    let held = identities.entity(user("ada")).unwrap();
    for shown in [format!("{found:?}"), format!("{held:?}"), format!("{:?}", held.entity)] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Not a bound, a figure: run with `--nocapture` in a release build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_identities_load_and_are_found() {
    const COUNT: usize = 10_000;
    let (meta, identities) = fresh().await;
    let sealed = {
        let (key, _) = with_key(&identities, "template").await;
        identities.put_inline(user("template"), "p", &allow("kinesis:*")).await.unwrap();
        let row =
            meta.get(&Key::new("identity/000000000000/user/template")).await.unwrap().unwrap();
        (key, String::from_utf8(row.value.to_vec()).unwrap())
    };
    for n in 0..COUNT {
        let text = sealed.1.replace(&sealed.0, &format!("AKIAX{n:015}"));
        let text = text.replace("template", &format!("user-{n}"));
        let account = AccountId::new(&format!("{:012}", n % 3)).unwrap();
        let row = Key::new(format!("identity/{account}/user/user-{n}"));
        meta.put(row, text.into_bytes().into(), millstream_meta::Expect::Anything).await.unwrap();
    }
    let started = Instant::now();
    let loaded = open(&meta).await;
    let took = started.elapsed();
    let (key, _) = (&sealed.0, ());
    loaded.find(key, None, NOW).unwrap();
    let started = Instant::now();
    const FINDS: u32 = 100_000;
    for _ in 0..FINDS {
        std::hint::black_box(loaded.find(std::hint::black_box(key), None, NOW).unwrap());
    }
    let each = started.elapsed() / FINDS;
    println!("{COUNT} identities loaded in {took:?}; found in {each:?}");
    assert_eq!(loaded.accounts().len(), 3);
}
