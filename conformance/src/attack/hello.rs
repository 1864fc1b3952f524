//! A ClientHello of TLS 1.3 by the byte (RFC 8446, 4.1.2): enough for the server to compute a key
//! exchange and a signature.

/// One handshake message in its record.
pub(super) fn client_hello() -> Vec<u8> {
    let extensions = [
        // supported_versions: 1.3
        extension(43, &[2, 3, 4]),
        // supported_groups: x25519
        extension(10, &[0, 2, 0, 29]),
        // signature_algorithms: ecdsa_secp256r1_sha256, ed25519, rsa_pss_rsae_sha256
        extension(13, &[0, 6, 4, 3, 8, 7, 8, 4]),
        // key_share: x25519; any 32 bytes are a point
        extension(51, &[&[0, 36, 0, 29, 0, 32][..], &[9; 32]].concat()),
        // server_name: localhost
        extension(0, &[&[0, 12, 0, 0, 9][..], b"localhost"].concat()),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.push(32);
    body.extend([8; 32]); // session id
    body.extend([0, 2, 0x13, 0x01]); // TLS_AES_128_GCM_SHA256
    body.extend([1, 0]); // no compression
    body.extend(length(extensions.len()));
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend(length(body.len()));
    message.extend(body);
    [&[22, 3, 1][..], &length(message.len()), &message].concat()
}

fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[0, kind][..], &length(content.len()), content].concat()
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("a small message").to_be_bytes()
}
