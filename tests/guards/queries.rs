//! Query strings are what OpenAPI says of them: a GET that reads one refuses a parameter it does not know and names it, and one
//! that says nothing of a query does not look at it.

use domain::account::Role;
use tests::{TestApp, ask};

/// A parameter that no operation has.
const UNKNOWN: &str = "no_such";

/// What stands in a place of a path, so that it is read.
fn filled(path: &str) -> String {
    let fill = |part: &str| match part {
        "{month}" => "2026-11".to_owned(),
        "{hour}" => "2026-11-10T00:00:00Z".to_owned(),
        _ if part.starts_with('{') => "x_1".to_owned(),
        _ => part.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

/// Each GET, and whether it says that it has a query.
fn gets() -> Vec<(String, bool)> {
    let document = serde_json::to_value(skymeter::gateway::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        if let Some(get) = item.get("get") {
            let parameters = get["parameters"].as_array().into_iter().flatten();
            found.push((path.clone(), parameters.filter(|one| one["in"] == "query").count() > 0));
        }
    }
    let (with, without) = found.iter().partition::<Vec<_>, _>(|(_, has_query)| *has_query);
    assert!(with.len() > 10 && without.len() > 10, "{found:?}");
    found
}

#[tokio::test]
async fn a_query_is_refused_by_name_where_one_is_described_and_ignored_elsewhere() {
    let app = TestApp::new().await;
    let shop = app.shop().await;
    let token = app.sign_in("usr_admin", Role::Admin).await;
    for (path, has_query) in gets() {
        let path = format!("/api/v1{}", filled(&path));
        let answer = ask(&shop.router, "GET", &format!("{path}?{UNKNOWN}=1"), Some(&token), None).await;
        if has_query {
            assert_eq!((answer.status, answer.json["code"].as_str()), (400, Some("invalid_parameter")), "{path}");
            assert_eq!(answer.json["errors"][0]["parameter"], UNKNOWN, "{path}: {}", answer.json);
        } else {
            let plain = ask(&shop.router, "GET", &path, Some(&token), None).await;
            assert_eq!(answer.status, plain.status, "{path} reads a query and does not say so: {}", answer.json);
        }
    }
}
