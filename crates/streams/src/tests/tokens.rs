//! Nobody but the engine makes tokens.

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn any_flipped_bit_is_refused() {
    let world = World::new().await;
    let stream = world.stream(&"n".repeat(128), 1).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    assert!(iterator.len() <= 512, "{} characters", iterator.len());
    for at in 0..iterator.len() {
        for bit in 0..8 {
            let mut bytes = iterator.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes) {
                let refused = world.get(&text).await;
                assert_eq!(refused.err(), Some(Error::IteratorInvalid), "bit {bit} of byte {at}");
            }
        }
    }
    for cut in 0..iterator.len() {
        assert!(matches!(world.get(&iterator[..cut]).await, Err(Error::IteratorInvalid)));
        assert!(matches!(world.get(&iterator[cut + 1..]).await, Err(Error::IteratorInvalid)));
    }
    for text in ["", "\"", "\"\"", "AAAA", &"A".repeat(513), &format!("{iterator}=")] {
        assert!(matches!(world.get(text).await, Err(Error::IteratorInvalid)), "{text}");
    }
}

#[tokio::test]
async fn tokens_of_another_data_directory_are_foreign() {
    let (world, other) = (World::new().await, World::new().await);
    let stream = world.stream("a", 1).await;
    other.stream("a", 1).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    assert_eq!(other.get(&iterator).await.err(), Some(Error::IteratorInvalid));
}

/// Whatever a stranger sends as a token is answered as invalid, and nothing worse.
#[test]
fn strangers_tokens_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let _inside = runtime.enter();
    let streams = std::panic::AssertUnwindSafe(&world.streams);
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(streams.iterator_stream(&text), Err(Error::IteratorInvalid));
        assert_eq!(streams.next_token_stream(&text), Err(Error::NextTokenInvalid));
        let encoded = base64_simd::STANDARD.encode_to_string(bytes);
        assert_eq!(streams.iterator_stream(&encoded), Err(Error::IteratorInvalid));
        let versioned = [&[0, 0, 0, 0, 0, 0, 0, 1], bytes].concat();
        let encoded = base64_simd::STANDARD.encode_to_string(versioned);
        assert_eq!(streams.next_token_stream(&encoded), Err(Error::NextTokenInvalid));
    });
}

proptest! {
    #[test]
    fn iterators_of_any_name_fit_and_come_back(
        name in "[a-zA-Z0-9_.-]{1,128}", region in "[a-z0-9-]{1,64}", account in "[0-9]{12}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let scope =
                Scope::new(AccountId::new(&account).unwrap(), Region::new(&region).unwrap());
            let stream = StreamArn::new(scope, StreamName::new(&name).unwrap());
            let request = CreateStream::provisioned(stream.clone(), 1);
            world.streams.create_stream(request).await.unwrap();
            let iterator = world.iterator(&stream, 0, StartingPosition::LATEST).await;
            assert!(iterator.len() <= 512);
            assert_eq!(world.streams.iterator_stream(&iterator), Ok(stream));
        });
    }
}
