//! Strangers' bytes as sealed secrets: whatever comes, they are refused.

use millstream_secrets::{KEY_BYTES, SealingKey};

#[test]
fn fuzz_open_any_bytes() {
    let key = SealingKey::from_bytes(&[1; KEY_BYTES]);
    bolero::check!().with_iterations(2_000).for_each(|input: &[u8]| {
        assert!(key.open(b"place", input).is_err());
    });
}

/// What was sealed, with bytes changed: it opens only if nothing has changed.
#[test]
fn fuzz_open_changed_bytes() {
    let key = SealingKey::from_bytes(&[1; KEY_BYTES]);
    bolero::check!()
        .with_type::<(Vec<u8>, Vec<u8>, Vec<(u16, u8)>)>()
        .with_iterations(2_000)
        .for_each(|(context, plain, changes)| {
            let sealed = key.seal(context, plain);
            let mut changed = sealed.clone();
            for (at, byte) in changes {
                let at = usize::from(*at) % changed.len();
                changed[at] ^= *byte;
            }
            match key.open(context, &changed) {
                Ok(opened) => assert!(changed == sealed && opened.expose() == plain),
                Err(_) => assert_ne!(changed, sealed),
            }
        });
}
