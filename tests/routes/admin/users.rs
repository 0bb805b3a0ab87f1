//! `/api/admin/users` and one of them.

use super::{ADMIN, Desk, code, register, wrong};
use domain::account::{Role, Status};
use serde_json::json;
use store::Access;
use tests::{Answer, ask, id};

fn ids(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    answer.json["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

async fn access(desk: &Desk, user: &str) -> Access {
    desk.app.system.store.access_get(&id(user)).await.unwrap().unwrap()
}

#[tokio::test]
async fn everybody_is_listed_newest_first_and_page_by_page() {
    let desk = Desk::new().await;
    for n in 0..5 {
        desk.user(&format!("usr_{n}"), &format!("u{n}@example.com"), "", "").await;
    }
    let mut path = "users?limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = desk.get(&path).await;
        pages.push(ids(&answer).join(" "));
        let Some(cursor) = answer.json["next_cursor"].as_str() else { break };
        path = format!("users?limit=2&cursor={cursor}");
    }
    assert_eq!(pages, ["usr_4 usr_3", "usr_2 usr_1", "usr_0"]);
    // Five of five: the last page says so.
    let answer = desk.get("users?limit=5").await;
    assert_eq!((ids(&answer).len(), &answer.json["next_cursor"]), (5, &json!(null)));
    assert_eq!(
        answer.json["data"][0],
        json!({
            "id": "usr_4", "email": "u4@example.com", "name": null, "company": null, "role": "user", "status": "active",
            "email_verified": false, "created_at": "2026-11-10T00:00:00Z", "updated_at": "2026-11-10T00:00:00Z",
        })
    );
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
        ("search=", "search"),
        ("page=0", "page"),
        ("page=1001", "page"),
        ("page=1&cursor=InVzcl8zIg", "page"),
    ] {
        let answer = desk.get(&format!("users?{query}")).await;
        assert_eq!((answer.status, wrong(&answer)), (400, vec![parameter.to_owned()]), "{query}");
    }
}

#[tokio::test]
async fn pages_with_numbers_say_where_they_stand() {
    let desk = Desk::new().await;
    for n in 0..5 {
        desk.user(&format!("usr_{n}"), &format!("u{n}@example.com"), "", "Engines").await;
    }
    for (page, listed) in [(1, "usr_4 usr_3"), (2, "usr_2 usr_1"), (3, "usr_0"), (4, ""), (1_000, "")] {
        let answer = desk.get(&format!("users?limit=2&page={page}")).await;
        assert_eq!(ids(&answer).join(" "), listed);
        assert_eq!(answer.json["pagination"], json!({ "page": page, "limit": 2, "total": 5, "pages": 3 }));
        assert_eq!(answer.json["next_cursor"].is_null(), page >= 3);
        // How many a search finds is not known before all were looked at.
        let answer = desk.get(&format!("users?limit=2&page={page}&search=engines")).await;
        assert_eq!(ids(&answer).join(" "), listed);
        assert_eq!(answer.json["pagination"], json!({ "page": page, "limit": 2, "total": null, "pages": null }));
    }
    // A number and the cursor go together: the cursor of a page begins the next one.
    let second = desk.get("users?limit=2&page=2").await;
    let cursor = second.json["next_cursor"].as_str().unwrap();
    let third = desk.get(&format!("users?limit=2&cursor={cursor}")).await;
    assert_eq!((ids(&third), &third.json["pagination"]), (vec!["usr_0"], &json!(null)));
    // Nobody is counted who was not to be.
    assert_eq!(desk.get("users").await.json["pagination"], json!(null));
}

#[tokio::test]
async fn words_are_found_in_address_name_and_company_in_any_case() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada Lovelace", "Engines Ltd").await;
    desk.user("usr_2", "bob@lovelace.example", "Bob", "").await;
    desk.user("usr_3", "eva@example.com", "\u{c9}va", "LOVELACE & Sons").await;
    desk.user("usr_4", "ada@example.com.au", "", "").await;
    for (words, found) in [
        ("lovelace", vec!["usr_3", "usr_2", "usr_1"]),
        ("LOVE", vec!["usr_3", "usr_2", "usr_1"]),
        ("%C3%A9VA", vec!["usr_3"]),
        ("engines", vec!["usr_1"]),
        ("a+l", vec!["usr_1"]),
        ("nobody", vec![]),
        // A part of two addresses, and the whole of one.
        ("ada@example.co", vec!["usr_4", "usr_1"]),
        ("Ada@Example.com", vec!["usr_1"]),
    ] {
        assert_eq!(ids(&desk.get(&format!("users?search={words}")).await), found, "{words}");
    }
    let first = desk.get("users?search=lovelace&limit=2").await;
    assert_eq!(ids(&first), ["usr_3", "usr_2"]);
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let second = desk.get(&format!("users?search=lovelace&limit=2&cursor={cursor}")).await;
    assert_eq!((ids(&second), &second.json["next_cursor"]), (vec!["usr_1"], &json!(null)));
}

