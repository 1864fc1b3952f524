//! Rows on real files: the contract, restarts, and damage.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::Env;
use millstream_meta::{Expect, Key, MemoryMeta, MetaError, MetaStore, RedbMeta, contract};

const FILE: &str = "meta/meta.redb";

async fn open(dir: &Path) -> Result<RedbMeta, MetaError> {
    RedbMeta::open(Env::real(dir), Path::new(FILE)).await
}

async fn put(meta: &RedbMeta, name: &str, value: &str) {
    let value = Bytes::copy_from_slice(value.as_bytes());
    meta.put(Key::new(name), value, Expect::Anything).await.unwrap();
}

async fn all(meta: &RedbMeta) -> Vec<(String, Bytes)> {
    let rows = meta.scan("", None, 1000).await.unwrap();
    rows.into_iter().map(|r| (r.key.as_str().to_owned(), r.value)).collect()
}

#[tokio::test]
async fn redb_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let mut n = 0;
    contract::check(|| {
        n += 1;
        let dir = dir.path().join(n.to_string());
        async move {
            std::fs::create_dir_all(&dir).unwrap();
            Arc::new(open(&dir).await.unwrap()) as Arc<dyn MetaStore>
        }
    })
    .await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract::check(async || Arc::new(MemoryMeta::new(Env::real("."))) as Arc<dyn MetaStore>).await;
}

#[tokio::test]
async fn rows_and_revisions_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(dir.path()).await.unwrap();
    for i in 0..100 {
        put(&meta, &format!("row/{i:03}"), &format!("value {i}")).await;
    }
    let before = all(&meta).await;
    let last = meta.delete(Key::new("row/099"), Expect::Anything).await.unwrap();
    meta.close().await;
    let refused = meta.get(&Key::new("row/000")).await;
    assert!(matches!(refused, Err(MetaError::Unavailable { .. })), "{refused:?}");

    let meta = open(dir.path()).await.unwrap();
    assert_eq!(all(&meta).await, before[..99]);
    let next = meta.put(Key::new("a"), Bytes::new(), Expect::Absent).await.unwrap();
    assert!(next > last, "a revision is never given twice, a removal's neither");
}

/// A copy taken at any moment between two writes is what a killed process leaves behind.
#[tokio::test]
async fn a_copy_of_the_running_file_opens_with_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(dir.path()).await.unwrap();
    for i in 0..20 {
        put(&meta, &format!("row/{i:03}"), "v").await;
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("meta")).unwrap();
        std::fs::copy(dir.path().join(FILE), copy.path().join(FILE)).unwrap();
        let copied = open(copy.path()).await.unwrap();
        assert_eq!(all(&copied).await, all(&meta).await);
    }
}

#[tokio::test]
async fn a_half_made_file_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("meta")).unwrap();
    std::fs::write(dir.path().join("meta/meta.redb.new"), vec![1; 5000]).unwrap();
    let meta = open(dir.path()).await.unwrap();
    put(&meta, "a", "1").await;
}

#[tokio::test]
async fn files_that_are_no_store_are_refused_by_name() {
    for bytes in [vec![], b"hello".to_vec(), vec![0; 1 << 20], vec![0xab; 1 << 20]] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("meta")).unwrap();
        std::fs::write(dir.path().join(FILE), &bytes).unwrap();
        let error = open(dir.path()).await.err().expect("not a store");
        assert!(matches!(error, MetaError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains(FILE), "{error}");
        assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), bytes, "left as it was");
    }
}

/// Whatever byte is damaged: the store opens with all its rows as they were, or says that it is
/// corrupt. It never shows fewer rows or others.
#[tokio::test]
async fn damage_is_found_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let meta = open(dir.path()).await.unwrap();
    for i in 0..200 {
        put(&meta, &format!("row/{i:03}"), &"some text ".repeat(20)).await;
    }
    let rows = all(&meta).await;
    meta.close().await;
    let whole = std::fs::read(dir.path().join(FILE)).unwrap();
    let mut refused = 0;
    for round in 0..300 {
        let mut damaged = whole.clone();
        let at = round * (whole.len() / 300) + (round * 7) % 4096;
        let at = at.min(whole.len() - 1);
        damaged[at] ^= 1 << (round % 8);
        std::fs::write(dir.path().join(FILE), &damaged).unwrap();
        match open(dir.path()).await {
            Ok(meta) => {
                assert_eq!(all(&meta).await, rows, "damage at byte {at} of {}", whole.len());
                meta.close().await;
            }
            Err(MetaError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("damage at byte {at}: {other}"),
        }
    }
    assert!(refused > 0, "none of 300 damaged bytes was one that matters");
}

#[tokio::test]
async fn waiting_writers_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let meta = Arc::new(open(dir.path()).await.unwrap());
    let writes = (0..500).map(|i| {
        let meta = meta.clone();
        async move { put(&meta, &format!("row/{i}"), "v").await }
    });
    futures_util::future::join_all(writes).await;
    assert_eq!(all(&meta).await.len(), 500);
}
