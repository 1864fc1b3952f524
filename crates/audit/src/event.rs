//! An event in CloudTrail's form.
//!
//! Source: AWS CloudTrail user guide, "CloudTrail record contents for management, data, and network
//! activity events" and "CloudTrail userIdentity element" (event version 1.11).

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use millstream_base::Timestamp;
use serde::Serialize;
use serde_json::Value;

const EVENT_VERSION: &str = "1.11";
/// Longest user agent and error message, in bytes; CloudTrail cuts them at 1 KB.
const TEXT_BYTES_MAX: usize = 1024;

/// One call and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    event_version: &'static str,
    pub user_identity: UserIdentity,
    /// When the call was completed, see [`event_time`].
    pub event_time: String,
    /// `kinesis.amazonaws.com`
    pub event_source: String,
    /// `CreateStream`
    pub event_name: String,
    pub aws_region: String,
    #[serde(rename = "sourceIPAddress")]
    pub source_ip_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    pub request_parameters: Value,
    pub response_elements: Value,
    #[serde(rename = "requestID")]
    pub request_id: String,
    #[serde(rename = "eventID")]
    pub event_id: String,
    pub read_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
    event_type: &'static str,
    pub management_event: bool,
    pub recipient_account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_endpoint_id: Option<String>,
    pub event_category: EventCategory,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_details: Option<TlsDetails>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum EventCategory {
    Management,
    Data,
}

/// Who called.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// `Root`, `IAMUser`, `AssumedRole`, `WebIdentityUser`, `AWSAccount`, `AWSService`, `Unknown`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Of temporary credentials: who issued them and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_context: Option<Value>,
}

/// What was acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    #[serde(rename = "accountId")]
    pub account_id: String,
    /// `AWS::Kinesis::Stream`
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(rename = "ARN")]
    pub arn: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsDetails {
    pub tls_version: String,
    pub cipher_suite: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_provided_host_header: Option<String>,
}

impl Event {
    /// An event that says nothing yet but when.
    pub fn at(now: Timestamp) -> Event {
        Event {
            event_version: EVENT_VERSION,
            user_identity: UserIdentity::default(),
            event_time: event_time(now),
            event_source: String::new(),
            event_name: String::new(),
            aws_region: String::new(),
            source_ip_address: String::new(),
            user_agent: None,
            error_code: None,
            error_message: None,
            request_parameters: Value::Null,
            response_elements: Value::Null,
            request_id: String::new(),
            event_id: String::new(),
            read_only: false,
            resources: Vec::new(),
            event_type: "AwsApiCall",
            management_event: true,
            recipient_account_id: String::new(),
            vpc_endpoint_id: None,
            event_category: EventCategory::Management,
            tls_details: None,
        }
    }

    /// JSON on one line.
    pub fn text(mut self) -> String {
        self.user_agent = self.user_agent.map(cut);
        self.error_message = self.error_message.map(cut);
        serde_json::to_string(&self).expect("text, numbers and values are JSON")
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

/// `2026-01-01T00:00:00Z`, as CloudTrail writes times.
pub fn event_time(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_second(now.as_secs() as i64).unwrap_or(jiff::Timestamp::MAX);
    strtime::format("%Y-%m-%dT%H:%M:%SZ", &time.to_zoned(TimeZone::UTC)).expect("a known format")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_cloudtrails_names() {
        let mut event = Event::at(Timestamp::from_secs(1_767_225_600));
        event.event_name = "CreateStream".to_owned();
        event.user_agent = Some("é".repeat(1000));
        event.user_identity.kind = "Root".to_owned();
        let json: Value = serde_json::from_str(&event.text()).unwrap();
        assert_eq!(json["eventTime"], "2026-01-01T00:00:00Z");
        assert_eq!(json["eventVersion"], "1.11");
        assert_eq!(json["userIdentity"]["type"], "Root");
        assert_eq!(json["userAgent"].as_str().unwrap().len(), 1024);
        for name in ["sourceIPAddress", "requestID", "eventID", "requestParameters", "eventType"] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(json["eventCategory"], "Management");
    }
}