#[tokio::test]
async fn a_search_looks_through_so_many_and_gives_a_cursor_to_go_on() {
    let desk = Desk::new().await;
    desk.user("usr_0000", "needle@example.com", "", "").await;
    for n in 1..=1_000 {
        register(&desk.app, &format!("usr_{n:04}"), &format!("hay{n}@example.com"), "", "").await;
    }
    let first = desk.get("users?search=needl").await;
    assert!(ids(&first).is_empty());
    // What lies before a page is not searched any further, either.
    assert_eq!(code(&desk.get("users?search=needl&page=2").await), (422, "page_too_far"));
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let second = desk.get(&format!("users?search=needl&cursor={cursor}")).await;
    assert_eq!((ids(&second), &second.json["next_cursor"]), (vec!["usr_0000"], &json!(null)));
    // The whole address needs no search.
    assert_eq!(ids(&desk.get("users?search=needle%40example.com").await), ["usr_0000"]);
}

#[tokio::test]
async fn one_user_is_shown_with_what_the_ledger_holds_for_them() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    let sessions = ["ses_1", "ses_2"].map(id);
    for session in &sessions {
        desk.app.system.store.access_session_add(&id("usr_1"), session).await.unwrap();
    }
    desk.post("users/usr_1/custom-credits", json!({ "amount": "12.5", "reason": "Welcome" })).await;
    let answer = desk.get("users/usr_1").await;
    assert_eq!((answer.status, &answer.json["email"]), (200, &json!("ada@example.com")));
    assert_eq!((&answer.json["sessions"], &answer.json["api_keys"]), (&json!(2), &json!(0)));
    let balances = json!([{ "amount": "12.50", "unit": "usd" }, { "amount": "0.00", "unit": "token" }]);
    assert_eq!(answer.json["balances"], balances);
    for path in ["users/usr_9", "users/no%20id", &format!("users/{}", "x".repeat(65))] {
        assert_eq!(code(&desk.get(path).await), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn what_is_changed_is_written_down_as_it_was_and_is() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    let session = id("ses_1");
    desk.app.system.store.access_session_add(&id("usr_1"), &session).await.unwrap();
    let body = json!({ "name": " Ada Lovelace ", "company": "Engines", "role": "admin", "status": "suspended" });
    let answer = desk.put("users/usr_1", body.clone()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let json = &answer.json;
    assert_eq!((&json["name"], &json["company"]), (&json!("Ada Lovelace"), &json!("Engines")));
    assert_eq!((&json["role"], &json["status"]), (&json!("admin"), &json!("suspended")));
    let now = access(&desk, "usr_1").await;
    assert_eq!((now.role, now.status, now.sessions.contains(&session)), (Role::Admin, Status::Suspended, true));
    let records = desk.audit("user.update").await;
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.actor.as_str(), record.object.as_str()), (ADMIN, "user/usr_1"));
    // That there was a name, and is another one; not which: the log outlives its person.
    let name = "not kept";
    assert_eq!(record.before, json!({ "name": name, "company": null, "role": "user", "status": "active" }));
    let after = json!({ "name": name, "company": name, "role": "admin", "status": "suspended" });
    assert_eq!(record.after, after);
    assert_eq!(record.address, "0.0.0.0");
    assert_eq!(Some(record.request_id.as_str()), answer.headers.get("x-request-id").map(String::as_str));
    // What is so already is no change; a part stays as it is where it is not named.
    assert_eq!(desk.put("users/usr_1", body).await.status, 200);
    assert_eq!(desk.audit("user.update").await.len(), 1);
    desk.app.pass_secs(1);
    assert_eq!(desk.put("users/usr_1", json!({ "company": null })).await.json["company"], json!(null));
    let records = desk.audit("user.update").await;
    assert_eq!((records.len(), &records[0].before), (2, &json!({ "company": name })));
    assert_eq!(records[0].after, json!({ "company": null }));
    // The list and the profile say the same.
    assert_eq!(desk.get("users").await.json["data"][0]["name"], json!("Ada Lovelace"));
}

#[tokio::test]
async fn bad_changes_are_refused_by_field_and_change_nothing() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    for (body, pointer) in [
        (json!({ "email": "x@example.com" }), "/email"),
        (json!({ "role": "root" }), "/role"),
        (json!({ "status": "deleted" }), "/status"),
        (json!({ "status": "gone" }), "/status"),
        (json!({ "name": "x".repeat(101) }), "/name"),
        (json!({ "name": "a\r\nb" }), "/name"),
        (json!({ "company": "\u{202e}evil" }), "/company"),
        (json!({ "name": 5 }), "/name"),
    ] {
        let answer = desk.put("users/usr_1", body.clone()).await;
        assert_eq!((answer.status, wrong(&answer)), (422, vec![pointer.to_owned()]), "{body}");
    }
    assert_eq!(desk.put("users/usr_9", json!({ "name": "x" })).await.status, 404);
    assert!(desk.audit("user.update").await.is_empty());
    assert_eq!(desk.get("users/usr_1").await.json["name"], json!("Ada"));
}

