//! Who changes something, and from where: an extractor, so that no change can forget to say.

use api::{Admin, ClientIp, Kit, Problem, RequestId};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use store::By;

/// An admin who changes something. Refuses everybody whom [`Admin`] refuses.
#[derive(Clone, Debug)]
pub struct Acting(pub By);

impl<S: Send + Sync> FromRequestParts<S> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Admin(caller) = Admin::from_request_parts(parts, state).await?;
        let kit = Kit::of_request(parts)?;
        let Ok(ClientIp(address)) = ClientIp::from_request_parts(parts, state).await;
        let Ok(RequestId(request_id)) = RequestId::from_request_parts(parts, state).await;
        let (at, record) = (kit.clock.now(), kit.id("aud"));
        Ok(Self(By { actor: caller.user, at, record, address: address.to_string(), request_id }))
    }
}
