//! What handlers take and give, as the kit checks it: bodies, queries, cursors, idempotency keys, rate limits, browsers.

use api::{
    AmountText, Caller, IdempotencyKey, Json, Kit, Limit, PageParams, PathId, Problem, Query, idempotent, read_cursor,
    serve_area,
};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use domain::account::Role;
use garde::Validate;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tests::{Answer, TestApp, ask, send};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(Deserialize, Validate, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
struct Order {
    #[garde(length(min = 1, max = 10))]
    name: String,
    amount: AmountText,
    #[garde(dive)]
    #[serde(default)]
    rows: Vec<Row>,
    #[serde(default)]
    kind: Kind,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Small,
    Large,
}

#[derive(Deserialize, Validate, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    #[garde(range(min = 1, max = 5))]
    count: u32,
}

#[derive(Clone)]
struct Shop {
    kit: Kit,
    done: Arc<AtomicU32>,
}

#[utoipa::path(post, path = "/orders", responses((status = 201)))]
async fn order(
    State(shop): State<Shop>,
    _: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Json(order): Json<Order>,
) -> Result<(axum::http::StatusCode, axum::Json<Value>), Problem> {
    let Order { name, amount, rows, kind } = order;
    if name == "wait" {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    if name == "refused" {
        return Err(Problem::field("/name", "not this one"));
    }
    let number = shop.done.fetch_add(1, Ordering::SeqCst);
    let counts: Vec<u32> = rows.iter().map(|row| row.count).collect();
    let body = json!({ "number": number, "key": key, "amount": amount.0, "counts": counts, "large": matches!(kind, Kind::Large) });
    Ok((axum::http::StatusCode::CREATED, axum::Json(body)))
}

#[utoipa::path(get, path = "/orders", responses((status = 200)))]
async fn list(Query(page): Query<PageParams>) -> Result<axum::Json<Value>, Problem> {
    let cursor: Option<u32> = read_cursor(page.cursor.as_deref())?;
    Ok(axum::Json(json!({ "limit": page.limit, "cursor": cursor })))
}

#[utoipa::path(get, path = "/orders/{id}", responses((status = 200)))]
async fn show(State(shop): State<Shop>, PathId(id): PathId) -> Result<String, Problem> {
    shop.kit.limit(&[Limit { bucket: format!("show:{id}"), most: 3, per_secs: 60 }]).await?;
    Ok(id.to_string())
}

#[utoipa::path(post, path = "/orders/{id}/close", responses((status = 204)))]
async fn close(_: PathId) -> axum::http::StatusCode {
    axum::http::StatusCode::NO_CONTENT
}

fn shop(app: &TestApp) -> Router {
    let mut kit = app.kit("billing");
    kit.origins = vec!["https://panel.example.com".to_owned()];
    let routes = OpenApiRouter::new().routes(idempotent(routes!(order))).routes(routes!(list)).routes(routes!(show));
    let routes = routes.routes(idempotent(routes!(close)));
    serve_area(kit.clone(), routes, Shop { kit, done: Arc::default() }, Router::new())
}

async fn keyed(router: &Router, token: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post("/api/orders").header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json").header("idempotency-key", key);
    send(router, request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_bad_body_is_refused_with_the_field_and_where_it_stands() {
    let app = TestApp::new().await;
    let (router, token) = (shop(&app), app.sign_in("usr_1", Role::User).await);
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    for (body, status, code, pointer) in [
        ("", 400, "malformed_json", None),
        ("{", 400, "malformed_json", None),
        (r#"{"name":"a","amount":"1"} x"#, 400, "malformed_json", None),
        (&deep, 422, "invalid_fields", Some("/0")),
        (&format!(r#"{{"name":{deep}}}"#), 422, "invalid_fields", Some("/name")),
        (r#"{"name":"a"}"#, 422, "invalid_fields", Some("/amount")),
        (r#"{"name":"a","amount":"1","Name":"b"}"#, 422, "invalid_fields", Some("/Name")),
        (r#"{"name":"a","amount":"1","a/b~c":1}"#, 422, "invalid_fields", Some("/a~1b~0c")),
        (r#"{"name":"a","name":"b","amount":"1"}"#, 422, "invalid_fields", Some("/name")),
        (r#"{"name":"a","amount":"1","rows":[{"count":1,"count":2}]}"#, 422, "invalid_fields", Some("/rows/0/count")),
        (r#"{"name":7,"amount":"1"}"#, 422, "invalid_fields", Some("/name")),
        (r#"{"name":"","amount":"1"}"#, 422, "invalid_fields", Some("/name")),
        (r#"{"name":"a","amount":"1","kind":1}"#, 422, "invalid_fields", Some("/kind")),
        (r#"{"name":"a","amount":"1","kind":null}"#, 422, "invalid_fields", Some("/kind")),
        (r#"{"name":"a","amount":"1","kind":[{}]}"#, 422, "invalid_fields", Some("/kind")),
        (r#"{"name":"a","amount":"1","kind":"huge"}"#, 422, "invalid_fields", Some("/kind")),
        (&format!(r#"{{"name":"a","amount":"1","kind":{deep}}}"#), 422, "invalid_fields", Some("/kind")),
        (r#"{"name":"a","amount":true}"#, 422, "invalid_fields", Some("/amount")),
        (r#"{"name":"a","amount":"1","rows":[{"count":1},{"count":9}]}"#, 422, "invalid_fields", Some("/rows/1/count")),
        (r#"{"name":"a","amount":"1","rows":[{"count":-1}]}"#, 422, "invalid_fields", Some("/rows/0/count")),
    ] {
        let request = Request::post("/api/orders").header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
        let answer = send(&router, request).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!((answer.status, answer.json["code"].as_str()), (status, Some(code)), "{shown} {}", answer.json);
        assert_eq!(answer.json["errors"][0]["pointer"].as_str(), pointer, "{shown} {}", answer.json);
    }
    for media in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let request = Request::post("/api/orders").header("authorization", format!("Bearer {token}"));
        let request = media.into_iter().fold(request, |request, media| request.header("content-type", media));
        let answer = send(&router, request.body(Body::from(r#"{"name":"a","amount":"1"}"#)).unwrap()).await;
        assert_eq!(answer.status, 415, "{media:?}");
    }
}

#[tokio::test]
async fn a_number_keeps_the_digits_it_was_written_with() {
    let app = TestApp::new().await;
    let (router, token) = (shop(&app), app.sign_in("usr_1", Role::User).await);
    let request = Request::post("/api/orders").header("authorization", format!("Bearer {token}"));
    let body = r#"{"name":"a","amount":20.10,"rows":[{"count":2}]}"#;
    let request = request.header("content-type", "application/json; charset=utf-8").body(Body::from(body)).unwrap();
    let answer = send(&router, request).await;
    assert_eq!((answer.status, answer.json["amount"].as_str()), (201, Some("20.10")), "{}", answer.json);
    assert_eq!(answer.json["counts"], json!([2]));
}

#[tokio::test]
async fn a_bad_query_names_its_parameter_and_a_bad_id_names_nothing() {
    let app = TestApp::new().await;
    let router = shop(&app);
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e1", "limit"),
        ("lim=5", "lim"),
        ("limit=1&limit=2", "limit"),
        ("cursor=%21", "cursor"),
        ("cursor=bm90IGpzb24", "cursor"),
        (&format!("cursor={}", "a".repeat(3_000)), "cursor"),
        (&format!("x={}", "a".repeat(5_000)), "query"),
    ] {
        let answer = ask(&router, "GET", &format!("/api/orders?{query}"), None, None).await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (400, Some("invalid_parameter")), "{}", answer.json);
        assert_eq!(answer.json["errors"][0]["parameter"].as_str(), Some(parameter), "{}", answer.json);
    }
    let cursor = api::write_cursor(&7).unwrap();
    let answer = ask(&router, "GET", &format!("/api/orders?cursor={cursor}"), None, None).await;
    assert_eq!(answer.json, json!({ "limit": 20, "cursor": 7 }));
    for id in ["a%20b", "a%23b", &"x".repeat(65), "%00", "..%2f"] {
        assert_eq!(ask(&router, "GET", &format!("/api/orders/{id}"), None, None).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn the_same_key_is_done_once_and_answered_alike() {
    let app = TestApp::new().await;
    let router = shop(&app);
    let (one, other) = (app.sign_in("usr_1", Role::User).await, app.sign_in("usr_2", Role::User).await);
    let body = json!({ "name": "a", "amount": "1" });
    let first = keyed(&router, &one, "k1", &body).await;
    assert_eq!((first.status, first.headers.get("idempotency-replayed")), (201, None));
    assert_eq!(first.json["key"], "k1");
    for _ in 0..3 {
        let again = keyed(&router, &one, "k1", &body).await;
        assert_eq!((again.status, &again.json), (201, &first.json));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.headers["content-type"], "application/json");
    }
    let conflict = keyed(&router, &one, "k1", &json!({ "name": "b", "amount": "1" })).await;
    assert_eq!((conflict.status, conflict.json["code"].as_str()), (409, Some("key_reused")));
    // Another key, and another customer with the same key, are other requests.
    assert_eq!(keyed(&router, &one, "k2", &body).await.json["number"], 1);
    assert_eq!(keyed(&router, &other, "k1", &body).await.json["number"], 2);
    // A day later it is forgotten.
    app.pass(25);
    let later = app.sign_in("usr_1", Role::User).await;
    assert_eq!(keyed(&router, &later, "k1", &body).await.json["number"], 3);
    // Whoever is not signed in learns nothing from a key.
    assert_eq!(keyed(&router, "x", "k1", &body).await.status, 401);
    for key in ["", &"k".repeat(256), "\u{e9}"] {
        assert_eq!(keyed(&router, &later, key, &body).await.json["errors"][0]["parameter"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_key_of_the_table_is_not_found_like_any_other() {
    let app = TestApp::new().await;
    let (router, token) = (shop(&app), app.sign_in("usr_1", Role::User).await);
    for (id, status) in [("a".to_owned(), 204), ("x".repeat(3_000), 404)] {
        let request = Request::post(format!("/api/orders/{id}/close")).header("idempotency-key", "k");
        let request = request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status, status);
    }
}

#[tokio::test]
async fn what_failed_is_forgotten_and_what_is_at_work_is_waited_for() {
    let app = TestApp::new().await;
    let (router, token) = (shop(&app), app.sign_in("usr_1", Role::User).await);
    let refused = keyed(&router, &token, "k", &json!({ "name": "refused", "amount": "1" })).await;
    assert_eq!(refused.status, 422);
    let slow = json!({ "name": "wait", "amount": "1" });
    let answers = futures::future::join_all((0..20).map(|_| keyed(&router, &token, "k", &slow))).await;
    let done: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(done.len(), 1);
    for waiting in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((waiting.status, waiting.json["code"].as_str()), (409, Some("in_flight")));
        assert!(waiting.headers.contains_key("retry-after"));
    }
    assert_eq!(keyed(&router, &token, "k", &slow).await.json, done[0].json);
}

#[tokio::test]
async fn a_claim_whose_holder_died_is_taken_over_when_it_runs_out() {
    let app = TestApp::new().await;
    let (router, token) = (shop(&app), app.sign_in("usr_1", Role::User).await);
    let slow = json!({ "name": "wait", "amount": "1" });
    let died = tokio::time::timeout(std::time::Duration::from_millis(50), keyed(&router, &token, "k", &slow)).await;
    assert!(died.is_err());
    assert_eq!(keyed(&router, &token, "k", &slow).await.json["code"], "in_flight");
    app.pass_secs(61);
    assert_eq!(keyed(&router, &token, "k", &slow).await.status, 201);
}

#[tokio::test]
async fn a_full_bucket_says_when_to_come_again() {
    let app = TestApp::new().await;
    let router = shop(&app);
    let statuses = futures::future::join_all((0..20).map(|_| ask(&router, "GET", "/api/orders/a", None, None))).await;
    assert_eq!(statuses.iter().filter(|answer| answer.status == 200).count(), 3);
    let full = statuses.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!((full.status, full.json["code"].as_str()), (429, Some("too_many_requests")));
    let wait: i64 = full.headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(ask(&router, "GET", "/api/orders/b", None, None).await.status, 200);
    app.pass_secs(wait);
    assert_eq!(ask(&router, "GET", "/api/orders/a", None, None).await.status, 200);
}

#[tokio::test]
async fn only_named_pages_may_call_from_a_browser() {
    let app = TestApp::new().await;
    let router = shop(&app);
    for (origin, allowed) in [("https://panel.example.com", true), ("https://evil.example.com", false), ("null", false)]
    {
        let request = Request::options("/api/orders").header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let answer = send(&router, request.body(Body::empty()).unwrap()).await;
        let said = answer.headers.get("access-control-allow-origin").map(String::as_str);
        assert_eq!(said, allowed.then_some(origin));
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
}