#[tokio::test]
async fn deactivation_ends_sessions_and_keys_at_once_and_can_be_undone() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    let session = id("ses_1");
    desk.app.system.store.access_session_add(&id("usr_1"), &session).await.unwrap();
    let token = desk.app.token_of("usr_1", &session).await;
    let path = "/api/admin/users";
    assert_eq!(code(&ask(&desk.router, "GET", path, Some(&token), None).await), (403, "admins_only"));
    let answer = desk.delete("users/usr_1", None).await;
    assert_eq!((answer.status, &answer.json["status"]), (200, &json!("deactivated")));
    assert_eq!(code(&ask(&desk.router, "GET", path, Some(&token), None).await), (403, "account_deactivated"));
    let now = access(&desk, "usr_1").await;
    assert!(now.sessions.is_empty() && now.keys.is_empty());
    // Twice is as once.
    assert_eq!(desk.delete("users/usr_1", None).await.status, 200);
    let records = desk.audit("user.deactivate").await;
    assert_eq!((records.len(), &records[0].before), (1, &json!({ "status": "active" })));
    assert_eq!(desk.delete("users/usr_9", None).await.status, 404);
    assert_eq!(desk.put("users/usr_1", json!({ "status": "active" })).await.json["status"], json!("active"));
    // The session stays over.
    assert_eq!(code(&ask(&desk.router, "GET", path, Some(&token), None).await), (401, "session_ended"));
}

#[tokio::test]
async fn who_was_deleted_stays_so() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "Ada", "").await;
    let store = &desk.app.system.store;
    let (profile, rev) = store.user_get(&id("usr_1")).await.unwrap().unwrap();
    store.user_erase((&profile, rev), desk.app.time.now()).await.unwrap();
    assert_eq!(code(&desk.put("users/usr_1", json!({ "status": "active" })).await), (409, "account_deleted"));
    assert_eq!(code(&desk.delete("users/usr_1", None).await), (409, "account_deleted"));
    let row = &desk.get("users").await.json["data"][0];
    assert_eq!((&row["status"], &row["email"], &row["name"]), (&json!("deleted"), &json!(null), &json!(null)));
}

#[tokio::test]
async fn nobody_takes_away_their_own_role_or_status() {
    let desk = Desk::new().await;
    desk.user("usr_boss", "boss@example.com", "Boss", "").await;
    let desk = desk.by("usr_boss").await;
    for body in
        [json!({ "role": "user" }), json!({ "status": "suspended" }), json!({ "status": "deactivated", "name": "X" })]
    {
        assert_eq!(code(&desk.put("users/usr_boss", body).await), (409, "own_account"));
    }
    assert_eq!(code(&desk.delete("users/usr_boss", None).await), (409, "own_account"));
    let now = access(&desk, "usr_boss").await;
    assert_eq!((now.role, now.status), (Role::Admin, Status::Active));
    // The name is another matter, and so is what stays as it is.
    let answer = desk.put("users/usr_boss", json!({ "name": "The Boss", "role": "admin", "status": "active" })).await;
    assert_eq!((answer.status, &answer.json["name"]), (200, &json!("The Boss")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_admins_who_depose_each_other_at_the_same_time_leave_one() {
    let desk = Desk::new().await;
    for round in 0..10 {
        let (a, b) = (format!("usr_a{round}"), format!("usr_b{round}"));
        for user in [&a, &b] {
            desk.user(user, &format!("{user}@example.com"), "", "").await;
        }
        let (of_a, of_b) = (desk.app.sign_in(&a, Role::Admin).await, desk.app.sign_in(&b, Role::Admin).await);
        let depose = async |token: &str, user: &str| {
            let body = Some(json!({ "role": "user" }));
            ask(&desk.router, "PUT", &format!("/api/admin/users/{user}"), Some(token), body).await.status
        };
        let (first, second) = tokio::join!(depose(&of_a, &b), depose(&of_b, &a));
        let admins = [access(&desk, &a).await, access(&desk, &b).await].map(|access| access.role == Role::Admin);
        assert_eq!(admins.iter().filter(|is| **is).count(), 1, "{first} {second}");
        assert_eq!([first, second].iter().filter(|status| **status == 200).count(), 1, "{first} {second}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_one_user_at_the_same_time_are_all_made_and_written_down() {
    let desk = Desk::new().await;
    desk.user("usr_1", "ada@example.com", "", "").await;
    let (a, b, c, d) = tokio::join!(
        desk.put("users/usr_1", json!({ "name": "Ada" })),
        desk.put("users/usr_1", json!({ "company": "Engines" })),
        desk.put("users/usr_1", json!({ "role": "admin" })),
        desk.put("users/usr_1", json!({ "status": "suspended" })),
    );
    assert_eq!([a, b, c, d].map(|answer| answer.status), [200; 4]);
    let user = desk.get("users/usr_1").await.json;
    assert_eq!((&user["name"], &user["company"]), (&json!("Ada"), &json!("Engines")));
    assert_eq!((&user["role"], &user["status"]), (&json!("admin"), &json!("suspended")));
    assert_eq!(desk.audit("user.update").await.len(), 4);
}
