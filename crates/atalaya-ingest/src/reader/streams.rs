//! Inputs that are no files: standard input.

use std::path::PathBuf;
use std::time::Instant;

use super::active::Active;
use super::inputs::Watched;
use super::{Port, Reader};
use crate::StreamInput;
use crate::content::{Content, Stream};
use crate::identity::Fingerprint;
use crate::tail::{Start, Tail};
use atalaya_domain::record::OriginId;
use atalaya_store::error::{Reason, StoreError, describe};

impl<P: Port> Reader<P> {
    /// Adds an input that is no file; it is read once, beside the files. The input comes back when
    /// the store did not say how far it has it: try again.
    #[expect(
        clippy::result_large_err,
        reason = "once for each stream: the input itself comes back"
    )]
    pub fn add_stream(
        &mut self,
        stream: StreamInput,
        wake: impl Fn() + Send + 'static,
        now: Instant,
    ) -> Result<(), (StreamError, Option<StreamInput>)> {
        let origin = OriginId::derive(&[b"stream", self.host.as_bytes(), stream.key.as_bytes()]);
        let offset = match self.port.watermark(origin) {
            Ok(stored) => stored.unwrap_or(0),
            Err(error) => {
                let again = error.is_transient().then_some(stream);
                return Err((error.into(), again));
            }
        };
        let format = stream.input.format;
        let tail = Stream::start(stream.reader, wake)
            .and_then(|stream| {
                let print = Fingerprint::default();
                let content = Content::Stream(stream);
                Tail::new(
                    Start {
                        origin,
                        content,
                        offset,
                        from: None,
                        print,
                        format,
                    },
                    now,
                )
            })
            .map_err(|error| (error.into(), None))?;
        let input = self.inputs.push(Watched::stream(stream.input));
        let mut active = Active::new(PathBuf::from(stream.name), input, offset);
        active.tail = Some(tail);
        active.durable = true; // its identity is the key: there is nothing to remember
        self.active.insert(origin, active);
        self.turns.order.push(origin);
        Ok(())
    }
}

/// Why a stream could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the store does not say how far the stream is stored")]
    Store(#[from] StoreError),
    #[error("the stream cannot be read")]
    Read(#[from] std::io::Error),
}

impl StreamError {
    /// For those who wait for it.
    pub fn reason(&self) -> Reason {
        Reason {
            why: describe(self),
            remedy: match self {
                Self::Store(error) => error.remedy(),
                Self::Read(_) => None,
            },
        }
    }
}
