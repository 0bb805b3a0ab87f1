//! What every area's routes have in common (`api::serve`).

use api::{MAX_BODY_BYTES, MAX_TIME, Problem, REQUEST_ID, serve};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tower::ServiceExt;

async fn explode() -> StatusCode {
    panic!("the secret of the house")
}

fn router() -> Router {
    let area = Router::new()
        .route("/echo", post(|body: String| async move { body }))
        .route("/panic", get(explode))
        .route("/slow", get(|| async { tokio::time::sleep(MAX_TIME + Duration::from_secs(1)).await }))
        .route("/refused", get(|| async { Problem::new(StatusCode::CONFLICT, "taken", "Somebody has it.") }));
    serve(&[], area, Router::new().route("/alone", get(|| async { "here" })))
}

async fn ask(request: Request<Body>) -> (Response<()>, String) {
    let (parts, body) = router().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

fn with(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(path).body(body.into()).unwrap()
}

#[tokio::test]
async fn every_path_stands_under_both_prefixes_and_what_stands_alone_does_not() {
    for (path, status) in [
        ("/api/refused", 409),
        ("/api/v1/refused", 409),
        ("/refused", 404),
        ("/alone", 200),
        ("/api/alone", 404),
        ("/api/v2/refused", 404),
    ] {
        assert_eq!(ask(with("GET", path, "")).await.0.status(), status, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_is_a_problem_with_the_requests_id_and_nothing_from_inside() {
    let long = "x".repeat(MAX_BODY_BYTES + 1);
    for (request, status, code) in [
        (with("GET", "/api/nothing", ""), 404, "not_found"),
        (with("DELETE", "/api/echo", ""), 405, "method_not_allowed"),
        (with("POST", "/api/echo", long), 413, "too_large"),
        (with("POST", "/api/echo", vec![0xff]), 400, "bad_request"),
        (with("GET", "/api/refused", ""), 409, "taken"),
        (with("GET", "/api/panic", ""), 500, "internal"),
        (with("GET", "/api/slow", ""), 503, "unavailable"),
    ] {
        let (response, body) = ask(request).await;
        assert_eq!(response.status(), status, "{code}: {body}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{code}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)));
        assert_eq!(problem["request_id"].as_str(), response.headers()[REQUEST_ID].to_str().ok());
        let fields: BTreeSet<&str> = problem.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["type", "title", "status", "code", "detail", "request_id"].into());
        assert!(!body.contains("secret"), "{body}");
    }
    // What only the framework knows is not lost.
    assert_eq!(ask(with("DELETE", "/api/echo", "")).await.0.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_taken() {
    let (response, body) = ask(with("POST", "/api/echo", "x".repeat(MAX_BODY_BYTES))).await;
    assert_eq!((response.status(), body.len()), (StatusCode::OK, MAX_BODY_BYTES));
}

#[tokio::test]
async fn a_callers_request_id_is_taken_over_where_it_is_one() {
    for (given, taken) in
        [("a-B_9", true), ("", false), ("with space", false), ("<script>", false), (&"x".repeat(65), false)]
    {
        let request = Request::get("/alone").header(REQUEST_ID, given).body(Body::empty()).unwrap();
        let (response, _) = ask(request).await;
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        assert_eq!(id == given, taken, "{given}: {id}");
        assert!((1..=64).contains(&id.len()));
    }
}

#[tokio::test]
async fn answers_keep_browsers_from_guessing_framing_and_keeping_them() {
    for path in ["/alone", "/api/nothing"] {
        let (response, _) = ask(with("GET", path, "")).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(header("strict-transport-security").starts_with("max-age="));
    }
}
