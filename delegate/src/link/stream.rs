//! The two halves of a stream of a link.
//!
//! Invariants: the kind's byte goes out with the first write, so opening costs no packet of its own;
//! a half that is dropped before its end is reset, so the other side never takes an abandoned stream
//! for a finished one; what is read is bounded by the stream's kind. Bytes are handed on as they
//! are, without a copy.

use std::{fmt, future::Future, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use prost::Message;
use quinn::{ReadError, StoppedError, VarInt, WriteError};
use tokio::time::timeout;

use super::{
    Kind,
    connection::Closed,
    frame::{FrameError, Frames, Parts},
};

/// Bytes taken from the transport at once.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// The other side has lost interest.
pub(super) const CANCELLED: VarInt = VarInt::from_u32(1);

/// The kind is not known here.
pub(super) const UNKNOWN_KIND: VarInt = VarInt::from_u32(2);

/// Why a stream cannot be used (any more).
#[derive(Clone, Debug, thiserror::Error)]
pub enum StreamError {
    /// The other side has given it up, or does not know its kind.
    #[error("the other side has given the stream up (code {0})")]
    GivenUp(u64),
    /// The other side has ended it before what was expected came.
    #[error("the stream ended before its message")]
    Ended,
    /// It is finished here already.
    #[error("the stream is finished")]
    Finished,
    /// The link is gone.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// What came is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What came is no such message.
    #[error("not the message that was expected: {0}")]
    Message(#[from] prost::DecodeError),
    /// Nothing came in time.
    #[error("no message within {0:?}")]
    TooLate(Duration),
}

/// The sending half.
pub struct Send {
    stream: quinn::SendStream,
    /// Goes out before anything else.
    opening: Option<Kind>,
    finished: bool,
}

impl Send {
    pub(super) fn opened(stream: quinn::SendStream, kind: Kind) -> Self {
        let mut send = Self::accepted(stream, kind);
        send.opening = Some(kind);
        send
    }

    pub(super) fn accepted(stream: quinn::SendStream, kind: Kind) -> Self {
        // An error says that the stream is over already, which the first write will tell.
        let _ = stream.set_priority(kind.priority());
        Self {
            stream,
            opening: None,
            finished: false,
        }
    }

    /// Sends one message as a frame. Not cancel-safe, as all sending here.
    ///
    /// # Errors
    /// [`StreamError::GivenUp`], [`StreamError::Closed`] or [`StreamError::Finished`].
    pub async fn message(&mut self, message: &impl Message) -> Result<(), StreamError> {
        self.parts(Parts::new().message(message)).await
    }

    /// Sends bytes as a frame.
    ///
    /// # Errors
    /// As for [`Send::message`].
    pub async fn frame(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.parts(Parts::new().frame(bytes)).await
    }

    /// Sends frames with one write.
    ///
    /// # Errors
    /// As for [`Send::message`].
    pub async fn parts(&mut self, parts: Parts) -> Result<(), StreamError> {
        let mut chunks = match self.opening.take() {
            None => parts.into_chunks(),
            Some(kind) => {
                let mut chunks = Parts::new().byte(kind.byte());
                for chunk in parts.into_chunks() {
                    chunks = chunks.bytes(chunk);
                }
                chunks.into_chunks()
            }
        };
        self.write(&mut chunks).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As for [`Send::message`].
    pub async fn chunks(&mut self, chunks: &mut [Bytes]) -> Result<(), StreamError> {
        self.open().await?;
        self.write(chunks).await
    }

    /// Nothing more will be sent; what was sent will arrive.
    pub fn finish(&mut self) {
        self.finished = true;
        // An error says that it is over already.
        let _ = self.stream.finish();
    }

    /// Finishes, having sent the kind alone if nothing else was.
    ///
    /// # Errors
    /// As for [`Send::message`].
    pub async fn open_and_finish(&mut self) -> Result<(), StreamError> {
        self.open().await?;
        self.finish();
        Ok(())
    }

    /// Gives the stream up: what was sent may not arrive.
    pub fn reset(&mut self) {
        self.finished = true;
        let _ = self.stream.reset(CANCELLED);
    }

    /// Waits until the other side has given this half up or the link is gone; after
    /// [`Send::finish`], also until all has arrived ([`StreamError::Finished`]). Cancel-safe, and
    /// does not borrow: take it before the half is put to use.
    pub fn stopped(&self) -> impl Future<Output = StreamError> + core::marker::Send + use<> {
        let stopped = self.stream.stopped();
        async move {
            match stopped.await {
                Ok(Some(code)) => StreamError::GivenUp(code.into_inner()),
                Ok(None) => StreamError::Finished,
                Err(StoppedError::ConnectionLost(error)) => Closed::from(error).into(),
                Err(StoppedError::ZeroRttRejected) => StreamError::Finished,
            }
        }
    }

    async fn open(&mut self) -> Result<(), StreamError> {
        match self.opening.take() {
            None => Ok(()),
            Some(kind) => {
                let mut chunks = Parts::new().byte(kind.byte()).into_chunks();
                self.write(&mut chunks).await
            }
        }
    }

    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), StreamError> {
        Ok(self.stream.write_all_chunks(chunks).await?)
    }
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::GivenUp(code.into_inner()),
            WriteError::ConnectionLost(error) => Self::Closed(error.into()),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Finished,
        }
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.stream.reset(CANCELLED);
        }
    }
}

