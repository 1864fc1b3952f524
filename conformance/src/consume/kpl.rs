//! Aggregated records as the Kinesis Producer Library writes them: a magic number, a protobuf
//! message of user records, and the MD5 of that message.
//!
//! Never does: decide what goes together. A reader drops what is not of the shard it reads, so the
//! caller puts records of one shard into one aggregate.

use md5::{Digest, Md5};

/// The first four bytes.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// A record as the application put it.
#[derive(Clone, Debug)]
pub struct UserRecord {
    pub key: String,
    pub data: Vec<u8>,
}

/// The data of one Kinesis record that carries `records`.
pub fn aggregate(records: &[UserRecord]) -> Vec<u8> {
    let mut keys: Vec<&str> = Vec::new();
    let mut body = Vec::new();
    let mut entries = Vec::new();
    for record in records {
        let index = keys.iter().position(|key| *key == record.key).unwrap_or_else(|| {
            keys.push(&record.key);
            keys.len() - 1
        });
        let mut entry = vec![0x08];
        varint(&mut entry, index);
        bytes_field(&mut entry, 3, &record.data);
        entries.push(entry);
    }
    keys.iter().for_each(|key| bytes_field(&mut body, 1, key.as_bytes()));
    entries.iter().for_each(|entry| bytes_field(&mut body, 3, entry));
    let digest = Md5::digest(&body);
    [&MAGIC[..], &body, &digest].concat()
}

/// Where a partition key lies in the hash space.
pub fn hash_key(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

fn bytes_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand after the format's description, with `md5sum` for the last line.
    #[test]
    fn two_keys_three_records() {
        let record = |key: &str, data: &str| UserRecord { key: key.into(), data: data.into() };
        let data = aggregate(&[record("pk1", "hello"), record("pk2", "w"), record("pk1", "again")]);
        let (body, digest) = data[4..].split_at(data.len() - 20);
        assert_eq!(data[..4], [0xf3, 0x89, 0x9a, 0xc2]);
        let expected = b"\x0a\x03pk1\x0a\x03pk2\x1a\x09\x08\x00\x1a\x05hello\
                         \x1a\x05\x08\x01\x1a\x01w\x1a\x09\x08\x00\x1a\x05again";
        assert_eq!(body, expected);
        assert_eq!(digest, Md5::digest(expected).as_slice());
    }

    #[test]
    fn lengths_over_127_take_two_bytes() {
        let data = aggregate(&[UserRecord { key: "k".into(), data: vec![b'x'; 300] }]);
        assert_eq!(
            data[7..],
            [&[0x1a, 0xb1, 0x02, 0x08, 0, 0x1a, 0xac, 0x02][..], &data[15..]].concat()
        );
    }

    #[test]
    fn keys_hash_as_everywhere() {
        // md5("a") = 0cc175b9c0f1b6a831c399e269772661.
        assert_eq!(hash_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }
}
