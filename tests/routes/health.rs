//! `/health` and `/api/health/billing-daemon`.

use serde_json::json;
use tests::{CENT, TestApp, id, registered};
use tower::ServiceExt;

#[tokio::test]
async fn health_answers_at_its_paths_and_nothing_else_does() {
    let app = TestApp::new().await;
    for path in ["/health", "/api/health", "/api/v1/health"] {
        assert_eq!(app.get(path).await.unwrap(), (200, json!({ "status": "ok" })));
    }
    let (status, problem) = app.get("/api/nothing").await.unwrap();
    assert_eq!((status, problem["code"].as_str(), problem["status"].as_u64()), (404, Some("not_found"), Some(404)));
}

#[tokio::test]
async fn a_system_that_never_ran_says_so() {
    let app = TestApp::new().await;
    let (status, body) = app.get("/api/health/billing-daemon").await.unwrap();
    assert_eq!(status, 200);
    assert_eq!((body["status"].as_str(), body["warningThresholdExceeded"].as_bool()), (Some("never_run"), Some(true)));
    assert!(body["lastRunAt"].is_null() && body["lastRunSuccess"].is_null());
}

#[tokio::test]
async fn the_last_runs_figures_are_exact_and_stale_after_90_minutes() {
    let app = TestApp::new().await;
    let facts: Vec<_> =
        (0..25).map(|n| registered(&format!("srv-{n}"), &format!("cus-{}", n % 4), app.at(1))).collect();
    app.tell(&facts).await;
    app.hours(3).await;
    let (_, body) = app.get("/api/v1/health/billing-daemon").await.unwrap();
    assert_eq!(
        body,
        json!({
            "status": "ok", "lastRunAt": "2026-11-10T03:00:05Z", "billedThrough": "2026-11-10T03:00:00Z",
            "lastRunSuccess": true, "instancesBilled": 25, "jobs": 25, "jobsExpired": 0, "totalAmount": "0.250000",
            "totalTokens": "0.0000", "totalHours": 25, "heartbeatAt": "2026-11-10T03:00:05Z",
            "warningThresholdExceeded": false, "errorMessage": null,
        })
    );
    assert_eq!(25 * CENT, 250_000);
    app.pass_secs(90 * 60);
    assert_eq!(app.get("/health/billing-daemon").await.unwrap().0, 404);
    assert_eq!(app.get("/api/health/billing-daemon").await.unwrap().1["status"], "ok");
    app.pass_secs(1);
    let (_, body) = app.get("/api/health/billing-daemon").await.unwrap();
    assert_eq!((body["status"].as_str(), body["warningThresholdExceeded"].as_bool()), (Some("stale"), Some(true)));
}

#[tokio::test]
async fn a_run_with_parked_jobs_has_failed_and_names_the_servers() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    let mut fact = registered("srv-1", "cus-1", app.at(1));
    if let store::Fact::Registered { plan, .. } = &mut fact {
        *plan = id("gone");
    }
    app.tell(&[fact]).await;
    app.hours(1).await;
    let (_, body) = app.get("/api/health/billing-daemon").await.unwrap();
    assert_eq!((body["status"].as_str(), body["lastRunSuccess"].as_bool()), (Some("failed"), Some(false)));
    assert_eq!(body["errorMessage"].as_str(), Some("jobs were parked for: srv-1"));
}

#[tokio::test]
async fn where_monitors_have_a_token_only_they_see_how_billing_is_doing() {
    let app = TestApp::new().await;
    let (old, new) = ("an-old-token-of-a-monitor", "a-new-token-of-a-monitor");
    let monitors = Some(api::Tokens::parse(&format!("{new} {old}")).unwrap());
    let health = health::Health { store: app.system.store.clone(), clock: app.time.clock(), monitors };
    let ask = |path: &'static str, authorization: Option<String>| {
        let router = health::router(health.clone());
        async move {
            let request = axum::http::Request::get(path);
            let request = authorization.into_iter().fold(request, |r, value| r.header("authorization", value));
            router.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap()
        }
    };
    let path = "/api/health/billing-daemon";
    for token in [old, new] {
        for scheme in ["Bearer", "bearer"] {
            assert_eq!(ask(path, Some(format!("{scheme} {token}"))).await.status(), 200);
        }
    }
    for wrong in [None, Some(old.to_owned()), Some(format!("Basic {old}")), Some("Bearer nonsense".to_owned())] {
        let response = ask(path, wrong.clone()).await;
        assert_eq!(response.status(), 401, "{wrong:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(ask("/health", None).await.status(), 200);
}

#[tokio::test]
async fn a_message_nobody_can_read_does_not_look_like_a_run() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    providers::Queue::send(&app.system.jobs, vec!["?".to_owned()]).await.unwrap();
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(app.system.parked.all().unwrap().len(), 1);
    let (_, body) = app.get("/api/health/billing-daemon").await.unwrap();
    assert_eq!(body["status"], "never_run");
}
