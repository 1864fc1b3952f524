//! Operations: a trait to implement, a table to look things up in, one function that serves a call.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::check;
use crate::codec::Codec;
use crate::coding::DecodeError;
use crate::constraint::Missing;
use crate::error::ServiceError;
use crate::events::{Event, Events};
use crate::value::{Structure, Value};
#[doc(hidden)]
pub use crate::visit::ShapeVisitor;

/// What all operations of a service share.
#[derive(Debug)]
pub struct Service {
    /// The name in signatures: `kinesis`.
    pub signing_name: &'static str,
    /// The part of `X-Amz-Target` before the dot; empty where the path tells the operation.
    pub target: &'static str,
    /// The codec that the model names first.
    pub codec: Codec,
    /// The Java package that sentences show in front of structures.
    pub namespace: &'static str,
    /// Of a service that also speaks, or once spoke, the query protocol.
    pub query: Option<&'static QueryNames>,
}

/// What the query protocol adds to a service.
#[derive(Debug)]
pub struct QueryNames {
    /// The XML namespace of answers.
    pub namespace: &'static str,
    /// The codes of errors whose shape has another name, and that name: bodies of the service's
    /// newer protocols carry the shape, a header the code.
    pub error_shapes: &'static [(&'static str, &'static str)],
}

impl QueryNames {
    /// The name of the shape of an error with this code.
    pub fn shape_of<'a>(&self, code: &'a str) -> &'a str {
        let known = self.error_shapes.iter().find(|(known, _)| *known == code);
        known.map_or(code, |(_, shape)| shape)
    }
}

/// One operation of a service.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub service: &'static Service,
    pub http: Http,
}

impl Operation {
    /// `Kinesis_20131202.PutRecords`
    pub fn target(&self) -> String {
        format!("{}.{}", self.service.target, self.name)
    }
}

/// Where an operation is found over HTTP and which members travel outside of the body.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    pub method: &'static str,
    /// May hold labels in braces: `/functions/{FunctionName}`, `{Key+}` for several segments.
    pub uri: &'static str,
    /// The status of success.
    pub status: u16,
    pub request: &'static [Binding],
    pub response: &'static [Binding],
}

impl Http {
    /// Everything in the body of a POST to the root.
    pub const RPC: Http =
        Http { method: "POST", uri: "/", status: 200, request: &[], response: &[] };
}

/// A member of an input or output that travels outside of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The member's name in the shape.
    pub member: &'static str,
    pub place: Place,
}

