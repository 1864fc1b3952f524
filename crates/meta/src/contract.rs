//! The suite that every [`MetaStore`] passes. For tests: it panics where the contract is broken.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::store::{Change, Expect, Key, MetaError, MetaStore, Revision, Row};

/// Runs the whole suite, each part on a fresh store.
pub async fn check<F>(mut fresh: impl FnMut() -> F)
where
    F: Future<Output = Arc<dyn MetaStore>>,
{
    rows_come_back_as_written(&*fresh().await).await;
    writers_must_have_seen_the_row(&*fresh().await).await;
    revisions_grow_and_are_never_given_twice(&*fresh().await).await;
    removal_expects_like_writing(&*fresh().await).await;
    scans_go_by_prefix_in_key_order(&*fresh().await).await;
    one_of_many_writers_wins(fresh().await).await;
    no_increment_is_lost(fresh().await).await;
    watchers_hear_of_their_prefix_in_order(&*fresh().await).await;
    slow_watchers_are_told_of_the_gap(&*fresh().await).await;
    large_rows_are_kept_and_too_large_ones_refused(&*fresh().await).await;
}

fn key(name: &str) -> Key {
    Key::new(name)
}

async fn put(store: &dyn MetaStore, name: &str, value: &str) -> Revision {
    let value = Bytes::copy_from_slice(value.as_bytes());
    store.put(key(name), value, Expect::Anything).await.expect("a put without conditions")
}

async fn get(store: &dyn MetaStore, name: &str) -> Option<Row> {
    store.get(&key(name)).await.expect("a read")
}

fn is_conflict<T>(result: Result<T, MetaError>) -> bool {
    matches!(result, Err(MetaError::Conflict { .. }))
}

async fn rows_come_back_as_written(store: &dyn MetaStore) {
    assert_eq!(get(store, "a").await, None);
    for value in ["", "x", "y"] {
        let revision = put(store, "a", value).await;
        let row = Row { key: key("a"), value: Bytes::from(value.to_owned()), revision };
        assert_eq!(get(store, "a").await, Some(row));
    }
    assert_eq!(get(store, "a/b").await, None, "a prefix is another key");
}

async fn writers_must_have_seen_the_row(store: &dyn MetaStore) {
    let value = || Bytes::from_static(b"v");
    let stale = store.put(key("a"), value(), Expect::At(Revision(77))).await;
    assert!(is_conflict(stale), "there is no row to be at a revision");
    let first = store.put(key("a"), value(), Expect::Absent).await.expect("it was absent");
    assert!(is_conflict(store.put(key("a"), value(), Expect::Absent).await));
    let second = store.put(key("a"), value(), Expect::At(first)).await.expect("it was seen");
    assert!(is_conflict(store.put(key("a"), value(), Expect::At(first)).await));
    let found = get(store, "a").await.expect("it is there");
    assert_eq!(found.revision, second, "refused writes change nothing");
}

async fn revisions_grow_and_are_never_given_twice(store: &dyn MetaStore) {
    let mut last = Revision(0);
    for round in 0..20 {
        let name = if round % 2 == 0 { "a" } else { "b" };
        let revision = match round % 5 {
            4 => store.delete(key(name), Expect::Anything).await.expect("a removal"),
            _ => put(store, name, "v").await,
        };
        assert!(revision > last, "{revision:?} after {last:?}");
        last = revision;
    }
}

async fn removal_expects_like_writing(store: &dyn MetaStore) {
    store.delete(key("a"), Expect::Anything).await.expect("removing nothing is no fault");
    assert!(is_conflict(store.delete(key("a"), Expect::At(Revision(1))).await));
    let first = put(store, "a", "1").await;
    let second = put(store, "a", "2").await;
    assert!(is_conflict(store.delete(key("a"), Expect::At(first)).await));
    assert!(get(store, "a").await.is_some());
    store.delete(key("a"), Expect::At(second)).await.expect("it was seen");
    assert_eq!(get(store, "a").await, None);
    let again = store.put(key("a"), Bytes::new(), Expect::Absent).await.expect("it is absent");
    assert!(again > second);
}

