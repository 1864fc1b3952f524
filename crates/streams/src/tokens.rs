//! Tokens as the operations take and give them: of the right kind, of this data directory, not too old.

use std::time::Duration;

use millstream_base::limits::ITERATOR_CHARS_MAX;
use millstream_base::{Scope, StreamArn, Timestamp};

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::token::{ConsumersToken, IteratorToken, ShardsToken, StreamsToken, Token};

/// Most characters of a list token that can be ours.
const TOKEN_CHARS_MAX: usize = 1024;

impl Streams {
    pub(crate) fn seal_token<T: Token>(&self, token: &T) -> String {
        self.inner.token_key.seal(token, self.inner.env.random_bytes())
    }

    /// An iterator of any age. Quotes around it are passed over: they come with pasted JSON.
    pub(crate) fn open_iterator(&self, text: &str) -> Result<IteratorToken> {
        let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        if bare.len() > ITERATOR_CHARS_MAX {
            return Err(Error::IteratorInvalid);
        }
        self.inner.token_key.open(bare).ok_or(Error::IteratorInvalid)
    }

    pub(crate) fn open_shards_token(&self, text: &str, scope: &Scope) -> Result<ShardsToken> {
        let token: ShardsToken = self.open_list_token(text)?;
        self.check_list_token(token.issued, token.stream.scope(), scope)?;
        Ok(token)
    }

    pub(crate) fn open_streams_token(&self, text: &str, scope: &Scope) -> Result<StreamsToken> {
        let token: StreamsToken = self.open_list_token(text)?;
        self.check_list_token(token.issued, &token.scope, scope)?;
        Ok(token)
    }

    /// A token of that stream's consumers.
    pub(crate) fn open_consumers_token(
        &self,
        text: &str,
        stream: &StreamArn,
    ) -> Result<ConsumersToken> {
        let token: ConsumersToken = self.open_list_token(text)?;
        self.check_list_token(token.issued, token.stream.scope(), stream.scope())?;
        match token.stream == *stream {
            true => Ok(token),
            false => Err(Error::NextTokenInvalid),
        }
    }

    /// The stream whose shards a ListShards token lists, for authorization; neither its age nor
    /// its place are looked at.
    pub fn next_token_stream(&self, next_token: &str) -> Result<StreamArn> {
        let token: ShardsToken = self.open_list_token(next_token)?;
        Ok(token.stream)
    }

    fn open_list_token<T: Token>(&self, text: &str) -> Result<T> {
        if text.len() > TOKEN_CHARS_MAX {
            return Err(Error::NextTokenInvalid);
        }
        self.inner.token_key.open(text).ok_or(Error::NextTokenInvalid)
    }

    pub(crate) fn check_list_token(
        &self,
        issued: Timestamp,
        given_in: &Scope,
        used_in: &Scope,
    ) -> Result<()> {
        if given_in != used_in {
            return Err(Error::NextTokenInvalid);
        }
        let (now, life) = (self.now(), self.inner.options.next_token_life);
        match now.since(issued) > life {
            true => Err(Error::NextTokenExpired { issued, now, life }),
            false => Ok(()),
        }
    }

    pub(crate) fn check_iterator_age(&self, issued: Timestamp) -> Result<()> {
        let (now, life): (_, Duration) = (self.now(), self.inner.options.iterator_life);
        match now.since(issued) > life {
            true => Err(Error::IteratorExpired { issued, now, life }),
            false => Ok(()),
        }
    }
}
