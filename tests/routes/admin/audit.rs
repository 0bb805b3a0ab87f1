//! `/api/admin/audit`.

use super::{ADMIN, Desk, wrong};
use domain::account::Role;
use serde_json::{Value, json};
use tests::{Answer, ask, called_from};

fn told(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = answer.json["data"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "actor"), text(row, "object"))).collect()
}

async fn desk() -> Desk {
    let desk = Desk::new().await;
    let other = desk.app.sign_in("usr_other", Role::Admin).await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    for n in 0..4 {
        desk.app.pass_secs(1);
        desk.put("users/usr_1", json!({ "name": format!("Ada {n}") })).await;
    }
    desk.app.pass_secs(1);
    desk.put("settings/server_hours_per_month", json!({ "value": 700 })).await;
    desk.app.pass_secs(1);
    let path = "/api/admin/settings/server_hours_per_month";
    let router = called_from(&desk.router, "192.0.2.7");
    ask(&router, "PUT", path, Some(&other), Some(json!({ "value": 701 }))).await;
    desk
}

#[tokio::test]
async fn who_what_before_after_and_from_where() {
    let desk = desk().await;
    let answer = desk.get("audit?limit=1").await;
    let row = &answer.json["data"][0];
    assert!(row["id"].as_str().unwrap().starts_with("aud_") && !row["request_id"].as_str().unwrap().is_empty());
    let mut row = row.clone();
    row.as_object_mut().unwrap().retain(|name, _| name != "id" && name != "request_id");
    assert_eq!(
        row,
        json!({
            "at": "2026-11-10T00:00:06Z", "actor": "usr_other", "action": "setting.set", "reason": null,
            "object": "setting/server_hours_per_month", "address": "192.0.2.7",
            "before": { "value": 700, "since": "2026-12-01T00:00:00Z" },
            "after": { "value": 701, "since": "2026-12-01T00:00:00Z" },
        })
    );
}

#[tokio::test]
async fn filters_narrow_it_and_pages_go_through_it() {
    let desk = desk().await;
    let setting = "setting/server_hours_per_month";
    let all = told(&desk.get("audit").await);
    assert_eq!(all.len(), 6);
    assert_eq!((all[0].0.as_str(), all[1].0.as_str(), all[5].1.as_str()), ("usr_other", ADMIN, "user/usr_1"));
    for (query, count) in [
        ("actor=usr_other".to_owned(), 1),
        (format!("actor={ADMIN}"), 5),
        (format!("object={setting}"), 2),
        ("action=user.update".to_owned(), 4),
        (format!("actor={ADMIN}&object={setting}&action=setting.set"), 1),
        ("action=user".to_owned(), 0),
        ("month=2026-11".to_owned(), 6),
        ("month=2026-10".to_owned(), 0),
    ] {
        assert_eq!(told(&desk.get(&format!("audit?{query}")).await).len(), count, "{query}");
    }
    for filter in ["", "&action=user.update"] {
        let (mut rows, mut path, mut pages) = (Vec::new(), format!("audit?limit=2{filter}"), 0);
        loop {
            let page = desk.get(&path).await;
            rows.extend(told(&page));
            pages += 1;
            let Some(cursor) = page.json["next_cursor"].as_str() else { break };
            path = format!("audit?limit=2{filter}&cursor={cursor}");
        }
        let expected: Vec<_> =
            all.iter().filter(|(_, object)| filter.is_empty() || object == "user/usr_1").cloned().collect();
        assert_eq!((rows, pages), (expected.clone(), expected.len() / 2), "{filter}");
    }
    // Next month's log is another one.
    desk.app.time.set(tests::time("2026-12-01T00:00:00Z"));
    assert!(told(&desk.get("audit").await).is_empty());
    assert_eq!(told(&desk.get("audit?month=2026-11").await).len(), 6);
}

#[tokio::test]
async fn bad_filters_are_named() {
    let desk = Desk::new().await;
    let position = |text: &str| api::write_cursor(&text).unwrap();
    for (query, parameter) in [
        ("month=2026-13".to_owned(), "month"),
        ("month=november".to_owned(), "month"),
        ("month=2026-1".to_owned(), "month"),
        ("actor=".to_owned(), "actor"),
        (format!("object={}", "x".repeat(129)), "object"),
        ("limit=1000".to_owned(), "limit"),
        ("limit=x".to_owned(), "limit"),
        ("cursor=%20".to_owned(), "cursor"),
        (format!("cursor={}", position("")), "cursor"),
        (format!("cursor={}", position(&"x".repeat(129))), "cursor"),
        ("who=me".to_owned(), "who"),
    ] {
        let answer = desk.get(&format!("audit?{query}")).await;
        assert_eq!((answer.status, wrong(&answer)), (400, vec![parameter.to_owned()]), "{query}");
    }
}
