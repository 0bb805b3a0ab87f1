//! Accounts the way their owners get them: through the router of `auth` and the tokens in their mail.

use crate::sign_in::{Answer, ask};
use crate::{TestApp, id};
use api::{ClientIp, Kit};
use auth::{Passwords, State};
use axum::{Extension, Router};
use domain::Id;
use domain::mail::Template;
use providers::Queue;
use serde_json::{Value, json};
use skymeter::queue::{EmbeddedQueue, QueueFile};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::OutboxMail;

/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery";
/// Mails that are looked through.
const MAX_MAILS: u16 = 1_000;

/// Somebody who has registered, proven the address and signed in.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who.
    pub user: Id,
    /// For `Authorization`.
    pub access_token: String,
    /// For the next pair.
    pub refresh_token: String,
    /// The session.
    pub session: Id,
}

impl Account {
    /// Out of the answer of a sign-in.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        let text = |name: &str| answer.json[name].as_str().unwrap_or_default().to_owned();
        let refresh_token = text("refresh_token");
        let user = id(refresh_token.split('.').next().unwrap_or_default());
        Self { user, access_token: text("access_token"), refresh_token, session: id(&text("session_id")) }
    }
}

impl TestApp {
    /// What `auth` works with here: no floor under its answers, and a queue nobody reads.
    pub async fn auth_state(&self) -> State {
        let signer = self.signer();
        self.system.store.access_key_add(signer.public()).await.expect("the key is made known");
        let kit = Kit::new(auth::AREA, self.system.store.clone(), self.time.clock());
        let mails: Arc<dyn Queue> = Arc::new(self.mail_queue());
        State { kit, signer, passwords: Passwords::new(), mails, floor: Duration::ZERO }
    }

    fn mail_queue(&self) -> EmbeddedQueue {
        QueueFile::open(None, self.time.clock()).expect("a queue in memory opens").queue("mails")
    }

    /// The router of `auth`.
    pub async fn auth_router(&self) -> Router {
        auth::router(self.auth_state().await)
    }

    /// Everything in the outbox that is for an address, oldest first.
    pub async fn mails_to(&self, email: &str) -> Vec<OutboxMail> {
        let soon = self.time.now().plus_secs(120);
        let waiting = self.system.store.mail_waiting(soon, MAX_MAILS).await.expect("the outbox is read");
        waiting.into_iter().map(|record| record.mail).filter(|mail| mail.to.as_deref() == Some(email)).collect()
    }

    /// The mails of one kind to an address.
    pub async fn mails_of(&self, template: Template, email: &str) -> Vec<OutboxMail> {
        self.mails_to(email).await.into_iter().filter(|mail| mail.template == template).collect()
    }

    /// The token in the one mail of that kind to an address.
    pub async fn mailed_token(&self, template: Template, email: &str) -> String {
        let mails = self.mails_of(template, email).await;
        assert_eq!(mails.len(), 1, "mails of {template} to {email}");
        mails[0].params["token"].clone()
    }

    /// Registers, without proving the address.
    pub async fn register(&self, router: &Router, email: &str) {
        let body = json!({ "email": email, "password": PASSWORD, "name": "Ada Lovelace" });
        let answer = ask(router, "POST", "/api/v1/auth/register", None, Some(body)).await;
        assert_eq!(answer.status, 202, "{:?}", answer.json);
    }

    /// Registers and proves the address.
    pub async fn register_and_verify(&self, router: &Router, email: &str) {
        self.register(router, email).await;
        let body = json!({ "token": self.mailed_token(Template::Verify, email).await, "password": PASSWORD });
        let answer = ask(router, "POST", "/api/v1/auth/verify-email", None, Some(body)).await;
        assert_eq!(answer.status, 204, "{:?}", answer.json);
    }

    /// Registers, proves the address and signs in.
    pub async fn sign_up(&self, email: &str) -> Account {
        let router = self.auth_router().await;
        self.register_and_verify(&router, email).await;
        Account::of(&login(&router, email, PASSWORD).await)
    }
}

/// Tries to sign in.
pub async fn login(router: &Router, email: &str, password: &str) -> Answer {
    login_with(router, json!({ "email": email, "password": password })).await
}

/// Tries to sign in with a body.
pub async fn login_with(router: &Router, body: Value) -> Answer {
    ask(router, "POST", "/api/v1/auth/login", None, Some(body)).await
}

/// A router whose callers come from that address.
pub fn called_from(router: &Router, ip: &str) -> Router {
    let ip: IpAddr = ip.parse().expect("a test's addresses are addresses");
    router.clone().layer(Extension(ClientIp(ip)))
}
