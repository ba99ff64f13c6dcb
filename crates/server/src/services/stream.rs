//! Streams of rows: answered in the order in which they came, while a bounded number of them is at work.
//!
//! All is driven by whoever reads the answers. A client that does not read them stops the reading of its rows, so that
//! a stream takes no more memory than its window, whatever its length. The work itself runs in tasks: what was begun
//! ends at its own pace and ends also when the client has gone.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use futures_util::{Stream, StreamExt};
use gavah_domain::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::codegen::BoxStream;
use tonic::{Response, Status};
use tracing::Instrument;

use crate::call::Call;
use crate::error::AppError;
use crate::status::to_status;

/// Streams of rows of one server at a time. With the windows it bounds the memory of all of them.
const MOST_STREAMS: usize = 256;

/// Files of one server that are sent or read at a time: each is in memory whole.
const MOST_FILES: usize = 32;

/// What all streams of a server share.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    files: Arc<Semaphore>,
    row_time: Duration,
}

impl Streams {
    /// Streams whose rows have `row_time` each.
    pub(super) fn new(row_time: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_STREAMS)),
            files: Arc::new(Semaphore::new(MOST_FILES)),
            row_time,
        }
    }

    /// A place among the streams of the server.
    pub(super) fn place(&self, call: &Call) -> Result<OwnedSemaphorePermit, Status> {
        place_of(&self.places, call)
    }

    /// A place among the files that are sent or read.
    pub(super) fn file_place(&self, call: &Call) -> Result<OwnedSemaphorePermit, Status> {
        place_of(&self.files, call)
    }

    /// The call as one that begins now and has the time of a row.
    pub(super) fn part_of(&self, call: &Call) -> Result<Call, AppError> {
        call.standing.again(call, Instant::now() + self.row_time)
    }

    /// How long a part of a stream may take.
    pub(super) fn row_time(&self) -> Duration {
        self.row_time
    }

    /// Answers the messages of a stream by `rows`.
    pub(super) fn answer<M, R: Rows>(
        &self,
        call: Call,
        messages: M,
        rows: R,
    ) -> Result<Response<BoxStream<R::Answer>>, Status>
    where
        M: Stream<Item = Result<R::Message, Status>> + Unpin + Send + 'static,
    {
        let place = self.place(&call)?;
        Ok(Response::new(Box::pin(Answers {
            draining: Box::pin(call.standing.draining()),
            call,
            messages,
            rows,
            row_time: self.row_time,
            at_work: VecDeque::new(),
            answers: Vec::new().into_iter(),
            end: None,
            ended: false,
            _place: place,
        })))
    }
}

fn place_of(places: &Arc<Semaphore>, call: &Call) -> Result<OwnedSemaphorePermit, Status> {
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| to_status(Reason::Overloaded.into(), call.trace_id))
}

/// What becomes of a stream's messages.
pub(super) trait Rows: Unpin + Send + 'static {
    /// A message of the client's.
    type Message: Send + 'static;
    /// The answer to a row.
    type Answer: Unpin + Send + 'static;

    /// Messages taken up together, at most: of those that have arrived, none is waited for.
    const TOGETHER: usize;
    /// Works at a time. Times [`Rows::TOGETHER`] it is the stream's window.
    const AT_WORK: usize;

    /// Takes up messages that have arrived, at least one, under a call made for them.
    fn begin(&mut self, call: Call, messages: Vec<Self::Message>) -> Begun<Self::Answer>;

    /// The client has sent its last message.
    fn complete(&self) -> Result<(), AppError> {
        Ok(())
    }
}

/// The work on messages taken up together. An error among its answers ends the stream.
pub(super) type Work<A> = Pin<Box<dyn Future<Output = Answered<A>> + Send>>;

/// The answers to messages taken up together, in their order.
pub(super) type Answered<A> = Vec<Result<A, AppError>>;

/// What came of taking messages up.
pub(super) struct Begun<A> {
    /// The work on those that are good.
    pub(super) work: Option<Work<A>>,
    /// What ends the stream once everything begun is answered.
    pub(super) end: Option<AppError>,
}

/// The answers of a stream.
struct Answers<M, R: Rows> {
    call: Call,
    messages: M,
    rows: R,
    row_time: Duration,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    at_work: VecDeque<JoinHandle<Answered<R::Answer>>>,
    /// Of the oldest work.
    answers: vec::IntoIter<Result<R::Answer, AppError>>,
    /// How the stream ends when nothing is at work any more. Nothing is read once it is known.
    end: Option<Result<(), Status>>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl<M, R> Answers<M, R>
where
    M: Stream<Item = Result<R::Message, Status>> + Unpin,
    R: Rows,
{
    /// Takes up what has arrived, as much as the window has room for.
    fn read(&mut self, cx: &mut Context<'_>) {
        while self.end.is_none() && self.at_work.len() < R::AT_WORK {
            if self.draining.as_mut().poll(cx).is_ready() {
                self.end = Some(Err(self.status(Reason::Draining.into())));
                return;
            }
            let messages = self.arrived(cx);
            if messages.is_empty() {
                return;
            }
            let deadline = Instant::now() + self.row_time;
            let begun = match self.call.standing.again(&self.call, deadline) {
                Ok(call) => self.rows.begin(call, messages),
                Err(error) => Begun {
                    work: None,
                    end: Some(error),
                },
            };
            if let Some(work) = begun.work {
                // In the call's span: a task of its own would begin a trace of its own.
                self.at_work.push_back(tokio::spawn(work.in_current_span()));
            }
            if let Some(error) = begun.end {
                self.end = Some(Err(self.status(error)));
            }
        }
    }

    /// The messages that are there, in their order; none when there is nothing to take up yet or any more.
    fn arrived(&mut self, cx: &mut Context<'_>) -> Vec<R::Message> {
        let mut messages = Vec::new();
        while messages.len() < R::TOGETHER {
            match self.messages.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => messages.push(message),
                Poll::Ready(Some(Err(status))) => {
                    self.end = Some(Err(status));
                    break;
                }
                Poll::Ready(None) => {
                    let complete = self.rows.complete();
                    self.end = Some(complete.map_err(|error| self.status(error)));
                    break;
                }
                Poll::Pending => break,
            }
        }
        messages
    }

    fn status(&self, error: AppError) -> Status {
        to_status(error, self.call.trace_id)
    }
}

impl<M, R> Stream for Answers<M, R>
where
    M: Stream<Item = Result<R::Message, Status>> + Unpin,
    R: Rows,
{
    type Item = Result<R::Answer, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.ended {
            if let Some(answer) = this.answers.next() {
                this.ended = answer.is_err();
                return Poll::Ready(Some(answer.map_err(|error| this.status(error))));
            }
            this.read(cx);
            if let Some(oldest) = this.at_work.front_mut() {
                let done = ready!(Pin::new(oldest).poll(cx));
                this.at_work.pop_front();
                let panicked = |_| vec![Err(AppError::Internal("the work on a row panicked"))];
                this.answers = done.unwrap_or_else(panicked).into_iter();
                continue;
            }
            match this.end.take() {
                None => return Poll::Pending,
                Some(end) => {
                    this.ended = true;
                    return Poll::Ready(end.err().map(Err));
                }
            }
        }
        Poll::Ready(None)
    }
}
