//! `/health` and `/api/health/billing-daemon`.

use domain::account::Role;
use serde_json::json;
use tests::{CENT, TestApp, ask, id, registered};

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
    let body = app.billing_daemon().await.json;
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
    let body = app.billing_daemon().await.json;
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
    assert_eq!(app.billing_daemon().await.json["status"], "ok");
    app.pass_secs(1);
    let body = app.billing_daemon().await.json;
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
    let body = app.billing_daemon().await.json;
    assert_eq!((body["status"].as_str(), body["lastRunSuccess"].as_bool()), (Some("failed"), Some(false)));
    assert_eq!(body["errorMessage"].as_str(), Some("jobs were parked for: srv-1"));
}

#[tokio::test]
async fn only_admins_see_how_billing_is_doing() {
    let app = TestApp::new().await;
    let router = health::router(app.kit(health::AREA));
    let path = "/api/health/billing-daemon";
    let user = app.sign_in("usr_1", Role::User).await;
    for (token, status, code) in
        [(None, 401, "unauthenticated"), (Some(user.as_str()), 403, "admins_only"), (Some("x"), 401, "unauthenticated")]
    {
        let answer = ask(&router, "GET", path, token, None).await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (status, Some(code)));
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.headers.get("www-authenticate").map(String::as_str), (status == 401).then_some("Bearer"));
    }
    assert_eq!(ask(&router, "GET", "/health", None, None).await.status, 200);
}

#[tokio::test]
async fn the_pages_of_the_api_come_whole_from_here() {
    let app = TestApp::new().await;
    let router = health::router(app.kit(health::AREA));
    for path in ["/docs/", "/docs/swagger-ui-bundle.js", "/docs/swagger-initializer.js", "/redoc", "/openapi.json"] {
        let answer = ask(&router, "GET", path, None, None).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("http"), "{path}: {policy}");
    }
    assert_eq!(ask(&router, "GET", "/docs", None, None).await.headers["location"], "/docs/");
    assert_eq!(ask(&router, "GET", "/docs/../secret", None, None).await.status, 404);
}

#[tokio::test]
async fn a_message_nobody_can_read_does_not_look_like_a_run() {
    let mut app = TestApp::new().await;
    app.allow_leftovers();
    providers::Queue::send(&app.system.jobs, vec!["?".to_owned()]).await.unwrap();
    app.system.pump(&|_| {}).await.unwrap();
    assert_eq!(app.system.parked.all().unwrap().len(), 1);
    let body = app.billing_daemon().await.json;
    assert_eq!(body["status"], "never_run");
}
