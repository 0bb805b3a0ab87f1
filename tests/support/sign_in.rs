//! Somebody signed in, without the way there: for tests of areas other than `auth`.

use crate::{TestApp, id};
use auth::Signer;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use domain::Id;
use domain::account::Role;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;
use store::keys;
use tower::ServiceExt;

/// One key for all tests of a process: making one takes longer than most tests.
static PEM: LazyLock<api::Secret> = LazyLock::new(|| Signer::generate_pem().expect("the system has randomness"));

/// Largest body of an answer that is read.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// An answer of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its headers, by name.
    pub headers: HashMap<String, String>,
    /// Its JSON, `null` where there is none.
    pub json: Value,
}

impl TestApp {
    /// What signs access tokens here.
    #[must_use]
    pub fn signer(&self) -> Signer {
        Signer::from_pem(&PEM, crate::time(crate::BEGIN)).expect("a new key is a key")
    }

    /// A user of that id exists, is active and has a live session: its access token.
    pub async fn sign_in(&self, user: &str, role: Role) -> String {
        let session = api::new_id("ses", self.time.now());
        self.put_access(user, "active", role, &session).await;
        self.token_of(user, &session).await
    }

    /// A token of a session, whether it is live or not.
    pub async fn token_of(&self, user: &str, session: &Id) -> String {
        let signer = self.signer();
        self.system.store.access_key_add(signer.public()).await.expect("the key is made known");
        signer.sign(&id(user), session, self.time.now()).expect("it signs")
    }

    /// How billing is doing, as an admin sees it.
    pub async fn billing_daemon(&self) -> Answer {
        let token = self.sign_in("usr_admin", Role::Admin).await;
        let router = health::router(self.kit(health::AREA));
        ask(&router, "GET", "/api/v1/health/billing-daemon", Some(&token), None).await
    }

    /// Writes what a user may do, as it stands in the table.
    pub async fn put_access(&self, user: &str, status: &str, role: Role, session: &Id) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let store = &self.system.store;
        let put = store.client().put_item().table_name(&store.tables().main);
        let put = put
            .item(keys::PK, text(&keys::access(&id(user))))
            .item(keys::SK, text(keys::ACCESS))
            .item("status", text(status))
            .item("role", text(role.as_str()))
            .item("sessions", AttributeValue::Ss(vec![session.to_string()]))
            .item("keys", AttributeValue::M(HashMap::new()));
        put.send().await.expect("the item is put");
    }
}

/// Asks a router. `token` goes into `Authorization`, `body` as JSON.
pub async fn ask(router: &Router, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = token.into_iter().fold(request, |r, token| r.header("authorization", format!("Bearer {token}")));
    let request = match body {
        Some(json) => request.header("content-type", "application/json").body(Body::from(json.to_string())),
        None => request.body(Body::empty()),
    };
    send(router, request.expect("a test's requests are requests")).await
}

/// Sends a request as it stands.
pub async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response: Response<Body> = router.clone().oneshot(request).await.expect("a router answers");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.expect("the body is read");
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().map(header).collect(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}
