//! `GET /hot?stream=NAME`: a page of the node's own about one stream, for those who may read AWS's
//! answers about it. It is signed as other requests are, and decides account and region by that.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use millstream_api::kinesis;
use millstream_wire::{Codec, ServiceError, uri};

use super::{AnswerBody, Pipeline};
use crate::call::{Call, Origin};
use crate::front_door::Refusal;
use crate::services::kinesis::errors;

const PATH: &str = "/hot";
/// SHA-256 of nothing, in hexadecimal: the body of a GET.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Pipeline {
    /// The page, if the request is for it.
    pub(super) async fn hot_page(&self, parts: &Parts) -> Option<Response<AnswerBody>> {
        if parts.method != Method::GET || parts.uri.path() != PATH {
            return None;
        }
        let id = self.ids.next();
        let (status, body) = match self.hot(parts, id).await {
            Ok(page) => (StatusCode::OK, Bytes::from(format!("{page:#}\n"))),
            Err(error) => {
                let answer = Refusal::Error(error, Codec::Json.into()).answer(id);
                (answer.status, answer.body)
            }
        };
        let mut response = Response::new(AnswerBody::whole(body));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.headers_mut().insert("x-amzn-requestid", id.header());
        Some(response)
    }

    async fn hot(
        &self,
        parts: &Parts,
        id: crate::ids::RequestId,
    ) -> Result<serde_json::Value, ServiceError> {
        let hash = self.authenticator.wants_hash(parts).then_some(EMPTY_SHA256);
        let caller =
            self.authenticator.authenticate(parts, hash, self.env.now(), &kinesis::SERVICE)?;
        let query = uri::query_pairs(parts.uri.query().unwrap_or_default());
        let stream = query.iter().find(|(name, _)| name == "stream").map(|(_, value)| value);
        let stream = stream.ok_or_else(errors::no_stream_named)?;
        let origin = caller.who.is_some().then(|| Origin::of(parts, self.env.now()));
        self.kinesis.hot(&Call { id, caller, origin }, stream).await
    }
}
