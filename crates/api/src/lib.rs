//! The AWS models as Rust shapes, operations and errors. Generated, committed.
//!
//! One module per service ([`kinesis`] by default, the others behind a feature of their model's
//! name, all of them with `all`). The files in `gen/` hold declarations only; the macros they use,
//! and so what they mean, live in `millstream-wire`. Regenerate with `cargo xtask codegen`.
//!
//! # Serving an operation
//!
//! Implement the service's trait: who may call, and the operations; one that you leave out answers
//! `UnknownOperationException`.
//! Inputs arrive validated: lengths, ranges, patterns and enums hold, required members were there.
//!
//! ```
//! use bytes::Bytes;
//! use millstream_api::kinesis::{self, DescribeLimitsInput, DescribeLimitsOutput, Kinesis, Op};
//! use millstream_wire::operation::Body;
//! use millstream_wire::{Codec, Reply, Rpc, ServiceError};
//!
//! struct Engine;
//! struct Ctx {
//!     account: String,
//! }
//!
//! impl Kinesis for Engine {
//!     type Ctx = Ctx;
//!
//!     /// Everyone may do everything.
//!     async fn authorise(&self, _: &Ctx, _: kinesis::Request<'_>) -> Result<(), ServiceError> {
//!         Ok(())
//!     }
//!
//!     async fn describe_limits(
//!         &self,
//!         ctx: &Ctx,
//!         _: DescribeLimitsInput,
//!     ) -> Result<DescribeLimitsOutput, ServiceError> {
//!         if ctx.account.is_empty() {
//!             return Err(kinesis::errors::access_denied("who are you?"));
//!         }
//!         Ok(DescribeLimitsOutput { shard_limit: 500, ..Default::default() })
//!     }
//! }
//!
//! # let runtime = futures_util::future::FutureExt::now_or_never(async {
//! let ctx = Ctx { account: "000000000000".to_owned() };
//! let op = Op::named("DescribeLimits").expect("a modelled operation");
//! let call = Rpc { codec: Codec::Json, body: Bytes::from_static(b"{}") };
//! let reply = match kinesis::dispatch(&Engine, &ctx, op, call).await {
//!     Ok(reply) => reply,
//!     Err(error) => Reply::of_error(&error, Codec::Json),
//! };
//! assert_eq!(reply.status, 200);
//! let Body::Whole(body) = reply.body else { panic!("not a stream") };
//! assert!(body.starts_with(b"{\"ShardLimit\":500"));
//! assert_eq!(kinesis::unimplemented(&Engine, &ctx).len(), Op::ALL.len() - 1);
//! # }).unwrap();
//! ```
//!
//! An operation with an event stream returns `Events::new(stream of Result<event, ServiceError>)`;
//! the frames, `initial-response` first, are made by the dispatcher, and [`Reply::body`] is then
//! [`Body::Stream`]. Override `authorise` to be asked between validation and the call.
//!
//! # Calling an operation
//!
//! The marker types of `ops` tie input, output and table entry together; a client is generic over
//! [`Call`]:
//!
//! ```
//! use bytes::Bytes;
//! use millstream_api::kinesis::{DescribeStreamSummaryInput, ops};
//! use millstream_wire::operation::{Call, decode_output};
//! use millstream_wire::{Codec, ServiceError};
//!
//! fn request<C: Call>(input: &C::Input, codec: Codec) -> (String, &'static str, Bytes) {
//!     (C::OPERATION.target(), codec.content_type(), codec.encode(input))
//! }
//!
//! let input = DescribeStreamSummaryInput {
//!     stream_name: Some("orders".to_owned()),
//!     ..Default::default()
//! };
//! let (target, _, body) = request::<ops::DescribeStreamSummary>(&input, Codec::Json);
//! assert_eq!(target, "Kinesis_20131202.DescribeStreamSummary");
//! assert_eq!(body, r#"{"StreamName":"orders"}"#);
//!
//! let answer = Bytes::from_static(br#"{"StreamDescriptionSummary":{"StreamName":"orders"}}"#);
//! let output: kinesis::DescribeStreamSummaryOutput =
//!     decode_output(Codec::Json, &answer).expect("an answer");
//! assert_eq!(output.stream_description_summary.stream_name, "orders");
//!
//! let answer = Bytes::from_static(br#"{"__type":"ResourceNotFoundException","message":"no"}"#);
//! let error = ServiceError::decode(Codec::Json, 400, None, &answer);
//! assert_eq!(error.code, kinesis::errors::resource_not_found("no").code);
//! # use millstream_api::kinesis;
//! ```
//!
//! [`Call`]: millstream_wire::operation::Call
//! [`Reply::body`]: millstream_wire::Reply
//! [`Body::Stream`]: millstream_wire::operation::Body::Stream

#[path = "gen/mod.rs"]
mod generated;

pub use generated::*;