impl fmt::Debug for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Send({})", self.stream.id())
    }
}

/// The receiving half; dropped before its end, it tells the sender to stop.
pub struct Recv {
    stream: quinn::RecvStream,
    kind: Kind,
    frames: Frames,
}

impl Recv {
    pub(super) fn new(stream: quinn::RecvStream, kind: Kind, arrived: Bytes) -> Self {
        let mut frames = Frames::default();
        frames.push(arrived);
        Self {
            stream,
            kind,
            frames,
        }
    }

    /// What the stream is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The next message; none at the stream's end. Cancel-safe.
    ///
    /// # Errors
    /// Every [`StreamError`] but [`StreamError::Ended`] and [`StreamError::TooLate`].
    pub async fn next_message<M: Message + Default>(&mut self) -> Result<Option<M>, StreamError> {
        match self.next(self.kind.message_bytes_max()).await? {
            Some(frame) => Ok(Some(M::decode(frame)?)),
            None => Ok(None),
        }
    }

    /// The next message, which is due. Cancel-safe.
    ///
    /// # Errors
    /// As for [`Recv::next_message`], and [`StreamError::Ended`].
    pub async fn message<M: Message + Default>(&mut self) -> Result<M, StreamError> {
        self.next_message().await?.ok_or(StreamError::Ended)
    }

    /// The next message, which is due within `limit`. Cancel-safe.
    ///
    /// # Errors
    /// As for [`Recv::message`], and [`StreamError::TooLate`].
    pub async fn message_within<M: Message + Default>(
        &mut self,
        limit: Duration,
    ) -> Result<M, StreamError> {
        let message = timeout(limit, self.message()).await;
        message.unwrap_or(Err(StreamError::TooLate(limit)))
    }

    /// The next frame; none at the stream's end. Cancel-safe.
    ///
    /// # Errors
    /// As for [`Recv::next_message`].
    pub async fn frame(&mut self) -> Result<Option<Bytes>, StreamError> {
        self.next(self.kind.frame_bytes_max()).await
    }

    /// The bytes that come next, whatever they are; none at the stream's end. To be used only
    /// between frames. Cancel-safe.
    ///
    /// # Errors
    /// As for [`Recv::next_message`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StreamError> {
        match self.frames.take_rest() {
            Some(rest) => Ok(Some(rest)),
            None => self.read().await,
        }
    }

    /// Takes note of the stream's end if that has come: the sender is then not told to stop, which
    /// would cost a packet. To be called when nothing more is expected.
    pub fn settle(&mut self) {
        // An error, or more bytes, is as good as an end: nothing was expected.
        let _ = self.stream.read_chunk(CHUNK_BYTES_MAX, true).now_or_never();
    }

    async fn next(&mut self, bytes_max: usize) -> Result<Option<Bytes>, StreamError> {
        loop {
            if let Some(frame) = self.frames.next(bytes_max)? {
                return Ok(Some(frame));
            }
            match self.read().await? {
                Some(chunk) => self.frames.push(chunk),
                None => return Ok(self.frames.end().map(|()| None)?),
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, StreamError> {
        let chunk = self.stream.read_chunk(CHUNK_BYTES_MAX, true).await?;
        Ok(chunk.map(|chunk| chunk.bytes))
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::GivenUp(code.into_inner()),
            ReadError::ConnectionLost(error) => Self::Closed(error.into()),
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Finished,
        }
    }
}

impl fmt::Debug for Recv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recv({}, {:?})", self.stream.id(), self.kind)
    }
}
