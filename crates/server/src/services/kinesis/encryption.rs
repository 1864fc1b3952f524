//! Encryption at rest, as the API shows it.

use millstream_api::kinesis as api;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, target};

impl DataStreams {
    pub(super) async fn start_stream_encryption(
        &self,
        call: &Call,
        input: api::StartStreamEncryptionInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        self.check_encryption_type(&stream, &input.encryption_type).await?;
        let started = self.engine.start_encryption(&stream, &input.key_id).await;
        started.map_err(|e| of_engine(e, During::Control))
    }

    pub(super) async fn stop_stream_encryption(
        &self,
        call: &Call,
        input: api::StopStreamEncryptionInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        self.check_encryption_type(&stream, &input.encryption_type).await?;
        let stopped = self.engine.stop_encryption(&stream, &input.key_id).await;
        stopped.map_err(|e| of_engine(e, During::Control))
    }

    /// Only KMS makes sense in either operation; that the stream is there comes first.
    async fn check_encryption_type(
        &self,
        stream: &millstream_base::StreamArn,
        encryption_type: &api::EncryptionType,
    ) -> Result<(), ServiceError> {
        if *encryption_type == api::EncryptionType::Kms {
            return Ok(());
        }
        let described = self.engine.describe_stream_summary(stream).await;
        described.map_err(|e| of_engine(e, During::Control))?;
        Err(errors::encryption_type_not_kms())
    }
}