/// Where a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A label of the path.
    Label(&'static str),
    /// A query parameter.
    Query(&'static str),
    /// A header.
    Header(&'static str),
    /// The HTTP status itself.
    Status,
    /// The member is the body; with a blob or string, as it is.
    Payload,
}

/// An operation as a type, for callers: what goes in and what comes out.
pub trait Call {
    type Input: Value + Send + Sync;
    type Output;
    const OPERATION: &'static Operation;
}

/// How one call arrived: where its input is read from and how its output is written.
pub trait Protocol: Send + Sync {
    /// # Errors
    /// As [`Codec::decode`].
    fn decode<T: Value>(&self, op: &'static Operation) -> Result<(T, Missing), DecodeError>;
    fn encode<T: Value>(&self, op: &'static Operation, output: &T) -> Reply;
    /// The answer of an operation that has no output.
    fn encode_nothing(&self, op: &'static Operation) -> Reply {
        Reply::whole(op.http.status, self.codec().content_type(), Bytes::new())
    }
    fn codec(&self) -> Codec;
}

/// A call whose whole input is its body.
#[derive(Debug)]
pub struct Rpc {
    pub codec: Codec,
    pub body: Bytes,
}

impl Protocol for Rpc {
    fn decode<T: Value>(&self, _: &'static Operation) -> Result<(T, Missing), DecodeError> {
        self.codec.decode(&self.body)
    }

    fn encode<T: Value>(&self, op: &'static Operation, output: &T) -> Reply {
        Reply::whole(op.http.status, self.codec.content_type(), self.codec.encode(output))
    }

    fn codec(&self) -> Codec {
        self.codec
    }
}

/// An answer, ready for HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: Cow<'static, str>,
    /// Headers beside the content type.
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Body,
}

impl Reply {
    pub fn whole(status: u16, content_type: &'static str, body: Bytes) -> Self {
        Reply {
            status,
            content_type: Cow::Borrowed(content_type),
            headers: Vec::new(),
            body: Body::Whole(body),
        }
    }

    /// The answer that tells `error`, in the codec of the request.
    pub fn of_error(error: &ServiceError, codec: Codec) -> Self {
        let mut reply = Self::whole(error.status, codec.content_type(), error.encode(codec));
        reply.headers.push(("x-amzn-errortype".into(), error.error_type().to_owned()));
        reply
    }
}

/// The body of an answer.
pub enum Body {
    Whole(Bytes),
    /// Parts as they come. An error ends the body abruptly: nothing of it can be told any more.
    Stream(BoxStream<'static, Result<Bytes, ServiceError>>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// An output whose payload member is a stream of bytes; `head` is all the rest.
pub struct Streamed<T> {
    pub head: T,
    pub payload: BoxStream<'static, Result<Bytes, ServiceError>>,
}

impl<T: fmt::Debug> fmt::Debug for Streamed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("head", &self.head).finish_non_exhaustive()
    }
}

/// What an operation can answer: a structure, nothing, events, or a structure with a stream.
pub trait Output: Sized {
    fn reply(self, op: &'static Operation, protocol: &impl Protocol) -> Reply;
}

impl<T: Structure> Output for T {
    fn reply(self, op: &'static Operation, protocol: &impl Protocol) -> Reply {
        protocol.encode(op, &self)
    }
}

/// Nothing, as the protocol says it.
impl Output for () {
    fn reply(self, op: &'static Operation, protocol: &impl Protocol) -> Reply {
        protocol.encode_nothing(op)
    }
}

impl<E: Event> Output for Events<E> {
    fn reply(self, op: &'static Operation, protocol: &impl Protocol) -> Reply {
        let mut reply = Reply::whole(op.http.status, crate::events::CONTENT_TYPE, Bytes::new());
        reply.body = Body::Stream(self.into_frames(protocol.codec()));
        reply
    }
}

impl<T: Structure> Output for Streamed<T> {
    fn reply(self, op: &'static Operation, protocol: &impl Protocol) -> Reply {
        let mut reply = protocol.encode(op, &self.head);
        reply.body = Body::Stream(self.payload);
        reply
    }
}

/// Reads and checks the input of one call.
///
/// # Errors
/// `SerializationException` or `ValidationException`.
pub fn accept<T: Value>(
    op: &'static Operation,
    protocol: &impl Protocol,
) -> Result<T, ServiceError> {
    let (input, missing) = protocol.decode::<T>(op)?;
    check::validate(&input, &missing, op.service.namespace)?;
    Ok(input)
}

/// Reads the output of a call that succeeded; an empty body is an output without members.
///
/// # Errors
/// As [`Codec::decode`].
pub fn decode_output<T: Value + Default>(codec: Codec, body: &Bytes) -> Result<T, DecodeError> {
    if body.is_empty() { Ok(T::default()) } else { codec.decode(body).map(|(output, _)| output) }
}

/// The answer of every operation that a handler does not have.
#[derive(Debug)]
pub struct Unimplemented<T>(PhantomData<fn() -> T>);

impl<T> Unimplemented<T> {
    pub fn new() -> Self {
        Unimplemented(PhantomData)
    }
}

impl<T> Default for Unimplemented<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Future for Unimplemented<T> {
    type Output = Result<T, ServiceError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(ServiceError::unknown_operation()))
    }
}

/// Whether `future` is the answer of an operation that a handler does not have. It is not polled.
pub fn is_unimplemented<F: Future>(future: F) -> bool {
    let name = std::any::type_name_of_val(&future);
    is_unimplemented_name(name)
}

/// Whether what `run` starts is a default method of a service's trait; starts nothing.
#[doc(hidden)]
pub fn starts_unimplemented<I, F: Future>(run: &impl FnOnce(I) -> F) -> bool {
    let _ = run;
    is_unimplemented_name(std::any::type_name::<F>())
}

fn is_unimplemented_name(name: &str) -> bool {
    name.starts_with(module_path!()) && name.contains("Unimplemented<")
}

/// Declares a service and its operations.
///
/// Yields the trait to implement (each method answers `UnknownOperationException` until it is
/// overridden), `Op`, `OPERATIONS`, `Request`, `dispatch`, `unimplemented`, and the marker types of
/// `ops` for callers.
#[macro_export]
macro_rules! operations {
    (
        service = $signing_name:literal;
        target = $target:literal;
        codec = $codec:ident;
        namespace = $namespace:literal;
        $(query = $xml:literal;)?
        trait $Trait:ident {
            $($Op:ident $method:ident $In:ty => $Out:ty $(, $http:expr)?;)*
        }
    ) => {
        pub static SERVICE: $crate::Service = $crate::Service {
            signing_name: $signing_name,
            target: $target,
            codec: $crate::Codec::$codec,
            namespace: $namespace,
            query: {
                const NAMES: &[$crate::operation::QueryNames] = &[$($crate::operation::QueryNames {
                    namespace: $xml,
                    error_shapes: errors::SHAPES,
                })?];
                NAMES.first()
            },
        };

        /// All operations of the model; `Op` counts in the same order.
        pub static OPERATIONS: &[$crate::Operation] = {
            #[allow(unused_imports)]
            use $crate::operation::{Binding, Http, Place};
            &[$($crate::Operation {
                name: stringify!($Op),
                service: &SERVICE,
                http: $crate::operation::http_or_rpc(&[$($http)?]),
            }),*]
        };

        /// The operations of the service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Op { $($Op),* }

        impl Op {
            pub const ALL: &'static [Op] = &[$(Op::$Op),*];

            /// The operation of this name.
            pub fn named(name: &str) -> Option<Op> {
                match name {
                    $(stringify!($Op) => Some(Op::$Op),)*
                    _ => None,
                }
            }

            pub fn info(self) -> &'static $crate::Operation {
                &OPERATIONS[self as usize]
            }

            pub fn name(self) -> &'static str {
                self.info().name
            }
        }

        /// A checked input, for whoever decides whether the call is allowed.
        #[derive(Clone, Copy, Debug)]
        pub enum Request<'a> { $($Op(&'a $In)),* }

        /// The service, to be implemented operation by operation.
        pub trait $Trait: Send + Sync {
            /// What a call brings along beside its input: who calls, where, under which request id.
            type Ctx: Send + Sync;

            /// Asked after the input was checked and before the operation runs. Without a default, so
            /// that no service is open to everyone by accident.
            fn authorise(
                &self,
                ctx: &Self::Ctx,
                request: Request<'_>,
            ) -> impl std::future::Future<Output = Result<(), $crate::ServiceError>> + Send;

            $(fn $method(
                &self,
                ctx: &Self::Ctx,
                input: $In,
            ) -> impl std::future::Future<Output = Result<$Out, $crate::ServiceError>> + Send {
                let _ = (ctx, input);
                $crate::operation::Unimplemented::new()
            })*
        }

        /// Serves one call: is it there, decode, validate, authorise, run, encode.
        ///
        /// # Errors
        /// What the client shall be told, see `Reply::of_error`.
        pub async fn dispatch<H: $Trait, P: $crate::Protocol>(
            handler: &H,
            ctx: &H::Ctx,
            op: Op,
            protocol: P,
        ) -> Result<$crate::Reply, $crate::ServiceError> {
            match op {
                $(Op::$Op => {
                    let run = |input: $In| handler.$method(ctx, input);
                    // A client that is told what is wrong with its input believes that the
                    // operation is there.
                    if $crate::operation::starts_unimplemented(&run) {
                        return Err($crate::ServiceError::unknown_operation());
                    }
                    let input = $crate::operation::accept::<$In>(op.info(), &protocol)?;
                    handler.authorise(ctx, Request::$Op(&input)).await?;
                    let output = run(input).await?;
                    Ok($crate::operation::Output::reply(output, op.info(), &protocol))
                })*
            }
        }

        /// The operations that `handler` does not have. Nothing is run; for lists and tests only.
        pub fn unimplemented<H: $Trait>(handler: &H, ctx: &H::Ctx) -> Vec<Op> {
            let mut ops = Vec::new();
            $(if $crate::operation::is_unimplemented(handler.$method(ctx, Default::default())) {
                ops.push(Op::$Op);
            })*
            ops
        }

        /// Each operation as a type, for callers.
        pub mod ops {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[derive(Clone, Copy, Debug)]
                pub struct $Op;

                impl $crate::operation::Call for $Op {
                    type Input = $In;
                    type Output = $Out;
                    const OPERATION: &'static $crate::Operation = &OPERATIONS[Op::$Op as usize];
                }
            )*
        }

        /// Shows every input and output to `visitor`, for tests over all shapes.
        #[doc(hidden)]
        pub fn visit_shapes(visitor: &mut impl $crate::operation::ShapeVisitor) {
            $(visitor.input::<$In>(stringify!($Op));
            <$Out as $crate::operation::VisitOutput>::visit(visitor, stringify!($Op));)*
        }
    };
}

#[doc(hidden)]
pub const fn http_or_rpc(given: &[Http]) -> Http {
    if given.is_empty() { Http::RPC } else { given[0] }
}

#[doc(hidden)]
pub trait VisitOutput {
    fn visit(visitor: &mut impl ShapeVisitor, operation: &'static str);
}

impl<T: Structure + fmt::Debug + PartialEq> VisitOutput for T {
    fn visit(visitor: &mut impl ShapeVisitor, operation: &'static str) {
        visitor.output::<T>(operation);
    }
}

impl VisitOutput for () {
    fn visit(_: &mut impl ShapeVisitor, _: &'static str) {}
}

impl<E: Event> VisitOutput for Events<E> {
    fn visit(visitor: &mut impl ShapeVisitor, operation: &'static str) {
        E::visit_shapes(visitor, operation);
    }
}

impl<T: Structure + fmt::Debug + PartialEq> VisitOutput for Streamed<T> {
    fn visit(visitor: &mut impl ShapeVisitor, operation: &'static str) {
        visitor.output::<T>(operation);
    }
}
