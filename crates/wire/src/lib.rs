//! AWS's protocols as pure functions: shapes, JSON, REST-JSON, CBOR, event streams, errors, SigV4.
