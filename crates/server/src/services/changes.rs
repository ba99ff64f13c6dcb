//! `gavah.v1.ChangeService`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::try_unfold;
use gavah_api::v1 as pb;
use gavah_api::v1::change_service_server::ChangeService;
use gavah_domain::Reason;
use gavah_store::FeedPage;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::{App, feed};
use crate::call::Call;
use crate::convert::feed::{Beginning, changes_to_pb, list_changes, news_to_pb, watch_changes};
use crate::error::AppError;
use crate::status::to_status;

/// Changes told at once, at most.
const MOST: u64 = 500;
/// A reader that hears nothing for so long gets a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

#[tonic::async_trait]
impl ChangeService for Services {
    type WatchChangesStream = BoxStream<pb::WatchChangesResponse>;

    async fn list_changes(
        &self,
        request: Request<pb::ListChangesRequest>,
    ) -> Result<Response<pb::ListChangesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = list_changes(&message)?;
            let page = feed::read(&self.app, &call, input.after, input.most).await?;
            Ok(changes_to_pb(&page))
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn watch_changes(
        &self,
        request: Request<pb::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let (call, message) = split(request)?;
        let place = self.streams.place(&call)?;
        let act = async {
            let part = self.streams.part_of(&call)?;
            let after = match watch_changes(&message)? {
                Beginning::After(after) => after,
                Beginning::Now => feed::end(&self.app, &part).await?,
            };
            // Refused before the stream begins, when the feed does not reach so far.
            feed::read(&self.app, &part, after, 1).await?;
            Ok(after)
        };
        let after = act.await.map_err(|error| to_status(error, call.trace_id))?;
        let watching = Watching {
            app: Arc::clone(&self.app),
            end: self.app.feed_end.watch(),
            row_time: self.streams.row_time(),
            call,
            after,
            // So that the reader learns at once where it is.
            sign_of_life: Instant::now(),
            _place: place,
        };
        let trace_id = watching.call.trace_id;
        let news = try_unfold(watching, move |mut watching| async move {
            match watching.news().await {
                Ok(page) => Ok(Some((news_to_pb(&page), watching))),
                Err(error) => Err(to_status(error, trace_id)),
            }
        });
        Ok(Response::new(Box::pin(news)))
    }
}

/// A reader that follows the feed. All is driven by its reading: one that does not
/// read costs the memory of one part, and nobody waits for it.
struct Watching {
    app: Arc<App>,
    call: Call,
    /// Everything up to here has been told.
    after: i64,
    end: watch::Receiver<i64>,
    row_time: Duration,
    /// When the reader hears something, whatever happens.
    sign_of_life: Instant,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    /// The next changes, or none when it is time for a sign of life.
    async fn news(&mut self) -> Result<FeedPage, AppError> {
        let draining = self.call.standing.draining();
        tokio::select! {
            biased;
            () = draining => Err(Reason::Draining.into()),
            news = self.next_part() => news,
        }
    }

    async fn next_part(&mut self) -> Result<FeedPage, AppError> {
        loop {
            let part = self
                .call
                .standing
                .again(&self.call, Instant::now() + self.row_time)?;
            let page = feed::read(&self.app, &part, self.after, MOST).await?;
            self.after = page.reached;
            let all = page.reached >= page.end;
            let due = Instant::now() >= self.sign_of_life;
            if !page.events.is_empty() || (all && due) {
                self.sign_of_life = Instant::now() + SIGN_OF_LIFE;
                return Ok(page);
            }
            if all {
                let after = self.after;
                let more = self.end.wait_for(|end| *end > after);
                // Later than the sign of life there is at least that to be told; and
                // when nobody looks at the feed any more, the drain ends the stream.
                let _ = timeout_at(self.sign_of_life, more).await;
            }
        }
    }
}
