//! Answers that several endpoints give, and the floor under the time of those that must not tell anything.

use crate::State;
use serde::Serialize;
use std::future::Future;
use tokio::time::{Instant, sleep, sleep_until};
use utoipa::ToSchema;

/// A request was taken. Whether anything comes of it, only the owner of the address learns.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// Always `accepted`.
    #[schema(pattern = "^accepted$")]
    status: &'static str,
    /// What to do now.
    detail: &'static str,
}

impl Accepted {
    /// The one answer, whoever's the address is.
    pub const MAIL: Self =
        Self { status: "accepted", detail: "If the address can be used, a mail is on its way to it." };
}

/// Works, and does not return before the floor.
pub async fn no_sooner<T>(state: &State, work: impl Future<Output = T>) -> T {
    let (result, ()) = tokio::join!(work, sleep(state.floor));
    result
}

/// Works; where that fails, does not return before the floor. A success may be fast: it tells only who succeeds.
pub async fn fail_no_sooner<T, E>(state: &State, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let until = Instant::now() + state.floor;
    let result = work.await;
    if result.is_err() {
        sleep_until(until).await;
    }
    result
}