async fn scans_go_by_prefix_in_key_order(store: &dyn MetaStore) {
    for name in ["b/2", "a", "b/10", "b", "b/1", "b0", "c/1", "b/ü"] {
        put(store, name, name).await;
    }
    let names = async |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        let after = after.map(key);
        let rows = store.scan(prefix, after.as_ref(), limit).await.expect("a scan");
        rows.into_iter().map(|r| r.key.as_str().to_owned()).collect()
    };
    assert_eq!(names("b/", None, 10).await, ["b/1", "b/10", "b/2", "b/ü"]);
    assert_eq!(names("b/", None, 2).await, ["b/1", "b/10"]);
    assert_eq!(names("b/", Some("b/10"), 10).await, ["b/2", "b/ü"]);
    assert_eq!(names("b/", Some("b/11"), 1).await, ["b/2"], "the start need not exist");
    assert_eq!(names("b/", Some("a"), 1).await, ["b/1"], "a start before the prefix");
    assert_eq!(names("b/", Some("c"), 10).await, [""; 0]);
    assert_eq!(names("d", None, 10).await, [""; 0]);
    assert_eq!(names("", None, 100).await.len(), 8);
}

async fn one_of_many_writers_wins(store: Arc<dyn MetaStore>) {
    let seen = put(&*store, "a", "0").await;
    let writers = (0..32).map(|_| store.put(key("a"), Bytes::new(), Expect::At(seen)));
    let results = join_all(writers).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
}

async fn no_increment_is_lost(store: Arc<dyn MetaStore>) {
    let increment = async || {
        loop {
            let row = get(&*store, "n").await;
            let (n, expect) = match &row {
                None => (0, Expect::Absent),
                Some(row) => (
                    str::from_utf8(&row.value).expect("text").parse::<u32>().expect("a number"),
                    Expect::At(row.revision),
                ),
            };
            if store.put(key("n"), (n + 1).to_string().into(), expect).await.is_ok() {
                return;
            }
        }
    };
    join_all((0..16).map(|_| increment())).await;
    assert_eq!(get(&*store, "n").await.expect("it is there").value, "16");
}

async fn watchers_hear_of_their_prefix_in_order(store: &dyn MetaStore) {
    put(store, "w/before", "0").await;
    let mut watch = store.watch("w/");
    let mut all = store.watch("");
    put(store, "w/a", "1").await;
    put(store, "other", "2").await;
    put(store, "w/a", "3").await;
    store.delete(key("w/a"), Expect::Anything).await.expect("a removal");
    store.delete(key("w/a"), Expect::Anything).await.expect("nothing to remove");
    put(store, "w/b", "4").await;
    let mut heard = Vec::new();
    let mut last = Revision(0);
    for _ in 0..4 {
        let (text, revision) = match watch.recv().await.expect("a change") {
            Change::Put(row) => (format!("{}={:?}", row.key, row.value), row.revision),
            Change::Deleted { key, revision } => (format!("-{key}"), revision),
            Change::Gap => panic!("four changes are no crowd"),
        };
        assert!(revision > last);
        last = revision;
        heard.push(text);
    }
    assert_eq!(heard, [r#"w/a=b"1""#, r#"w/a=b"3""#, "-w/a", r#"w/b=b"4""#]);
    assert!(watch.try_recv().is_err(), "nothing else was to be heard");
    for _ in 0..5 {
        all.recv().await.expect("the empty prefix is everything's");
    }
}

async fn slow_watchers_are_told_of_the_gap(store: &dyn MetaStore) {
    let mut watch = store.watch("");
    let writes = crate::watchers::WATCH_QUEUE_MAX + 50;
    for i in 0..writes {
        put(store, "a", &i.to_string()).await;
    }
    let mut heard = 0;
    loop {
        match watch.recv().await.expect("a change") {
            Change::Gap => break,
            _ => heard += 1,
        }
        assert!(heard < writes, "some changes are missing and nobody says so");
    }
    put(store, "a", "after").await;
    match watch.recv().await {
        Some(Change::Put(row)) => assert_eq!(row.value, "after"),
        other => panic!("the watch goes on after a gap, not {other:?}"),
    }
}

async fn large_rows_are_kept_and_too_large_ones_refused(store: &dyn MetaStore) {
    let large = Bytes::from(vec![7; 2 << 20]);
    store.put(key("a"), large.clone(), Expect::Anything).await.expect("2 MiB");
    assert_eq!(get(store, "a").await.expect("it is there").value, large);
    let too_large = Bytes::from(vec![0; crate::memory::ROW_BYTES_MAX + 1]);
    let refused = store.put(key("a"), too_large, Expect::Anything).await;
    assert!(matches!(refused, Err(MetaError::TooLarge { .. })));
}
