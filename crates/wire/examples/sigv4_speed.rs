//! How long a verification takes, without the hash of the body:
//! `cargo run --release -p millstream-wire --example sigv4_speed`.

use std::hint::black_box;
use std::time::Instant;

use http::request::Parts;
use millstream_wire::sigv4::{Claim, Scope, SigningKey, canonical_request};

const ROUNDS: u32 = 1_000;
const BATCHES: u32 = 300;

/// As boto3 sends a PutRecord with temporary credentials.
fn request(signature: &str) -> Parts {
    let token = "FwoGZXIvYXdzE".repeat(40);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=ASIAQWERTYUIOPASDFGH/20150830/us-east-1/kinesis/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
         Signature={signature}"
    );
    http::Request::post("/")
        .header("host", "kinesis.us-east-1.amazonaws.com")
        .header("x-amz-target", "Kinesis_20131202.PutRecord")
        .header("content-type", "application/x-amz-json-1.1")
        .header("user-agent", "Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.1 lang/python")
        .header("x-amz-date", "20150830T123600Z")
        .header("x-amz-security-token", token)
        .header("authorization", authorization)
        .header("amz-sdk-invocation-id", "f9bf1bd9-2c0c-4b9f-8c57-5a2b6f6d3f0a")
        .body(())
        .expect("a request")
        .into_parts()
        .0
}

/// The best of many means: what else the machine does comes and goes.
fn time(what: &str, mut step: impl FnMut()) {
    let mut mean = || {
        let begin = Instant::now();
        (0..ROUNDS).for_each(|_| step());
        begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
    };
    let best = (0..BATCHES).map(|_| mean()).fold(f64::MAX, f64::min);
    println!("{what:20} {best:6.0} ns");
}

fn main() {
    let parts = request(&"0".repeat(64));
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let claim = Claim::of(&parts).expect("a claim");
    let key = SigningKey::derive("secret", &claim.scope);
    let canonical = canonical_request(&parts, &claim, hash);
    let now = 1_440_938_160;
    time("claim", || drop(black_box(Claim::of(black_box(&parts)))));
    time("time", || drop(black_box(claim.check_time(black_box(now)))));
    time("canonical request", || drop(black_box(canonical_request(&parts, &claim, hash))));
    time("string to sign", || drop(black_box(claim.string_to_sign(black_box(&canonical)))));
    // A right signature: a wrong one costs its error besides.
    let right = request(&key.sign(&claim.string_to_sign(&canonical)));
    time("all", || {
        let claim = Claim::of(&right).expect("a claim");
        claim.check_time(now).expect("in time");
        claim.verify(&right, hash, &key).expect("a right signature");
    });
    time("derive", || drop(black_box(SigningKey::derive("secret", &Scope::default()))));
}
